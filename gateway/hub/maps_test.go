package hub_test

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/unit"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

const (
	positionsTopic = "competition/race/positions"
	entrants       = "audience:entrant"
	officials      = "audience:official"

	racing = livev1.EntryStatus_ENTRY_STATUS_RACING
)

// declared is what a race says of its audiences.
func declared(entrantDelay unit.DurationMs) []*clusterv1.TopicAudience {
	return []*clusterv1.TopicAudience{{}, {Audience: 1, Position: true, DelayMs: int64(entrantDelay)}, {Audience: 2, Position: true}}
}

// course is a race on the ground: entry e has come n metres, at 47.0000e.000n degrees.
func course(n int, entries ...uint32) *livev1.Board {
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING, CourseLengthMm: 10_000_000, Entries: uint32(len(entries)), AtMs: int64(n)}
	for i, e := range entries {
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e, Place: uint32(i + 1), ProgressMm: int64(n) * 1000, Status: racing, PositionAtMs: int64(n) * 1000,
			LatE7: 470_000_000 + int32(e)*10_000 + int32(n), LonE7: 80_000_000 + int32(n), Category: category(e)})
	}
	return b
}

// people are those of the race: entry 1 is seen by all, 2 by entrants, 3 by nobody but officials, 4 is a minor seen by
// entrants, 5 is erased.
func people(version uint64) hub.People {
	return hub.People{Version: version, Rows: []hub.Person{
		{Entry: 1, UserID: "ann", Name: "Ann", Visibility: userv1.Visibility_VISIBILITY_PUBLIC},
		{Entry: 2, UserID: "bob", Name: "Bob", Visibility: userv1.Visibility_VISIBILITY_ENTRANTS},
		{Entry: 3, UserID: "cyd", Name: "Cyd", Visibility: userv1.Visibility_VISIBILITY_PRIVATE},
		{Entry: 4, UserID: "dee", Name: "Dee", Visibility: userv1.Visibility_VISIBILITY_PUBLIC, Minor: true},
		{Entry: 5, UserID: "eve", Erased: true},
	}}
}

// serveRoster answers the reads of rosters that wait.
func (r *rig) serveRoster(p hub.People) {
	reads := r.reads
	r.reads = nil
	for _, read := range reads {
		if ask, ok := read.(hub.ReadRoster); ok {
			r.step(hub.RosterRead{Competition: ask.Competition, People: p})
		}
	}
}

// moves tells the hub that everybody has come to metre n; version n.
func (r *rig) moves(n int, audiences []*clusterv1.TopicAudience, entries ...uint32) {
	r.t.Helper()
	u := update(r.t, 1, uint64(n), 0, course(n, entries...))
	u.Audiences = audiences
	r.step(u)
}

// located are the entries that a viewer is shown on the ground.
func (v *viewer) located() string {
	v.take()
	s := ""
	for e := range uint32(10) {
		if p := v.positions[e]; p != nil && (p.LatE7 != 0 || p.LonE7 != 0) {
			s += fmt.Sprint(e)
		}
	}
	return s
}

