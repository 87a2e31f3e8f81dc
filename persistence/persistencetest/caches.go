package persistencetest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/faulty"
)

func runCaches(t *testing.T, open Open) {
	each(t, open, []table{
		{"snapshots", testSnapshots},
		{"half a snapshot", testHalfSnapshot},
		{"a version again", testSnapshotAgain},
		{"snapshots, one request each", testSnapshotRequests},
		{"cursors", testCursors},
	})
}

func pattern(n int, salt byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8) ^ byte(i) ^ salt
	}
	return b
}

func testSnapshots(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	if _, ok, err := s.LastSnapshot(ctx, workout, "snapshot"); ok || err != nil {
		t.Fatalf("a snapshot of nothing: %v, %v", ok, err)
	}
	for i, size := range []int{0, 1, persistence.ChunkBytes - 1, persistence.ChunkBytes, persistence.ChunkBytes + 1, 3*persistence.ChunkBytes + 5} {
		for _, g := range []id.Grain{workout, race} {
			want := persistence.Snapshot{Version: uint64(10 * (i + 1)), Bytes: pattern(size, byte(i))}
			check(t, s.PutSnapshot(ctx, g, "snapshot", want))
			check(t, s.PutSnapshot(ctx, g, "checkpoint", persistence.Snapshot{Version: 1, Bytes: []byte("other")}))
			got, ok, err := s.LastSnapshot(ctx, g, "snapshot")
			if err != nil || !ok || got.Version != want.Version || !bytes.Equal(got.Bytes, want.Bytes) {
				t.Fatalf("size %d: got version %d, %d bytes, %v, %v", size, got.Version, len(got.Bytes), ok, err)
			}
		}
	}
	// An older one that comes late does not hide the newest.
	check(t, s.PutSnapshot(ctx, workout, "snapshot", persistence.Snapshot{Version: 2, Bytes: []byte("old")}))
	if got, _, err := s.LastSnapshot(ctx, workout, "snapshot"); err != nil || got.Version != 60 {
		t.Fatalf("LastSnapshot = %d, %v; want 60", got.Version, err)
	}
}

// testHalfSnapshot: a writer that dies between two chunks leaves the one before it valid.
func testHalfSnapshot(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	f := faulty.Over(rows)
	s := persistence.Over(f)
	for v := uint64(1); v <= 3; v++ {
		check(t, s.PutSnapshot(ctx, race, "snapshot", persistence.Snapshot{Version: v, Bytes: pattern(2*persistence.ChunkBytes, byte(v))}))
	}
	for v := uint64(4); v <= 8; v++ {
		n := 0
		f.Decide = func(faulty.Write) faulty.Fate {
			if n++; n == 2 {
				return faulty.Away
			}
			return faulty.Done
		}
		if err := s.PutSnapshot(ctx, race, "snapshot", persistence.Snapshot{Version: v, Bytes: pattern(3*persistence.ChunkBytes, byte(v))}); err == nil {
			t.Fatal("half a snapshot was reported as written")
		}
		got, ok, err := s.LastSnapshot(ctx, race, "snapshot")
		if err != nil || !ok || got.Version != 3 || !bytes.Equal(got.Bytes, pattern(2*persistence.ChunkBytes, 3)) {
			t.Fatalf("after half of %d: version %d, %v, %v", v, got.Version, ok, err)
		}
	}
	f.Decide = nil
	check(t, s.PutSnapshot(ctx, race, "snapshot", persistence.Snapshot{Version: 9, Bytes: []byte("nine")}))
	check(t, s.PutSnapshot(ctx, race, "snapshot", persistence.Snapshot{Version: 10, Bytes: []byte("ten")}))
	check(t, s.PutSnapshot(ctx, race, "snapshot", persistence.Snapshot{Version: 11, Bytes: []byte("eleven")}))
	p := persistence.SnapshotPart(race, "snapshot")
	if left := must(rows.Range(ctx, p, persistence.Range{KeysOnly: true}))(t); len(left) != 2 {
		t.Fatalf("%d rows left, want the last two snapshots", len(left))
	}
}

// testSnapshotAgain: a checkpoint moves on while its version stands still; the newest counts, none piles up.
func testSnapshotAgain(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	for i := range 10 {
		want := pattern(persistence.ChunkBytes+i, byte(i))
		check(t, s.PutSnapshot(ctx, workout, "checkpoint", persistence.Snapshot{Version: 7, Bytes: want}))
		got, ok, err := s.LastSnapshot(ctx, workout, "checkpoint")
		if err != nil || !ok || !bytes.Equal(got.Bytes, want) {
			t.Fatalf("write %d: %d bytes, %v, %v", i, len(got.Bytes), ok, err)
		}
	}
	left := must(rows.Range(ctx, persistence.SnapshotPart(workout, "checkpoint"), persistence.Range{KeysOnly: true}))(t)
	if len(left) > 4 {
		t.Fatalf("%d chunks left, want at most two snapshots of two", len(left))
	}
}

