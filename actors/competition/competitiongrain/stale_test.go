package competitiongrain

import (
	"context"
	"fmt"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/persistence"
)

// refusing is a store that takes no appends while away is set.
type refusing struct {
	persistence.Store
	away bool
}

func (r *refusing) Append(ctx context.Context, a persistence.Append) (bool, persistence.Head, error) {
	if r.away {
		return false, persistence.Head{}, fmt.Errorf("%w: away", persistence.ErrUnavailable)
	}
	return r.Store.Append(ctx, a)
}

// TestABoardSaysSinceWhenItStandsStill: with a gate that cannot be journalled the board stays as it was durable, says
// since when, and goes on when the store is back.
func TestABoardSaysSinceWhenItStandsStill(t *testing.T) {
	s := newScene(t)
	store := &refusing{Store: s.store}
	s.store = store
	l := s.live()
	gun := s.race(l, definition(), 2)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	look := func(d unit.DurationMs) {
		l.pass(d)
		l.renew("a", a)
		l.show(nodes)
	}
	l.step(s.training(1).say(gun, 2400), nil)
	l.step(s.training(2).say(gun, 2300), nil)
	look(1000)
	if a.stale != 0 || a.row(1).Place != 1 {
		t.Fatalf("stale since %d, entry 1 at place %d", a.stale, a.row(1).Place)
	}
	store.away = true
	at := s.wall
	l.step(s.training(2).say(gun, 2600, 0, 500), nil) // the second takes the gate first
	look(1500)
	if a.stale != 0 {
		t.Errorf("stale at once: since %d", a.stale)
	}
	look(2000)
	if a.stale != int64(at) {
		t.Errorf("stale since %d, want %d, when the gate's append was tried first", a.stale, at)
	}
	if r := a.row(2); r.GatesPassed != 0 || r.GateAtMs != 0 {
		t.Errorf("a gate that is not in the journal is on the board: %v", r)
	}
	store.away = false
	look(5000)
	if a.stale != 0 {
		t.Errorf("stale since %d with the store back", a.stale)
	}
	if r := a.row(2); r.GatesPassed != 1 || r.Place != 1 {
		t.Errorf("the gate is journalled, the board says %v", r)
	}
}

// TestABoardSaysThatItsNodeCannotStore: nothing comes to be journalled, because nobody can store; the node knows.
func TestABoardSaysThatItsNodeCannotStore(t *testing.T) {
	s := newScene(t)
	l := s.live()
	d := definition()
	d.AutoOfficialAfter = 0
	gun := s.race(l, d, 2)
	a := l.watch("a")
	look := func() {
		l.pass(2000)
		l.renew("a", a)
		l.show(map[string]*replica{"a": a})
	}
	s.stale = s.wall.Add(-1234)
	look()
	if a.stale != int64(s.stale) || a.snapshots != 1 {
		t.Fatalf("stale since %d (%d snapshots), want %d by a delta", a.stale, a.snapshots, s.stale)
	}
	s.stale = 0
	look()
	if a.stale != 0 {
		t.Fatalf("stale since %d with the store back", a.stale)
	}
	// An official result does not change any more: it is not stale, whatever the store does.
	for n := 1; n <= 2; n++ {
		s.training(n).finished = true
		l.step(s.training(n).say(gun, 5000, 0, int64(500+n), 1, int64(1000+n)), nil)
	}
	for i := 0; i < 20 && a.state != livev1.RaceState_RACE_STATE_OFFICIAL; i++ {
		look()
	}
	s.stale = s.wall
	look()
	if a.state != livev1.RaceState_RACE_STATE_OFFICIAL || a.stale != 0 {
		t.Errorf("state %v, stale since %d", a.state, a.stale)
	}
}
