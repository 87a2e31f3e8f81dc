package audit

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/oracle"
)

const (
	walksGun = unit.InstantMs(1_000_000)
	westE7   = 85_000_000
	southE7  = 475_000_000
)

// TestRulesAndOracleAgreeOnRandomWalks folds nonsense by both: several streams that wander to and fro, stand still, leap and
// fall silent, with clocks, skips, refused samples, an end, and gates of which several may lie on one line.
func TestRulesAndOracleAgreeOnRandomWalks(t *testing.T) {
	for seed := range uint64(5000) {
		w := walks{r: rand.New(rand.NewPCG(seed, 5))}
		c, err := course.New(w.track())
		if err != nil {
			continue // a course that nobody may ride
		}
		w.params = training.Params{Sport: "run", Race: &training.Race{Course: c, Gun: walksGun}}
		w.entry = oracle.Entry{Number: 1, GunMs: walksGun, Bound: true}
		for s := range 1 + w.r.IntN(3) {
			w.stream(fmt.Sprint("s", s))
		}
		if w.r.IntN(4) == 0 {
			w.params.Race.Primary, w.entry.Primary = "s0", "s0"
		}
		if w.r.IntN(4) == 0 {
			end := walksGun.Add(unit.DurationMs(w.r.IntN(60_000)))
			w.params.End = &training.End{At: end, Last: []training.StreamEnd{{Stream: "s0", LastSeq: 20}}}
			w.entry.Finish = &oracle.Finish{At: end, Last: map[string]uint64{"s0": 20}}
		}
		gates, flagged := w.fold()
		want, leap := oracle.Gates(Course(c), &w.entry)
		if !maps.Equal(gates, want) || flagged != leap {
			t.Fatalf("seed %d: the rules find %v (flagged %v), the oracle %v (%v)", seed, gates, flagged, want, leap)
		}
	}
}

// TestRulesAndOracleKnowTheSameLimits makes a step at the limit of each sport, and one just beyond it.
func TestRulesAndOracleKnowTheSameLimits(t *testing.T) {
	for _, sport := range []geo.Sport{geo.Run, geo.Ride, geo.Row, geo.Swim, geo.Ski, geo.Walk, geo.Sail, geo.Other, "luge"} {
		c, err := course.New(course.Track{Format: course.Distance, Sport: sport, Name: "far", DistanceMm: course.MaxDistanceMm})
		if err != nil {
			t.Fatal(err)
		}
		for _, beyond := range []int64{0, 1} {
			zero, far := int64(0), 2*c.Limits().MaxSpeedMmS+beyond
			e := oracle.Entry{GunMs: walksGun, Streams: []oracle.Stream{{Declared: true, Samples: []oracle.Sample{
				{Seq: 1, DeviceMs: walksGun, Distance: &zero}, {Seq: 2, DeviceMs: walksGun.Add(1000), Distance: &far},
			}}}}
			if _, leap := oracle.Gates(Course(c), &e); leap != (beyond > 0) {
				t.Errorf("%s: a step of %d mm in a second: the oracle flags it: %v", sport, far, leap)
			}
		}
	}
}

// walks is one entry, for the rules and for the oracle.
type walks struct {
	r       *rand.Rand
	params  training.Params
	entry   oracle.Entry
	batches []sample.Batch
	facts   []training.Facts
}

