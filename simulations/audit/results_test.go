package audit

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
	"paceline/simulations/oracle"
)

// TestRulesAndOracleAgreeOnRandomResults ranks fields of few entries with few different times, in every status, under review
// or not, answered or not, with penalties, by both: order, places, statuses and times.
func TestRulesAndOracleAgreeOnRandomResults(t *testing.T) {
	tracks := []course.Track{distanceTrack(), lineTrack()}
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 9))
		track := tracks[r.IntN(2)]
		c, err := course.New(track)
		if err != nil {
			t.Fatal(err)
		}
		const cutoff = unit.InstantMs(1_000_000)
		d := competition.Definition{Track: track, RankBy: leaderboard.Base(1 + r.IntN(2))}
		var starters []competition.Starter
		var inputs []competition.Input
		var entries []oracle.Entry
		for n := range 1 + r.IntN(7) {
			s, in, e := randomEntry(r, uint32(n+1))
			e.CutoffMs = cutoff
			starters, entries = append(starters, s), append(entries, e)
			if s.Bound {
				inputs = append(inputs, in)
			}
		}
		rows, err := competition.Standings(competition.RulesVersion, d, cutoff, starters, inputs)
		if err != nil {
			t.Fatal(err)
		}
		if diff := differences(rows, oracle.Standings(Course(c), entries, d.RankBy == leaderboard.Net)); len(diff) > 0 {
			t.Fatalf("seed %d: %v", seed, diff)
		}
	}
}

func distanceTrack() course.Track {
	t := course.Track{Format: course.Distance, Sport: "run", Name: "marks", DistanceMm: 50_000}
	for i := range 3 {
		t.Gates = append(t.Gates, geo.Gate{ID: fmt.Sprint("g", i), Kind: geo.SplitGate, AtMm: unit.DistanceMm(10_000 * (i + 1))})
	}
	t.Gates = append(t.Gates, geo.Gate{ID: "f", Kind: geo.FinishGate, AtMm: 50_000, Mandatory: true})
	return t
}

func lineTrack() course.Track {
	t := course.Track{Format: course.Line, Sport: "run", Name: "line", CorridorMm: 60_000, Laps: 1}
	for i := range int64(7) {
		t.Line = append(t.Line, geo.Point{Lat: southE7, Lon: westE7 + i*1000})
	}
	for i, kind := range []geo.GateKind{geo.StartGate, geo.SplitGate, geo.SplitGate, geo.FinishGate} {
		g := geo.Gate{ID: fmt.Sprint("g", i), Kind: kind, Mandatory: i != 1, AtMm: geo.Unplaced}
		t.Gates = append(t.Gates, g.Eastward(westE7+500+int64(i)*1500, southE7-1000, southE7+1000))
	}
	return t
}

// randomEntry is one entry for both; its gates are given, for here only what follows from them counts.
func randomEntry(r *rand.Rand, number uint32) (competition.Starter, competition.Input, oracle.Entry) {
	s := competition.Starter{Entry: number, GunAt: unit.InstantMs(900_000 + r.IntN(3)*5000), Bound: r.IntN(6) > 0}
	if r.IntN(3) == 0 {
		s.Penalty = one[unit.DurationMs](r, -1000, 1000, 5000)
	}
	e := oracle.Entry{Number: number, GunMs: s.GunAt, Bound: s.Bound, PenaltyMs: s.Penalty}
	in := competition.Input{Entry: number}
	if r.IntN(4) == 0 {
		s.Ruling = one(r, leaderboard.DNS, leaderboard.DNF, leaderboard.DSQ)
		e.Decision = s.Ruling.String()
	}
	if r.IntN(5) == 0 {
		s.Review, e.Review = []string{competition.ReasonLateInput}, true
	}
	if !s.Bound {
		return s, in, e
	}
	if r.IntN(6) == 0 {
		in.Unanswered, e.Unanswered, e.Review = true, true, true
	}
	at := s.GunAt.Us() + unit.InstantUs(r.IntN(5)*1000)
	for g := uint32(0); g < 4 && r.IntN(9) > 0; g++ {
		if g < 3 && r.IntN(6) == 0 {
			continue
		}
		at += unit.InstantUs(r.IntN(40)) * 1_000_000
		in.Gates = append(in.Gates, competition.GateTime{Gate: g, At: at})
		e.Given = append(e.Given, oracle.Passage{Gate: int(g), At: at})
	}
	return s, in, e
}
