package geo_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// metres is a point east and north of a place at 50 degrees north.
func metres(east, north float64) geo.Point {
	const perLat, perLon = 111_194.93, 111_194.93 * 0.6427876
	return geo.Degrees(50+north/perLat, 8+east/perLon)
}

// across is a mandatory gate on a line.
func across(t testing.TB, id string, k geo.GateKind, line []geo.Point, at unit.DistanceMm) geo.Gate {
	t.Helper()
	g, ok := geo.Gate{ID: id, Kind: k, Mandatory: true}.Across(line, at, 60_000)
	if !ok {
		t.Fatalf("no gate %s across the line at %d mm", id, at)
	}
	return g
}

// straight is a course of two kilometres to the east with a split in the middle.
func straight(t testing.TB) geo.Plan {
	line := []geo.Point{metres(0, 0), metres(500, 0), metres(2000, 0)}
	return geo.Plan{Name: "straight", Line: line, CorridorM: 30, Gates: []geo.Gate{
		across(t, "S", geo.StartGate, line, 10_000),
		across(t, "M", geo.SplitGate, line, 1_000_000),
		across(t, "F", geo.FinishGate, line, 1_990_000),
	}}
}

func mustCourse(t testing.TB, p geo.Plan) *geo.Course {
	t.Helper()
	c, err := geo.NewCourse(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewCourseRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *geo.Plan)
		want   error
	}{
		{"no name", func(p *geo.Plan) { p.Name = "" }, geo.ErrName},
		{"no line", func(p *geo.Plan) { p.Line = nil }, geo.ErrLine},
		{"one point", func(p *geo.Plan) { p.Line = p.Line[:1] }, geo.ErrLine},
		{"one point twice", func(p *geo.Plan) { p.Line = []geo.Point{p.Line[0], p.Line[0]} }, geo.ErrLine},
		{"beyond the pole", func(p *geo.Plan) { p.Line[1].Lat = 900000001 }, geo.ErrPoint},
		{"over the antimeridian", func(p *geo.Plan) {
			p.Line = []geo.Point{geo.Degrees(0, 179.9), geo.Degrees(0, -179.9)}
		}, geo.ErrAntimeridian},
		{"no corridor", func(p *geo.Plan) { p.CorridorM = 0 }, geo.ErrCorridor},
		{"corridor too wide", func(p *geo.Plan) { p.CorridorM = geo.MaxCorridorM + 1 }, geo.ErrCorridor},
		{"laps below zero", func(p *geo.Plan) { p.Laps = -1 }, geo.ErrLaps},
		{"too many laps", func(p *geo.Plan) { p.Laps = geo.MaxLaps + 1 }, geo.ErrLaps},
		{"no gates", func(p *geo.Plan) { p.Gates = nil }, geo.ErrGates},
		{"too many gates", func(p *geo.Plan) { p.Gates = make([]geo.Gate, geo.MaxGates+1) }, geo.ErrGates},
		{"gate without id", func(p *geo.Plan) { p.Gates[1].ID = "" }, geo.ErrGateID},
		{"an id twice", func(p *geo.Plan) { p.Gates[1].ID = "S" }, geo.ErrGateID},
		{"no start", func(p *geo.Plan) { p.Gates[0].Kind = geo.SplitGate }, geo.ErrGateKind},
		{"no finish", func(p *geo.Plan) { p.Gates[2].Kind = geo.SplitGate }, geo.ErrGateKind},
		{"two starts", func(p *geo.Plan) { p.Gates[1].Kind = geo.StartGate }, geo.ErrGateKind},
		{"two finishes", func(p *geo.Plan) { p.Gates[1].Kind = geo.FinishGate }, geo.ErrGateKind},
		{"unknown kind", func(p *geo.Plan) { p.Gates[1].Kind = 77 }, geo.ErrGateKind},
		{"gate off the globe", func(p *geo.Plan) { p.Gates[1].A.Lon = 1 << 40 }, geo.ErrPoint},
		{"gate without length", func(p *geo.Plan) { p.Gates[1].A = p.Gates[1].B }, geo.ErrGateLine},
		{"gate round the globe", func(p *geo.Plan) { p.Gates[1].A.Lon, p.Gates[1].B.Lon = -1700000000, 1700000000 }, geo.ErrAntimeridian},
		{"gate without direction", func(p *geo.Plan) { p.Gates[1].Direction = 0 }, geo.ErrGateDirection},
		{"optional start", func(p *geo.Plan) { p.Gates[0].Mandatory = false }, geo.ErrGateOptional},
		{"optional finish", func(p *geo.Plan) { p.Gates[2].Mandatory = false }, geo.ErrGateOptional},
		{"gates out of order", func(p *geo.Plan) { p.Gates[1].AtMm = 5_000 }, geo.ErrGateOrder},
		{"gate beyond the end", func(p *geo.Plan) { p.Gates[2].AtMm = 3_000_000 }, geo.ErrGateOrder},
		{"gate beside the line", func(p *geo.Plan) {
			p.Gates[1].A, p.Gates[1].B, p.Gates[1].AtMm = metres(1000, 500), metres(1000, 600), geo.Unplaced
		}, geo.ErrGateOffLine},
		{"gate the wrong way", func(p *geo.Plan) {
			p.Gates[1].Direction, p.Gates[1].AtMm = -p.Gates[1].Direction, geo.Unplaced
		}, geo.ErrGateOffLine},
		{"the same gate twice", func(p *geo.Plan) {
			p.Gates[1].A, p.Gates[1].B = p.Gates[0].B, p.Gates[0].A
		}, geo.ErrGateRepeat},
		{"laps over one gate", func(p *geo.Plan) {
			p.Gates, p.Laps = []geo.Gate{p.Gates[0], p.Gates[2]}, 3
		}, geo.ErrGateRepeat},
	} {
		p := straight(t)
		c.change(&p)
		if got, err := geo.NewCourse(p); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: NewCourse = %v %v, want %v", c.name, got, err, c.want)
		}
	}
}

