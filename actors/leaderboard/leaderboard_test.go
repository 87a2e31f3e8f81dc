package leaderboard_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/leaderboard"
	"paceline/domain/rank"
	"paceline/domain/unit"
)

func contender(entry uint32, s leaderboard.Status, reached int, lastS, startS, progressM int64) leaderboard.Contender {
	return leaderboard.Contender{Entry: entry, Status: s, Reached: reached, Last: unit.InstantUs(lastS * 1e6),
		StartAt: unit.InstantUs(startS * 1e6), Progress: unit.DistanceMm(progressM * 1000)}
}

func TestSort(t *testing.T) {
	const racing, finished, dns, dnf, dsq = leaderboard.Racing, leaderboard.Finished, leaderboard.DNS, leaderboard.DNF, leaderboard.DSQ
	review := func(c leaderboard.Contender) leaderboard.Contender { c.Review = true; return c }
	late := func(c leaderboard.Contender, s int64) leaderboard.Contender {
		c.Penalty = unit.DurationUs(s * 1e6)
		return c
	}
	for _, tt := range []struct {
		name    string
		ranking leaderboard.Ranking
		in      []leaderboard.Contender
		want    string // entry:place in order
	}{
		{"live: gates, then the last common gate, then progress, then entry", leaderboard.Live(leaderboard.Gun), []leaderboard.Contender{
			contender(1, racing, 1, 100, 0, 900), contender(2, racing, 2, 300, 0, 500), contender(3, racing, 2, 200, 0, 400),
			contender(4, racing, 1, 100, 0, 950), contender(6, racing, 1, 100, 0, 900),
		}, "[3:1 2:2 4:3 1:4 6:4]"},
		{"live by net: who crossed the start later has ridden faster", leaderboard.Live(leaderboard.Net), []leaderboard.Contender{
			contender(1, racing, 2, 100, 10, 0), contender(2, racing, 2, 105, 20, 0),
		}, "[2:1 1:2]"},
		{"live: a finisher leads, statuses stand behind without a place", leaderboard.Live(leaderboard.Gun), []leaderboard.Contender{
			contender(1, dsq, 3, 1, 0, 0), contender(2, racing, 2, 50, 0, 0), contender(3, finished, 3, 90, 0, 0),
			contender(4, dns, 0, 0, 0, 0), contender(5, dnf, 2, 40, 0, 0), contender(6, leaderboard.Entered, 0, 0, 0, 0),
		}, "[3:1 2:2 6:0 5:0 4:0 1:0]"},
		{"result: 1 2 2 4", leaderboard.Result(leaderboard.Gun), []leaderboard.Contender{
			contender(4, finished, 2, 40, 0, 0), contender(3, finished, 2, 30, 0, 0), contender(2, finished, 2, 30, 0, 0), contender(1, finished, 2, 20, 0, 0),
		}, "[1:1 2:2 3:2 4:4]"},
		{"result: dense where the event wants it", leaderboard.Ranking{Base: leaderboard.Gun, Keys: leaderboard.Result(leaderboard.Gun).Keys, Ties: rank.Dense}, []leaderboard.Contender{
			contender(4, finished, 2, 40, 0, 0), contender(3, finished, 2, 30, 0, 0), contender(2, finished, 2, 30, 0, 0), contender(1, finished, 2, 20, 0, 0),
		}, "[1:1 2:2 3:2 4:3]"},
		{"result: review has no place and takes none", leaderboard.Result(leaderboard.Gun), []leaderboard.Contender{
			review(contender(1, finished, 2, 10, 0, 0)), contender(2, finished, 2, 20, 0, 0), review(contender(3, racing, 1, 10, 0, 0)),
			contender(4, dnf, 1, 5, 0, 0), contender(5, dsq, 2, 5, 0, 0), contender(6, dns, 0, 0, 0, 0),
		}, "[2:1 1:0 3:0 4:0 6:0 5:0]"},
		{"result: DNF by gates, then the instant of the last, then entry; progress never", leaderboard.Result(leaderboard.Net), []leaderboard.Contender{
			contender(1, dnf, 1, 10, 9, 999), contender(2, dnf, 2, 30, 0, 1), contender(3, dnf, 2, 20, 0, 0), contender(5, dnf, 0, 0, 0, 9), contender(4, dnf, 0, 0, 0, 8),
		}, "[3:0 2:0 1:0 4:0 5:0]"},
		{"a penalty is added to the time", leaderboard.Result(leaderboard.Gun), []leaderboard.Contender{
			late(contender(1, finished, 2, 10, 0, 0), 120), contender(2, finished, 2, 20, 0, 0), late(contender(3, finished, 2, 25, 0, 0), -6),
		}, "[3:1 2:2 1:3]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slices.Reverse(tt.in)
			places := tt.ranking.Sort(tt.in)
			var got []string
			for i, c := range tt.in {
				got = append(got, fmt.Sprintf("%d:%d", c.Entry, places[i]))
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("Sort() = %v, want %s", got, tt.want)
			}
		})
	}
}

