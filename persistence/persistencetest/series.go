package persistencetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"paceline/domain/sample"
	"paceline/persistence"
	"paceline/persistence/faulty"
)

func runSeries(t *testing.T, open Open) {
	each(t, open, []table{
		{"bucket borders", testSeriesBorders},
		{"the same again", testSeriesIdempotent},
		{"cut anew by two writers", testRecut},
		{"cut anew by two writers at once", testRecutAtOnce},
		{"conflict", testConflict},
		{"marks", testMarks},
		{"skips", testSkips},
		{"at most so many", testMaxSamples},
		{"delete through", testDeleteThrough},
		{"bad blocks", testBadBlocks},
		{"lost outcome", testLostBlock},
		{"streams apart", testStreamsApart},
	})
}

// putAll stores a ride in blocks of size, cut at bucket borders.
func putAll(t testing.TB, s persistence.Store, from, to uint64, size int, salt int64) {
	t.Helper()
	for from <= to {
		n := min(uint64(size), to-from+1, persistence.SeriesBucket-from%persistence.SeriesBucket)
		put(t, s, ride(from, int(n), salt))
		from += n
	}
}

func testSeriesBorders(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	if got := read(t, s, persistence.SeriesQuery{From: 1}); len(got.Batches)+len(got.Blocks) != 0 {
		t.Fatalf("read of nothing: %+v", got)
	}
	putAll(t, s, 1, 3599, 512, 0)
	putAll(t, s, 3600, 3600, 1, 0)
	putAll(t, s, 3601, 7300, 100, 0)
	for _, tt := range [][2]uint64{{1, 7300}, {1, 0}, {0, 0}, {3599, 3600}, {3599, 0}, {3600, 3600}, {3600, 0}, {511, 514}, {7200, 7200}, {7300, 0}} {
		q := persistence.SeriesQuery{From: tt[0], To: tt[1]}
		to := tt[1]
		if to == 0 {
			to = 7300
		}
		got := read(t, s, q)
		if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(max(1, tt[0]), to)) || got.More || len(got.Conflicts) > 0 {
			t.Fatalf("read %v: %d samples, more %v, conflicts %v", tt, len(have), got.More, got.Conflicts)
		}
	}
	if got := read(t, s, persistence.SeriesQuery{From: 8000}); len(got.Batches) != 0 {
		t.Fatalf("read beyond the end: %+v", got)
	}
}

func testSeriesIdempotent(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	a := put(t, s, ride(1, 20, 0))
	b := put(t, s, ride(1, 20, 0))
	if a != b {
		t.Fatalf("the same block has two keys: %+v, %+v", a, b)
	}
	if got := read(t, s, persistence.SeriesQuery{}); len(got.Blocks) != 1 || got.Blocks[0] != a {
		t.Fatalf("blocks %+v, want %+v alone", got.Blocks, a)
	}
}

// testRecut: two activations wrote the same samples, cut differently: each seq is there once.
func testRecut(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	putAll(t, s, 1, 4000, 100, 0)
	putAll(t, s, 1, 4000, 73, 0)
	putAll(t, s, 3000, 4100, 512, 0)
	for _, from := range []uint64{1, 50, 3500, 3599, 3600, 3601} {
		got := read(t, s, persistence.SeriesQuery{From: from})
		if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(from, 4100)) || len(got.Conflicts) != 0 {
			t.Fatalf("from %d: %d samples, conflicts %v", from, len(have), got.Conflicts)
		}
	}
}

