package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/persistence/memory"
)

var fates = rapid.SampledFrom([]faulty.Fate{faulty.Done, faulty.Done, faulty.Done, faulty.Away, faulty.LostNo, faulty.LostYes, faulty.LostLate})

// writer is one activation of a grain, as a naive machine: it looks after an unknown outcome, repeats, and gives
// up when it is fenced.
type writer struct {
	store   *persistence.RowStore
	version uint64
	pending *persistence.Append // of unknown outcome
	n       int
}

// TestJournalUnderAnyFates: two activations append to one journal while outcomes are lost and writes arrive
// late. What was said to be applied is there, whole, once, in order; nothing is there that nobody appended.
func TestJournalUnderAnyFates(t *testing.T) {
	ctx := context.Background()
	g := id.Of(id.Competition, "c")
	rapid.Check(t, func(t *rapid.T) {
		f := faulty.Over(memory.New())
		f.Decide = func(faulty.Write) faulty.Fate { return fates.Draw(t, "fate") }
		ws := []*writer{{store: persistence.Over(f)}, {store: persistence.Over(f)}}
		sent, acked := map[string]int{}, map[string]bool{}
		var late []*faulty.Late
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			late = append(late, f.TakeLate()...)
			if len(late) > 0 && rapid.Bool().Draw(t, "arrives") {
				i := rapid.IntRange(0, len(late)-1).Draw(t, "which")
				if err := late[i].Apply(ctx); err != nil {
					t.Fatal(err)
				}
				late = slices.Delete(late, i, i+1)
				continue
			}
			i := rapid.IntRange(0, 1).Draw(t, "writer")
			w := ws[i]
			a := w.pending
			if a == nil {
				n := rapid.SampledFrom([]int{1, 2, 500, 1023, 1024, 1500}).Draw(t, "events")
				w.n++
				a = &persistence.Append{Grain: g, Expected: w.version, AppendID: fmt.Sprint(i, "-", w.n)}
				for k := range n {
					a.Records = append(a.Records, persistence.Record{Version: w.version + 1 + uint64(k), Kind: 1, Format: 1, Payload: []byte(a.AppendID)})
				}
				sent[a.AppendID] = n
			}
			ok, head, err := w.store.Append(ctx, *a)
			switch {
			case errors.Is(err, persistence.ErrUnknown):
				w.pending = a
			case errors.Is(err, persistence.ErrUnavailable):
				// Not this time; an earlier copy may still be under way, so it stays pending if it was.
			case err != nil:
				t.Fatal(err)
			case ok || head.AppendID == a.AppendID:
				acked[a.AppendID] = true
				w.version, w.pending = a.Expected+uint64(len(a.Records)), nil
			default: // fenced: what it held is of no worth, it begins anew from the journal
				w.version, w.pending = head.Version, nil
			}
		}
		checkJournal(t, persistence.Over(f), g, sent, acked)
	})
}

func checkJournal(t *rapid.T, s *persistence.RowStore, g id.Grain, sent map[string]int, acked map[string]bool) {
	ctx := context.Background()
	var groups []string
	events := map[string]int{}
	after := uint64(0)
	for more := true; more; {
		var page []persistence.Record
		var err error
		if page, more, err = s.ReadJournal(ctx, g, after, 777); err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if after++; r.Version != after {
				t.Fatalf("version %d, want %d", r.Version, after)
			}
			a := string(r.Payload)
			if len(groups) == 0 || groups[len(groups)-1] != a {
				groups = append(groups, a)
			}
			events[a]++
		}
	}
	head, err := s.Head(ctx, g)
	if err != nil || head.Version != after || len(groups) > 0 && head.AppendID != groups[len(groups)-1] {
		t.Fatalf("head %+v, %v; the journal ends at %d with %v", head, err, after, groups)
	}
	seen := map[string]bool{}
	for _, a := range groups {
		if seen[a] || events[a] != sent[a] {
			t.Fatalf("append %s is there twice, or not whole: %d of %d events", a, events[a], sent[a])
		}
		seen[a] = true
	}
	for a := range acked {
		if !seen[a] {
			t.Fatalf("append %s was applied and is not there", a)
		}
	}
}

