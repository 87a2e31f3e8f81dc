package cql

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"paceline/domain/id"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// journalOf appends events in groups.
func journalOf(t testing.TB, s *persistence.RowStore, g id.Grain, from, to, group uint64, payload []byte) {
	t.Helper()
	for from < to {
		a := persistence.Append{Grain: g, Expected: from, AppendID: fmt.Sprint("g", from)}
		for range min(group, to-from) {
			from++
			a.Records = append(a.Records, persistence.Record{Version: from, Kind: 1, Format: 1, Payload: payload})
		}
		if ok, head, err := s.Append(context.Background(), a); !ok || err != nil {
			t.Fatal(ok, head, err)
		}
	}
}

// TestRecoveryOverTheWire: a grain of 10,000 events comes back in two round trips, one after the other: the snapshot
// with the cursor, then both buckets of the journal; a third only where the head lies further. The answers are held
// back, so that the time taken counts them.
func TestRecoveryOverTheWire(t *testing.T) {
	const latency = 250 * time.Millisecond
	ctx := context.Background()
	p, rows := behind(t, func(c *Config) { c.Timeout = 10 * time.Second })
	write := persistence.Over(&apart{Rows: server(t), prefix: rows.(*apart).prefix})
	payload := bytes.Repeat([]byte("x"), 120)
	for _, tt := range []struct {
		name              string
		snapshot, through uint64
		bytes             int
		trips             int
	}{
		{"in one bucket, a snapshot of a chunk", 9_300, 10_000, 40 << 10, 2},
		{"over a border, a snapshot of four chunks", 9_800, 10_500, 4 * persistence.ChunkBytes, 2},
		{"the head lies further", 9_800, 11_400, 1000, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := id.Of(id.Competition, tt.name)
			journalOf(t, write, g, 0, tt.snapshot, 1000, payload)
			for v := tt.snapshot - 100; v <= tt.snapshot; v += 100 {
				snap := persistence.Snapshot{Version: v, Bytes: bytes.Repeat([]byte{7}, tt.bytes)}
				if err := write.PutSnapshot(ctx, g, "snapshot", snap); err != nil {
					t.Fatal(err)
				}
			}
			if err := write.PutCursor(ctx, g, "outbox", tt.through); err != nil {
				t.Fatal(err)
			}
			journalOf(t, write, g, tt.snapshot, tt.through, 100, payload)
			recover := func() (events int) {
				s := persistence.Over(rows) // knows nothing of the grain yet
				r, err := persistence.LoadOp{Grain: g, Name: "snapshot", Consumer: "outbox"}.Run(ctx, s, nil)
				if err != nil {
					t.Fatal(err)
				}
				l := r.(persistence.Loaded)
				if !l.Found || l.Snapshot.Version != tt.snapshot || len(l.Snapshot.Bytes) != tt.bytes || l.Cursor != tt.through {
					t.Fatalf("loaded version %d, %d bytes, cursor %d", l.Snapshot.Version, len(l.Snapshot.Bytes), l.Cursor)
				}
				for after, more := l.Snapshot.Version, true; more; after = tt.snapshot + uint64(events) {
					var records []persistence.Record
					if records, more, err = s.ReadJournal(ctx, g, after, 0); err != nil {
						t.Fatal(err)
					}
					events += len(records)
				}
				return events
			}
			recover() // prepares the statements
			p.Latency(latency)
			defer p.Latency(0)
			best := time.Hour
			for range 3 { // a busy machine adds to the time, and never takes away
				began := time.Now()
				if n := recover(); uint64(n) != tt.through-tt.snapshot {
					t.Fatalf("%d events, want %d", n, tt.through-tt.snapshot)
				}
				best = min(best, time.Since(began))
			}
			if trips := int(best / latency); trips != tt.trips {
				t.Errorf("%d round trips (%v), want %d", trips, best, tt.trips)
			}
		})
	}
}

// TestRecoveryOfASmallGrain: what never had more events than fit into a bucket, and no snapshot, as most grains, is three
// requests: snapshot, cursor, and head and events in one.
func TestRecoveryOfASmallGrain(t *testing.T) {
	ctx := context.Background()
	p, rows := behind(t, func(*Config) {})
	write := persistence.Over(&apart{Rows: server(t), prefix: rows.(*apart).prefix})
	g := id.Of(id.Device, "small/one")
	journalOf(t, write, g, 0, 20, 4, []byte("event"))
	recover := func() {
		t.Helper()
		s := persistence.Over(rows)
		if _, err := (persistence.LoadOp{Grain: g, Name: "snapshot", Consumer: "outbox"}).Run(ctx, s, nil); err != nil {
			t.Fatal(err)
		}
		if r, err := s.JournalFrom(ctx, g, 0, 0); err != nil || len(r.Records) != 20 || r.Head != 20 || r.More {
			t.Fatalf("%d events, head %d, more %v, %v", len(r.Records), r.Head, r.More, err)
		}
	}
	recover() // prepares the statements
	before := p.Count(testkit.CQLExecute)
	recover()
	if n := p.Count(testkit.CQLExecute) - before; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}
