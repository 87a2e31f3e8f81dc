package hub_test

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/hub"
)

// source is a competition that moves at random and tells the hub over a bad road.
type source struct {
	epoch, version uint64
	order          []uint32
	progress       map[uint32]int64
}

func (s *source) board() *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: uint32(len(s.order))}
	for i, e := range s.order {
		p := s.progress[e]
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e, Place: uint32(i + 1), ProgressMm: p, Category: category(e), Heat: e%3 + 1,
			GatesPassed: uint32(p / 2 % 3), GateAtMs: p / 2 * 1000, PositionAtMs: 1_000_000 + p})
	}
	return b
}

// move changes the board and returns the delta.
func (s *source) move(t *rapid.T) *livev1.Board {
	before := map[uint32]*livev1.BoardRow{}
	for _, row := range s.board().Rows {
		before[row.Entry] = row
	}
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0: // two change places
			if len(s.order) > 1 {
				i := rapid.IntRange(0, len(s.order)-2).Draw(t, "i")
				s.order[i], s.order[i+1] = s.order[i+1], s.order[i]
			}
		case 1:
			if len(s.order) > 0 {
				s.progress[s.order[rapid.IntRange(0, len(s.order)-1).Draw(t, "who")]]++
			}
		case 2:
			if len(s.order) > 2 {
				s.order = append([]uint32(nil), s.order[1:]...)
			}
		case 3:
			e := uint32(rapid.IntRange(1, 40).Draw(t, "new"))
			there := false
			for _, x := range s.order {
				there = there || x == e
			}
			if !there {
				s.order = append(s.order, e)
			}
		}
	}
	after := s.board()
	delta := &livev1.Board{State: after.State, CourseLengthMm: after.CourseLengthMm, Entries: after.Entries}
	for _, row := range after.Rows {
		if old := before[row.Entry]; old == nil || !proto.Equal(old, row) {
			delta.Rows = append(delta.Rows, row)
		}
		delete(before, row.Entry)
	}
	for e := range before {
		delta.Removed = append(delta.Removed, e)
	}
	s.version++
	return delta
}

// TestEveryCutConverges: whatever is lost, doubled or late on the way to the hub, and however seldom a viewer
// takes, in the end each viewer has what a fresh look at the board shows, and it never went back on the way.
func TestEveryCutConverges(t *testing.T) {
	cuts := []string{"", "top:3", "top:10", "category:w40", "category:open", "around:5", "around:17"}
	rapid.Check(t, func(t *rapid.T) {
		r := start(t)
		s := &source{epoch: 1, version: 1, progress: map[uint32]int64{}}
		for e := range uint32(12) {
			s.order = append(s.order, e+1)
		}
		var viewers []*viewer
		names := map[*viewer]string{}
		join := func() {
			cut := cuts[rapid.IntRange(0, len(cuts)-1).Draw(t, "cut")]
			r.refuse = nil
			v := r.subscribe(hub.Conn(len(viewers)+1), boardTopic, cut, nobody)
			if r.refuse == nil { // a category that nobody is in just now is none
				viewers = append(viewers, v)
				names[v] = cut
			}
		}
		join()
		r.step(update(t, s.epoch, s.version, 0, s.board()))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			r.pass(100)
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				join()
			case 1: // lost on the way
				s.move(t)
			case 2: // a new activation
				s.epoch++
				s.version = uint64(rapid.IntRange(1, 5).Draw(t, "version"))
				r.step(update(t, s.epoch, s.version, 0, s.board()))
			case 3: // a delta, twice
				delta := s.move(t)
				u := update(t, s.epoch, s.version, s.version-1, delta)
				r.step(u)
				r.step(u)
			case 4: // an old activation speaks
				if s.epoch > 1 {
					r.step(update(t, s.epoch-1, 1000, 0, ranked(39, 38)))
				}
			default:
				delta := s.move(t)
				r.step(update(t, s.epoch, s.version, s.version-1, delta))
			}
			// The grain answers every interest that shows an old version with a snapshot.
			for _, i := range r.interests() {
				if i.Epoch != s.epoch || i.Version != s.version {
					r.step(update(t, s.epoch, s.version, 0, s.board()))
				}
			}
			for _, v := range viewers {
				if rapid.IntRange(0, 2).Draw(t, "takes") == 0 {
					v.take()
				}
			}
		}
		for range 60 {
			r.pass(100)
		}
		r.step(update(t, s.epoch, s.version, 0, s.board()))
		for _, v := range viewers {
			v.take()
			r.refuse = nil
			fresh := r.subscribe(9999, boardTopic, names[v], nobody)
			fresh.take()
			if r.refuse != nil && len(v.board.Rows) == 0 {
				continue
			}
			if len(v.board.Rows) != len(fresh.board.Rows) {
				t.Fatalf("cut %q: %v, want %v", names[v], v.places(), fresh.places())
			}
			for e, row := range fresh.board.Rows {
				if !proto.Equal(row, v.board.Rows[e]) {
					t.Fatalf("cut %q, entry %d: %v, want %v", names[v], e, v.board.Rows[e], row)
				}
			}
			if names[v] == "" && fmt.Sprint(v.places()) != fmt.Sprint(placesOf(s)) {
				t.Fatalf("board: %v, want %v", v.places(), placesOf(s))
			}
		}
	})
}

