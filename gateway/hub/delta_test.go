package hub_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/hub"
)

// boardOfTwo is a race of two, in which change has happened.
func boardOfTwo(atMs int64, change func(head *livev1.Board, first *livev1.BoardRow)) *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, GunAtMs: 1000, AtMs: atMs, CourseLengthMm: 10_000, Entries: 2, Gates: 3}
	for e := range uint32(2) {
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e + 1, Place: e + 1, GatesPassed: 1, GateAtMs: 1500, Heat: 1, Category: "open", PositionAtMs: 1900})
	}
	change(b, b.Rows[0])
	return b
}

// TestDeltaSaysOnlyWhatHasChanged: a delta is about a number, and has of header and row what is new.
func TestDeltaSaysOnlyWhatHasChanged(t *testing.T) {
	r := start(t)
	all := r.subscribe(1, boardTopic, "", nobody)
	r.step(update(t, 1, 1, 0, boardOfTwo(2000, func(*livev1.Board, *livev1.BoardRow) {})))
	all.take()
	second := r.subscribe(2, boardTopic, "top:1", nobody)
	second.take()
	if all.sub == second.sub {
		t.Fatalf("two cuts are both number %d", all.sub)
	}
	r.step(update(t, 1, 2, 1, boardOfTwo(2250, func(_ *livev1.Board, first *livev1.BoardRow) { first.ProgressMm = 700 })))
	age := int32(350)
	want := &livev1.Delta{Sub: all.sub, Epoch: 1, Version: 2, Base: 1, Content: &livev1.Delta_Board{Board: &livev1.Board{AtMs: 2250,
		Rows: []*livev1.BoardRow{{Entry: 1, Place: 1, GatesPassed: 1, ProgressMm: 700, PositionAgeMs: &age}}}}}
	if d := all.takeDelta(); !proto.Equal(d, want) {
		t.Errorf("delta = %v, want %v", d, want)
	}
	// The header changes: it is said, and nothing else is.
	r.step(update(t, 1, 3, 2, boardOfTwo(2500, func(head *livev1.Board, first *livev1.BoardRow) {
		first.ProgressMm, head.State = 700, livev1.RaceState_RACE_STATE_SETTLING
	})))
	want = &livev1.Delta{Sub: all.sub, Epoch: 1, Version: 3, Base: 2, Content: &livev1.Delta_Board{Board: &livev1.Board{AtMs: 2500, State: livev1.RaceState_RACE_STATE_SETTLING}}}
	if d := all.takeDelta(); !proto.Equal(d, want) {
		t.Errorf("delta = %v, want %v", d, want)
	}
	if all.board.Head.GunAtMs != 1000 || all.board.Rows[1].Category != "open" || all.board.Rows[1].GateAtMs != 1500 {
		t.Errorf("the viewer shows %v, %v", all.board.Head, all.board.Rows[1])
	}
}

// TestWhatADeltaCannotSayIsASnapshot: what goes back to nothing would be kept by every client.
func TestWhatADeltaCannotSayIsASnapshot(t *testing.T) {
	for name, change := range map[string]func(*livev1.Board, *livev1.BoardRow){
		"category": func(_ *livev1.Board, first *livev1.BoardRow) { first.Category = "" },
		"heat":     func(_ *livev1.Board, first *livev1.BoardRow) { first.Heat = 0 },
		"gun":      func(head *livev1.Board, _ *livev1.BoardRow) { head.GunAtMs = 0 },
		"gates":    func(head *livev1.Board, _ *livev1.BoardRow) { head.Gates = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			v := r.subscribe(1, boardTopic, "", nobody)
			r.step(update(t, 1, 1, 0, boardOfTwo(2000, func(*livev1.Board, *livev1.BoardRow) {})))
			v.take()
			is := boardOfTwo(2250, change)
			r.step(update(t, 1, 2, 1, is))
			if v.take(); v.snapshots != 2 || v.deltas != 0 {
				t.Errorf("%d snapshots, %d deltas, want a second snapshot", v.snapshots, v.deltas)
			}
			if !proto.Equal(v.board.Rows[1], is.Rows[0]) || v.board.Head.GunAtMs != is.GunAtMs || v.board.Head.Gates != is.Gates {
				t.Errorf("the viewer shows %v, %v, want %v", v.board.Head, v.board.Rows[1], is)
			}
		})
	}
}

// TestFirstDeltaNamesItself: who comes back up to date needs no snapshot, but has to learn the number; the bytes
// that do that are the same for all of those, and those after it the same for everybody.
func TestFirstDeltaNamesItself(t *testing.T) {
	r := start(t)
	old := r.subscribe(1, boardTopic, "", nobody)
	first := boardOfTwo(2000, func(*livev1.Board, *livev1.BoardRow) {})
	r.step(update(t, 1, 7, 0, first))
	old.take()
	var back []*viewer
	for i := range 2 {
		v := newViewer(t, 1, 7)
		v.board.Take(first)
		r.subscribeSlot(hub.Conn(i+2), boardTopic, "", nobody, v)
		if n := v.take(); n != 0 {
			t.Fatalf("%d frames for a viewer that is up to date", n)
		}
		back = append(back, v)
	}
	r.step(update(t, 1, 8, 7, boardOfTwo(2250, func(_ *livev1.Board, first *livev1.BoardRow) { first.ProgressMm = 1 })))
	if d := old.takeDelta(); d.Topic != "" {
		t.Errorf("who knows the number is told %q again", d.Topic)
	}
	for _, v := range back {
		if d := v.takeDelta(); d.Topic != boardTopic || d.Sub != old.sub {
			t.Errorf("delta of topic %q, number %d, want %q, %d", d.Topic, d.Sub, boardTopic, old.sub)
		}
	}
	r.step(update(t, 1, 9, 8, boardOfTwo(2500, func(_ *livev1.Board, first *livev1.BoardRow) { first.ProgressMm = 2 })))
	shared := old.slot.Take(0).Bytes
	for _, v := range back {
		if b := v.slot.Take(0).Bytes; &b[0] != &shared[0] {
			t.Error("a delta is encoded more than once")
		}
	}
}