// testRecutAtOnce: two activations write the same samples at the same time, cut differently, and some of their
// outcomes are lost: each writes a block again, same bytes, until it has one. Each seq is there once.
func testRecutAtOnce(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	const first, last = 3400, 3800 // over the border of a bucket
	var wg sync.WaitGroup
	for w, size := range []int{17, 40} {
		f := faulty.Over(rows)
		f.Decide = func(w faulty.Write) faulty.Fate {
			return []faulty.Fate{faulty.Done, faulty.LostYes, faulty.Done, faulty.LostNo, faulty.Away}[w.N%5]
		}
		s := persistence.Over(f)
		wg.Go(func() {
			for from := uint64(first); from <= last; {
				n := min(uint64(size), last-from+1, persistence.SeriesBucket-from%persistence.SeriesBucket)
				b := ride(from, int(n), 0)
				for {
					_, err := s.PutBlock(ctx, stream, b)
					if err == nil {
						break
					}
					if !errors.Is(err, persistence.ErrUnknown) && !errors.Is(err, persistence.ErrUnavailable) {
						t.Errorf("writer %d, block %d: %v", w, from, err)
						return
					}
				}
				from += n
			}
		})
	}
	wg.Wait()
	s := persistence.Over(rows)
	got := read(t, s, persistence.SeriesQuery{From: first})
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(first, last)) || len(got.Conflicts) != 0 {
		t.Fatalf("%d samples, conflicts %v", len(have), got.Conflicts)
	}
	if end := must(s.RecoverSeries(ctx, stream, first-1, nil))(t); end.Through != last {
		t.Fatalf("through %d, want %d", end.Through, last)
	}
	if len(got.Blocks) != blocksOf(first, last, 17)+blocksOf(first, last, 40) {
		t.Fatalf("%d rows, want each block once", len(got.Blocks))
	}
}

// blocksOf counts the blocks of a size in which a span is written, cut at the borders of buckets.
func blocksOf(first, last uint64, size int) (n int) {
	for first <= last {
		first += min(uint64(size), last-first+1, persistence.SeriesBucket-first%persistence.SeriesBucket)
		n++
	}
	return n
}

// testConflict: rows disagree; of all that cover a seq the one with the smallest id counts, in whatever order
// they were written, and the seq is named.
func testConflict(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	type block struct {
		salt int64
		key  persistence.BlockKey
	}
	var blocks []block
	for salt, cut := range map[int64][2]uint64{0: {1, 30}, 1: {11, 30}, 2: {21, 20}} {
		blocks = append(blocks, block{salt, put(t, s, ride(cut[0], int(cut[1]), salt))})
	}
	winner := func(seq uint64) int64 {
		var best *block
		for i := range blocks {
			b := &blocks[i]
			if b.key.First <= seq && seq <= b.key.Last && (best == nil || string(b.key.ID[:]) < string(best.key.ID[:])) {
				best = b
			}
		}
		return best.salt
	}
	got := read(t, s, persistence.SeriesQuery{})
	if have := seqs(t, got.Batches, winner); !slices.Equal(have, upTo(1, 40)) {
		t.Fatalf("%d samples", len(have))
	}
	if !slices.Equal(got.Conflicts, upTo(11, 40)) {
		t.Fatalf("conflicts %v, want 11..40", got.Conflicts)
	}
	// A read that begins in the middle of the overlap decides the same.
	for from := uint64(2); from <= 40; from++ {
		seqs(t, read(t, s, persistence.SeriesQuery{From: from, To: from}).Batches, winner)
	}
}

func testMarks(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	b := ride(1, 10, 0)
	clean := put(t, s, b)
	marked := ride(1, 10, 0)
	marked.Refused = make([]sample.Refusal, 10)
	marked.Refused[3], marked.Refused[9] = sample.OutOfRange, sample.TimeNotRising
	if key := put(t, s, marked); key.ID == clean.ID {
		t.Fatal("the id does not depend on the marks")
	}
	other := ride(11, 10, 0)
	other.Refused = slices.Clone(marked.Refused)
	put(t, s, other)
	got := read(t, s, persistence.SeriesQuery{From: 11})
	if len(got.Batches) != 1 || !slices.Equal(got.Batches[0].Refused, other.Refused) {
		t.Fatalf("marks %+v", got.Batches)
	}
}

func testSkips(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	putAll(t, s, 1, 100, 10, 0)
	putAll(t, s, 150, 200, 10, 0)
	putAll(t, s, 2*persistence.SeriesBucket+5, 2*persistence.SeriesBucket+9, 10, 0)
	skips := []persistence.Span{{From: 201, To: 2*persistence.SeriesBucket + 6}, {From: 95, To: 149}}
	got := read(t, s, persistence.SeriesQuery{Skips: skips})
	want := append(append(upTo(1, 94), upTo(150, 200)...), upTo(2*persistence.SeriesBucket+7, 2*persistence.SeriesBucket+9)...)
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, want) {
		t.Fatalf("have %v", have)
	}
	// Without the skip an empty bucket ends the search.
	got = read(t, s, persistence.SeriesQuery{})
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, append(upTo(1, 100), upTo(150, 200)...)) {
		t.Fatalf("without skips: %v", have)
	}
	// A range that has an end is read whole.
	got = read(t, s, persistence.SeriesQuery{From: 190, To: 3 * persistence.SeriesBucket})
	if have := seqs(t, got.Batches, plain); len(have) != 16 {
		t.Fatalf("a range: %v", have)
	}
	// A skip without an end must not make a read endless.
	read(t, s, persistence.SeriesQuery{Skips: []persistence.Span{{From: 201, To: ^uint64(0)}}})
	must(s.RecoverSeries(context.Background(), stream, 0, []persistence.Span{{From: 201, To: ^uint64(0) - 1}}))(t)
}

