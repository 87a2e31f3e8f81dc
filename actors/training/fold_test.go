package training_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

const gun = unit.InstantMs(1_000_000)

func key(stream string) training.StreamKey {
	return training.StreamKey{Device: "u/" + stream, Stream: stream}
}

func stream(id string, clock sample.ClockKind, trust sample.Trust, channels ...sample.Channel) training.Stream {
	s := training.Stream{Key: key(id), Clock: clock}
	for _, c := range channels {
		s.Declared[c], s.Trust[c] = true, trust
	}
	return s
}

func distanceRace(t testing.TB, mm unit.DistanceMm, marks ...unit.DistanceMm) *training.Race {
	t.Helper()
	tr := course.Track{Format: course.Distance, Sport: geo.Run, Name: "race", DistanceMm: mm}
	for _, at := range marks {
		tr.Gates = append(tr.Gates, geo.Gate{ID: "at" + string(rune('a'+len(tr.Gates))), Kind: geo.SplitGate, AtMm: at})
	}
	if len(marks) > 0 {
		tr.Gates = append(tr.Gates, geo.Gate{ID: "finish", Kind: geo.FinishGate, AtMm: mm})
	}
	c, err := course.New(tr)
	if err != nil {
		t.Fatal(err)
	}
	return &training.Race{Course: c, Gun: gun}
}

// meters is a batch of a counter: (time after the gun in ms, metres) pairs.
func meters(first uint64, pairs ...int64) sample.Batch {
	n := len(pairs) / 2
	b := sample.Batch{FirstSeq: first, AtMs: make([]unit.InstantMs, n)}
	b.Columns[sample.DistanceMm].Grow(n)
	for i := range n {
		b.AtMs[i] = gun + unit.InstantMs(pairs[2*i])
		b.Columns[sample.DistanceMm].Set(i, pairs[2*i+1]*1000)
	}
	return b
}

func counterFold(race *training.Race, streams ...training.Stream) *training.Fold {
	if len(streams) == 0 {
		streams = []training.Stream{stream("a", sample.GNSS, sample.Measured, sample.DistanceMm)}
	}
	return training.NewFold(training.Params{Streams: streams, Sport: geo.Run, Race: race})
}

func feed(t testing.TB, f *training.Fold, s string, b sample.Batch) {
	t.Helper()
	if !f.Feed(key(s), &b) {
		t.Fatalf("batch from %d does not follow %d", b.FirstSeq, f.Through(key(s)))
	}
}

func passages(pairs ...int64) []training.Passage {
	var out []training.Passage
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, training.Passage{Gate: uint32(pairs[i]), At: gun.Us() + unit.InstantUs(pairs[i+1])})
	}
	return out
}

func TestDistanceRace(t *testing.T) {
	for _, c := range []struct {
		name    string
		batch   sample.Batch
		gates   []training.Passage
		flagged string
		mm      unit.DistanceMm
	}{
		{"from the gun", meters(1, 0, 0, 10_000, 50, 20_000, 100), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"between samples", meters(1, 0, 0, 9_000, 45, 12_000, 60, 21_000, 105), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"both in one step", meters(1, 0, 0, 20_000, 200), passages(0, 5_000_000, 1, 10_000_000), "", 100_000},
		{"gun between samples", meters(1, -5_000, 1000, 5_000, 1050, 15_000, 1100, 25_000, 1150), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"begins late", meters(1, 3_000, 20, 13_000, 70, 23_000, 120), passages(0, 13_000_000, 1, 23_000_000), "", 100_000},
		{"counter begins again", meters(1, 0, 500, 5_000, 525, 10_000, 25, 20_000, 75), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"a jump earns nothing", meters(1, 0, 0, 1_000, 5, 2_000, 900, 11_000, 945, 21_000, 995), passages(0, 11_000_000, 1, 21_000_000), training.FlagDistanceStep, 100_000},
		{"a jump before the gun", meters(1, -10_000, 0, -9_000, 900, 0, 900, 10_000, 950, 20_000, 1000), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"a jump after the finish", meters(1, 0, 0, 20_000, 100, 21_000, 9000), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"time does not rise", meters(1, 0, 0, 10_000, 50, 9_000, 90, 20_000, 100), passages(0, 10_000_000, 1, 20_000_000), "", 100_000},
		{"not there yet", meters(1, 0, 0, 10_000, 49), nil, "", 49_000},
		{"before the gun", meters(1, -20_000, 0, -1, 100), nil, "", 0},
	} {
		f := counterFold(distanceRace(t, 100_000, 50_000))
		feed(t, f, "a", c.batch)
		r := f.Result()
		flag := ""
		if len(r.Flags) > 0 {
			flag = r.Flags[0].Reason
		}
		if !reflect.DeepEqual(r.Gates, c.gates) || flag != c.flagged || r.ProgressMm != c.mm || r.Finished != (len(c.gates) == 2) {
			t.Errorf("%s: gates %v, want %v; flag %q; progress %d; finished %v", c.name, r.Gates, c.gates, flag, r.ProgressMm, r.Finished)
		}
	}
}

