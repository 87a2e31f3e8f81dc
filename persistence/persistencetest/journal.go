package persistencetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/faulty"
)

func runJournal(t *testing.T, open Open) {
	each(t, open, []table{
		{"empty", testEmptyJournal},
		{"one event round trip", testRoundTrip},
		{"every border", testBorders},
		{"a group over several buckets", testGiantGroup},
		{"refused appends", testRefused},
		{"paging", testPaging},
		{"large events", testLargeEvents},
		{"bad appends", testBadAppends},
		{"list of grains", testGrains},
	})
}

func testEmptyJournal(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	if h := must(s.Head(context.Background(), race))(t); h != (persistence.Head{}) {
		t.Errorf("Head of nothing = %+v", h)
	}
	if r := readAll(t, s, race, 0, 0); len(r) != 0 {
		t.Errorf("read %d events of nothing", len(r))
	}
}

func testRoundTrip(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	for _, g := range []persistence.Append{group(race, 0, 3, "a"), group(workout, 0, 3, "b")} {
		g.Records[1].Payload = []byte{}
		g.Records[2].Payload = bytes.Repeat([]byte{7}, 200<<10)
		g.Records[2].Meta = persistence.Meta{At: -5}
		apply(t, s, g)
		got := readAll(t, s, g.Grain, 0, 0)
		if !reflect.DeepEqual(got, g.Records) {
			t.Errorf("%v: read %+v, want what was written", g.Grain, got)
		}
		if h := must(s.Head(context.Background(), g.Grain))(t); h != (persistence.Head{Version: 3, AppendID: g.AppendID, Home: "home"}) {
			t.Errorf("Head = %+v", h)
		}
	}
}

// testBorders writes journals whose groups end before, at and beyond the border of a bucket, and reads each
// from every place around it.
func testBorders(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	for _, sizes := range [][]int{
		{1023, 1, 1, 1}, {1022, 1, 5, 1}, {1024, 1}, {1020, 10, 3, 3}, {1025, 1}, {1023, 1025, 2}, {2047, 1, 1}, {1024, 1024, 1},
	} {
		g := race
		g.ID = fmt.Sprint("race", sizes)
		s := persistence.Over(rows)
		at := uint64(0)
		for i, n := range sizes {
			apply(t, s, group(g, at, n, fmt.Sprint("a", i)))
			at += uint64(n)
			for _, fresh := range []persistence.Store{s, persistence.Over(rows)} {
				if h := must(fresh.Head(ctx, g))(t); h.Version != at || h.AppendID != fmt.Sprint("a", i) {
					t.Fatalf("%v: Head = %+v, want %d", sizes, h, at)
				}
			}
		}
		wantAhead(t, s, g, at)
		starts := []uint64{0, 1, 1019, 1020, 1021, 1022, 1023, 1024, 1025, 1029, 1030, 1031, 2046, 2047, 2048, 2049, at - 1, at}
		for _, after := range starts {
			if after <= at {
				if got := len(readAll(t, s, g, after, 0)); uint64(got) != at-after {
					t.Fatalf("%v: read %d events after %d, want %d", sizes, got, after, at-after)
				}
			}
		}
	}
}

func testGiantGroup(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	apply(t, s, group(race, 0, 500, "a"))
	apply(t, s, group(race, 500, 4000, "b"))
	apply(t, s, group(race, 4500, 2, "c"))
	for _, after := range []uint64{0, 499, 500, 1023, 1024, 3000, 4095, 4096, 4499, 4500, 4501, 4502} {
		if got := len(readAll(t, persistence.Over(rows), race, after, 300)); uint64(got) != 4502-after {
			t.Fatalf("read %d events after %d, want %d", got, after, 4502-after)
		}
	}
	wantAhead(t, s, race, 4502)
	if h := must(persistence.Over(rows).Head(context.Background(), race))(t); h.Version != 4502 {
		t.Fatalf("Head = %+v", h)
	}
}

// weighed counts what is fetched.
type weighed struct {
	persistence.Rows
	bytes atomic.Int64
}

