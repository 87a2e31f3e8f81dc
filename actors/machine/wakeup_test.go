package machine

import (
	"testing"

	"paceline/domain/unit"
	"paceline/persistence"
)

func TestRowBeforeAppend(t *testing.T) { rowBeforeAppend(t) }

func rowBeforeAppend(t testing.TB) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	if _, early := find[persistence.AppendOp](l); early {
		t.Fatal("append before its wake-up's row")
	}
	row := want[persistence.PutWakeupOp](l)
	l.pass(25 * unit.Second) // the write took so long that the row's due has come too near
	l.perform(row)
	if _, early := find[persistence.AppendOp](l); early {
		t.Fatal("append under a row whose due is less than 10 s ahead")
	}
	l.perform(want[persistence.PutWakeupOp](l))
	l.perform(want[persistence.AppendOp](l))
}

func TestOneRowCoversManyAppends(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for range 50 {
		l.submit("a", add{by: 2})
		l.settle()
	}
	if n := len(b.rowsDue()); n != 1 {
		t.Fatalf("%d rows after 50 appends, want 1", n)
	}
}

func TestOwnRowGoesOnlyWhenPublished(t *testing.T) { ownRowKept(t) }

func ownRowKept(t testing.TB) {
	b := newBench(t)
	b.holdPub = true
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.settle()
	w := b.rowsDue()
	b.wall = w[0].Due
	l.take(l.m.Woken(b.now(), w[0]))
	l.settle()
	if len(b.rowsDue()) != 1 {
		t.Fatal("the row went while an event was unpublished")
	}
	b.holdPub = false
	l.pass(5 * unit.Second)
	l.settle()
	l.take(l.m.Woken(b.now(), w[0]))
	l.settle()
	if n := len(b.rowsDue()); n != 0 {
		t.Fatalf("%d rows, want none: nothing is outstanding", n)
	}
}

func TestUnpublishedEventsOfADeadActivationArePublished(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.perform(want[persistence.PutWakeupOp](l))
	l.perform(want[persistence.AppendOp](l)) // and dies here
	next := b.live(counterSpec())
	next.settle()
	if b.synced != 1 {
		t.Fatalf("published through %d, want 1", b.synced)
	}
}

func TestForeignRowGoesAfterAnAppendOfOurOwn(t *testing.T) { foreignRow(t) }

func foreignRow(t testing.TB) {
	b := newBench(t)
	dead := b.live(counterSpec())
	dead.settle()
	dead.submit("a", add{by: 2})
	dead.perform(want[persistence.PutWakeupOp](dead))
	late := want[persistence.AppendOp](dead) // on its way when the activation dies
	w := b.rowsDue()[0]
	b.wall = w.Due

	l := b.live(counterSpec())
	l.settle()
	l.take(l.m.Woken(b.now(), w))
	if d, ok := find[persistence.DeleteWakeupOp](l); ok {
		t.Fatalf("%v deleted without an append", d)
	}
	l.perform(want[persistence.PutWakeupOp](l))
	l.perform(want[persistence.AppendOp](l))
	l.settle()
	for _, r := range b.rowsDue() {
		if r == w {
			t.Fatal("the dead activation's row is still there")
		}
	}
	dead.perform(late)
	if dead.stopped != "fenced" || b.total() != 0 {
		t.Fatalf("the late append: stopped %q, total %d; want fenced and 0", dead.stopped, b.total())
	}
}

func TestOpenGrainKeepsOneRow(t *testing.T) { openRow(t) }

func openRow(t testing.TB) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", keepOpen{open: true})
	l.settle()
	rows := b.rowsDue()
	if len(rows) != 1 || rows[0].Reason != reasonOpen {
		t.Fatalf("rows = %v, want one open", rows)
	}
	b.wall = rows[0].Due.Add(unit.Minute)
	l.take(l.m.Woken(b.now(), rows[0]))
	l.settle()
	if len(b.rowsDue()) != 1 {
		t.Fatal("an open grain's row went")
	}
	if _, rests := l.m.Rest(b.now()); rests {
		// An open grain may rest: its row wakes it.
		l.settle()
	}
	if len(b.rowsDue()) != 1 {
		t.Fatal("resting took an open grain's row")
	}
}

func TestTimerHasARowBeforeItsAppend(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	at := b.wall.Add(5 * unit.Minute)
	l.submit("a", alarm{at: at})
	l.settle()
	found := false
	for _, r := range b.rowsDue() {
		found = found || r.Reason == timerReason+"alarm" && r.Due == at
	}
	if !found {
		t.Fatalf("no row for the alarm: %v", b.rowsDue())
	}
	l.pass(5 * unit.Minute)
	if len(l.due) != 1 || l.due[0] != "alarm" {
		t.Fatalf("due = %v, want alarm", l.due)
	}
}

func TestRestDeletesWhatNothingNeeds(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	l.submit("a", add{by: 2})
	l.settle()
	outs, ok := l.m.Rest(b.now())
	l.take(outs)
	l.settle()
	if !ok || l.stopped != "rest" {
		t.Fatalf("rest = %v, stopped %q", ok, l.stopped)
	}
	if n := len(b.rowsDue()); n != 0 {
		t.Fatalf("%d rows left, want none", n)
	}
}
