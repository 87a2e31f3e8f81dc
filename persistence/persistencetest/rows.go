package persistencetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"paceline/persistence"
)

func runRows(t *testing.T, open Open) {
	each(t, open, []table{
		{"order and ranges", testRanges},
		{"binary keys, empty and large cells", testCells},
		{"several partitions at once", testManyParts},
		{"the last mutation of a row counts", testLastMutation},
		{"deleted and put again", testPutAgain},
		{"rows of the largest size", testLargeRows},
		{"conditional writes", testPutIf},
		{"a head with rows", testHeadRange},
		{"cancelled", testCancelled},
		{"concurrent writers", testConcurrentRows},
		{"stamps", testStamps},
	})
}

func part(key string) persistence.Part {
	return persistence.Part{Table: persistence.TableView, Key: key, Subject: "user-1"}
}

func mutation(p persistence.Part, cluster, cell string) persistence.Mutation {
	return persistence.Mutation{Part: p, Row: persistence.Row{Cluster: cluster, Cell: []byte(cell)}}
}

func clusters(t testing.TB, rows persistence.Rows, p persistence.Part, r persistence.Range) string {
	t.Helper()
	got := must(rows.Range(context.Background(), p, r))(t)
	s := ""
	for _, row := range got {
		s += row.Cluster
		if !r.KeysOnly && string(row.Cell) != "cell "+row.Cluster {
			t.Fatalf("cell of %q is %q", row.Cluster, row.Cell)
		}
	}
	return s
}

func testRanges(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	for _, c := range []string{"d", "a", "c", "e", "b"} {
		check(t, rows.Put(ctx, []persistence.Mutation{mutation(part("p"), c, "cell "+c), mutation(part("p2"), c+"2", "x")}))
	}
	for _, tt := range []struct {
		r    persistence.Range
		want string
	}{
		{persistence.Range{}, "abcde"},
		{persistence.Range{From: "b", To: "d"}, "bc"},
		{persistence.Range{From: "bb"}, "cde"},
		{persistence.Range{To: "cc", Reverse: true}, "cba"},
		{persistence.Range{Limit: 2}, "ab"},
		{persistence.Range{Limit: 2, Reverse: true}, "ed"},
		{persistence.Range{From: "d", To: "b"}, ""},
		{persistence.Range{From: "b", Limit: 2, KeysOnly: true}, "bc"},
		{persistence.Range{MaxBytes: 1}, "a"},
		{persistence.Range{MaxBytes: 1, Reverse: true}, "e"},
		{persistence.Range{From: "b", To: "d", MaxBytes: 1000}, "bc"},
		{persistence.Range{Limit: 2, MaxBytes: 1000}, "ab"},
		{persistence.Range{MaxBytes: 1, KeysOnly: true}, "abcde"},
	} {
		if got := clusters(t, rows, part("p"), tt.r); got != tt.want {
			t.Errorf("Range(%+v) = %q, want %q", tt.r, got, tt.want)
		}
	}
	large := pattern(10_000, 3) // a seal adds to it
	for _, c := range []string{"a", "b", "c", "d"} {
		check(t, rows.Put(ctx, []persistence.Mutation{{Part: part("large"), Row: persistence.Row{Cluster: c, Cell: large}}}))
	}
	for _, reverse := range []bool{false, true} {
		got := must(rows.Range(ctx, part("large"), persistence.Range{MaxBytes: 5 * len(large) / 2, Reverse: reverse}))(t)
		if len(got) != 3 || !bytes.Equal(got[2].Cell, large) {
			t.Errorf("%d rows come to two and a half of their cells (reverse: %v), want 3", len(got), reverse)
		}
	}
	check(t, rows.DeleteRange(ctx, part("p"), "b", "d"))
	if got := clusters(t, rows, part("p"), persistence.Range{}); got != "ade" {
		t.Errorf("after DeleteRange: %q", got)
	}
	m := mutation(part("p"), "d", "")
	m.Delete = true
	check(t, rows.Put(ctx, []persistence.Mutation{m, m}))
	check(t, rows.DeleteRange(ctx, part("p"), "e", ""))
	if got := clusters(t, rows, part("p"), persistence.Range{}); got != "a" {
		t.Errorf("after deletes: %q", got)
	}
	if got := must(rows.Range(ctx, part("p2"), persistence.Range{}))(t); len(got) != 5 {
		t.Errorf("the neighbour has %d rows, want 5", len(got))
	}
}