func (w *weighed) Range(ctx context.Context, p persistence.Part, r persistence.Range) ([]persistence.Row, error) {
	rows, err := w.Rows.Range(ctx, p, r)
	for _, row := range rows {
		w.bytes.Add(int64(len(row.Cell)))
	}
	return rows, err
}

// testLargeEvents: of events as large as an append takes only a few fit into an answer. All come back, and what did not fit is
// not fetched again with every page; small ones behind them come in large pages again.
func testLargeEvents(t *testing.T, rows persistence.Rows) {
	const large, small = 100, 400
	w := &weighed{Rows: rows}
	s := persistence.Over(w)
	whole := 0
	for at := range uint64(large) {
		a := group(race, at, 1, fmt.Sprint("a", at))
		a.Records[0].Payload = pattern(persistence.MaxAppendBytes, byte(at))
		apply(t, s, a)
		whole += persistence.MaxAppendBytes
	}
	apply(t, s, group(race, large, small, "small"))
	if got := len(readAll(t, s, race, 0, 0)); got != large+small {
		t.Fatalf("%d events, want %d", got, large+small)
	}
	atOnce := &weighed{Rows: rows}
	first, more, err := persistence.Over(atOnce).ReadJournal(context.Background(), race, 0, 0)
	answer := int64(len(first) * persistence.MaxAppendBytes)
	if got := atOnce.bytes.Load(); err != nil || !more || got > 2*answer+persistence.MaxAppendBytes {
		t.Errorf("the first read, of which nothing is known, takes %d bytes for an answer of %d (%v, %v), want twice as many at most", got, answer, more, err)
	}
	t.Logf("of %d bytes %d were fetched", whole, w.bytes.Load())
	if fetched := w.bytes.Load(); fetched > int64(whole)*5/2 {
		t.Errorf("%d bytes were fetched to read %d: want at most two and a half times as many", fetched, whole)
	}
}

// testRefused: whoever expects something else gets the journal's real head, wherever it is.
func testRefused(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	apply(t, s, group(race, 0, 1020, "a"))
	apply(t, s, group(race, 1020, 10, "b"))
	refused := func(a persistence.Append, want persistence.Head) {
		t.Helper()
		for _, s := range []persistence.Store{s, persistence.Over(rows)} {
			ok, head, err := s.Append(ctx, a)
			if err != nil || ok || head.Version != want.Version || head.AppendID != want.AppendID {
				t.Fatalf("append %s after %d = %v, %+v, %v; want refused by %+v", a.AppendID, a.Expected, ok, head, err, want)
			}
		}
	}
	b := persistence.Head{Version: 1030, AppendID: "b"}
	refused(group(race, 1020, 10, "b"), b) // our own earlier copy: the head carries our id
	refused(group(race, 1020, 5, "x"), b)
	refused(group(race, 0, 1, "x"), b)
	refused(group(race, 1025, 1, "x"), b) // the bucket is empty, but the journal does not end there
	refused(group(race, 2048, 1, "x"), b)
	apply(t, s, group(race, 1030, 1, "c"))
	c := persistence.Head{Version: 1031, AppendID: "c"}
	refused(group(race, 1020, 10, "b"), c) // ours was committed, and then another's
	refused(group(race, 1030, 1, "c"), c)
	refused(group(race, 1024, 1, "x"), c)
	if got := len(readAll(t, s, race, 0, 0)); got != 1031 {
		t.Fatalf("%d events, want 1031", got)
	}
}

func testPaging(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	at := uint64(0)
	for i := 0; at < 2500; i++ {
		n := 1 + i%37
		apply(t, s, group(race, at, n, fmt.Sprint(i)))
		at += uint64(n)
	}
	// Small pages go over the borders of the buckets only: on a server each is a round trip.
	for limit, from := range map[int]uint64{0: 0, 1: at - 460, 7: 900, 255: 0, 256: 0, 257: 0, 1024: 0, 5000: 0} {
		if got := len(readAll(t, s, race, from, limit)); uint64(got) != at-from {
			t.Errorf("limit %d: %d events after %d, want %d", limit, got, from, at-from)
		}
	}
}

