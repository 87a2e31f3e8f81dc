package competition

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// athlete is the truth of one entry: what a training knows when it has folded through a seq. A report is a function of
// its basis alone, so gates may also be revised by a later fact.
type athlete struct {
	entry   uint32
	reports []Report // by basis
}

// drawAthlete draws a way through a race of two gates, with a revision, a flag, a finish or none.
func drawAthlete(t *rapid.T, r *race, entry uint32) athlete {
	a := athlete{entry: entry}
	half := rapid.Int64Range(1, 5).Draw(t, "half")
	finish := rapid.Int64Range(6, 9).Draw(t, "finish")
	last := rapid.Uint64Range(1, 6).Draw(t, "last seq")
	halfSeq, finishSeq := rapid.Uint64Range(1, 4).Draw(t, "half at"), rapid.Uint64Range(4, 8).Draw(t, "finish at")
	flagSeq, revisedSeq := rapid.Uint64Range(1, 12).Draw(t, "flag at"), rapid.Uint64Range(1, 12).Draw(t, "revised at")
	for seq := uint64(1); seq <= last; seq++ {
		ms := []int64{-1, -1}
		if seq >= halfSeq {
			ms[0] = half * 1000
		}
		if seq >= finishSeq {
			ms[1] = finish * 1000
		}
		rep := r.says(entry, seq, seq == last, ms...)
		if seq >= revisedSeq { // a ClockSet: one more fact, and every gate a second earlier
			rep.Basis[0].FactsVersion++
			for i := range rep.Gates {
				rep.Gates[i].At -= 1_000_000
			}
		}
		if seq == flagSeq {
			rep.Flags = []string{"training.jump"}
		}
		a.reports = append(a.reports, rep)
	}
	return a
}

func (a athlete) final() Report { return a.reports[len(a.reports)-1] }

// settleAll lets the race run to its provisional result.
func settleAll(r *race, all []athlete) *ResultPublished {
	end := gun.Add(unit.Hour + unit.Minute)
	r.proceed(end)
	for _, a := range all {
		r.answer(a.final())
	}
	r.proceed(end)
	return r.s.Result
}

// TestAnyOrderOfReportsGivesTheSameResult: delayed, doubled, lost and reordered reports change nothing, for the settle
// answers from fresh reads.
func TestAnyOrderOfReportsGivesTheSameResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "entries")
		one, two := running(t, fiveK(), n), running(t, fiveK(), n)
		var all []athlete
		var reports []Report
		for e := 1; e <= n; e++ {
			a := drawAthlete(t, one, uint32(e))
			all, reports = append(all, a), append(reports, a.reports...)
		}
		for _, rep := range reports {
			_, _ = one.report(rep)
		}
		shuffled := rapid.Permutation(append(reports, reports...)).Draw(t, "delivered")
		for _, rep := range shuffled[:rapid.IntRange(0, len(shuffled)).Draw(t, "of them")] {
			_, _ = two.report(rep)
		}
		first := settleAll(one, all)
		slices.Reverse(all)
		second := settleAll(two, all)
		if got, want := canonical(second), canonical(first); got != want {
			t.Fatalf("shuffled %s\nin order %s", got, want)
		}
	})
}

// canonical is a result without what only says when things were written.
func canonical(r *ResultPublished) string {
	c := *r
	c.JournalVersion = 0
	c.Inputs = slices.Clone(c.Inputs)
	for i := range c.Inputs {
		c.Inputs[i].BindingVersion = 0
	}
	return fmt.Sprintf("%+v", c)
}

// TestJournalledFactsFollowTheNewestReport: before any settle, whatever the order, what is journalled is what the newest
// basis says, for an older report is dropped.
func TestJournalledFactsFollowTheNewestReport(t *testing.T) {
	testkit.NeedsRule(t, step.RuleOlderReportDropped, newestCounts)
}