func testCells(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	large := bytes.Repeat([]byte("0123456789abcdef"), 80<<10/16)
	keys := []string{"", "\x00", "\x00\x00", "\x00\x01", "a\x00", "a\xff", "\xff", "\xff\xff"}
	for i, k := range keys {
		for j, c := range keys {
			cell := large[:i*j]
			if i == 5 {
				cell = large
			}
			check(t, rows.Put(ctx, []persistence.Mutation{{Part: part(k), Row: persistence.Row{Cluster: c, Cell: cell}}}))
		}
	}
	for i, k := range keys {
		all := must(rows.Range(ctx, part(k), persistence.Range{}))(t)
		if len(all) != len(keys) {
			t.Fatalf("partition %q has %d rows, want %d", k, len(all), len(keys))
		}
		for j, c := range keys {
			want := large[:i*j]
			if i == 5 {
				want = large
			}
			cell, ok, err := rows.Get(ctx, part(k), c)
			if err != nil || !ok || !bytes.Equal(cell, want) {
				t.Fatalf("Get(%q, %q) = %d bytes, %v, %v; want %d", k, c, len(cell), ok, err, len(want))
			}
			if all[j].Cluster != c || !bytes.Equal(all[j].Cell, want) {
				t.Fatalf("row %d of %q is %q with %d bytes", j, k, all[j].Cluster, len(all[j].Cell))
			}
		}
	}
	if _, ok, err := rows.Get(ctx, part("a"), ""); ok || err != nil {
		t.Errorf("Get of nothing = %v, %v", ok, err)
	}
}

func testManyParts(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	var muts []persistence.Mutation
	for i := range 20 {
		muts = append(muts, mutation(part(fmt.Sprint("p", i)), "c", fmt.Sprint(i)))
	}
	check(t, rows.Put(ctx, muts))
	for i := range 20 {
		cell, ok, err := rows.Get(ctx, part(fmt.Sprint("p", i)), "c")
		if err != nil || !ok || string(cell) != fmt.Sprint(i) {
			t.Fatalf("partition %d: %q, %v, %v", i, cell, ok, err)
		}
	}
}

// testLastMutation: a Put is a list in order, also where it names a row twice.
func testLastMutation(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	gone := func(p persistence.Part, cluster string) persistence.Mutation {
		return persistence.Mutation{Part: p, Row: persistence.Row{Cluster: cluster}, Delete: true}
	}
	p, q := part("p"), part("q")
	check(t, rows.Put(ctx, []persistence.Mutation{mutation(p, "c", "old"), mutation(q, "c", "old")}))
	check(t, rows.Put(ctx, []persistence.Mutation{
		gone(p, "a"), mutation(p, "a", "cell a"), mutation(p, "b", "cell b"), gone(p, "b"), mutation(p, "c", "z"), mutation(p, "c", "cell c"),
	}))
	if got := clusters(t, rows, p, persistence.Range{}); got != "ac" {
		t.Errorf("one partition holds %q, want ac", got)
	}
	check(t, rows.Put(ctx, []persistence.Mutation{
		mutation(q, "a", "z"), gone(p, "a"), gone(q, "c"), mutation(q, "a", "cell a"), mutation(p, "a", "cell a"), mutation(q, "c", "cell c"), gone(p, "c"),
	}))
	if got := clusters(t, rows, p, persistence.Range{}) + clusters(t, rows, q, persistence.Range{}); got != "aac" {
		t.Errorf("two partitions hold %q, want a and ac", got)
	}
}

