package rank_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"paceline/domain/rank"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// field is a board of n entries in a race: gates, times and progress as they come.
func field(n int) (*rank.Board, []rank.Race, *rand.Rand) {
	r := rand.New(rand.NewPCG(1, 2))
	b, races := rank.New(rank.Competition), make([]rank.Race, n)
	for e := range races {
		races[e] = rank.Race{Gates: uint16(r.IntN(5)), Last: unit.InstantUs(r.Int64N(3_600_000_000)), Progress: unit.DistanceMm(r.Int64N(40_000_000))}
		b.Set(rank.Entry(e), races[e].Key())
	}
	return b, races, r
}

// BenchmarkUpdateRank is P4: one update and one rank. "any" puts an entry anywhere on the board, as a sorted set is
// measured; "race" moves it as a race does: progress forward, a gate now and then.
func BenchmarkUpdateRank(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("any/%d", n), func(b *testing.B) {
			board, _, r := field(n)
			b.ReportAllocs()
			spent := testkit.CPU(b)
			for b.Loop() {
				e := rank.Entry(r.Uint32N(uint32(n)))
				board.Set(e, rank.Key{r.Uint64(), 0})
				if _, ok := board.Place(e); !ok {
					b.Fatal("entry lost")
				}
			}
			spent()
			report(b, board)
		})
		b.Run(fmt.Sprintf("race/%d", n), func(b *testing.B) {
			board, races, r := field(n)
			b.ReportAllocs()
			spent := testkit.CPU(b)
			for b.Loop() {
				e := r.IntN(n)
				race := &races[e]
				race.Progress += unit.DistanceMm(r.IntN(30_000))
				if r.IntN(100) == 0 {
					race.Gates++
					race.Last += 600_000_000
				}
				board.Set(rank.Entry(e), race.Key())
				if _, ok := board.Place(rank.Entry(e)); !ok {
					b.Fatal("entry lost")
				}
			}
			spent()
			report(b, board)
		})
	}
}

func report(b *testing.B, board *rank.Board) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
	b.ReportMetric(float64(board.Bytes())/float64(board.Len()), "B/entry")
}