// Gates drawn by hand are found on the line, at its first point, at turning points and at its last one too.
func TestGatesAreFoundOnTheLine(t *testing.T) {
	c := mustCourse(t, regattaPlan())
	want := []unit.DistanceMm{0}
	line := regattaPlan().Line
	for i := 1; i < len(line); i++ {
		want = append(want, want[i-1]+geo.DistanceMm(line[i-1], line[i]))
	}
	for i, g := range c.Gates() {
		if d := g.AtMm - want[i]; d < -2 || d > 2 {
			t.Errorf("%s at %d mm, want %d", g.ID, g.AtMm, want[i])
		}
	}
	if d := c.LapMm() - want[4]; d < -2 || d > 2 {
		t.Errorf("LapMm() = %d, want %d", c.LapMm(), want[4])
	}
}

func TestGatesAcrossTheLine(t *testing.T) {
	line := []geo.Point{metres(0, 0), metres(300, 400), metres(300, 400), metres(300, 0)}
	for _, at := range []unit.DistanceMm{0, 1, 250_000, 499_000, 500_000, 700_000, 899_000} {
		g, ok := geo.Gate{ID: "G"}.Across(line, at, 20_000)
		if !ok {
			t.Errorf("no gate at %d", at)
			continue
		}
		if w := geo.DistanceMm(g.A, g.B); w < 19_950 || w > 20_050 {
			t.Errorf("gate at %d is %d mm wide, want 20,000", at, w)
		}
		crossings := 0
		for i := 1; i < len(line); i++ {
			if _, ok := g.Cross(line[i-1], 0, line[i], 1000); ok {
				crossings++
			}
		}
		if crossings != 1 && at > 0 && at != 500_000 { // at a corner rounding decides which leg touches it
			t.Errorf("the line crosses the gate at %d %d times in its direction, want once", at, crossings)
		}
	}
	for _, at := range []unit.DistanceMm{-1, 901_000} {
		if _, ok := (geo.Gate{}).Across(line, at, 20_000); ok {
			t.Errorf("a gate at %d, which is not on the line", at)
		}
	}
	if _, ok := (geo.Gate{}).Across(line[:1], 0, 20_000); ok {
		t.Error("a gate across a single point")
	}
}