// testPutAgain: a row that is put after it was deleted stays, however fast the one follows the other.
func testPutAgain(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	p := part("p")
	for i := range 60 {
		check(t, rows.Put(ctx, []persistence.Mutation{mutation(p, "a", "cell a")}))
		if i%2 == 0 {
			check(t, rows.DeleteRange(ctx, p, "", ""))
		} else {
			m := mutation(p, "a", "")
			m.Delete = true
			check(t, rows.Put(ctx, []persistence.Mutation{m}))
		}
		check(t, rows.Put(ctx, []persistence.Mutation{mutation(p, "a", "cell a")}))
		if got := clusters(t, rows, p, persistence.Range{}); got != "a" {
			t.Fatalf("round %d: %q, want a", i, got)
		}
		check(t, rows.DeleteRange(ctx, p, "a", "b"))
		if got := clusters(t, rows, p, persistence.Range{}); got != "" {
			t.Fatalf("round %d: %q is left", i, got)
		}
	}
}

// testLargeRows: chunks of snapshots and recordings one by one, as the shared logic writes them, many middling cells
// over many partitions in one Put, and the largest append that there is.
func testLargeRows(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	chunk := pattern(persistence.ChunkBytes, 7)
	for i := range 12 {
		m := persistence.Mutation{Part: part("chunks"), Row: persistence.Row{Cluster: fmt.Sprintf("%02d", i), Cell: chunk}}
		check(t, rows.Put(ctx, []persistence.Mutation{m}))
	}
	for i, row := range must(rows.Range(ctx, part("chunks"), persistence.Range{Reverse: true}))(t) {
		if row.Cluster != fmt.Sprintf("%02d", 11-i) || !bytes.Equal(row.Cell, chunk) {
			t.Fatalf("row %d is %q with %d bytes", i, row.Cluster, len(row.Cell))
		}
	}
	var muts []persistence.Mutation
	for i := range 60 {
		muts = append(muts, persistence.Mutation{Part: part(fmt.Sprint("wide", i)), Row: persistence.Row{Cluster: "c", Cell: chunk[i : i+4<<10]}})
	}
	check(t, rows.Put(ctx, muts))
	for i := range muts {
		if cell, ok, err := rows.Get(ctx, muts[i].Part, "c"); err != nil || !ok || !bytes.Equal(cell, muts[i].Row.Cell) {
			t.Fatalf("partition %d: %d bytes, %v, %v", i, len(cell), ok, err)
		}
	}
	s := persistence.Over(rows)
	a := group(workout, 0, persistence.JournalBucket, "a")
	each := persistence.MaxAppendBytes / len(a.Records)
	for i := range a.Records {
		a.Records[i].Payload = chunk[i : i+each]
	}
	apply(t, s, a)
	one := group(workout, uint64(len(a.Records)), 1, "b")
	one.Records[0].Payload = pattern(persistence.MaxAppendBytes, 9)
	apply(t, s, one)
	for i, r := range readAll(t, s, workout, 0, 0) {
		want := one.Records[0].Payload
		if i < len(a.Records) {
			want = a.Records[i].Payload
		}
		if !bytes.Equal(r.Payload, want) {
			t.Fatalf("event %d has %d bytes, want %d", r.Version, len(r.Payload), len(want))
		}
	}
}