func TestSpeedCreditOff(t *testing.T) {
	step.SwitchOff(t, step.RuleSpeedCredit)
	f := counterFold(distanceRace(t, 100_000))
	feed(t, f, "a", meters(1, 0, 0, 1_000, 900))
	if !f.Result().Finished {
		t.Error("without the rule the jump should win the race")
	}
}

func TestRefusedAndSkippedDoNotCount(t *testing.T) {
	f := counterFold(distanceRace(t, 100_000))
	f.SetFacts(key("a"), training.NewFacts(1, nil, []training.Span{{From: 3, To: 4}, {From: 6, To: 6}}))
	b := meters(1, 0, 0, 1_000, 900, 10_000, 1, 11_000, 2, 20_000, 50)
	b.Refused = []sample.Refusal{0, sample.OutOfRange, 0, 0, 0}
	feed(t, f, "a", b)
	if got := f.Through(key("a")); got != 6 {
		t.Errorf("through %d, want 6: a skip is jumped over", got)
	}
	if r := f.Result(); r.Totals.Samples != 2 || r.ProgressMm != 50_000 || len(r.Flags) != 0 {
		t.Errorf("%+v", r)
	}
	if late := meters(8, 30_000, 70); f.Feed(key("a"), &late) {
		t.Error("a batch beyond a gap was folded")
	}
}