// TestAudiencesSeeWhatTheyMay: the public how far somebody is; entrants where those are who want to be seen by them;
// officials where everybody is.
func TestAudiencesSeeWhatTheyMay(t *testing.T) {
	r := start(t)
	public := r.subscribe(1, positionsTopic, "", nobody)
	among := r.subscribe(2, positionsTopic, entrants, nobody)
	staff := r.subscribe(3, positionsTopic, officials, nobody)
	r.moves(1, declared(0), 1, 2, 3, 4, 5, 6) // entry 6: nobody knows who that is
	if n := public.take(); n != 1 || len(public.positions) != 6 {
		t.Fatalf("public: %d frames, %v", n, public.positions)
	}
	if n := among.take() + staff.take(); n != 0 {
		t.Fatalf("%d frames before it is known who may be shown", n)
	}
	r.serveRoster(people(1))
	for _, tt := range []struct {
		name string
		v    *viewer
		want string
	}{{"public", public, ""}, {"entrants", among, "124"}, {"officials", staff, "1234"}} {
		if got := tt.v.located(); got != tt.want {
			t.Errorf("%s see %q on the ground, want %q", tt.name, got, tt.want)
		}
		if len(tt.v.positions) != 6 || tt.v.positions[3].ProgressMm != 1000 {
			t.Errorf("%s: %v, want everybody's progress", tt.name, tt.v.positions)
		}
	}
	if p := staff.positions[2]; p.LatE7 != 470_020_001 || p.LonE7 != 80_000_001 || p.AtMs != 1000 {
		t.Errorf("entry 2 is at %v", p)
	}

	// Bob goes offline, Ann has withdrawn: entrants are shown neither; officials both, and since when.
	b := course(2, 1, 2, 4)
	b.Rows[0].Status, b.Rows[0].Place = livev1.EntryStatus_ENTRY_STATUS_DNF, 0
	b.Rows[1].OfflineSinceMs, b.Rows[1].Unconfirmed = 1500, true
	r.pass(unit.Second)
	r.step(update(t, 1, 2, 1, b))
	if got := among.located(); got != "4" {
		t.Errorf("entrants see %q, want 4", got)
	}
	if got := staff.located(); got != "1234" {
		t.Errorf("officials see %q, want 1234", got)
	}
	if p := staff.positions[2]; p.OfflineSinceMs != 1500 || !p.Unconfirmed {
		t.Errorf("officials are told %v of an offline entry", p)
	}
	if p := among.positions[2]; p.OfflineSinceMs != 0 || p.Unconfirmed {
		t.Errorf("entrants are told %v of an offline entry", p)
	}
	// Bob has finished: what he does now is his own affair. Whoever has not started is at home, or anywhere.
	b = course(3, 2, 3)
	b.Rows[0].Status, b.Rows[1].Status = livev1.EntryStatus_ENTRY_STATUS_FINISHED, livev1.EntryStatus_ENTRY_STATUS_ENTERED
	r.pass(unit.Second)
	r.step(update(t, 1, 3, 2, b))
	if got := staff.located(); got != "14" {
		t.Errorf("officials see %q, want 14", got)
	}
	among.take()
	if among.deltas != 2 || staff.deltas != 2 {
		t.Errorf("%d and %d deltas, want two each", among.deltas, staff.deltas)
	}
}

// TestThePublicsFramesKnowNoGround: byte for byte what they are where the race tells no position at all.
func TestThePublicsFramesKnowNoGround(t *testing.T) {
	frames := func(blind bool) (all [][]byte) {
		r := start(t)
		v := r.subscribe(1, positionsTopic, "", nobody)
		board := r.subscribe(2, boardTopic, "", nobody)
		if !blind {
			r.subscribe(3, positionsTopic, officials, nobody)
			r.serveRoster(people(1))
		}
		for n := 1; n < 6; n++ {
			b := course(n, 1, 2, 3)
			for _, row := range b.Rows {
				if blind {
					row.LatE7, row.LonE7 = 0, 0
				}
			}
			u := update(t, 1, uint64(n), uint64(n-1), b)
			u.Audiences = declared(0)
			r.step(u)
			for _, s := range []*hub.Slot{v.slot, board.slot} {
				for _, e := range []wire.Encoding{wire.Proto} {
					if b := s.Take(e).Bytes; b != nil {
						all = append(all, b)
					}
				}
			}
			r.pass(unit.Second)
		}
		return all
	}
	with, without := frames(false), frames(true)
	if len(with) != 10 || len(with) != len(without) {
		t.Fatalf("%d frames, and %d of a race without positions", len(with), len(without))
	}
	for i := range with {
		if !bytes.Equal(with[i], without[i]) {
			t.Errorf("frame %d differs:\n%x\n%x", i, with[i], without[i])
		}
	}
}

