package geo_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// outAndBack goes 1.5 km east and comes back on the same road, as the crow flies three metres beside it.
func outAndBack() []geo.Point {
	return []geo.Point{metres(0, 0), metres(700, 0), metres(1500, 0), metres(1500, 3), metres(600, 3), metres(0, 3)}
}

// eight is a figure of eight that crosses itself at right angles.
func eight() []geo.Point {
	var line []geo.Point
	for i := range 129 {
		a := 2 * math.Pi * float64(i) / 128
		line = append(line, metres(400*math.Sin(2*a), 600*math.Sin(a)))
	}
	return line
}

// ring is a lap of about 1.9 km.
func ring() []geo.Point {
	var line []geo.Point
	for i := range 60 {
		a := 2 * math.Pi * float64(i) / 60
		line = append(line, metres(300*math.Sin(a), 300-300*math.Cos(a)))
	}
	return line
}

// withGates makes a plan of a line with a start, a split in the middle and a finish.
func withGates(t testing.TB, line []geo.Point, laps int) geo.Plan {
	length := geo.LineMm(line)
	return geo.Plan{Name: "test", Line: line, CorridorM: 30, Laps: laps, Gates: []geo.Gate{
		across(t, "S", geo.StartGate, line, 5_000),
		across(t, "M", geo.SplitGate, line, length/2),
		across(t, "F", geo.FinishGate, line, length-5_000),
	}}
}

func lapPlan(t testing.TB, laps int) geo.Plan { return withGates(t, ring(), laps) }

// ride goes along a course at a speed with noisy positions, every tick; visit sees true and matched place.
type ride struct {
	course *geo.Course
	mPerS  float64
	noiseM float64
	tick   unit.DurationMs
	silent func(at unit.InstantMs) bool // no sample then
	seed   uint64
}

func (r ride) follow(tracker *geo.Tracker, visit func(true, progress unit.DistanceMm, onCourse bool)) {
	random := rand.New(rand.NewPCG(r.seed, 9))
	for at := unit.InstantMs(0); ; at = at.Add(r.tick) {
		place := unit.DistanceMm(float64(at) * r.mPerS)
		if place > r.course.TotalMm() {
			return
		}
		if r.silent != nil && r.silent(at) {
			continue
		}
		p := r.course.PointAt(place)
		p.Lat += int64(random.NormFloat64() * r.noiseM * 90)
		p.Lon += int64(random.NormFloat64() * r.noiseM * 140)
		progress, on := tracker.Step(p, at)
		visit(place, progress, on)
	}
}

// Progress follows the truth, never goes back and never jumps to another leg or lap. Around a turning point, where both
// legs are the same road, it may lag or lead by twice the slack for a moment; nearly always it is within 40 m.
func TestProgressOnCoursesThatMeetThemselves(t *testing.T) {
	for name, plan := range map[string]geo.Plan{
		"out and back":    withGates(t, outAndBack(), 1),
		"figure of eight": withGates(t, eight(), 1),
		"four laps":       lapPlan(t, 4),
		"laps of eights":  withGates(t, eight(), 3),
	} {
		course := mustCourse(t, plan)
		rapid.Check(t, func(t *rapid.T) {
			r := ride{
				course: course,
				mPerS:  float64(rapid.IntRange(1, 15).Draw(t, "m/s")),
				noiseM: float64(rapid.IntRange(0, 4).Draw(t, "noise")),
				tick:   unit.DurationMs(rapid.SampledFrom([]int{200, 1000, 3000, 7000}).Draw(t, "tick")),
				seed:   rapid.Uint64().Draw(t, "seed"),
			}
			tracker := geo.NewTracker(course, geo.LimitsOf(geo.Ride))
			var last unit.DistanceMm
			steps, far := 0, 0
			r.follow(&tracker, func(place, progress unit.DistanceMm, on bool) {
				if progress < last {
					t.Fatalf("%s: back from %d to %d mm", name, last, progress)
				}
				d := progress - place
				if d < -120_000 || d > 120_000 || !on {
					t.Fatalf("%s: at %d m progress is %d m, on course %v", name, place/1000, progress/1000, on)
				}
				if steps++; d < -40_000 || d > 40_000 {
					far++
				}
				last = progress
			})
			if far*20 > steps {
				t.Fatalf("%s: further than 40 m off in %d of %d steps", name, far, steps)
			}
		})
	}
}

// Who was taken to go back at the turning point, although it went on, is found again on the way home.
func TestProgressHealsAfterATurn(t *testing.T) {
	course := mustCourse(t, withGates(t, outAndBack(), 1))
	for seed := range uint64(200) {
		tracker := geo.NewTracker(course, geo.LimitsOf(geo.Ride))
		ride{course: course, mPerS: 5, noiseM: 5, tick: unit.Second, seed: seed}.follow(&tracker, func(place, progress unit.DistanceMm, _ bool) {
			if d := progress - place; d < -120_000 {
				t.Fatalf("seed %d: at %d m progress is %d m", seed, place/1000, progress/1000)
			}
		})
	}
}

// A hole in the samples, as in a tunnel, does not lead to another leg or lap: the speed so far says where to look.
func TestProgressAfterAHole(t *testing.T) {
	for name, plan := range map[string]geo.Plan{"out and back": withGates(t, outAndBack(), 1), "four laps": lapPlan(t, 4)} {
		course := mustCourse(t, plan)
		for start := unit.InstantMs(20_000); start < 250_000; start += 10_000 {
			r := ride{course: course, mPerS: 8, noiseM: 3, tick: unit.Second, seed: uint64(start),
				silent: func(at unit.InstantMs) bool { return at > start && at < start.Add(40*unit.Second) }}
			tracker := geo.NewTracker(course, geo.LimitsOf(geo.Run))
			r.follow(&tracker, func(place, progress unit.DistanceMm, on bool) {
				if d := progress - place; d < -120_000 || d > 120_000 {
					t.Fatalf("%s, hole at %d s: at %d m progress is %d m", name, start/1000, place/1000, progress/1000)
				}
			})
		}
	}
}

