package machine

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"paceline/domain/unit"
	"paceline/persistence"
)

func alarms(b *bench) (n int) {
	for _, r := range b.rowsDue() {
		if r.Reason == timerReason+"alarm" {
			n++
		}
	}
	return n
}

// TestTimerSetAgainWhileItsRowGoes: a timer is set, taken back and set again for the same instant, while the deletion of its first
// row fails once and is repeated, or is only slow: asked for first, done last.
func TestTimerSetAgainWhileItsRowGoes(t *testing.T) {
	for name, fails := range map[string]bool{"the deletion fails": true, "the deletion is slow": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.live(counterSpec())
			l.settle()
			at := b.wall.Add(5 * unit.Minute)
			l.submit("a", alarm{at: at})
			l.settle()
			if alarms(b) != 1 {
				t.Fatal("no row")
			}
			l.submit("b", alarm{at: 0})
			var deletion *persistence.Do
			for len(l.ops) > 0 {
				d := l.ops[0]
				l.ops = l.ops[1:]
				if o, ok := d.Op.(persistence.DeleteWakeupOp); ok && o.Wakeup.Reason == timerReason+"alarm" && deletion == nil {
					deletion = &d
					continue
				}
				l.perform(d)
			}
			if deletion == nil {
				t.Fatal("no deletion")
			}
			if fails {
				l.outcome(*deletion, nil, persistence.ErrUnavailable)
			}
			l.submit("c", alarm{at: at})
			l.settle()
			if !fails {
				l.perform(*deletion)
			}
			for range 5 {
				l.pass(5 * unit.Second)
				l.settle()
			}
			if alarms(b) != 1 {
				t.Errorf("%d rows cover an alarm that is set and committed (journal %d events): nobody wakes the grain if this node dies", alarms(b), len(b.journal()))
			}
		})
	}
}

// TestSnapshotAhead: a restore has left a snapshot and a cursor of another past. They count for nothing, and what is written
// then is published.
func TestSnapshotAhead(t *testing.T) {
	for name, shorter := range map[string]bool{"of a journal": false, "of one that is empty": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.live(counterSpec())
			l.settle()
			for range 3 {
				l.submit("", add{by: 2})
				l.settle()
			}
			snap, err := l.m.encodeSnapshot()
			if err != nil {
				t.Fatal(err)
			}
			head := uint64(3)
			if shorter {
				b, head = newBench(t), 0
			}
			if err := b.store.PutSnapshot(context.Background(), b.grain, snapshotName, persistence.Snapshot{Version: 9, Bytes: snap}); err != nil {
				t.Fatal(err)
			}
			if err := b.store.PutCursor(context.Background(), b.grain, outboxConsumer, 50); err != nil {
				t.Fatal(err)
			}
			for i := range uint64(3) {
				n := b.live(counterSpec())
				n.settle()
				id := fmt.Sprint("x", i)
				n.submit(id, add{by: 2})
				n.settle()
				if want := head + i + 1; n.stopped != "" || n.m.version != want {
					t.Fatalf("activation %d: version %d, stopped %q, want version %d", i, n.m.version, n.stopped, want)
				}
				if n.m.cursor != n.m.version {
					t.Errorf("published through %d of %d", n.m.cursor, n.m.version)
				}
			}
		})
	}
}

// TestAHoleIsWaitedForAndThenIsDamage: a version below the head that is not there may be on its way, for some seconds.
func TestAHoleIsWaitedForAndThenIsDamage(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	for range 3 {
		l.submit("", add{by: 2})
		l.settle()
	}
	k := &persistence.Key{}
	part := persistence.Part{Table: persistence.TableJournal, Key: k.Str(string(b.grain.Kind)).Str(b.grain.ID).U64(0).String()}
	second := (&persistence.Key{}).U64(2).String()
	row, ok, err := b.rows.Get(context.Background(), part, second)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := b.rows.DeleteRange(context.Background(), part, second, second+"\x00"); err != nil {
		t.Fatal(err)
	}
	late := b.live(counterSpec())
	late.settle()
	late.submit("late", add{by: 2})
	late.pass(unit.Second)
	late.settle()
	if late.stopped != "" || late.m.Ready() {
		t.Fatalf("at once: stopped %q, ready %v", late.stopped, late.m.Ready())
	}
	lost := b.live(counterSpec())
	lost.settle()
	lost.submit("lost", add{by: 2})
	for range 2 * holesMost {
		lost.pass(retryMost)
		lost.settle()
	}
	if !strings.Contains(lost.stopped, "hole after version 1") || lost.replies["lost"].Err == nil {
		t.Errorf("a version that does not come: stopped %q, reply %v", lost.stopped, lost.replies["lost"])
	}
	if err := b.rows.Put(context.Background(), []persistence.Mutation{{Part: part, Row: persistence.Row{Cluster: second, Cell: row}}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		late.pass(retryMost)
		late.settle()
	}
	if late.stopped != "" || late.replies["late"].Err != nil {
		t.Errorf("when it has come: stopped %q, reply %v", late.stopped, late.replies["late"])
	}
}
