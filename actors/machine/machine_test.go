package machine

import (
	"errors"
	"fmt"
	"testing"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

func TestAnswersWaitForTheirOwnAppend(t *testing.T) { answersWait(t) }

func answersWait(t testing.TB) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("first", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	first := want[persistence.AppendOp](l)
	l.submit("second", add{by: 4})
	l.submit("refused", add{by: 3})
	l.take(l.m.Query(b.now(), "query", func(s *counter, v uint64) (any, error) { return s.total, nil }))
	if len(l.replies) != 0 {
		t.Fatalf("answers before the commit: %v", l.replies)
	}
	l.perform(first)
	if got := l.replies["first"].Msg; got != "v1 +2" {
		t.Fatalf("first = %v, want v1 +2", got)
	}
	if len(l.replies) != 1 {
		t.Fatalf("answers that rest on an uncommitted append: %v", l.replies)
	}
	l.settle()
	if got := l.replies["query"].Msg; got != int64(6) {
		t.Fatalf("query = %v, want 6", got)
	}
	if !errors.Is(l.replies["refused"].Err, errOdd) {
		t.Fatalf("refused = %v, want %v", l.replies["refused"].Err, errOdd)
	}
}

func TestCommandsThatArriveDuringAnAppendFormOneGroup(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("0", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	first := want[persistence.AppendOp](l)
	for i := range 500 {
		l.submit(fmt.Sprint(i), add{by: 2})
	}
	if _, more := find[persistence.AppendOp](l); more {
		t.Fatal("two appends in flight")
	}
	l.perform(first)
	second := want[persistence.AppendOp](l)
	if n := len(second.Op.(persistence.AppendOp).Append.Records); n != 500 {
		t.Fatalf("the second append has %d events, want 500", n)
	}
}

func TestUnknownOutcomeIsLookedUp(t *testing.T) { unknownLookedUp(t) }

func unknownLookedUp(t testing.TB) {
	for _, applied := range []bool{true, false} {
		b := newBench(t)
		l := b.live(counterSpec())
		l.settle()
		l.submit("a", add{by: 2})
		l.perform(want[persistence.PutWakeupOp](l))
		d := want[persistence.AppendOp](l)
		if applied {
			_, _ = d.Op.Run(t.Context(), b.store, b)
		}
		l.outcome(d, nil, persistence.ErrUnknown)
		if len(l.replies) != 0 {
			t.Fatalf("applied=%v: an unknown outcome was answered", applied)
		}
		for range 20 {
			l.pass(unit.Second)
			l.settle()
		}
		if l.replies["a"].Msg != "v1 +2" || len(b.journal()) != 1 {
			t.Fatalf("applied=%v: answer %v, %d events; want v1 +2 and 1", applied, l.replies["a"], len(b.journal()))
		}
	}
}

func TestAppendThatAppliesLateIsRecognised(t *testing.T) { lateAppendRecognised(t) }

func lateAppendRecognised(t testing.TB) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	d := want[persistence.AppendOp](l)
	l.outcome(d, nil, persistence.ErrUnknown)
	l.pass(unit.Second)
	l.perform(want[persistence.HeadOp](l)) // unchanged: the same append again
	again := want[persistence.AppendOp](l)
	_, _ = d.Op.Run(t.Context(), b.store, b) // now the first copy applies
	l.perform(again)
	if l.stopped != "" || l.replies["a"].Msg != "v1 +2" || b.total() != 2 {
		t.Fatalf("stopped %q, answer %v, total %d; want a commit", l.stopped, l.replies["a"], b.total())
	}
}

func TestLoserOfTwoActivationsStops(t *testing.T) { loserStops(t) }

func loserStops(t testing.TB) {
	b := newBench(t)
	one, two := b.live(counterSpec()), b.live(counterSpec())
	one.settle()
	two.settle()
	one.submit("one", add{by: 2})
	two.submit("two", add{by: 4})
	one.settle()
	two.settle()
	if two.stopped != "fenced" {
		t.Fatalf("stopped = %q, want fenced", two.stopped)
	}
	var f *fault.Fault
	if !errors.As(two.replies["two"].Err, &f) || !f.Retry {
		t.Fatalf("the loser's caller got %v, want a retryable fault", two.replies["two"].Err)
	}
	if b.total() != 2 {
		t.Fatalf("total = %d, want 2", b.total())
	}
}

func TestSameCommandGetsTheFirstAnswer(t *testing.T) { firstAnswer(t) }

func firstAnswer(t testing.TB) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	meta := step.Meta{At: b.wall, CommandID: "c1"}
	l.submit("a", add{meta, 2})
	l.submit("b", add{meta, 2})
	l.settle()
	next := b.live(counterSpec())
	next.settle()
	next.submit("c", add{meta, 2})
	next.settle()
	for who, r := range map[string]step.Reply{"a": l.replies["a"], "b": l.replies["b"], "c": next.replies["c"]} {
		if r.Msg != "v1 +2" {
			t.Errorf("%s = %v %v, want v1 +2", who, r.Msg, r.Err)
		}
	}
	if b.total() != 2 {
		t.Fatalf("total = %d, want 2", b.total())
	}
}