func testPutIf(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	p := persistence.Part{Table: persistence.TableJournal, Key: "j"}
	row := func(c string) []persistence.Row { return []persistence.Row{{Cluster: c, Cell: []byte(c)}} }
	for i, tt := range []struct {
		expected uint64
		head     persistence.Head
		applied  bool
		current  persistence.Head
	}{
		{5, persistence.Head{Version: 6, AppendID: "no"}, false, persistence.Head{}},
		{0, persistence.Head{Version: 2, AppendID: "a", Home: "h"}, true, persistence.Head{Version: 2, AppendID: "a", Home: "h"}},
		{0, persistence.Head{Version: 1, AppendID: "no"}, false, persistence.Head{Version: 2, AppendID: "a", Home: "h"}},
		{2, persistence.Head{Version: 3, AppendID: "b"}, true, persistence.Head{Version: 3, AppendID: "b"}},
		{2, persistence.Head{Version: 4, AppendID: "no"}, false, persistence.Head{Version: 3, AppendID: "b"}},
	} {
		ok, current, err := rows.PutIf(ctx, p, tt.expected, tt.head, row(tt.head.AppendID))
		if err != nil || ok != tt.applied || current != tt.current {
			t.Fatalf("step %d: PutIf = %v, %+v, %v; want %v, %+v", i, ok, current, err, tt.applied, tt.current)
		}
		if got := must(rows.Head(ctx, p))(t); got != tt.current {
			t.Fatalf("step %d: Head = %+v, want %+v", i, got, tt.current)
		}
	}
	all := must(rows.Range(ctx, p, persistence.Range{}))(t)
	if len(all) != 2 || string(all[0].Cell) != "a" || string(all[1].Cell) != "b" {
		t.Fatalf("rows %+v: a refused write left something, or an applied one did not", all)
	}
}

// testHeadRange: whatever is asked for, it is the head and the range that each alone would give.
func testHeadRange(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	all := []persistence.Row{{Cluster: "", Cell: []byte("nothing")}, {Cluster: "a", Cell: bytes.Repeat([]byte("x"), 100)}, {Cluster: "b"}, {Cluster: "c", Cell: []byte("c")}}
	filled := persistence.Part{Table: persistence.TableJournal, Key: "filled"}
	bare := persistence.Part{Table: persistence.TableJournal, Key: "bare"}
	plain := part("plain")
	for p, r := range map[persistence.Part][]persistence.Row{filled: all, bare: nil} {
		if ok, _, err := rows.PutIf(ctx, p, 0, persistence.Head{Version: 4, AppendID: "a", Home: "h"}, r); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	put := []persistence.Mutation{}
	for _, r := range all {
		put = append(put, persistence.Mutation{Part: plain, Row: r})
	}
	if err := rows.Put(ctx, put); err != nil {
		t.Fatal(err)
	}
	for _, p := range []persistence.Part{filled, bare, plain, {Table: persistence.TableJournal, Key: "none"}} {
		for _, q := range []persistence.Range{{}, {Limit: 2}, {MaxBytes: 50}, {From: "b"}, {From: "d"}, {To: "b"}, {Reverse: true}, {KeysOnly: true}} {
			head, got, err := rows.HeadRange(ctx, p, q)
			want := must(rows.Range(ctx, p, q))(t)
			if err != nil || head != must(rows.Head(ctx, p))(t) || !slices.EqualFunc(got, want, func(a, b persistence.Row) bool {
				return a.Cluster == b.Cluster && bytes.Equal(a.Cell, b.Cell)
			}) {
				t.Errorf("HeadRange of %s, %+v = %+v, %+v, %v; want %+v", p.Key, q, head, got, err, want)
			}
		}
	}
}

func testCancelled(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.Append(ctx, group(race, 0, 1, "a")); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("cancelled append: %v, want ErrUnavailable: nothing was sent", err)
	}
	if _, err := s.PutBlock(ctx, stream, ride(1, 1, 0)); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("cancelled block: %v, want ErrUnavailable: nothing was sent", err)
	}
	if _, err := s.Head(ctx, race); err == nil {
		t.Error("a cancelled read returned something")
	}
	if err := rows.DeleteRange(ctx, part("p"), "", ""); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("cancelled deletion: %v, want ErrUnavailable: nothing was sent", err)
	}
	if h := must(s.Head(context.Background(), race))(t); h.Version != 0 {
		t.Errorf("a cancelled append was applied: %+v", h)
	}
	if r := read(t, s, persistence.SeriesQuery{}); len(r.Batches) != 0 {
		t.Errorf("a cancelled block was stored")
	}
}

