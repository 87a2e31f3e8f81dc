package machine

import (
	"testing"

	"paceline/domain/step"
	"paceline/persistence"
)

// opening is a counter that answers with authority; its members are named by one letter.
func opening(member byte) Spec[counter, Command, counterEvent] {
	s := counterSpec()
	s.Opened = func(string) counterEvent { return counterEvent{3, int64(member)} }
	s.OpenedBy = func(e counterEvent) (string, bool) { return string(rune(e.n)), e.kind == 3 }
	return s
}

// TestAFencedActivationSaysWhoHasTheGrain: whoever waits is answered at once, then it ends and names the member of the
// newest Opened, wherever that lies.
func TestAFencedActivationSaysWhoHasTheGrain(t *testing.T) {
	for name, c := range map[string]struct {
		before, after bool // the winner has opened before the loser has read the journal; and after
		silent        bool // the journal does not answer
		want          string
	}{
		"opened by the append that won":       {after: true, want: "b"},
		"opened before, and written since":    {before: true, want: "b"},
		"the journal does not answer":         {after: true, silent: true, want: ""},
		"it does not, but it was read before": {before: true, silent: true, want: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			winner := b.live(opening('b'))
			winner.settle()
			if c.before {
				winner.submit("first", add{by: 2})
				winner.settle()
			}
			loser := b.live(opening('a'))
			loser.settle()
			winner.submit("second", add{by: 4})
			winner.settle()
			loser.submit("late", add{by: 6})
			loser.perform(want[persistence.PutWakeupOp](loser))
			loser.perform(want[persistence.AppendOp](loser))
			if r := loser.replies["late"]; r.Err == nil || loser.stopped != "" {
				t.Fatalf("answer %v, stopped %q; want a fault before the end", r, loser.stopped)
			}
			loser.submit("later", add{by: 8})
			if r := loser.replies["later"]; r.Err == nil {
				t.Fatal("an activation that is fenced has decided a command")
			}
			read := want[persistence.ReadJournalOp](loser)
			if c.silent {
				loser.outcome(read, nil, persistence.ErrUnavailable)
			} else {
				loser.perform(read)
			}
			if s := loser.stop; !s.Fenced || s.By != c.want {
				t.Fatalf("Stop = %+v, want fenced by %q", s, c.want)
			}
		})
	}
}

// TestAnActivationThatFailsIsNotFenced: only another's append is a reason to stay away.
func TestAnActivationThatFailsIsNotFenced(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.outcome(want[persistence.LoadOp](l), nil, persistence.ErrCorrupt)
	if l.stopped == "" || l.stop.Fenced {
		t.Fatalf("Stop = %+v, want one that is not fenced", l.stop)
	}
	one, two := b.live(counterSpec()), b.live(counterSpec())
	one.settle()
	two.settle()
	one.submit("one", add{by: 2})
	two.submit("two", add{by: 4})
	one.settle()
	two.settle()
	if two.stop != (step.Stop{Why: "fenced", Fenced: true}) {
		t.Fatalf("Stop = %+v, want fenced by nobody who is named", two.stop)
	}
}