func testMaxSamples(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	putAll(t, s, 1, 4000, 60, 0)
	putAll(t, s, 30, 90, 7, 0)
	for most, span := range map[int][2]uint64{
		1:  {3590, 3610}, // over the border only: on a server each page is a round trip
		59: {1, 4000}, 60: {1, 4000}, 61: {1, 4000}, 3599: {1, 4000}, 3600: {1, 4000}, 3999: {1, 4000}, 4000: {1, 4000}, 5000: {1, 4000},
	} {
		var have []uint64
		for from, more := span[0], true; more && from <= span[1]; {
			got := read(t, s, persistence.SeriesQuery{From: from, MaxSamples: most})
			page := seqs(t, got.Batches, plain)
			if len(page) > most || got.More && len(page) != most {
				t.Fatalf("page of %d, most %d, more %v", len(page), most, got.More)
			}
			have = append(have, page...)
			if more = got.More; more {
				from = page[len(page)-1] + 1
			}
		}
		if !slices.Equal(have, upTo(span[0], span[1])) {
			t.Fatalf("most %d: %d samples", most, len(have))
		}
	}
}

func testDeleteThrough(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	putAll(t, s, 1, 4000, 100, 0)
	check(t, s.DeleteThrough(ctx, stream, 3650))
	got := read(t, s, persistence.SeriesQuery{From: 3600})
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(3600, 4000)) {
		t.Fatalf("have %d..%d (%d)", have[0], have[len(have)-1], len(have))
	}
	check(t, s.DeleteThrough(ctx, stream, 3699))
	got = read(t, s, persistence.SeriesQuery{From: 1, To: 5000})
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(3700, 4000)) {
		t.Fatalf("have %d samples", len(have))
	}
	end := must(s.RecoverSeries(ctx, stream, 3699, nil))(t)
	if end.Through != 4000 {
		t.Fatalf("through %d", end.Through)
	}
}

func testBadBlocks(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	for name, b := range map[string]*sample.Batch{
		"empty": {FirstSeq: 1}, "seq 0": ride(0, 1, 0), "too long": ride(1, 513, 0), "over a border": ride(3599, 2, 0),
	} {
		if _, err := s.PutBlock(context.Background(), stream, b); !errors.Is(err, persistence.ErrAppendInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testLostBlock(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	f := faulty.Over(rows)
	s := persistence.Over(f)
	for i, fate := range []faulty.Fate{faulty.LostNo, faulty.LostYes, faulty.LostLate} {
		b := ride(uint64(10*i+1), 10, 0)
		f.Decide = func(faulty.Write) faulty.Fate { return fate }
		if _, err := s.PutBlock(ctx, stream, b); !errors.Is(err, persistence.ErrUnknown) {
			t.Fatalf("fate %d: %v", fate, err)
		}
		f.Decide = nil
		put(t, s, b)
	}
	for _, l := range f.TakeLate() {
		check(t, l.Apply(ctx))
	}
	got := read(t, s, persistence.SeriesQuery{})
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, upTo(1, 30)) || len(got.Blocks) != 3 {
		t.Fatalf("%d samples in %d rows", len(have), len(got.Blocks))
	}
}

func testStreamsApart(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	for i := range 3 {
		k := stream
		k.Stream = fmt.Sprint("s", i)
		must(s.PutBlock(ctx, k, ride(uint64(i+1), 1, 0)))(t)
	}
	k := stream
	k.Stream = "s1"
	got := must(s.ReadSeries(ctx, persistence.SeriesQuery{Key: k}))(t)
	if have := seqs(t, got.Batches, plain); !slices.Equal(have, []uint64{2}) {
		t.Fatalf("have %v", have)
	}
}
