package competitiongrain

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/unit"
)

// renewEvery is how often a node says its interest again (gateway/hub).
const renewEvery = 5 * unit.Second

// TestAnInterestLives15Seconds: as long as it is renewed every 5 s the node hears of everything; 15 s after the last
// renewal it hears nothing more, and not before.
func TestAnInterestLives15Seconds(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 1)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	metres := int64(0)
	// hears reports whether a move of the athlete reaches the node within two ticks.
	hears := func() bool {
		metres++
		l.step(s.training(1).say(gun, metres), nil)
		l.pass(500)
		l.show(nodes)
		return a.row(1).ProgressMm == metres*1000
	}
	for range 12 { // a minute
		if !hears() {
			t.Fatalf("after %d m: the node is at %d mm", metres, a.row(1).ProgressMm)
		}
		l.pass(renewEvery - 500)
		l.renew("a", a)
	}
	l.pass(14 * unit.Second)
	if !hears() {
		t.Error("forgotten less than 15 s after its last renewal")
	}
	l.pass(unit.Second)
	if hears() {
		t.Error("still told 15 s after its last renewal")
	}
	before := a.snapshots
	l.renew("a", a)
	if !hears() || a.snapshots != before+1 {
		t.Errorf("after it has come back: at %d mm, %d snapshots more, want one", a.row(1).ProgressMm, a.snapshots-before)
	}
}

// TestALostDeltaIsAskedForOnce: a node that knows of a loss says that it has nothing, and gets a snapshot on the next
// tick; it need not wait for its renewals to be believed.
func TestALostDeltaIsAskedForOnce(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	l.pass(500)
	l.show(nodes)
	l.step(s.training(1).say(gun, 100), nil)
	l.pass(500)
	l.nodes = nil // lost on the way
	before := a.snapshots
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "a"}, nil)
	l.pass(250)
	l.show(nodes)
	if a.snapshots != before+1 || a.row(1).ProgressMm != 100_000 {
		t.Errorf("%d snapshots more, entry 1 at %d mm", a.snapshots-before, a.row(1).ProgressMm)
	}
}

// TestAnotherActivationBeginsWithASnapshot: a node that says its interest to an activation that knows nothing of it gets
// the whole board first, whatever it says that it has; then deltas.
func TestAnotherActivationBeginsWithASnapshot(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	a := l.watch("a")
	nodes := map[string]*replica{"a": a}
	l.step(s.training(1).say(gun, 100), nil)
	l.pass(1000)
	l.show(nodes)
	l = s.live()
	first := len(l.nodes)
	l.renew("a", a)
	for i := range 5 {
		l.step(s.training(1).say(gun, 200+int64(i)), nil)
		l.pass(1000)
	}
	var bases []uint64
	for _, n := range l.nodes[first:] {
		bases = append(bases, n.Msg.(*clusterv1.TopicUpdate).Base)
	}
	if len(bases) < 3 || bases[0] != 0 || bases[len(bases)-1] == 0 {
		t.Fatalf("bases of the updates = %v, want a snapshot first, then deltas", bases)
	}
	l.show(nodes) // fails if a delta does not follow
	if a.row(1).ProgressMm != 204_000 {
		t.Errorf("entry 1 at %d mm", a.row(1).ProgressMm)
	}
}