func TestOldAndFutureCommandsAreRefused(t *testing.T) {
	spec := counterSpec()
	spec.CommandsExpire = true
	b := newBench(t)
	l := b.live(spec)
	l.settle()
	for name, c := range map[string]struct {
		minted unit.InstantMs
		want   error
	}{
		"old":    {b.wall.Add(-24 * unit.Hour), ErrExpired},
		"future": {b.wall.Add(6 * unit.Minute), ErrFromFuture},
		"good":   {b.wall, nil},
	} {
		l.submit(name, add{step.Meta{At: b.wall, CommandID: id.New(c.minted, [10]byte{1})}, 2})
		l.settle()
		if got := l.replies[name].Err; !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	l.submit("malformed", add{step.Meta{At: b.wall, CommandID: "x"}, 2})
	l.settle()
	if got := l.replies["malformed"].Err; !errors.Is(got, id.ErrMalformed) {
		t.Errorf("malformed: %v", got)
	}
}

func TestSnapshotKeepsStateAndAnswers(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for i := range snapshotEvery + 10 {
		l.submit(fmt.Sprint(i), add{step.Meta{At: b.wall, CommandID: fmt.Sprintf("c%d", i)}, 2})
		l.settle()
	}
	next := b.live(counterSpec())
	next.perform(want[persistence.LoadOp](next))
	read := want[persistence.ReadJournalOp](next).Op.(persistence.ReadJournalOp)
	if read.After < snapshotEvery {
		t.Fatalf("read after %d, want the snapshot's %d", read.After, snapshotEvery)
	}
	next = b.live(counterSpec())
	next.settle()
	if next.m.State().total != 2*(snapshotEvery+10) {
		t.Fatalf("total = %d", next.m.State().total)
	}
	next.submit("again", add{step.Meta{At: b.wall, CommandID: "c3"}, 2})
	next.settle()
	if next.replies["again"].Msg != "v4 +2" {
		t.Fatalf("again = %v, want v4 +2", next.replies["again"])
	}
}

func TestLostSnapshotsCostOnlyTime(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for i := range snapshotEvery + 10 {
		l.submit(fmt.Sprint(i), add{by: 2})
		l.settle()
	}
	b.rows.Drop(persistence.TableSnapshot)
	next := b.live(counterSpec())
	next.settle()
	if next.m.State().total != l.m.State().total {
		t.Fatalf("total = %d, want %d", next.m.State().total, l.m.State().total)
	}
}

func TestUnavailableStoreIsAskedAgainAndGivenUp(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	for i := 0; i < 100 && l.stopped == ""; i++ {
		if d, ok := find[persistence.AppendOp](l); ok {
			l.outcome(d, nil, persistence.ErrUnavailable)
		}
		l.pass(unit.Second)
	}
	if l.stopped == "" || !errors.Is(l.replies["a"].Err, ErrStopped) {
		t.Fatalf("stopped %q, answer %v; want given up with a retryable fault", l.stopped, l.replies["a"].Err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	for i := range maxQueued + 1 {
		l.submit(fmt.Sprint(i), add{by: 2})
	}
	if got := l.replies[fmt.Sprint(maxQueued)].Err; !errors.Is(got, ErrBusy) {
		t.Fatalf("one too many got %v, want %v", got, ErrBusy)
	}
}

func TestOvertakenActivationDoesNotRefuse(t *testing.T) { overtakenDoesNotRefuse(t) }

func overtakenDoesNotRefuse(t testing.TB) {
	b := newBench(t)
	stale, other := b.live(counterSpec()), b.live(counterSpec())
	stale.settle()
	other.settle()
	other.submit("other", add{by: 2})
	other.settle()
	stale.submit("odd", add{by: 3})
	stale.settle()
	if got := stale.replies["odd"].Err; !errors.Is(got, ErrStopped) {
		t.Fatalf("an overtaken activation answered %v, want %v", got, ErrStopped)
	}
	if stale.stopped == "" {
		t.Fatal("it goes on")
	}
}
