package machine

import (
	"fmt"
	"testing"

	"paceline/domain/unit"
)

// TestAnswersFewAndMany: few answers are looked through and many are found by a map; nobody may notice which.
func TestAnswersFewAndMany(t *testing.T) {
	const many = 5 * fewAnswers
	name := func(i int) string { return fmt.Sprint("c", i) }
	var a answers
	for i := range many {
		a.note(answered{id: name(i), version: uint64(2*i + 1), at: unit.InstantMs(i)})
		a.note(answered{id: name(i), version: uint64(2*i + 2), at: unit.InstantMs(i)}) // the command's last event
		for k := range i + 1 {
			if got := a.of(name(k)); got == nil || got.version != uint64(2*k+2) {
				t.Fatalf("with %d answers, that of %d is %+v", i+1, k, got)
			}
		}
		if a.of(name(i+1)) != nil {
			t.Fatalf("with %d answers, one more is known", i+1)
		}
	}
	for i := range many {
		old := a.forget(unit.InstantMs(i + 1))
		if len(old) != 1 || old[0].id != name(i) {
			t.Fatalf("forgotten before %d: %v", i+1, old)
		}
		if a.of(name(i)) != nil || i+1 < many && a.of(name(i+1)) == nil {
			t.Fatalf("after %d are forgotten, %d is known: %v", i+1, i, a.of(name(i)) != nil)
		}
	}
	if a.byID != nil || a.inOrder != nil {
		t.Errorf("with none left %d and %d are held", len(a.byID), cap(a.inOrder))
	}
}

// TestAtRestNothingIsUnderWay: a machine that waits for nobody holds nothing of what has been.
func TestAtRestNothingIsUnderWay(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for i := range 3 {
		l.submit(fmt.Sprint(i), add{by: 1})
		if l.m.underWay == nil {
			t.Fatal("nothing is under way with a command that is not committed")
		}
		l.settle()
		if l.m.underWay != nil {
			t.Fatalf("after %d commands still under way: %+v", i+1, *l.m.underWay)
		}
	}
}
