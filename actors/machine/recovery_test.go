package machine

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paceline/domain/step"
	"paceline/persistence"
)

// distant is a store that is one second away: what a reader waits for, in seconds, are its sequential round trips.
type distant struct {
	persistence.Rows
	calls atomic.Int64
}

func (d *distant) travel() {
	d.calls.Add(1)
	<-time.After(time.Second)
}

func (d *distant) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	d.travel()
	return d.Rows.Head(ctx, p)
}

func (d *distant) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	d.travel()
	return d.Rows.Get(ctx, p, cluster)
}

func (d *distant) Range(ctx context.Context, p persistence.Part, r persistence.Range) ([]persistence.Row, error) {
	d.travel()
	return d.Rows.Range(ctx, p, r)
}

func (d *distant) HeadRange(ctx context.Context, p persistence.Part, r persistence.Range) (persistence.Head, []persistence.Row, error) {
	d.travel()
	return d.Rows.HeadRange(ctx, p, r)
}

// append puts events into the journal, in groups.
func (b *bench) append(from, to, group uint64) {
	b.t.Helper()
	for v := from; v < to; v += group {
		a := persistence.Append{Grain: b.grain, Expected: v, AppendID: fmt.Sprint("g", v)}
		for i := range min(group, to-v) {
			_, _, payload, _ := counterSpec().Encode(counterEvent{1, 2})
			a.Records = append(a.Records, persistence.Record{Version: v + 1 + i, Kind: 1, Format: 1, Payload: payload})
		}
		if ok, head, err := b.store.Append(context.Background(), a); !ok || err != nil {
			b.t.Fatal(ok, head, err)
		}
	}
	b.synced = to
	if err := b.store.PutCursor(context.Background(), b.grain, outboxConsumer, to); err != nil {
		b.t.Fatal(err)
	}
}

// TestRecoveryTakesTwoRoundTrips: the snapshot and the cursor; then the two buckets in which the rest lies, read at one time.
// A third only when the head lies further, or where the bucket below has to be asked.
func TestRecoveryTakesTwoRoundTrips(t *testing.T) {
	for _, c := range []struct {
		name              string
		snapshot, through uint64 // 0: no snapshot
		group             uint64
		trips             int
	}{
		{"in one bucket", 9_300, 10_000, 1, 2},
		{"nothing since", 9_300, 9_300, 1, 2},
		{"over a border", 9_800, 10_500, 10, 2},
		{"a thousand events", 9_300, 10_300, 100, 2},
		{"the head lies further", 9_800, 11_400, 100, 3},
		{"behind a border", 10_240, 10_300, 1, 2},
		{"on a border, and nothing since: the bucket below knows", 10_240, 10_240, 1, 3},
		{"in a group over the border", 0, 2_000, 1500, 4},
		{"no snapshot", 0, 2_000, 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			if c.snapshot > 0 {
				b.append(0, c.snapshot, c.group)
				b.live(counterSpec()).settle() // it has read much, and saves the next one that
			}
			b.append(c.snapshot, c.through, c.group)
			synctest.Test(t, func(t *testing.T) {
				far := &distant{Rows: b.rows}
				b.store = persistence.Over(far) // knows nothing of the grain yet
				begun := time.Now()
				l := b.live(counterSpec())
				for !l.m.Ready() {
					d := l.ops[0]
					l.ops = l.ops[1:]
					l.perform(d)
				}
				trips := int(time.Since(begun) / time.Second)
				t.Logf("%d round trips one after the other, %d in all", trips, far.calls.Load())
				if trips != c.trips || l.m.Version() != c.through || l.m.State().total != 2*int64(c.through) {
					t.Errorf("%d round trips to version %d, total %d; want %d to %d, %d", trips, l.m.Version(), l.m.State().total, c.trips, c.through, 2*c.through)
				}
			})
		})
	}
}

// A grain that is never without an append under way has snapshots too: of a state that was decided, written when it is
// committed.
func TestABusyGrainHasSnapshots(t *testing.T) {
	b := newBench(t)
	l := b.live(counterSpec())
	l.settle()
	n := 0
	submit := func() {
		n++
		l.submit(fmt.Sprint(n), add{step.Meta{At: b.wall, CommandID: fmt.Sprint("c", n)}, 2})
	}
	submit()
	for n < 3*snapshotEvery {
		submit() // one is always waiting while another is under way
		if d, ok := find[persistence.PutSnapshotOp](l); ok {
			s := d.Op.(persistence.PutSnapshotOp).Snapshot
			if s.Version > l.m.Committed() {
				t.Fatalf("a snapshot of version %d, committed is %d", s.Version, l.m.Committed())
			}
			l.perform(d)
			continue
		}
		d := l.ops[0]
		l.ops = l.ops[1:]
		l.perform(d)
	}
	got, ok, err := b.store.LastSnapshot(t.Context(), b.grain, snapshotName)
	if err != nil || !ok || got.Version+2*snapshotEvery < l.m.Committed() {
		t.Fatalf("the newest snapshot is of version %d (%v, %v), committed is %d", got.Version, ok, err, l.m.Committed())
	}
	l.settle()
	next := b.live(counterSpec())
	next.settle()
	if got, want := next.m.State().total, b.total2(); got != want {
		t.Errorf("total = %d after recovery, the journal has %d", got, want)
	}
}

// total2 replays a journal of any length.
func (b *bench) total2() (sum int64) {
	for after := uint64(0); ; {
		page, more, err := b.store.ReadJournal(context.Background(), b.grain, after, 0)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, r := range page {
			after = r.Version
			e, _ := counterSpec().Decode(r.Kind, r.Format, r.Payload)
			if e.kind == 1 {
				sum += e.n
			}
		}
		if !more {
			return sum
		}
	}
}

// A snapshot of a format that this build does not know, or of bytes that are none, is passed over: the journal has all.
func TestASnapshotOfAnotherFormatIsPassedOver(t *testing.T) {
	for name, bytes := range map[string][]byte{"newer": {SnapshotFormat + 1, 1, 2, 3}, "cut": {SnapshotFormat, 0, 200}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.append(0, 300, 1)
			if err := b.store.PutSnapshot(t.Context(), b.grain, snapshotName, persistence.Snapshot{Version: 200, Bytes: bytes}); err != nil {
				t.Fatal(err)
			}
			l := b.live(counterSpec())
			l.settle()
			if l.m.State().total != 600 || l.m.Version() != 300 {
				t.Errorf("total %d at version %d, want 600 at 300", l.m.State().total, l.m.Version())
			}
		})
	}
}
