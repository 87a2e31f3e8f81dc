package persistencetest

import (
	"context"
	"fmt"
	"testing"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
)

// Open gives an empty store; it registers its own closing with t.Cleanup.
type Open func(t testing.TB) persistence.Rows

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	t.Run("rows", func(t *testing.T) { runRows(t, open) })
	t.Run("journal", func(t *testing.T) { runJournal(t, open) })
	t.Run("journal faults", func(t *testing.T) { runJournalFaults(t, open) })
	t.Run("caches", func(t *testing.T) { runCaches(t, open) })
	t.Run("wakeups", func(t *testing.T) { runWakeups(t, open) })
	t.Run("series", func(t *testing.T) { runSeries(t, open) })
	t.Run("recovery", func(t *testing.T) { runRecovery(t, open) })
	t.Run("recordings", func(t *testing.T) { runRecordings(t, open) })
}

var (
	race    = id.Of(id.Competition, "race-1")
	workout = id.Scoped(id.Training, "user-1", "workout-1")
	stream  = persistence.SeriesKey{Device: "user-1/watch", Stream: "stream-1", Subject: "user-1"}
)

type table struct {
	name string
	run  func(t *testing.T, rows persistence.Rows)
}

func each(t *testing.T, open Open, tests []table) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// group makes an append of n events after a version.
func group(g id.Grain, after uint64, n int, appendID string) persistence.Append {
	a := persistence.Append{Grain: g, Expected: after, AppendID: appendID, Home: "home"}
	for i := range n {
		v := after + 1 + uint64(i)
		a.Records = append(a.Records, persistence.Record{
			Version: v, Kind: uint32(v % 7), Format: 1, Payload: fmt.Appendf(nil, "%s event %d", appendID, v),
			Meta: persistence.Meta{At: unit.InstantMs(v), By: "user-1", CommandID: fmt.Sprint("c", v), Trace: "t"},
		})
	}
	return a
}

// apply appends and wants it to be applied.
func apply(t testing.TB, s persistence.Store, a persistence.Append) {
	t.Helper()
	ok, head, err := s.Append(context.Background(), a)
	if err != nil || !ok || head.AppendID != a.AppendID || head.Version != a.Expected+uint64(len(a.Records)) {
		t.Fatalf("append %s after %d: applied %v, head %+v, %v", a.AppendID, a.Expected, ok, head, err)
	}
}

// readAll reads a journal page by page and checks that it has no hole.
func readAll(t testing.TB, s persistence.Store, g id.Grain, after uint64, limit int) []persistence.Record {
	t.Helper()
	var all []persistence.Record
	for {
		read, err := s.JournalFrom(context.Background(), g, after, limit)
		check(t, err)
		page, more := read.Records, read.More
		for _, r := range page {
			if r.Version != after+1 {
				t.Fatalf("version %d after %d", r.Version, after)
			}
			after++
		}
		if limit > 0 && len(page) > limit {
			t.Fatalf("page of %d, limit %d", len(page), limit)
		}
		all = append(all, page...)
		if !more {
			if read.Head != after {
				t.Fatalf("read through %d, the journal is said to end at %d", after, read.Head)
			}
			return all
		}
		if len(page) == 0 {
			t.Fatalf("more after %d, but an empty page", after)
		}
	}
}

// wantAhead: a reader that is ahead of the journal is told where that ends.
func wantAhead(t testing.TB, s persistence.Store, g id.Grain, head uint64) {
	t.Helper()
	for _, by := range []uint64{1, 2, persistence.JournalBucket} {
		if r, err := s.JournalFrom(context.Background(), g, head+by, 0); err != nil || r.More || len(r.Records) > 0 || r.Head != head {
			t.Fatalf("read after %d of a journal that ends at %d = %+v, %v", head+by, head, r, err)
		}
	}
}

// ride makes n samples from a seq. Values follow from seq and salt, so that another salt is a conflict.
func ride(first uint64, n int, salt int64) *sample.Batch {
	b := &sample.Batch{FirstSeq: first}
	power, hr := &b.Columns[sample.PowerW], &b.Columns[sample.HeartRateBpm]
	power.Grow(n)
	hr.Grow(n)
	for i := range n {
		seq := int64(first) + int64(i)
		b.AtMs = append(b.AtMs, unit.InstantMs(1_700_000_000_000+seq*1000))
		power.Set(i, 200+seq%50+salt)
		if seq%3 != 0 {
			hr.Set(i, 120+seq%40)
		}
	}
	return b
}

func put(t testing.TB, s persistence.Store, b *sample.Batch) persistence.BlockKey {
	t.Helper()
	return must(s.PutBlock(context.Background(), stream, b))(t)
}

func read(t testing.TB, s persistence.Store, q persistence.SeriesQuery) persistence.SeriesRead {
	t.Helper()
	q.Key = stream
	return must(s.ReadSeries(context.Background(), q))(t)
}

// seqs lists what a read returned, and checks the values against ride with the salt that salt(seq) says.
func seqs(t testing.TB, batches []sample.Batch, salt func(seq uint64) int64) []uint64 {
	t.Helper()
	var out []uint64
	for i := range batches {
		b := &batches[i]
		for j := range b.Len() {
			seq := b.FirstSeq + uint64(j)
			if n := len(out); n > 0 && seq <= out[n-1] {
				t.Fatalf("seq %d after %d", seq, out[n-1])
			}
			want := ride(seq, 1, salt(seq))
			if !b.Same(j, want, 0) {
				t.Fatalf("seq %d has other values", seq)
			}
			out = append(out, seq)
		}
	}
	return out
}

func plain(uint64) int64 { return 0 }

// upTo is from..to as a list.
func upTo(from, to uint64) []uint64 {
	var out []uint64
	for s := from; s <= to; s++ {
		out = append(out, s)
	}
	return out
}
