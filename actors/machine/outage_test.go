package machine

import (
	"errors"
	"fmt"
	"testing"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// refuse answers all waiting operations of one type as a store that is away, and says how many there were.
func refuse[T persistence.Op](l *life) (n int) {
	var again []persistence.Do
	for d, ok := find[T](l); ok; d, ok = find[T](l) {
		again = append(again, d)
	}
	for _, d := range again {
		l.outcome(d, nil, persistence.ErrUnavailable)
	}
	return len(again)
}

func TestACursorThatCannotBeWrittenIsTriedAgainAfterAPause(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	l.perform(want[persistence.AppendOp](l))
	l.perform(want[persistence.PublishOp](l))
	for i := range 3 {
		if n := refuse[persistence.PutCursorOp](l); n != 1 {
			t.Fatalf("round %d: %d cursor writes at once, want 1", i, n)
		}
		if n := refuse[persistence.PutCursorOp](l); n != 0 {
			t.Fatalf("round %d: the cursor is written again without a pause", i)
		}
		l.pass(5 * unit.Second)
	}
	l.settle()
	if c, err := b.store.Cursor(t.Context(), b.grain, outboxConsumer); err != nil || c != 1 {
		t.Fatalf("cursor %d, %v; want 1", c, err)
	}
}

func TestRowsDoNotPileUpWhileTheStoreIsAway(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for i := range 200 {
		l.submit(fmt.Sprint(i), add{by: 2})
		if n := refuse[persistence.PutWakeupOp](l); n > 1 {
			t.Fatalf("%d rows are written at once, want at most 1", n)
		}
		if i%10 == 9 {
			l.pass(5 * unit.Second)
		}
	}
	if n := len(l.m.rows.old); n > 1 {
		t.Fatalf("%d rows to be deleted of which none was ever written", n)
	}
	l.pass(5 * unit.Second)
	l.settle()
	if got := b.total(); got != 400 {
		t.Fatalf("total %d after the outage, want 400", got)
	}
}

// An open grain's row is moved by writing the new one first: should that fail, or the node die meanwhile, the old one
// is still there.
func TestARowIsMovedByWritingTheNewOneFirst(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", keepOpen{open: true})
	l.settle()
	if n := len(b.rowsDue()); n != 1 {
		t.Fatalf("%d rows of an open grain, want 1", n)
	}
	move := func() {
		w := b.rowsDue()[0]
		b.wall = w.Due
		l.m.hooks.Due = func(now step.Now, _ string) []step.Out { return l.m.Postpone(now, now.Wall.Add(unit.Minute)) }
		l.take(l.m.Woken(b.now(), w))
	}
	move()
	if refuse[persistence.PutWakeupOp](l) != 1 {
		t.Fatal("the row was not moved")
	}
	l.settle()
	if n := len(b.rowsDue()); n != 1 {
		t.Fatalf("%d rows after a move that failed, want the old one", n)
	}
	move()
	put := want[persistence.PutWakeupOp](l)
	l.settle() // everything else is done before the new row is there
	if n := len(b.rowsDue()); n != 1 {
		t.Fatalf("%d rows while the new one is under way, want the old one", n)
	}
	l.perform(put)
	l.settle()
	if w := b.rowsDue(); len(w) != 1 || w[0].Due != b.wall.Add(unit.Minute) {
		t.Fatalf("after the move: %v", w)
	}
}

func TestRefusalsThatWaitForTheHeadAreBounded(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for i := range 2 * maxQueued {
		l.submit(fmt.Sprint(i), add{by: 1})
	}
	if n := len(l.m.refusals); n > maxQueued {
		t.Fatalf("%d refusals wait for a look at the head, want at most %d", n, maxQueued)
	}
	if r := l.replies[fmt.Sprint(2*maxQueued-1)]; !errors.Is(r.Err, ErrBusy) {
		t.Fatalf("the last one got %v, want %v", r.Err, ErrBusy)
	}
}