func TestClockSetSendsBack(t *testing.T) {
	shifted := training.NewFacts(2, []training.ClockFrom{{FromSeq: 1, OffsetMs: 2_000}}, nil)
	f := counterFold(distanceRace(t, 100_000))
	feed(t, f, "a", meters(1, 0, 0, 20_000, 100))
	if !f.SetFacts(key("a"), shifted) {
		t.Fatal("a clock fact at seq 1 does not send back a fold through 2")
	}
	if !f.SetFacts(key("a"), training.NewFacts(2, []training.ClockFrom{{FromSeq: 2, OffsetMs: 9}}, nil)) {
		t.Error("a clock fact at seq 2 does not send back a fold through 2")
	}
	if f.SetFacts(key("a"), training.NewFacts(2, []training.ClockFrom{{FromSeq: 3, OffsetMs: 9}}, nil)) {
		t.Error("a clock fact at seq 3 sends back a fold through 2")
	}
	g := counterFold(distanceRace(t, 100_000))
	g.SetFacts(key("a"), shifted)
	feed(t, g, "a", meters(1, 0, 0, 20_000, 100))
	// The first sample now lies 2 s after the gun, where the counter begins.
	if got, want := g.Result().Gates, passages(0, 22_000_000); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFinishEnds(t *testing.T) {
	p := training.Params{Streams: []training.Stream{stream("a", sample.GNSS, sample.Measured, sample.DistanceMm),
		stream("b", sample.GNSS, sample.Measured, sample.HeartRateBpm)}, Sport: geo.Run,
		End: &training.End{At: gun + 10_000, Last: []training.StreamEnd{{Stream: "a", LastSeq: 3}}}}
	f := training.NewFold(p)
	feed(t, f, "a", meters(1, 0, 0, 10_000, 50, 11_000, 55, 12_000, 60))
	feed(t, f, "b", meters(1, 0, 0, 10_000, 50, 11_000, 55))
	if r := f.Result(); r.Totals.DistanceMm != 55_000 || r.Totals.Samples != 5 {
		t.Errorf("%+v: named streams count through their last seq, others through the finish", r.Totals)
	}
}

// Two streams: the better one counts, the other fills holes of more than 10 s.
func TestChoice(t *testing.T) {
	watch := stream("watch", sample.GNSS, sample.Measured, sample.DistanceMm)
	phone := stream("phone", sample.NTP, sample.Measured, sample.DistanceMm)
	mill := stream("mill", sample.NTP, sample.Estimated, sample.DistanceMm)
	for _, c := range []struct {
		name    string
		primary string
		batches map[string]sample.Batch
		gates   []training.Passage
	}{
		{"gnss first", "", map[string]sample.Batch{
			"watch": meters(1, 0, 0, 10_000, 50, 20_000, 100), "phone": meters(1, 0, 0, 10_000, 60, 20_000, 120)}, passages(0, 20_000_000)},
		{"primary first", "phone", map[string]sample.Batch{
			"watch": meters(1, 0, 0, 10_000, 50, 20_000, 100), "phone": meters(1, 0, 0, 10_000, 100, 20_000, 120)}, passages(0, 10_000_000)},
		{"a hole of 10 s is none", "", map[string]sample.Batch{
			"watch": meters(1, 0, 0, 10_000, 50, 20_000, 100), "phone": meters(1, 0, 0, 15_000, 100, 20_000, 120)}, passages(0, 20_000_000)},
		{"a longer one is filled", "", map[string]sample.Batch{
			"watch": meters(1, 0, 0, 9_000, 45, 20_000, 90), "phone": meters(1, 0, 0, 9_000, 45, 15_000, 105)}, passages(0, 14_500_000)},
		{"behind the last", "", map[string]sample.Batch{
			"watch": meters(1, 0, 0, 5_000, 50), "phone": meters(1, 0, 20, 5_000, 70, 15_001, 120)}, passages(0, 15_001_000)},
		{"before the first", "", map[string]sample.Batch{
			"watch": meters(1, 11_000, 0, 16_000, 50), "phone": meters(1, 0, 0, 1_000, 20, 6_000, 70)}, passages(0, 14_000_000)},
		{"just before the first", "", map[string]sample.Batch{
			"watch": meters(1, 10_000, 0, 15_000, 50), "phone": meters(1, 0, 0, 1_000, 20, 6_000, 70)}, nil},
		{"measured before estimated", "", map[string]sample.Batch{
			"phone": meters(1, 0, 0, 10_000, 50, 20_000, 100), "mill": meters(1, 0, 0, 10_000, 90, 20_000, 180)}, passages(0, 20_000_000)},
	} {
		race := distanceRace(t, 100_000)
		race.Primary = c.primary
		f := counterFold(race, mill, phone, watch)
		for _, s := range []string{"mill", "phone", "watch"} {
			if b, ok := c.batches[s]; ok {
				feed(t, f, s, b)
			}
		}
		if got := f.Result().Gates; !reflect.DeepEqual(got, c.gates) {
			t.Errorf("%s: %v, want %v", c.name, got, c.gates)
		}
	}
}

func TestTotals(t *testing.T) {
	s := stream("a", sample.GNSS, sample.Measured, sample.HeartRateBpm, sample.PowerW, sample.AltitudeMm)
	f := counterFold(nil, s)
	b := sample.Batch{FirstSeq: 1}
	rows := []struct{ at, hr, w, alt int64 }{{0, 100, 200, 0}, {1000, 100, 200, 2000}, {2000, 0, 200, 3500}, {3000, 140, 0, 1000}, {13_000, 140, 300, 400}, {14_000, 140, 300, 4000}}
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.AltitudeMm} {
		b.Columns[c].Grow(len(rows))
	}
	for i, r := range rows {
		b.AtMs = append(b.AtMs, gun+unit.InstantMs(r.at))
		b.Columns[sample.HeartRateBpm].Set(i, r.hr)
		b.Columns[sample.PowerW].Set(i, r.w)
		b.Columns[sample.AltitudeMm].Set(i, r.alt)
	}
	feed(t, f, "a", b)
	got := f.Result().Totals
	// Heart: 100 for 3 s (0 is missing, not zero), 140 for 5 of 10 s and 1 s. Power: 200 for 3 s, 0, 300 for 1 s.
	want := training.Totals{ElapsedMs: 14_000, AscentMm: 3500 + 3600, WorkJ: 900, HeartBpm: 127, PowerW: 64, Samples: 6}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// scene draws a race with some streams and says what they hold.
func scene(t *rapid.T) (training.Params, map[string]sample.Batch, map[string]training.Facts) {
	c, err := course.New(course.Track{Format: course.Distance, Sport: geo.Run, Name: "r", DistanceMm: 60_000,
		Gates: []geo.Gate{{ID: "s", Kind: geo.SplitGate, AtMm: 20_000}, {ID: "f", Kind: geo.FinishGate, AtMm: 60_000}}})
	if err != nil {
		t.Fatal(err)
	}
	p := training.Params{Sport: geo.Run, Race: &training.Race{Course: c, Gun: gun}}
	batches, facts := map[string]sample.Batch{}, map[string]training.Facts{}
	for _, id := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(t, "streams")] {
		p.Streams = append(p.Streams, stream(id, sample.ClockKind(rapid.IntRange(1, 3).Draw(t, "clock")),
			sample.Trust(rapid.IntRange(0, 4).Draw(t, "trust")), sample.DistanceMm))
		var pairs []int64
		at, m := int64(-20_000), int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			at += rapid.SampledFrom([]int64{-500, 500, 1000, 1000, 2000, 11_000}).Draw(t, "dt")
			m += rapid.SampledFrom([]int64{-m, 0, 3, 5, 5, 8, 500}).Draw(t, "dm")
			pairs = append(pairs, at, m)
		}
		batches[id] = meters(1, pairs...)
		n := uint64(len(pairs) / 2)
		var clocks []training.ClockFrom
		if rapid.Bool().Draw(t, "clockset") {
			clocks = append(clocks, training.ClockFrom{FromSeq: rapid.Uint64Range(1, n).Draw(t, "from"), OffsetMs: unit.DurationMs(rapid.IntRange(-3000, 3000).Draw(t, "offset"))})
		}
		var skips []training.Span
		if from := rapid.Uint64Range(1, n+5).Draw(t, "skip"); rapid.Bool().Draw(t, "skips") {
			skips = append(skips, training.Span{From: from, To: from + 3})
		}
		facts[id] = training.NewFacts(5, clocks, skips)
	}
	return p, batches, facts
}

