package rank_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/rank"
)

// model is the same board as a sorted slice.
type model struct {
	ties rank.Ties
	keys map[rank.Entry]rank.Key
}

func (m *model) rows() []rank.Row {
	rows := make([]rank.Row, 0, len(m.keys))
	for e, k := range m.keys {
		rows = append(rows, rank.Row{Entry: e, Key: k})
	}
	slices.SortFunc(rows, func(a, b rank.Row) int {
		return cmp.Or(slices.Compare(a.Key[:], b.Key[:]), cmp.Compare(a.Entry, b.Entry))
	})
	for i := range rows {
		switch {
		case i == 0:
			rows[i].Place = 1
		case rows[i].Key == rows[i-1].Key:
			rows[i].Place = rows[i-1].Place
		case m.ties == rank.Dense:
			rows[i].Place = rows[i-1].Place + 1
		default:
			rows[i].Place = i + 1
		}
	}
	return rows
}

// compare holds all that a board says against the model.
func compare(t rapid.TB, b *rank.Board, m *model, probe func(n int) int) {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	want := m.rows()
	if b.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", b.Len(), len(want))
	}
	if got := slices.Collect(b.All()); !slices.Equal(got, want) {
		t.Fatalf("All() = %v, want %v", got, want)
	}
	if len(want) == 0 {
		return
	}
	for range 8 {
		i := probe(len(want))
		row := want[i]
		if got, ok := b.At(i); !ok || got != row {
			t.Fatalf("At(%d) = %v %v, want %v", i, got, ok, row)
		}
		if got, ok := b.Index(row.Entry); !ok || got != i {
			t.Fatalf("Index(%d) = %d %v, want %d", row.Entry, got, ok, i)
		}
		if got, ok := b.Place(row.Entry); !ok || got != row.Place {
			t.Fatalf("Place(%d) = %d %v, want %d", row.Entry, got, ok, row.Place)
		}
		if got, ok := b.Key(row.Entry); !ok || got != row.Key {
			t.Fatalf("Key(%d) = %v %v, want %v", row.Entry, got, ok, row.Key)
		}
		better := slices.IndexFunc(want, func(r rank.Row) bool { return r.Key == row.Key })
		if got := b.CountBefore(row.Key); got != better {
			t.Fatalf("CountBefore(%v) = %d, want %d", row.Key, got, better)
		}
		ahead, behind := probe(70), probe(70)
		cut := want[max(0, i-ahead):min(len(want), i+1+behind)]
		if got := b.Around(nil, row.Entry, ahead, behind); !slices.Equal(got, cut) {
			t.Fatalf("Around(%d, %d, %d) = %v, want %v", row.Entry, ahead, behind, got, cut)
		}
		if got := b.Top(nil, i); !slices.Equal(got, want[:i]) {
			t.Fatalf("Top(%d) = %v, want %v", i, got, want[:i])
		}
	}
}

// TestBoardIsASortedSlice is the model test: any sequence of updates and removals, in waves that grow the board through
// splits of inner nodes and shrink it to nothing again.
func TestBoardIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ties := rapid.SampledFrom([]rank.Ties{rank.Competition, rank.Dense}).Draw(t, "ties")
		entries := rapid.SampledFrom([]int{5, 200, 1000, 8000}).Draw(t, "entries")
		values := rapid.SampledFrom([]int{2, 50, 1 << 30}).Draw(t, "values")
		b, m := rank.New(ties), &model{ties, map[rank.Entry]rank.Key{}}
		r := rapid.Uint64().Draw(t, "seed")
		probe := func(n int) int { // xorshift: one draw gives a whole wave
			r ^= r << 13
			r ^= r >> 7
			r ^= r << 17
			return int((r | 1) % uint64(n*2) / 2)
		}
		r |= 1
		for range rapid.IntRange(1, 6).Draw(t, "waves") {
			removals := rapid.IntRange(0, 100).Draw(t, "removals in 100")
			ordered := rapid.IntRange(-1, 1).Draw(t, "in order")
			for i := range entries * rapid.IntRange(1, 3).Draw(t, "steps for each entry") / 2 {
				e := rank.Entry(probe(entries))
				if ordered != 0 {
					e = rank.Entry((ordered*i + entries*2) % entries)
				}
				if probe(100) < removals {
					_, had := m.keys[e]
					delete(m.keys, e)
					if got := b.Remove(e); got != had {
						t.Fatalf("Remove(%d) = %v, want %v", e, got, had)
					}
					continue
				}
				k := rank.Key{uint64(probe(3)), uint64(probe(values))}
				if ordered != 0 {
					k = rank.Key{0, uint64(e)}
				}
				old, had := m.keys[e]
				m.keys[e] = k
				if got, want := b.Set(e, k), !had || old != k; got != want {
					t.Fatalf("Set(%d) = %v, want %v", e, got, want)
				}
			}
			compare(t, b, m, probe)
		}
		for e := range m.keys {
			b.Remove(e)
		}
		if err := b.Check(); err != nil || b.Len() != 0 {
			t.Fatalf("emptied: Len() = %d, %v", b.Len(), err)
		}
	})
}