// TestOnlyTheGroundHasMoved: somebody who goes back and forth on one point of the course still moves on the map.
func TestOnlyTheGroundHasMoved(t *testing.T) {
	r := start(t)
	board := r.subscribe(1, boardTopic, "", nobody)
	staff := r.subscribe(2, positionsTopic, officials, nobody)
	r.moves(1, declared(0), 1)
	r.serveRoster(people(1))
	board.take()
	staff.take()
	b := course(1, 1)
	b.Rows[0].LatE7 += 77
	r.pass(unit.Second)
	r.step(update(t, 1, 2, 1, b))
	if staff.take(); staff.positions[1].LatE7 != 470_010_078 {
		t.Errorf("entry 1 is shown at %v", staff.positions[1])
	}
	if n := board.take(); n != 0 {
		t.Errorf("%d frames of a board on which nothing has changed", n)
	}
}

// TestDelay: what an audience may see late it sees late by the node's clock, in order, and in the end all of it.
func TestDelay(t *testing.T) {
	const delay = 30 * unit.Second
	r := start(t)
	r.now.Node = 0
	among := r.subscribe(1, positionsTopic, entrants, nobody)
	staff := r.subscribe(2, positionsTopic, officials, nobody)
	tick := func(n int) { // one second, on both clocks
		r.now.Node = r.now.Node.Add(unit.Second)
		r.pass(unit.Second)
		if n > 0 {
			r.moves(n, declared(delay), 1, 2)
		}
		r.serveRoster(people(1))
	}
	for n := 1; n <= 100; n++ {
		tick(n)
		staff.take()
		if p := staff.positions[1]; p == nil || p.ProgressMm != int64(n)*1000 {
			t.Fatalf("second %d: officials see %v", n, p)
		}
		among.take()
		p := among.positions[1]
		switch late := n - 30; {
		case late < 1 && p != nil:
			t.Fatalf("second %d: entrants see %v", n, p)
		case late >= 2 && (p == nil || p.ProgressMm > int64(late)*1000 || p.ProgressMm < int64(late-2)*1000):
			t.Fatalf("second %d: entrants see %v, want about %d m", n, p, late)
		}
	}
	if among.snapshots != 1 || among.deltas < 60 {
		t.Errorf("%d snapshots and %d deltas, want one snapshot and a delta each second", among.snapshots, among.deltas)
	}
	// Somebody whom the node has just left comes from a node that was further: this one is silent until it is there.
	ahead := newViewer(t, 1, 85)
	ahead.positions = map[uint32]*livev1.PositionRow{}
	r.subscribeSlot(3, positionsTopic, entrants, nobody, ahead)
	if n := ahead.take(); n != 0 {
		t.Errorf("a viewer at 85 is sent %d frames of the map of second %d", n, among.version)
	}
	// The race stands still: the last moment comes all the same, and no later than it may.
	for range 31 {
		tick(0)
		among.take()
		ahead.take()
	}
	if p := among.positions[1]; p.ProgressMm != 100_000 || p.LatE7 != 470_010_100 || !proto.Equal(p, ahead.positions[1]) {
		t.Errorf("at the end entrants see %v and %v", p, ahead.positions[1])
	}
}

// TestADelayedMapOfSomebodyWhoIsOut: whoever has left the race is not shown on a map of the time before.
func TestADelayedMapOfSomebodyWhoIsOut(t *testing.T) {
	r := start(t)
	r.now.Node = 0
	among := r.subscribe(1, positionsTopic, entrants, nobody)
	for n := 1; n <= 20; n++ {
		r.now.Node = r.now.Node.Add(unit.Second)
		r.pass(unit.Second)
		b := course(n, 1, 2)
		if n > 12 {
			b.Rows[1].Status = livev1.EntryStatus_ENTRY_STATUS_DNF
		}
		u := update(t, 1, uint64(n), 0, b)
		u.Audiences = declared(10 * unit.Second)
		r.step(u)
		r.serveRoster(people(1))
		if got := among.located(); n > 12 && got != "1" {
			t.Fatalf("second %d: entrants see %q, want only entry 1", n, got)
		}
	}
}