// TestRaceIsLive: the packed key orders as the chain does, so that a rank.Board and a sorted list agree.
func TestRaceIsLive(t *testing.T) {
	small := rapid.Custom(func(t *rapid.T) leaderboard.Contender {
		c := leaderboard.Contender{
			Entry: rapid.Uint32Range(1, 50).Draw(t, "entry"), Status: leaderboard.Status(rapid.IntRange(1, 6).Draw(t, "status")),
			Reached: rapid.IntRange(0, 2).Draw(t, "reached"), GunAt: 1000, StartAt: 1000 + unit.InstantUs(rapid.IntRange(0, 2).Draw(t, "start")),
			Penalty: unit.DurationUs(rapid.IntRange(-3, 3).Draw(t, "penalty")), Progress: unit.DistanceMm(rapid.IntRange(0, 2).Draw(t, "progress")),
		}
		if c.Reached > 0 {
			c.Last = 1000 + unit.InstantUs(rapid.IntRange(0, 3).Draw(t, "last"))
		}
		if c.Status == leaderboard.DNF {
			c.StartAt, c.Penalty = c.GunAt, 0 // DNF stand by the instant, also live where bases differ
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := small.Draw(t, "a"), small.Draw(t, "b")
		for _, base := range []leaderboard.Base{leaderboard.Gun, leaderboard.Net} {
			got := a.Race(base).Key().Compare(b.Race(base).Key())
			if want := leaderboard.Live(base).Compare(&a, &b); got != want {
				t.Fatalf("keys of %+v and %+v compare %d, the chain %d", a, b, got, want)
			}
		}
	})
}

// TestSortIsTotal: the order does not depend on how the list came.
func TestSortIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []leaderboard.Contender
		for e := range rapid.IntRange(0, 12).Draw(t, "entries") {
			all = append(all, contender(uint32(e), leaderboard.Status(rapid.IntRange(1, 6).Draw(t, "status")), rapid.IntRange(0, 2).Draw(t, "reached"),
				rapid.Int64Range(0, 2).Draw(t, "last"), 0, rapid.Int64Range(0, 2).Draw(t, "progress")))
		}
		r := leaderboard.Result(leaderboard.Gun)
		one, two := slices.Clone(all), rapid.Permutation(all).Draw(t, "shuffled")
		places := r.Sort(one)
		if again := r.Sort(two); !slices.Equal(one, two) || !slices.Equal(places, again) {
			t.Fatalf("%v %v, shuffled %v %v", one, places, two, again)
		}
	})
}

func TestGap(t *testing.T) {
	var c leaderboard.Curve
	for s := range int64(200) { // 5 m/s, the first hundred seconds forgotten but for a gate
		c.Add(leaderboard.Mark{Mm: unit.DistanceMm(s * 5000), At: unit.InstantMs(s * 1000)})
	}
	trace := leaderboard.TraceOf(c.AppendTo([]leaderboard.Mark{{Mm: 0, At: 0}, {Mm: 100_000, At: 25_000}}))
	for _, tt := range []struct {
		name      string
		me        leaderboard.Mark
		headStart unit.DurationMs
		want      leaderboard.Gap
	}{
		{"ten seconds behind, on the curve", leaderboard.Mark{Mm: 940_000, At: 198_000}, 0, leaderboard.Gap{Ms: 10_000, Timed: true, Behind: 50_000}},
		{"far behind, between gate and curve", leaderboard.Mark{Mm: 50_000, At: 20_000}, 0, leaderboard.Gap{Ms: 7_500, Timed: true, Behind: 30_000}},
		{"the leader set off a minute earlier", leaderboard.Mark{Mm: 940_000, At: 258_000}, 60_000, leaderboard.Gap{Ms: 10_000, Timed: true, Behind: 50_000}},
		{"beyond what the leader has shown", leaderboard.Mark{Mm: 2_000_000, At: 198_000}, 0, leaderboard.Gap{}},
	} {
		if got := leaderboard.GapTo(trace, tt.me, tt.headStart); got != tt.want {
			t.Errorf("%s: GapTo() = %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if _, ok := (leaderboard.Trace)(nil).TimeAt(1); ok {
		t.Error("an empty trace knows a time")
	}
}

func TestCurveForgetsWhatIsTakenBack(t *testing.T) {
	var c leaderboard.Curve
	c.Add(leaderboard.Mark{Mm: 1000, At: 10_000})
	c.Add(leaderboard.Mark{Mm: 9000, At: 20_000})
	c.Add(leaderboard.Mark{Mm: 5000, At: 30_000})
	if got := c.AppendTo(nil); !slices.Equal(got, []leaderboard.Mark{{Mm: 5000, At: 30_000}}) {
		t.Errorf("AppendTo() = %v, want only the newest", got)
	}
}

func TestCheckCategories(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, tt := range []struct {
		names []string
		ok    bool
	}{{nil, true}, {many[:64], true}, {many, false}, {[]string{"a", "a"}, false}, {[]string{""}, false}, {[]string{string(make([]byte, 33))}, false}} {
		if err := leaderboard.CheckCategories(tt.names); (err == nil) != tt.ok || err != nil && !errors.Is(err, leaderboard.ErrCategories) {
			t.Errorf("CheckCategories(%d names) = %v, want ok %v", len(tt.names), err, tt.ok)
		}
	}
}