func TestVisitsOfLaps(t *testing.T) {
	p := lapPlan(t, 3)
	c := mustCourse(t, p)
	if got := c.Visits(); got != 7 {
		t.Fatalf("Visits() = %d, want 7: the start, then split and finish on each of three laps", got)
	}
	var ids []string
	last := unit.DistanceMm(-1)
	for v := range c.Visits() {
		visit := c.Visit(v)
		ids = append(ids, c.Gates()[visit.Gate].ID)
		if visit.AtMm <= last {
			t.Errorf("visit %d at %d mm is not after the one before", v, visit.AtMm)
		}
		last = visit.AtMm
	}
	if want := []string{"S", "M", "F", "M", "F", "M", "F"}; !slices.Equal(ids, want) {
		t.Errorf("visits %v, want %v", ids, want)
	}
	if v := c.Visit(3); v.Lap != 2 {
		t.Errorf("visit 3 in lap %d, want 2", v.Lap)
	}
	if got, want := c.PointAt(c.TotalMm()), c.PointAt(0); geo.DistanceMm(got, want) > 20 {
		t.Errorf("laps end %d mm from where they began", geo.DistanceMm(got, want))
	}
}

// A plan given to NewCourse is not touched by it, nor the course by the plan.
func TestCourseIsItsOwn(t *testing.T) {
	p := regattaPlan()
	c := mustCourse(t, p)
	if p.Gates[1].AtMm != geo.Unplaced {
		t.Error("NewCourse placed the gates of the plan it was given")
	}
	was := c.Gates()[1]
	p.Gates[1].ID = "changed"
	if c.Gates()[1] != was {
		t.Error("a change of the plan changed the course")
	}
}

// pass takes all passages of one step.
func pass(c *geo.Course, s *geo.Passing, a, b fix) []geo.Passage {
	var all []geo.Passage
	for {
		p, ok := c.Pass(s, a.point, a.at, b.point, b.at)
		if !ok {
			return all
		}
		all = append(all, p)
	}
}

func TestPassingRules(t *testing.T) {
	optional := func(p *geo.Plan) { p.Gates[1].Mandatory = false }
	sprint := func(p *geo.Plan) {
		g := p.Gates[2]
		g.ID, g.Kind, g.Mandatory = "P", geo.SprintGate, false
		p.Gates[1] = g
	}
	beyond := func(p *geo.Plan) { // drawn in the wrong place: behind the finish
		p.Gates[1] = across(t, "M", geo.SplitGate, p.Line, 1_995_000)
		p.Gates[1].AtMm, p.Gates[1].Mandatory = 1_000_000, false
	}
	at := func(east, sec float64) fix { return fix{metres(east, 0), unit.InstantMs(sec * 1000)} }
	beside := func(east, sec float64) fix { return fix{metres(east, 100), unit.InstantMs(sec * 1000)} }
	for _, c := range []struct {
		name   string
		change func(*geo.Plan)
		gun    unit.InstantMs
		track  []fix
		visits []int
	}{
		{"in order", nil, 0, []fix{at(0, 0), at(500, 50), at(1500, 150), at(2000, 200)}, []int{0, 1, 2}},
		{"all in one step", nil, 0, []fix{at(0, 0), at(2000, 200)}, []int{0, 1, 2}},
		{"the start before the gun does not count", nil, 30_000, []fix{at(0, 0), at(100, 20), at(2000, 200)}, nil},
		{"back and across the start after the gun", nil, 30_000, []fix{at(0, 0), at(100, 20), at(0, 35), at(2000, 200)}, []int{0, 1, 2}},
		{"a mandatory gate left out stops the rest", nil, 0, []fix{at(0, 0), at(800, 80), beside(900, 90), beside(1100, 110), at(1200, 120), at(2000, 200)}, []int{0}},
		{"the gate made good later", nil, 0, []fix{at(0, 0), at(800, 80), beside(900, 90), beside(1100, 110), at(1200, 120), at(900, 150), at(2000, 300)}, []int{0, 1, 2}},
		{"an optional gate left out", optional, 0, []fix{at(0, 0), at(800, 80), beside(900, 90), beside(1100, 110), at(1200, 120), at(2000, 200)}, []int{0, 2}},
		{"an optional gate passed", optional, 0, []fix{at(0, 0), at(2000, 200)}, []int{0, 1, 2}},
		{"a sprint on the finish line", sprint, 0, []fix{at(0, 0), at(2000, 200)}, []int{0, 1, 2}},
		{"the earliest of several wins", beyond, 0, []fix{at(0, 0), at(2000, 200)}, []int{0, 2}},
		{"the wrong way only", nil, 0, []fix{at(2000, 0), at(0, 200)}, nil},
		{"after the finish nothing", nil, 0, []fix{at(0, 0), at(2000, 200), at(0, 400), at(2000, 600)}, []int{0, 1, 2}},
	} {
		p := straight(t)
		if c.change != nil {
			c.change(&p)
		}
		course := mustCourse(t, p)
		s := geo.PassingFrom(c.gun)
		var visits []int
		last := c.gun.Us() - 1
		for i := 1; i < len(c.track); i++ {
			for _, q := range pass(course, &s, c.track[i-1], c.track[i]) {
				if q.At < last {
					t.Errorf("%s: visit %d at %d is before the one before", c.name, q.Visit, q.At)
				}
				visits, last = append(visits, q.Visit), q.At
			}
		}
		if !slices.Equal(visits, c.visits) {
			t.Errorf("%s: visits %v, want %v", c.name, visits, c.visits)
		}
		if got, want := course.Finished(s), slices.Contains(c.visits, 2); got != want {
			t.Errorf("%s: Finished = %v, want %v", c.name, got, want)
		}
	}
}