// track is a distance, or a line to the east (and back) with gates in any order: most of those are refused.
func (w *walks) track() course.Track {
	if w.r.IntN(2) == 0 {
		t := course.Track{Format: course.Distance, Sport: "run", Name: "marks", DistanceMm: 50_000}
		for i := range w.r.IntN(4) {
			t.Gates = append(t.Gates, geo.Gate{ID: fmt.Sprint("g", i), Kind: geo.SplitGate, AtMm: unit.DistanceMm(10_000 * (i + 1))})
		}
		t.Gates = append(t.Gates, geo.Gate{ID: "f", Kind: geo.FinishGate, AtMm: 50_000, Mandatory: true})
		return t
	}
	t := course.Track{Format: course.Line, Sport: "run", Name: "line", CorridorMm: 60_000, Laps: 1}
	for i := range int64(7) {
		t.Line = append(t.Line, geo.Point{Lat: southE7, Lon: westE7 + i*1000})
	}
	gate := func(name string, kind geo.GateKind, x int64, mandatory bool) {
		g := geo.Gate{ID: name, Kind: kind, Mandatory: mandatory, AtMm: geo.Unplaced}
		t.Gates = append(t.Gates, g.Eastward(westE7+x*500, southE7-1000, southE7+1000))
	}
	gate("s", geo.StartGate, 1, true)
	x := int64(2)
	for i := range w.r.IntN(4) {
		x += w.r.Int64N(3)
		gate(fmt.Sprint("g", i), geo.SplitGate, x, w.r.IntN(2) == 0)
	}
	gate("f", geo.FinishGate, x+w.r.Int64N(2), true)
	return t
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// stream adds a device.
func (w *walks) stream(name string) {
	trust := sample.Trust(w.r.IntN(4))
	s := training.Stream{Key: training.StreamKey{Device: "d", Stream: name}, Clock: one(w.r, sample.GNSS, sample.NTP)}
	o := oracle.Stream{ID: name, Device: "d", Trust: int(trust), GNSS: s.Clock == sample.GNSS, Declared: true}
	n := 5 + w.r.IntN(60)
	b := sample.Batch{FirstSeq: 1, AtMs: make([]unit.InstantMs, n), Refused: make([]sample.Refusal, n)}
	for _, c := range []sample.Channel{sample.DistanceMm, sample.LatE7, sample.LonE7} {
		s.Declared[c], s.Trust[c] = true, trust
		b.Columns[c].Grow(n)
	}
	at, mm, east, dir := walksGun.Add(-3000), int64(0), int64(0), int64(1)
	for i := range n {
		at = at.Add(one[unit.DurationMs](w.r, 1000, 1000, 1000, 500, 0, 2000, 12_000))
		mm = max(0, mm+one[int64](w.r, 4000, 2000, 0, 6000, 30_000, -5000))
		if w.r.IntN(15) == 0 {
			dir = -dir
		}
		// 3,320 are 24.96 m and 3,330 are 25.04 m: a second's step just within and just beyond what a runner can make.
		east += dir * one[int64](w.r, 500, 250, 0, 1000, 500, 250, 1000, 3320, 3330)
		x := oracle.Sample{Seq: uint64(i + 1), DeviceMs: at, Refused: w.r.IntN(20) == 0}
		if b.AtMs[i] = at; x.Refused {
			b.Refused[i] = sample.OutOfRange
		}
		if w.r.IntN(10) > 0 {
			p, d := oracle.Point{Lat: southE7 + w.r.Int64N(300), Lon: westE7 + east}, mm
			x.Position, x.Distance = &p, &d
			b.Columns[sample.LatE7].Set(i, p.Lat)
			b.Columns[sample.LonE7].Set(i, p.Lon)
			b.Columns[sample.DistanceMm].Set(i, d)
		}
		o.Samples = append(o.Samples, x)
	}
	var clocks []training.ClockFrom
	var skips []training.Span
	for range w.r.IntN(3) {
		c := training.ClockFrom{FromSeq: 1 + w.r.Uint64N(uint64(n)), OffsetMs: unit.DurationMs(w.r.IntN(6000) - 3000)}
		clocks, o.Clocks = append(clocks, c), append(o.Clocks, oracle.Clock(c))
	}
	if w.r.IntN(3) == 0 {
		from := 1 + w.r.Uint64N(uint64(n))
		k := training.Span{From: from, To: from + w.r.Uint64N(4)}
		skips, o.Skips = append(skips, k), append(o.Skips, oracle.Skip(k))
	}
	w.params.Streams = append(w.params.Streams, s)
	w.entry.Streams = append(w.entry.Streams, o)
	w.batches, w.facts = append(w.batches, b), append(w.facts, training.NewFacts(1, clocks, skips))
}

// fold feeds the rules, cut anywhere.
func (w *walks) fold() (gates map[int]unit.InstantUs, flagged bool) {
	f := training.NewFold(w.params)
	for i, s := range w.params.Streams {
		f.SetFacts(s.Key, w.facts[i])
		for from, n := 0, w.batches[i].Len(); from < n; {
			to := min(n, from+1+w.r.IntN(10))
			b := w.batches[i].Slice(from, to)
			f.Feed(s.Key, &b)
			from = to
		}
	}
	r := f.Result()
	gates = map[int]unit.InstantUs{}
	for _, g := range r.Gates {
		gates[int(g.Gate)] = g.At
	}
	return gates, len(r.Flags) > 0
}