// Off the course progress stays, after a minute it is said, and back on the course it goes on.
func TestOffCourse(t *testing.T) {
	course := mustCourse(t, straight(t))
	tracker := geo.NewTracker(course, geo.LimitsOf(geo.Run))
	step := func(east, north float64, sec int) (unit.DistanceMm, bool) {
		return tracker.Step(metres(east, north), unit.InstantMs(sec*1000))
	}
	for s := range 101 {
		step(float64(s*5), 0, s)
	}
	was := tracker.State.FurthestMm
	for s := 101; s <= 160; s++ {
		if got, on := step(float64(s*5), 200, s); got != was || !on {
			t.Fatalf("after %d s beside the course: progress %d, on course %v, want %d, true", s-100, got, on, was)
		}
	}
	if got, on := step(805, 200, 161); got != was || on {
		t.Errorf("after 61 s: progress %d, on course %v, want %d, false", got, on, was)
	}
	if got, on := step(810, 0, 162); got < 805_000 || !on {
		t.Errorf("back on the course: progress %d, on course %v", got, on)
	}
}

// An athlete that is far from the start when its samples begin is found once it could have come there.
func TestProgressOfALateFirstSample(t *testing.T) {
	course := mustCourse(t, straight(t))
	tracker := geo.NewTracker(course, geo.LimitsOf(geo.Run))
	if got, _ := tracker.Step(metres(900, 0), 0); got != 0 {
		t.Errorf("first sample at 900 m: progress %d, want 0", got)
	}
	if got, _ := tracker.Step(metres(905, 0), 120_000); got < 900_000 {
		t.Errorf("two minutes later progress is %d, want 905 m", got)
	}
}

// Nobody leads by a short cut: progress does not count beyond a mandatory gate that has not been passed.
func TestProgressBelowTheNextGate(t *testing.T) {
	course := mustCourse(t, straight(t))
	tracker := geo.NewTracker(course, geo.LimitsOf(geo.Run))
	for s := range 251 {
		ceiling := course.CeilingMm(geo.Passing{Next: 1}) // the start is passed, the split at 1,000 m is not
		progress, on := tracker.StepBelow(metres(float64(s*5), 0), unit.InstantMs(s*1000), ceiling)
		if progress > ceiling {
			t.Fatalf("progress %d is beyond the gate at %d", progress, ceiling)
		}
		if s == 250 && (progress != ceiling || !on) {
			t.Errorf("at 1,250 m: progress %d, on course %v, want %d, true: still within a minute", progress, on, ceiling)
		}
	}
	for s := 251; s < 330; s++ {
		tracker.StepBelow(metres(float64(s*5), 0), unit.InstantMs(s*1000), 1_000_000)
	}
	if _, on := tracker.StepBelow(metres(1650, 0), 330_000, 1_000_000); on {
		t.Error("far beyond a gate that was left out and still on course")
	}
	tracker.Anchor(1_000_000, 400_000) // went back and passed it
	if got, on := tracker.StepBelow(metres(1003, 0), 401_000, 1_990_000); got < 1_002_000 || got > 1_004_000 || !on {
		t.Errorf("after the gate: progress %d, on course %v", got, on)
	}
}

// A state that was stored and set again goes on as if nothing had happened; older samples change nothing.
func TestProgressCheckpoint(t *testing.T) {
	course := mustCourse(t, withGates(t, outAndBack(), 1))
	limits := geo.LimitsOf(geo.Run)
	a, b := geo.NewTracker(course, limits), geo.NewTracker(course, limits)
	n := 0
	ride{course: course, mPerS: 4, noiseM: 5, tick: unit.Second, seed: 1}.follow(&a, func(place, progress unit.DistanceMm, _ bool) {
		if n++; n == 300 {
			b.State = a.State
		}
	})
	at := a.State.SeenAt
	n = 0
	ride{course: course, mPerS: 4, noiseM: 5, tick: unit.Second, seed: 1}.follow(&b, func(place, progress unit.DistanceMm, _ bool) {})
	if a.State != b.State {
		t.Errorf("resumed %+v, want %+v", b.State, a.State)
	}
	was := a.State
	if got, _ := a.Step(metres(0, 0), at.Add(-unit.Minute)); got != was.FurthestMm || a.State != was {
		t.Errorf("an older sample changed %+v to %+v", was, a.State)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	course := mustCourse(t, lapPlan(t, 4))
	tracker := geo.NewTracker(course, geo.LimitsOf(geo.Ride))
	passing := geo.PassingFrom(0)
	at := unit.InstantMs(0)
	if n := testing.AllocsPerRun(500, func() {
		at += 1000
		a, b := course.PointAt(unit.DistanceMm(at-1000)*8), course.PointAt(unit.DistanceMm(at)*8)
		course.Pass(&passing, a, at-1000, b, at)
		tracker.StepBelow(b, at, course.CeilingMm(passing))
	}); n != 0 {
		t.Errorf("%v allocations for a step, want none", n)
	}
}

func BenchmarkStep(b *testing.B) {
	course := mustCourse(b, lapPlan(b, 100))
	tracker := geo.NewTracker(course, geo.LimitsOf(geo.Ride))
	at := unit.InstantMs(0)
	b.ReportAllocs()
	for b.Loop() {
		at = (at + 1000) % 10_000_000
		if at == 0 {
			tracker.State = geo.Progress{}
		}
		tracker.Step(course.PointAt(unit.DistanceMm(at)*10), at)
	}
}