// testStamps: where other processes write too, the higher stamp holds in whatever order writes arrive. A driver of
// one process is written in order, and then every driver must show the newest.
func testStamps(t *testing.T, rows persistence.Rows) {
	orders := [][]uint64{{1, 2, 3, 4}}
	if persistence.Shared(rows) {
		orders = append(orders, []uint64{4, 3, 2, 1}, []uint64{2, 4, 1, 3}, []uint64{3, 1, 4, 4, 2})
	}
	ctx := context.Background()
	for i, order := range orders {
		p := persistence.Part{Table: persistence.TableView, Key: fmt.Sprint("stamped", i)}
		for _, stamp := range order {
			put := persistence.Mutation{Part: p, Row: persistence.Row{Cluster: "a", Cell: fmt.Append(nil, stamp)}, Stamp: stamp}
			gone := persistence.Mutation{Part: p, Row: persistence.Row{Cluster: "b", Cell: []byte("b")}, Stamp: stamp, Delete: stamp%2 == 0}
			check(t, rows.Put(ctx, []persistence.Mutation{put, gone}))
		}
		all := must(rows.Range(ctx, p, persistence.Range{}))(t)
		if len(all) != 1 || all[0].Cluster != "a" || string(all[0].Cell) != "4" {
			t.Errorf("written in the order %v: %q, want a = 4 and no b", order, all)
		}
	}
}

// busy does something again that may be done again: eight writers on one partition can be more than a server of a busy
// machine answers in time. What stays so is an error.
func busy(do func() error) error {
	var err error
	for range 20 {
		if err = do(); !errors.Is(err, persistence.ErrUnknown) && !errors.Is(err, persistence.ErrUnavailable) {
			break
		}
	}
	return err
}

// winOnce appends a group behind whatever the others append. An outcome that is not known is looked for: the same append
// again, and if that is refused the journal, because others may have appended behind it.
func winOnce(t *testing.T, s persistence.Store, mine string, events int) error {
	for {
		var h persistence.Head
		if err := busy(func() (err error) { h, err = s.Head(context.Background(), race); return err }); err != nil {
			return err
		}
		won, unknown := false, false
		err := busy(func() (err error) {
			won, _, err = s.Append(context.Background(), group(race, h.Version, events, mine))
			unknown = unknown || errors.Is(err, persistence.ErrUnknown)
			return err
		})
		switch {
		case err != nil:
			return err
		case won:
			return nil
		case unknown:
			for _, r := range readAll(t, s, race, h.Version, 0) {
				if id, _, _ := bytes.Cut(r.Payload, []byte(" ")); string(id) == mine {
					return nil
				}
			}
		}
	}
}

// testConcurrentRows lets writers fight for one head and write plain rows beside it: nothing is lost, and of
// all that expected a version one wins.
func testConcurrentRows(t *testing.T, rows persistence.Rows) {
	const writers, rounds = 8, 20
	ctx := context.Background()
	s := persistence.Over(rows)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := map[string]bool{}
	for w := range writers {
		wg.Go(func() {
			for r := range rounds {
				mine := fmt.Sprintf("%d-%d", w, r)
				if err := busy(func() error { return rows.Put(ctx, []persistence.Mutation{mutation(part("c"), mine, mine)}) }); err != nil {
					t.Error(err)
					return
				}
				if err := winOnce(t, s, mine, 1+r%3); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				won[mine] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := must(rows.Range(ctx, part("c"), persistence.Range{}))(t); len(got) != writers*rounds {
		t.Errorf("%d plain rows, want %d", len(got), writers*rounds)
	}
	total := 0
	for _, r := range readAll(t, s, race, 0, 0) {
		if id, _, _ := bytes.Cut(r.Payload, []byte(" ")); !won[string(id)] {
			t.Fatalf("event %d is of %s, which did not win", r.Version, id)
		}
		total++
	}
	want := 0
	for r := range rounds {
		want += writers * (1 + r%3)
	}
	if total != want {
		t.Errorf("%d events, want %d", total, want)
	}
}