// cuts feeds the streams in a drawn order, in drawn pieces, with repeats, through checkpoints.
func cuts(t *rapid.T, p training.Params, batches map[string]sample.Batch, facts map[string]training.Facts) training.Result {
	f := training.NewFold(p)
	for id := range facts {
		f.SetFacts(key(id), facts[id])
	}
	for {
		var open []string
		for _, s := range p.Streams {
			if b := batches[s.Key.Stream]; f.Through(s.Key) < b.LastSeq() {
				open = append(open, s.Key.Stream)
			}
		}
		if len(open) == 0 {
			return f.Result()
		}
		id := rapid.SampledFrom(open).Draw(t, "which")
		whole := batches[id]
		from := rapid.IntRange(0, int(min(f.Through(key(id)), uint64(whole.Len()-1)))).Draw(t, "from")
		to := rapid.IntRange(from+1, whole.Len()).Draw(t, "to")
		part := whole.Slice(from, to)
		f.Feed(key(id), &part)
		switch rapid.IntRange(0, 4).Draw(t, "then") {
		case 0:
			f.Result()
		case 1:
			if c, ok := f.Checkpoint(); ok {
				if g, ok := training.Restore(p, c); ok {
					f = g
				}
			}
		}
	}
}

// However blocks are cut, ordered or repeated: the same basis, the same result.
func TestFoldIsAFunctionOfItsBasis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, batches, facts := scene(t)
		one, two := cuts(t, p, batches, facts), cuts(t, p, batches, facts)
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v\n%+v", one, two)
		}
	})
}

