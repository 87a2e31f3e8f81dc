package rank_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/rank"
)

// A copy that gets each tick's changes is the board, tick after tick, and each changed entry is told once.
func TestChangesCarryACopyAlong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		board, replica := rank.New(rank.Competition), rank.New(rank.Competition)
		board.Watch()
		for range rapid.IntRange(1, 5).Draw(t, "ticks") {
			touched := map[rank.Entry]bool{}
			for range rapid.IntRange(0, 300).Draw(t, "steps") {
				e := rank.Entry(rapid.IntRange(0, 150).Draw(t, "entry"))
				if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
					touched[e] = board.Remove(e) || touched[e]
				} else {
					touched[e] = board.Set(e, rank.Key{rapid.Uint64Range(0, 9).Draw(t, "key")}) || touched[e]
				}
			}
			changes := board.TakeChanges(nil)
			for _, c := range changes {
				if !touched[c.Entry] {
					t.Fatalf("entry %d is told twice or has not changed", c.Entry)
				}
				delete(touched, c.Entry)
			}
			for e, was := range touched {
				if was {
					t.Fatalf("entry %d has changed and is not told", e)
				}
			}
			if !slices.IsSortedFunc(changes, func(a, b rank.Change) int { return int(a.Entry) - int(b.Entry) }) {
				t.Fatalf("changes are not in order: %v", changes)
			}
			if err := replica.Apply(changes); err != nil {
				t.Fatal(err)
			}
			if got, want := slices.Collect(replica.All()), slices.Collect(board.All()); !slices.Equal(got, want) {
				t.Fatalf("copy = %v, want %v", got, want)
			}
			if board.Changed() != 0 {
				t.Fatalf("Changed() = %d after taking", board.Changed())
			}
		}
	})
}

func TestApplyRefusesEntriesNoBoardHas(t *testing.T) {
	b := rank.New(rank.Competition)
	if err := b.Apply([]rank.Change{{Entry: rank.MaxEntry + 1}}); !errors.Is(err, rank.ErrEntry) {
		t.Errorf("Apply = %v, want %v", err, rank.ErrEntry)
	}
	if b.Len() != 0 {
		t.Errorf("Len() = %d, want 0", b.Len())
	}
}

func TestDiff(t *testing.T) {
	row := func(e rank.Entry, place int, k uint64) rank.Row {
		return rank.Row{Entry: e, Place: place, Key: rank.Key{k}}
	}
	before := []rank.Row{row(7, 1, 10), row(8, 2, 20), row(9, 3, 30)}
	after := []rank.Row{row(7, 1, 10), row(9, 2, 15), row(5, 3, 25)}
	changed, gone := rank.Diff(before, after)
	if want := after[1:]; !slices.Equal(changed, want) {
		t.Errorf("changed = %v, want %v", changed, want)
	}
	if want := []rank.Entry{8}; !slices.Equal(gone, want) {
		t.Errorf("gone = %v, want %v", gone, want)
	}
	if changed, gone := rank.Diff(after, after); changed != nil || gone != nil {
		t.Errorf("Diff of the same = %v, %v", changed, gone)
	}
}

// Heats merged are the board on which all had stood from the start, and looking across them gives the same places.
func TestMergedHeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ties := rapid.SampledFrom([]rank.Ties{rank.Competition, rank.Dense}).Draw(t, "ties")
		heats := make([]*rank.Board, rapid.IntRange(1, 7).Draw(t, "heats"))
		for i := range heats {
			heats[i] = rank.New(ties)
		}
		all := rank.New(ties)
		for e := range rapid.IntRange(0, 400).Draw(t, "entries") {
			k := rank.Key{rapid.Uint64Range(0, 100).Draw(t, "key")}
			heats[rapid.IntRange(0, len(heats)-1).Draw(t, "heat")].Set(rank.Entry(e), k)
			all.Set(rank.Entry(e), k)
		}
		merged, err := rank.Merge(ties, heats...)
		if err != nil {
			t.Fatal(err)
		}
		if err := merged.Check(); err != nil {
			t.Fatal(err)
		}
		want := slices.Collect(all.All())
		if got := slices.Collect(merged.All()); !slices.Equal(got, want) {
			t.Fatalf("Merge = %v, want %v", got, want)
		}
		n := rapid.IntRange(0, 500).Draw(t, "n")
		if got := rank.TopAcross(nil, ties, n, heats...); !slices.Equal(got, want[:min(n, len(want))]) {
			t.Fatalf("TopAcross = %v, want %v", got, want[:min(n, len(want))])
		}
		if ties == rank.Competition {
			for _, r := range want {
				if got := rank.PlaceAcross(r.Key, heats...); got != r.Place {
					t.Fatalf("PlaceAcross(%v) = %d, want %d", r.Key, got, r.Place)
				}
			}
		}
	})
}

func TestMergeRefusesAnEntryOnTwoBoards(t *testing.T) {
	a, b := rank.New(rank.Competition), rank.New(rank.Competition)
	a.Set(1, rank.Key{5})
	b.Set(1, rank.Key{6})
	if _, err := rank.Merge(rank.Competition, a, b); !errors.Is(err, rank.ErrEntryTwice) {
		t.Errorf("Merge = %v, want %v", err, rank.ErrEntryTwice)
	}
}

// BenchmarkTick is a tick of a race of 10,000: a quarter has moved, the changes are taken and a copy follows.
func BenchmarkTick(b *testing.B) {
	board, races, _ := field(10_000)
	r := rand.New(rand.NewPCG(5, 6))
	replica := rank.New(rank.Competition)
	board.Watch()
	var changes []rank.Change
	b.ReportAllocs()
	for b.Loop() {
		for range len(races) / 4 {
			e := r.IntN(len(races))
			races[e].Progress += 3000
			board.Set(rank.Entry(e), races[e].Key())
		}
		changes = board.TakeChanges(changes[:0])
		if err := replica.Apply(changes); err != nil {
			b.Fatal(err)
		}
	}
}
