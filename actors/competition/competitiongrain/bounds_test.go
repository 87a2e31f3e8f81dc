package competitiongrain

import (
	"errors"
	"fmt"
	"testing"

	"paceline/actors/machine"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
)

// TestAnswersThatWaitForTheEpochAreBounded: until its Opened is committed an activation answers nobody. So many answers wait;
// of more, each is to try again. Those that waited are given when it may speak.
func TestAnswersThatWaitForTheEpochAreBounded(t *testing.T) {
	const bound, extra = 4096, 3
	s := newScene(t)
	s.unchecked = true
	first := s.live()
	s.race(first, definition(), 2)
	l := s.live() // another activation, which has to open the race anew
	for len(l.ops) > 0 && !l.sh.m.Ready() {
		d := l.ops[0]
		l.ops = l.ops[1:]
		l.perform(d)
	}
	if l.sh.open() {
		t.Fatal("it may speak already: the test shows nothing")
	}
	who := func(i int) string { return fmt.Sprint("early-", i) }
	for i := range bound + extra {
		l.step(&competitionv1.Get{}, who(i))
	}
	for i := range bound {
		if r, ok := l.replies[who(i)]; ok {
			t.Fatalf("answer %d was given before the epoch is open: %v", i+1, r.Err)
		}
	}
	for i := bound; i < bound+extra; i++ {
		if r := l.replies[who(i)]; !errors.Is(r.Err, machine.ErrBusy) {
			t.Errorf("answer %d: %v, want machine.busy", i+1, r.Err)
		}
	}
	l.pass(1000)
	for i := range bound {
		if r, ok := l.replies[who(i)]; !ok || r.Err != nil {
			t.Fatalf("answer %d in the end: %v, %v", i+1, ok, r.Err)
		}
	}
}
