package rank_test

import (
	"cmp"
	"math"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/rank"
	"paceline/domain/unit"
)

func drawRace(t *rapid.T, label string) rank.Race {
	return rank.Race{
		Class:    rapid.Uint8().Draw(t, label+" class"),
		Gates:    rapid.Uint16().Draw(t, label+" gates"),
		Last:     unit.InstantUs(rapid.Int64Range(-1<<53, 1<<53-1).Draw(t, label+" last")),
		Progress: unit.DistanceMm(rapid.Int64Range(0, 1<<50-1).Draw(t, label+" progress")),
	}
}

// A packed key orders as its fields do, one after another, and gives them back.
func TestRaceKeyOrdersAsItsFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRace(t, "a"), drawRace(t, "b")
		for _, same := range rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(t, "same") {
			if same { // else the class decides nearly always
				b.Class = a.Class
				if b.Gates%2 == 0 {
					b.Gates = a.Gates
				}
				if b.Last%2 == 0 {
					b.Last = a.Last
				}
			}
		}
		want := cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(b.Gates, a.Gates), cmp.Compare(a.Last, b.Last), cmp.Compare(b.Progress, a.Progress))
		if got := a.Key().Compare(b.Key()); got != want {
			t.Fatalf("Compare(%+v, %+v) = %d, want %d", a, b, got, want)
		}
		if got := rank.RaceOf(a.Key()); got != a {
			t.Fatalf("RaceOf(Key(%+v)) = %+v", a, got)
		}
	})
}

// What does not fit is clamped to the end it lies beyond, not wrapped round.
func TestRaceKeyClamps(t *testing.T) {
	far := rank.RaceOf(rank.Race{Last: math.MaxInt64, Progress: math.MaxInt64}.Key())
	if far.Last != 1<<53-1 || far.Progress != 1<<50-1 {
		t.Errorf("clamped to %+v", far)
	}
	near := rank.RaceOf(rank.Race{Last: math.MinInt64, Progress: -1}.Key())
	if near.Last != -1<<53 || near.Progress != 0 {
		t.Errorf("clamped to %+v", near)
	}
}

func TestWords(t *testing.T) {
	values := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for i := 1; i < len(values); i++ {
		if rank.Asc(values[i-1]) >= rank.Asc(values[i]) {
			t.Errorf("Asc(%d) >= Asc(%d)", values[i-1], values[i])
		}
		if rank.Desc(values[i-1]) <= rank.Desc(values[i]) {
			t.Errorf("Desc(%d) <= Desc(%d)", values[i-1], values[i])
		}
	}
}