// A fold that takes over other params goes on as if it had always had them.
func TestAdopt(t *testing.T) {
	adopted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, batches, facts := scene(t)
		was, now := p, p
		race := func(label string) *training.Race {
			if rapid.IntRange(0, 3).Draw(t, label) == 0 {
				return nil
			}
			r := *p.Race
			r.Gun = rapid.SampledFrom([]unit.InstantMs{0, gun - 10_000, gun, gun + 5_000, gun + 20_000}).Draw(t, "gun")
			r.Primary = rapid.SampledFrom([]string{"", "b"}).Draw(t, "primary")
			return &r
		}
		was.Race, now.Race = race("was"), race("now")
		if rapid.Bool().Draw(t, "ends") {
			now.End = &training.End{At: gun + unit.InstantMs(rapid.Int64Range(-20_000, 60_000).Draw(t, "end"))}
		}
		f, g := training.NewFold(was), training.NewFold(now)
		cut := map[string]int{}
		for _, s := range p.Streams {
			id := s.Key.Stream
			f.SetFacts(s.Key, facts[id])
			g.SetFacts(s.Key, facts[id])
			b := batches[id]
			cut[id] = rapid.IntRange(0, b.Len()).Draw(t, "cut")
			part := b.Slice(0, cut[id])
			f.Feed(s.Key, &part)
		}
		if !f.Adopt(now) {
			refused++
			return
		}
		adopted++
		for _, s := range p.Streams {
			b := batches[s.Key.Stream]
			f.Feed(s.Key, &b)
			g.Feed(s.Key, &b)
		}
		if a, b := f.Result(), g.Result(); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
	if adopted == 0 || refused == 0 {
		t.Errorf("%d adopted, %d refused", adopted, refused)
	}
}

// The last sample before the gun still says where the counter stood.
func TestAdoptKeepsTheLastSample(t *testing.T) {
	race := distanceRace(t, 100_000, 50_000)
	before := *race
	before.Gun = 0
	f := counterFold(&before)
	feed(t, f, "a", meters(1, -15_000, 950, -5_000, 1000))
	p := f.Params()
	p.Race = race
	if !f.Adopt(p) {
		t.Fatal("a gun ahead of all samples is not adopted")
	}
	feed(t, f, "a", meters(3, 5_000, 1050, 15_000, 1100, 25_000, 1150))
	if got, want := f.Result().Gates, passages(0, 10_000_000, 1, 20_000_000); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestStreamChoiceOff(t *testing.T) {
	step.SwitchOff(t, step.RuleStreamChoice)
	fold := func(order ...string) training.Result {
		f := counterFold(distanceRace(t, 100_000), stream("a", sample.GNSS, sample.Measured, sample.DistanceMm),
			stream("b", sample.NTP, sample.Measured, sample.DistanceMm))
		for _, s := range order {
			feed(t, f, s, map[string]sample.Batch{"a": meters(1, 0, 0, 20_000, 100), "b": meters(1, 0, 0, 10_000, 100)}[s])
		}
		return f.Result()
	}
	if reflect.DeepEqual(fold("a", "b").Gates, fold("b", "a").Gates) {
		t.Error("without the rule the order of arrival should count")
	}
}

func TestFeedDoesNotAllocate(t *testing.T) {
	p := training.Params{Streams: []training.Stream{stream("a", sample.GNSS, sample.Measured, sample.LatE7, sample.LonE7, sample.HeartRateBpm)},
		Sport: "sail", Race: &training.Race{Course: regatta(t), Gun: gun}}
	f := training.NewFold(p)
	const n = 512
	b := sample.Batch{AtMs: make([]unit.InstantMs, n)}
	for _, c := range []sample.Channel{sample.LatE7, sample.LonE7, sample.HeartRateBpm} {
		b.Columns[c].Grow(n)
	}
	runs := int64(0)
	allocs := testing.AllocsPerRun(20, func() {
		b.FirstSeq = uint64(runs*n) + 1
		for i := range n {
			at := runs*n + int64(i)
			b.AtMs[i] = gun + unit.InstantMs(at*1000)
			b.Columns[sample.LatE7].Set(i, 535612000+at)
			b.Columns[sample.LonE7].Set(i, 97601000-at*100)
			b.Columns[sample.HeartRateBpm].Set(i, 150)
		}
		runs++
		if !f.Feed(key("a"), &b) {
			t.Fatal("not folded")
		}
	})
	if allocs > 1 { // a gate may be noted
		t.Errorf("%v allocations for %d samples", allocs, n)
	}
	if len(f.Result().Gates) == 0 {
		t.Error("no gate was passed: nothing was measured")
	}
}

func BenchmarkFeed(b *testing.B) {
	race := distanceRace(b, 9_000_000_000)
	f := counterFold(race)
	batch := meters(1, 0, 0)
	for i := range b.N {
		batch.FirstSeq = uint64(i) + 1
		batch.AtMs[0] = gun + unit.InstantMs(i*1000)
		batch.Columns[sample.DistanceMm].Set(0, int64(i)*5000)
		f.Feed(key("a"), &batch)
	}
	b.ReportAllocs()
}