// TestSeriesAgainstNaive: any blocks, cut anyhow, some with other values, some lost; skips and a floor. A read
// and a recovery say what a naive look at all rows, seq by seq, says.
func TestSeriesAgainstNaive(t *testing.T) {
	ctx := context.Background()
	key := persistence.SeriesKey{Device: "d", Stream: "s", Subject: "u"}
	const base, length = persistence.SeriesBucket - 60, 120
	rapid.Check(t, func(t *rapid.T) {
		s := persistence.Over(memory.New())
		type row struct {
			key   persistence.BlockKey
			batch *sample.Batch
		}
		var rows []row
		seq := func(name string) uint64 { return base + rapid.Uint64Range(0, length).Draw(t, name) }
		for range rapid.IntRange(0, 12).Draw(t, "rows") {
			first := seq("first")
			n := min(rapid.Uint64Range(1, 50).Draw(t, "n"), persistence.SeriesBucket-first%persistence.SeriesBucket)
			b := &sample.Batch{FirstSeq: first}
			salt := rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(t, "salt")
			b.Columns[sample.PowerW].Grow(int(n))
			for i := range int(n) {
				b.AtMs = append(b.AtMs, unit.InstantMs(first)+unit.InstantMs(i))
				b.Columns[sample.PowerW].Set(i, int64(first)+int64(i)+salt)
			}
			k, err := s.PutBlock(ctx, key, b)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row{k, b})
		}
		var skips []persistence.Span
		for range rapid.IntRange(0, 3).Draw(t, "skips") {
			from := seq("skip")
			skips = append(skips, persistence.Span{From: from, To: from + rapid.Uint64Range(0, 30).Draw(t, "to")})
		}
		skipped := func(seq uint64) bool {
			return slices.ContainsFunc(skips, func(s persistence.Span) bool { return s.From <= seq && seq <= s.To })
		}
		best := func(seq uint64) (found *row) {
			for i := range rows {
				r := &rows[i]
				if r.key.First <= seq && seq <= r.key.Last && (found == nil || string(r.key.ID[:]) < string(found.key.ID[:])) {
					found = r
				}
			}
			return found
		}
		from, to := seq("from"), seq("upto")
		most := rapid.IntRange(0, 40).Draw(t, "most")
		var want [][2]int64
		for x := from; x <= to && (most == 0 || len(want) < most); x++ {
			if r := best(x); r != nil && !skipped(x) {
				v, _ := r.batch.Value(sample.PowerW, int(x-r.batch.FirstSeq))
				want = append(want, [2]int64{int64(x), v})
			}
		}
		got, err := s.ReadSeries(ctx, persistence.SeriesQuery{Key: key, From: from, To: to, Skips: skips, MaxSamples: most})
		if err != nil {
			t.Fatal(err)
		}
		if have := flat(got.Batches); !slices.Equal(have, want) {
			t.Fatalf("read %d..%d, most %d: %v, want %v", from, to, most, have, want)
		}
		floor := seq("floor") - 1
		through := floor
		for best(through+1) != nil || skipped(through+1) {
			through++
		}
		end, err := s.RecoverSeries(ctx, key, floor, skips)
		if err != nil || end.Through != through {
			t.Fatalf("through %d, %v; want %d (floor %d)", end.Through, err, through, floor)
		}
		var tail [][2]int64
		for x := floor + 1; x <= through; x++ {
			if r := best(x); r != nil && !skipped(x) {
				v, _ := r.batch.Value(sample.PowerW, int(x-r.batch.FirstSeq))
				tail = append(tail, [2]int64{int64(x), v})
			}
		}
		if have := flat(end.Tail); !slices.Equal(have, tail) {
			t.Fatalf("tail %v, want %v", have, tail)
		}
	})
}

func flat(batches []sample.Batch) (out [][2]int64) {
	for i := range batches {
		for j := range batches[i].Len() {
			v, _ := batches[i].Value(sample.PowerW, j)
			out = append(out, [2]int64{int64(batches[i].FirstSeq) + int64(j), v})
		}
	}
	return out
}