func testBadAppends(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	hole := group(race, 0, 2, "a")
	hole.Records[1].Version = 3
	large := group(race, 0, 2, "a")
	large.Records[0].Payload = make([]byte, persistence.MaxAppendBytes)
	for name, tt := range map[string]struct {
		a    persistence.Append
		want *fault.Fault
	}{
		"empty":     {persistence.Append{Grain: race, AppendID: "a"}, persistence.ErrAppendInvalid},
		"no id":     {group(race, 0, 1, ""), persistence.ErrAppendInvalid},
		"hole":      {hole, persistence.ErrAppendInvalid},
		"too large": {large, persistence.ErrAppendTooLarge},
	} {
		if ok, _, err := s.Append(context.Background(), tt.a); ok || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, ok, err, tt.want)
		}
	}
	if h := must(s.Head(context.Background(), race))(t); h.Version != 0 {
		t.Errorf("a bad append was stored: %+v", h)
	}
}

// runJournalFaults: outcomes that are lost, and what a look at the head and a repeat make of them.
func runJournalFaults(t *testing.T, open Open) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		fate   faulty.Fate
		landed bool
	}{
		{"lost, not applied", faulty.LostNo, false},
		{"lost, applied", faulty.LostYes, true},
		{"lost, applied late", faulty.LostLate, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := faulty.Over(open(t))
			s := persistence.Over(f)
			apply(t, s, group(race, 0, 1020, "a"))
			fate := tt.fate
			f.Decide = func(faulty.Write) faulty.Fate { return fate }
			if _, _, err := s.Append(ctx, group(race, 1020, 10, "b")); !errors.Is(err, persistence.ErrUnknown) {
				t.Fatalf("append: %v, want ErrUnknown", err)
			}
			if h := must(s.Head(ctx, race))(t); (h.AppendID == "b") != tt.landed {
				t.Fatalf("Head = %+v, landed %v", h, tt.landed)
			}
			fate = faulty.Done
			ok, head, err := s.Append(ctx, group(race, 1020, 10, "b"))
			if err != nil || ok == tt.landed || head.AppendID != "b" {
				t.Fatalf("repeat = %v, %+v, %v", ok, head, err)
			}
			for _, l := range f.TakeLate() { // it arrives after its own repeat: nothing happens
				check(t, l.Apply(ctx))
			}
			apply(t, s, group(race, 1030, 1, "c"))
			if got := len(readAll(t, s, race, 0, 0)); got != 1031 {
				t.Fatalf("%d events, want 1031", got)
			}
		})
	}
	t.Run("away", func(t *testing.T) {
		f := faulty.Over(open(t))
		s := persistence.Over(f)
		f.Decide = func(faulty.Write) faulty.Fate { return faulty.Away }
		if _, _, err := s.Append(ctx, group(race, 0, 1, "a")); !errors.Is(err, persistence.ErrUnavailable) {
			t.Fatalf("append: %v", err)
		}
		if _, err := s.PutBlock(ctx, stream, ride(1, 3, 0)); !errors.Is(err, persistence.ErrUnavailable) {
			t.Fatalf("block: %v", err)
		}
	})
}

// testGrains lists all journals, in pages, each once, however many buckets it has.
func testGrains(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	want := map[id.Grain]bool{}
	for i := range 30 {
		g := id.Of(id.Competition, fmt.Sprint("c", i*i*i))
		if i%3 == 0 {
			g = id.Scoped(id.Training, fmt.Sprint("u", i), "w")
		}
		apply(t, s, group(g, 0, 1+i%2*1030, "a"))
		apply(t, s, group(g, uint64(1+i%2*1030), 1, "b"))
		want[g] = true
	}
	for _, limit := range []int{1, 7, 30, 100} {
		got := map[id.Grain]bool{}
		for after := ""; ; {
			page, next, err := s.Grains(ctx, after, limit)
			if errors.Is(err, persistence.ErrNoScan) {
				t.Skip("this driver cannot list its partitions")
			}
			check(t, err)
			for _, g := range page {
				if got[g] {
					t.Fatalf("limit %d: %v twice", limit, g)
				}
				got[g] = true
			}
			if next == "" {
				break
			}
			after = next
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("limit %d: %d grains, want %d", limit, len(got), len(want))
		}
	}
}