// TestBigBoard grows a board to four levels and shrinks it again: sharing and merging of inner nodes, and memory.
func TestBigBoard(t *testing.T) {
	const n = 300_000
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		name string
		key  func(e int) rank.Key
		most int // bytes an entry after growing: in order, the leaves are full
	}{
		{"random", func(int) rank.Key { return rank.Key{r.Uint64(), r.Uint64()} }, 50},
		{"start list", func(e int) rank.Key { return rank.Key{0, uint64(e)} }, 32},
		{"reversed", func(e int) rank.Key { return rank.Key{0, uint64(n - e)} }, 32},
		{"all equal", func(int) rank.Key { return rank.Key{} }, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := rank.New(rank.Competition)
			for e := range n {
				b.Set(rank.Entry(e), c.key(e))
			}
			check(t, b, n)
			if per := b.Bytes() / n; per > c.most {
				t.Errorf("%d bytes an entry after growing, want at most %d", per, c.most)
			}
			for range n / 2 {
				e := r.IntN(n)
				b.Set(rank.Entry(e), rank.Key{r.Uint64(), 0})
			}
			check(t, b, n)
			if per := b.Bytes() / n; per > 64 {
				t.Errorf("%d bytes an entry after moving, want at most 64", per)
			}
			for i, e := range r.Perm(n) {
				if !b.Remove(rank.Entry(e)) {
					t.Fatalf("Remove(%d) = false", e)
				}
				if i%50_000 == 0 || i > n-100 {
					check(t, b, n-1-i)
				}
			}
		})
	}
}

func check(t *testing.T, b *rank.Board, size int) {
	t.Helper()
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	if b.Len() != size {
		t.Fatalf("Len() = %d, want %d", b.Len(), size)
	}
}

func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		ties rank.Ties
		want []int
	}{{rank.Competition, []int{1, 2, 2, 4}}, {rank.Dense, []int{1, 2, 2, 3}}} {
		b := rank.New(c.ties)
		for e, k := range []uint64{10, 20, 20, 30} {
			b.Set(rank.Entry(e), rank.Key{k})
		}
		for e, want := range c.want {
			if got, ok := b.Place(rank.Entry(e)); !ok || got != want {
				t.Errorf("ties %d: Place(%d) = %d %v, want %d", c.ties, e, got, ok, want)
			}
		}
	}
}

func TestNotOnTheBoard(t *testing.T) {
	b := rank.New(rank.Competition)
	b.Set(3, rank.Key{1})
	for _, e := range []rank.Entry{0, 4, 5000, rank.MaxEntry, rank.MaxEntry + 1} {
		if _, ok := b.Key(e); ok {
			t.Errorf("Key(%d) is there", e)
		}
		if _, ok := b.Index(e); ok {
			t.Errorf("Index(%d) is there", e)
		}
		if _, ok := b.Place(e); ok {
			t.Errorf("Place(%d) is there", e)
		}
		if b.Remove(e) {
			t.Errorf("Remove(%d) = true", e)
		}
		if rows := b.Around(nil, e, 1, 1); rows != nil {
			t.Errorf("Around(%d) = %v", e, rows)
		}
	}
	for _, i := range []int{-1, 1} {
		if _, ok := b.At(i); ok {
			t.Errorf("At(%d) is there", i)
		}
	}
	if rows := b.Window(nil, -2, 3); len(rows) != 1 {
		t.Errorf("Window(-2, 3) = %v, want the one row", rows)
	}
	if rows := b.Window(nil, 1, 3); rows != nil {
		t.Errorf("Window(1, 3) = %v, want none", rows)
	}
}

func TestEntryTooHigh(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Set above MaxEntry did not panic")
		}
	}()
	rank.New(rank.Competition).Set(rank.MaxEntry+1, rank.Key{})
}

// The hot path of a race does not allocate.
func TestUpdatesDoNotAllocate(t *testing.T) {
	b, races, r := field(10_000)
	if n := testing.AllocsPerRun(1000, func() {
		e := r.IntN(len(races))
		races[e].Progress += 5000
		b.Set(rank.Entry(e), races[e].Key())
		b.Place(rank.Entry(e))
	}); n != 0 {
		t.Errorf("%v allocations for an update, want none", n)
	}
}