func TestCeiling(t *testing.T) {
	p := straight(t)
	c := mustCourse(t, p)
	want := []unit.DistanceMm{10_000, 1_000_000, 1_990_000, c.TotalMm()}
	for next, w := range want {
		if got := c.CeilingMm(geo.Passing{Next: next}); got != w {
			t.Errorf("CeilingMm before visit %d = %d, want %d", next, got, w)
		}
	}
	p.Gates[1].Mandatory = false
	if got := mustCourse(t, p).CeilingMm(geo.Passing{Next: 1}); got != 1_990_000 {
		t.Errorf("CeilingMm before an optional gate = %d, want the finish", got)
	}
	laps := mustCourse(t, lapPlan(t, 3))
	if got, want := laps.CeilingMm(geo.Passing{Next: 3}), laps.Visit(3).AtMm; got != want {
		t.Errorf("CeilingMm on the second lap = %d, want %d", got, want)
	}
}

// However a track is cut into steps, the gates passed and their order are the same, and the times but for rounding of
// the cuts' places.
func TestPassingDoesNotDependOnTheCut(t *testing.T) {
	course := mustCourse(t, straight(t))
	rapid.Check(t, func(t *rapid.T) {
		east := []float64{-20}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			east = append(east, east[len(east)-1]+float64(rapid.IntRange(-150, 400).Draw(t, "east")))
		}
		whole, cut := geo.PassingFrom(0), geo.PassingFrom(0)
		var a, b []geo.Passage
		for i := 1; i < len(east); i++ {
			from, to := fix{metres(east[i-1], 0), unit.InstantMs(i-1) * 10_000}, fix{metres(east[i], 0), unit.InstantMs(i) * 10_000}
			mid := fix{geo.Point{Lat: (from.point.Lat + to.point.Lat) / 2, Lon: (from.point.Lon + to.point.Lon) / 2}, from.at + 5000}
			a = append(a, pass(course, &whole, from, to)...)
			b = append(append(b, pass(course, &cut, from, mid)...), pass(course, &cut, mid, to)...)
		}
		if len(a) != len(b) {
			t.Fatalf("whole %v, cut %v", a, b)
		}
		for i := range a {
			if d := a[i].At - b[i].At; a[i].Visit != b[i].Visit || d < -5000 || d > 5000 {
				t.Fatalf("whole %v, cut %v", a, b)
			}
		}
	})
}