func newestCounts(t testing.TB) {
	r := running(t, fiveK(), 1)
	reports := []Report{r.says(1, 1, false, 5000), r.says(1, 2, false, 4000), r.says(1, 3, false, 4000, 9000)}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0, 1}, {2, 0, 2, 1}} {
		r := running(t, fiveK(), 1)
		for _, i := range order {
			_, _ = r.report(reports[i])
		}
		e := r.s.Entry(1)
		if e.Ran != leaderboard.Finished || len(e.Gates) != 2 || !basis.Equal(e.Basis, reports[2].Basis) {
			t.Fatalf("order %v: %v with %v", order, e.Ran, e.Gates)
		}
	}
}

// TestReplayIsLive: the events alone make the same state, and Standings makes the same rows from what is published.
func TestReplayIsLive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRace(t)
		d := rapid.SampledFrom([]Definition{fiveK(), lined()}).Draw(t, "definition")
		d.RankBy = leaderboard.Base(rapid.IntRange(1, 2).Draw(t, "rank by"))
		d.AutoOfficialAfter = unit.DurationMs(rapid.IntRange(-1, 0).Draw(t, "auto official"))
		steps := make([]byte, rapid.IntRange(0, 600).Draw(t, "bytes"))
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for i := range steps {
			steps[i] = byte(rng.Uint32())
		}
		r.partBytes, r.keeps = rapid.SampledFrom([]int{0, 1, 500}).Draw(t, "bytes of a part"), rapid.Bool().Draw(t, "drafts are kept")
		act(r, d, steps)
		replayed := New()
		for _, e := range r.events {
			replayed.Apply(e)
		}
		if !reflect.DeepEqual(replayed, r.s) {
			t.Fatalf("replayed %+v, live %+v", replayed, r.s)
		}
		verifyAll(t, r.events)
	})
}

// verifyAll recomputes every result from the events before it and its own inputs.
func verifyAll(t rapid.TB, events []Event) {
	s := New()
	var results Joiner
	for _, e := range events {
		p, ok, err := results.Take(e)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			at := New()
			for _, e := range events[:p.JournalVersion] {
				at.Apply(e)
			}
			rows, err := Standings(p.RulesVersion, at.Definition, at.CutoffAt, Starters(at), p.Inputs)
			if err != nil || fmt.Sprint(rows) != fmt.Sprint(p.Rows) {
				t.Fatalf("result %d: recomputed %+v (%v), published %+v", p.Version, rows, err, p.Rows)
			}
			checkRows(t, p.Rows)
		}
		s.Apply(e)
		if ok && fmt.Sprint(*s.Result) != fmt.Sprint(p) {
			t.Fatalf("the state holds %+v, published is %+v", *s.Result, p)
		}
	}
}

// checkRows: places follow times, statuses have none, review has none.
func checkRows(t rapid.TB, rows []Row) {
	var last Row
	for i, r := range rows {
		if (r.Place != 0) != (r.Status == leaderboard.Finished && !r.UnderReview) {
			t.Fatalf("row %+v: place and status contradict", r)
		}
		if i > 0 && last.Place == 0 && r.Place != 0 || last.Place > r.Place && r.Place != 0 {
			t.Fatalf("row %+v stands behind %+v", r, last)
		}
		last = r
	}
}