// TestTheRingIsBounded: a node keeps no more of a map than it can show, however long the delay.
func TestTheRingIsBounded(t *testing.T) {
	for _, delay := range []unit.DurationMs{2 * unit.Second, unit.Minute, unit.Hour} {
		r := start(t)
		r.now.Node = 0
		among := r.subscribe(1, positionsTopic, entrants, nobody)
		shown := 0
		for n := 1; n <= 8000; n++ {
			r.now.Node = r.now.Node.Add(unit.Second)
			r.pass(unit.Second)
			r.moves(n, declared(delay), 1)
			r.serveRoster(people(1))
			if kept := r.h.Kept("race", wire.Entrant); kept > 64 {
				t.Fatalf("delay %d ms, second %d: %d moments are kept", delay, n, kept)
			}
			shown += among.take()
			if p := among.positions[1]; p != nil && unit.DurationMs(int64(n)*1000-p.AtMs) < delay {
				t.Fatalf("delay %d ms, second %d: %v is shown", delay, n, p)
			}
		}
		if least := 8000 * 1000 / int(max(unit.Second, delay/60)) / 3; shown < least {
			t.Errorf("delay %d ms: %d frames, want at least %d", delay, shown, least)
		}
	}
}

// TestWhoDoesNotWantToBeSeenIsNot: somebody becomes private while nobody moves. Who comes then does not learn where
// that one is, and who knew is told with the next move that there is nothing to know.
func TestWhoDoesNotWantToBeSeenIsNot(t *testing.T) {
	r := start(t)
	before := r.subscribe(1, positionsTopic, entrants, nobody)
	r.moves(1, declared(0), 1, 2)
	r.serveRoster(people(1))
	if got := before.located(); got != "12" {
		t.Fatalf("entrants see %q", got)
	}
	r.pass(2 * unit.Second)
	p := people(2)
	p.Rows[1].Visibility = userv1.Visibility_VISIBILITY_PRIVATE
	r.serveRoster(p)
	after := r.subscribe(2, positionsTopic, entrants, nobody)
	if got := after.located(); got != "1" {
		t.Errorf("a newcomer sees %q, want 1", got)
	}
	r.pass(unit.Second)
	b := course(1, 1) // only entry 1 moves
	b.Rows[0].LatE7++
	r.step(update(t, 1, 2, 1, b))
	if got := before.located(); got != "1" {
		t.Errorf("who was there before sees %q, want 1", got)
	}
}

// TestAudiencesHaveCuts, and nothing is kept when nobody watches any more.
func TestAudiencesHaveCuts(t *testing.T) {
	r := start(t)
	top := r.subscribe(1, positionsTopic, officials+",top:2", nobody)
	around := r.subscribe(2, positionsTopic, officials+",around:9", nobody)
	women := r.subscribe(3, positionsTopic, entrants+",category:w40", nobody)
	r.moves(1, declared(0), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	r.serveRoster(people(1))
	top.take()
	around.take()
	women.take()
	if len(top.positions) != 2 || len(around.positions) != 6 || len(women.positions) != 5 {
		t.Errorf("top %d, around %d, women %d rows, want 2, 6, 5", len(top.positions), len(around.positions), len(women.positions))
	}
	for c := range hub.Conn(4) {
		r.step(hub.Gone{Conn: c})
	}
	r.reads = nil
	for range 4 {
		r.pass(5 * unit.Second)
	}
	if len(r.reads) != 0 || len(r.timers) != 0 {
		t.Errorf("%d reads and timers %v for nobody", len(r.reads), r.timers)
	}
}