// testSnapshotRequests: an activation that saves again and again asks for one thing each time, and still no more than two
// snapshots lie there; what another activation leaves is found by the next one.
func testSnapshotRequests(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	f := faulty.Over(rows)
	reads, writes := 0, 0
	f.ReadFails = func(persistence.Table) bool { reads++; return false }
	f.Decide = func(faulty.Write) faulty.Fate { writes++; return faulty.Done }
	put := func(s *persistence.RowStore, version uint64, b string) {
		t.Helper()
		check(t, s.PutSnapshot(ctx, workout, "checkpoint", persistence.Snapshot{Version: version, Bytes: []byte(b)}))
	}
	lie := func() int {
		return len(must(rows.Range(ctx, persistence.SnapshotPart(workout, "checkpoint"), persistence.Range{KeysOnly: true}))(t))
	}
	one, other := persistence.Over(f), persistence.Over(rows)
	for i := range 5 {
		put(one, 7, fmt.Sprint("one ", i))
	}
	if reads != 1 || writes != 5 || lie() != 2 {
		t.Errorf("%d reads, %d writes, %d rows for five checkpoints; want 1, 5, 2", reads, writes, lie())
	}
	put(other, 8, "other")
	put(one, 7, "behind")
	put(one, 7, "behind again")
	if got, ok, err := one.LastSnapshot(ctx, workout, "checkpoint"); !ok || err != nil || string(got.Bytes) != "other" {
		t.Errorf("LastSnapshot = %q, %v, %v; want what the other has written", got.Bytes, ok, err)
	}
	for i := range 2 {
		put(one, 9, fmt.Sprint("newest ", i))
	}
	if n := lie(); n != 2 {
		t.Errorf("%d rows lie there, want 2", n)
	}
	// A write that nobody knows of is looked for.
	f.Decide = func(faulty.Write) faulty.Fate { return faulty.LostYes }
	if err := one.PutSnapshot(ctx, workout, "checkpoint", persistence.Snapshot{Version: 9, Bytes: []byte("lost")}); err == nil {
		t.Error("a lost outcome is taken for none")
	}
	f.Decide = nil
	put(one, 9, "after it")
	if got, ok, err := one.LastSnapshot(ctx, workout, "checkpoint"); !ok || err != nil || string(got.Bytes) != "after it" || lie() != 2 {
		t.Errorf("LastSnapshot = %q of %d rows, %v, %v", got.Bytes, lie(), ok, err)
	}
}

func testCursors(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	check(t, s.PutCursor(ctx, race, "views", 1<<40))
	check(t, s.PutCursor(ctx, race, "outbox", 3))
	check(t, s.PutCursor(ctx, race, "outbox", 4))
	for consumer, want := range map[string]uint64{"views": 1 << 40, "outbox": 4, "other": 0} {
		if got := must(s.Cursor(ctx, race, consumer))(t); got != want {
			t.Errorf("Cursor(%s) = %d, want %d", consumer, got, want)
		}
	}
	if got := must(s.Cursor(ctx, workout, "views"))(t); got != 0 {
		t.Errorf("another grain's cursor = %d", got)
	}
}

func runWakeups(t *testing.T, open Open) {
	each(t, open, []table{{"by shard and minute", testWakeups}, {"low water", testLowWater}})
}

func testWakeups(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	shard := persistence.ShardOf(workout)
	at := func(due int64, reason, activation string) persistence.Wakeup {
		return persistence.Wakeup{Grain: workout, Due: unit.InstantMs(due), Reason: reason, Activation: activation}
	}
	want := []persistence.Wakeup{at(60_000, "outbox", "a1"), at(60_000, "outbox", "a2"), at(61_000, "open", "a1"), at(119_999, "open", "a1")}
	for i := range want {
		check(t, s.PutWakeup(ctx, want[len(want)-1-i]))
	}
	check(t, s.PutWakeup(ctx, want[0])) // again: the same row
	check(t, s.PutWakeup(ctx, at(59_999, "open", "a1")))
	check(t, s.PutWakeup(ctx, at(120_000, "open", "a1")))
	if got := must(s.ReadWakeups(ctx, shard, 1))(t); !reflect.DeepEqual(got, want) {
		t.Fatalf("minute 1: %+v, want %+v", got, want)
	}
	check(t, s.DeleteWakeup(ctx, want[1]))
	check(t, s.DeleteWakeup(ctx, want[1]))
	if got := must(s.ReadWakeups(ctx, shard, 1))(t); len(got) != 3 || got[1] != want[2] {
		t.Fatalf("after a delete: %+v", got)
	}
	if got := must(s.ReadWakeups(ctx, (shard+1)%persistence.WakeupShards, 1))(t); len(got) != 0 {
		t.Fatalf("another shard: %+v", got)
	}
}

func testLowWater(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	check(t, s.PutLowWater(ctx, 3, 28_000_000))
	for shard, want := range map[int]int64{3: 28_000_000, 4: 0} {
		if got := must(s.LowWater(ctx, shard))(t); got != want {
			t.Errorf("LowWater(%d) = %d, want %d", shard, got, want)
		}
	}
}