// act reads bytes as commands: a race that nobody would run, but that must keep every invariant.
func act(r *race, d Definition, bytes []byte) {
	at := gun - 1000
	next := func() byte {
		if len(bytes) == 0 {
			return 0
		}
		b := bytes[0]
		bytes = bytes[1:]
		return b
	}
	_, _ = r.try(Create{on(at), d})
	for i := range 3 {
		_, _ = r.try(AddEntry{Meta: on(at), User: fmt.Sprintf("u%d", i+1)})
	}
	if start := next() % 4; start > 0 { // most begin with a race under way
		_, _ = r.try(Lock{on(at)})
		for i := range start {
			user := fmt.Sprintf("u%d", i+1)
			_, _ = r.try(Join{Meta: on(at), User: user, Training: user + "/w0"})
		}
		_, _ = r.try(Start{on(at), gun})
	}
	for len(bytes) > 0 {
		at += unit.InstantMs(next()) * 1000
		n := uint32(next()%4) + 1
		user := fmt.Sprintf("u%d", n)
		who := []string{"operator:op", "athlete:" + user}[next()%2]
		switch next() % 18 {
		case 0:
			_, _ = r.try(AddEntry{Meta: on(at), User: user})
		case 1:
			_, _ = r.try(Lock{on(at)})
		case 2:
			_, _ = r.try(Join{Meta: by(who, at), User: user, Training: fmt.Sprintf("%s/w%d", user, next()%2)})
		case 3:
			_, _ = r.try(Start{on(at), gun})
		case 4:
			_, _ = r.try(Withdraw{Meta: on(at), Number: n})
		case 5:
			_, _ = r.try(Rule{Meta: on(at), Number: n, Decision: []string{"clear", "dsq", "dnf", "dns", "reinstate"}[next()%5]})
		case 6:
			_, _ = r.try(Penalize{Meta: on(at), Number: n, Penalty: unit.DurationMs(next()) - 128})
		case 7:
			_, _ = r.try(PublishProvisional{on(at), r.partBytes})
		case 8:
			_, _ = r.try(MakeOfficial{on(at), next()%2 == 0})
		case 9:
			_, _ = r.try(Correct{on(at), "why"})
		case 10:
			_, _ = r.try(GiveUpSettle{on(at), uint64(next() % 4)})
		case 11, 12:
			if rep, ok := drawn(r, n, next); ok {
				if next()%2 == 0 {
					_, _ = r.try(TakeReport{on(at), rep})
				} else {
					_, _ = r.try(TakeAnswer{Meta: on(at), Number: r.s.Settle.Number, Report: rep, Streams: streamsOf(rep)})
				}
			}
		case 13:
			r.proceed(at)
		case 14:
			if Due(r.s, Proceed{Meta: on(at), FinalAllowed: true}) {
				r.next(at)
			}
		case 15, 16:
			for _, e := range r.s.Entries() {
				if rep, ok := drawn(r, e.Number, next); ok && r.s.Awaited(e) {
					_, _ = r.try(TakeAnswer{Meta: on(at), Number: r.s.Settle.Number, Report: rep, Streams: streamsOf(rep)})
				}
			}
			r.proceed(at)
		case 17:
			_, _ = r.try(Leave{by(who, at), user})
		}
	}
}

// drawn is a report of anything.
func drawn(r *race, n uint32, next func() byte) (Report, bool) {
	if r.s.Entry(n) == nil {
		return Report{}, false
	}
	rep := r.says(n, uint64(next()%8), next()%3 == 0)
	rep.Basis[0].FactsVersion = uint64(next() % 3)
	for g := range uint32(4) {
		if next()%2 == 0 {
			rep.Gates = append(rep.Gates, GateTime{g, gun.Us() + unit.InstantUs(int(next())*1_000_000-1_000_000)})
		}
	}
	if next()%8 == 0 {
		rep.Flags = []string{"training.jump"}
	}
	return rep, true
}

// FuzzCommands: any bytes as commands keep the invariants, leave the state to Apply, and replay to the same state.
func FuzzCommands(f *testing.F) {
	f.Add([]byte("\x01\x01\x00\x00\x01\x01\x01\x00\x00\x03\x10\x10\x01\x00\x0b\x01\x02\x03\x04\x05\x06"))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		r := newRace(t)
		r.partBytes, r.keeps = len(bytes)%3*300, len(bytes)%2 == 0
		act(r, fiveK(), bytes[:min(len(bytes), 1000)])
		replayed := New()
		for _, e := range r.events {
			replayed.Apply(e)
		}
		if !reflect.DeepEqual(replayed, r.s) {
			t.Fatalf("replayed %+v, live %+v", replayed, r.s)
		}
		verifyAll(t, r.events)
	})
}
