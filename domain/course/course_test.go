package course_test

import (
	"errors"
	"testing"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

func square() []geo.Point {
	return []geo.Point{geo.Degrees(50, 8), geo.Degrees(50, 8.02), geo.Degrees(50.01, 8.02), geo.Degrees(50.01, 8)}
}

func lapTrack(laps int) course.Track {
	line := append(square(), geo.Degrees(50, 8))
	start, _ := geo.Gate{ID: "start", Kind: geo.StartGate, Mandatory: true}.Across(line, 0, 60_000)
	half, _ := geo.Gate{ID: "half", Kind: geo.SplitGate, Mandatory: true}.Across(line, 2_000_000, 60_000)
	finish, _ := geo.Gate{ID: "finish", Kind: geo.FinishGate, Mandatory: true}.Across(line, geo.LineMm(line), 60_000)
	return course.Track{Format: course.Line, Sport: geo.Run, Name: "square", Line: line, Laps: laps,
		CorridorMm: 50_000, Gates: []geo.Gate{start, half, finish}}
}

func TestVisitsUnrollLaps(t *testing.T) {
	c, err := course.New(lapTrack(3))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"start", "half", "finish", "half", "finish", "half", "finish"}
	if len(c.Visits()) != len(want) || c.Finish() != 6 || !c.HasStart() {
		t.Fatalf("%d visits, finish %d, start %v", len(c.Visits()), c.Finish(), c.HasStart())
	}
	before := unit.DistanceMm(-1)
	for i, v := range c.Visits() {
		if v.ID != want[i] || v.AtMm <= before || v.Lap != max(1, (i+1)/2) {
			t.Errorf("visit %d is %+v, want %s beyond %d", i, v, want[i], before)
		}
		before = v.AtMm
	}
}

func TestDistanceWithoutGatesHasAFinish(t *testing.T) {
	c, err := course.New(course.Track{Format: course.Distance, Sport: geo.Run, Name: "5 km", DistanceMm: 5_000_000})
	if err != nil {
		t.Fatal(err)
	}
	v := c.Visits()
	if len(v) != 1 || v[0].Kind != geo.FinishGate || v[0].AtMm != 5_000_000 || c.HasStart() || c.Geo() != nil {
		t.Errorf("%+v", v)
	}
}

func TestCourseWithoutGatesGetsItsEnds(t *testing.T) {
	c, err := course.New(course.Track{Format: course.Line, Sport: geo.Ride, Name: "u", Line: square(), CorridorMm: 30_000})
	if err != nil {
		t.Fatal(err)
	}
	if v := c.Visits(); len(v) != 2 || v[0].Kind != geo.StartGate || v[1].Kind != geo.FinishGate || v[1].AtMm != c.LengthMm() {
		t.Errorf("%+v of %d mm", v, c.LengthMm())
	}
}

func TestRefused(t *testing.T) {
	km := func(change func(*course.Track)) course.Track {
		tr := course.Track{Format: course.Distance, Sport: geo.Run, Name: "km", DistanceMm: 1_000_000}
		change(&tr)
		return tr
	}
	mark := func(id string, k geo.GateKind, at unit.DistanceMm) geo.Gate {
		return geo.Gate{ID: id, Kind: k, AtMm: at}
	}
	for _, c := range []struct {
		name  string
		track course.Track
		want  error
	}{
		{"no format", km(func(tr *course.Track) { tr.Format = 0 }), course.ErrFormat},
		{"no sport", km(func(tr *course.Track) { tr.Sport = "" }), course.ErrSport},
		{"no name", km(func(tr *course.Track) { tr.Name = "" }), geo.ErrName},
		{"no distance", km(func(tr *course.Track) { tr.DistanceMm = 0 }), course.ErrDistance},
		{"too far", km(func(tr *course.Track) { tr.DistanceMm = course.MaxDistanceMm + 1 }), course.ErrDistance},
		{"laps", km(func(tr *course.Track) { tr.Laps = 2 }), geo.ErrLaps},
		{"no finish", km(func(tr *course.Track) { tr.Gates = []geo.Gate{mark("a", geo.SplitGate, 5)} }), geo.ErrGateKind},
		{"same mark", km(func(tr *course.Track) {
			tr.Gates = []geo.Gate{mark("a", geo.SplitGate, 5), mark("b", geo.SplitGate, 5), mark("f", geo.FinishGate, 1_000_000)}
		}), geo.ErrGateOrder},
		{"finish elsewhere", km(func(tr *course.Track) { tr.Gates = []geo.Gate{mark("f", geo.FinishGate, 999)} }), geo.ErrGateOrder},
		{"id twice", km(func(tr *course.Track) {
			tr.Gates = []geo.Gate{mark("a", geo.SplitGate, 5), mark("a", geo.FinishGate, 1_000_000)}
		}), geo.ErrGateID},
		{"negative laps", course.Track{Format: course.Line, Sport: geo.Run, Name: "x", Line: square(), Laps: -1, CorridorMm: 1000}, geo.ErrLaps},
		{"no corridor", course.Track{Format: course.Line, Sport: geo.Run, Name: "x", Line: square()}, geo.ErrCorridor},
		{"no line", course.Track{Format: course.Line, Sport: geo.Run, Name: "x", CorridorMm: 1000}, geo.ErrLine},
	} {
		if _, err := course.New(c.track); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}