func placesOf(s *source) map[uint32]uint32 {
	m := map[uint32]uint32{}
	for i, e := range s.order {
		m[e] = uint32(i + 1)
	}
	return m
}

// TestTenThousandSubscriptions: as many viewers as that on many cuts; each gets its frame, ending them all leaves
// nothing behind.
func TestTenThousandSubscriptions(t *testing.T) {
	r := start(t)
	var entries []uint32
	for e := range uint32(1000) {
		entries = append(entries, e+1)
	}
	var viewers []*viewer
	for i := range 10_000 {
		cut := []string{"", "top:10", fmt.Sprintf("around:%d", i%1000+1), "category:w40"}[i%4]
		viewers = append(viewers, r.subscribe(hub.Conn(i), boardTopic, cut, nobody))
	}
	r.step(update(t, 1, 1, 0, ranked(entries...)))
	for i, v := range viewers {
		if v.slot.Take(0).Bytes == nil {
			t.Fatalf("viewer %d got nothing", i)
		}
	}
	delta := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000, Entries: 1000}
	for e := uint32(1); e <= 1000; e++ {
		delta.Rows = append(delta.Rows, &livev1.BoardRow{Entry: e, Place: e, ProgressMm: 6000, Category: category(e)})
	}
	r.step(update(t, 1, 2, 1, delta))
	for i, v := range viewers {
		if v.slot.Take(0).Bytes == nil {
			t.Fatalf("viewer %d did not hear of the change", i)
		}
	}
	for i := range viewers {
		r.step(hub.Gone{Conn: hub.Conn(i)})
	}
	r.interests()
	r.pass(hub.Default().Renew)
	if i := r.interests(); len(i) != 1 || !i[0].Stop {
		t.Errorf("interests = %v, want the end of one", i)
	}
}

// TestSubscriptionsOfTheNodeAreBounded: as many as a node takes by default are held, one more is refused, whoever leaves makes
// room for one, and the same again of one that is there takes none.
func TestSubscriptionsOfTheNodeAreBounded(t *testing.T) {
	r := start(t)
	most := hub.Default().MaxSubscriptions
	r.h = hub.New(hub.Config{Node: "n1"})
	spare := newViewer(t, 0, 0)
	serve := func(conn int, topic, cut string) error {
		r.refuse = nil
		r.subscribeSlot(hub.Conn(conn), topic, cut, nobody, spare)
		return r.refuse
	}
	const each = 50 // of a connection
	for i := range most {
		if err := serve(i/each, boardTopic, fmt.Sprintf("top:%d", 1+i%each)); err != nil {
			t.Fatalf("subscription %d of %d: %v", i+1, most, err)
		}
	}
	for range 3 {
		if err := serve(most, boardTopic, ""); !errors.Is(err, hub.ErrFull) {
			t.Fatalf("one more than %d: %v, want ErrFull", most, err)
		}
	}
	if err := serve(0, boardTopic, "top:1"); err != nil {
		t.Errorf("one that is there, again: %v", err)
	}
	r.step(hub.Gone{Conn: 0})
	for i := range each {
		if err := serve(most+i, boardTopic, ""); err != nil {
			t.Fatalf("%d have left, and number %d is refused: %v", each, i+1, err)
		}
	}
	if err := serve(2*most, boardTopic, ""); !errors.Is(err, hub.ErrFull) {
		t.Errorf("one more after that: %v, want ErrFull", err)
	}
}
