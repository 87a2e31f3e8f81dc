package course_test

import (
	"errors"
	"testing"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// hill goes 1 km north: flat, up 5 %, down 10 %, flat.
func hill(laps int) course.Track {
	var t course.Track
	const eastPerM = 90 // 1e-7 degrees of latitude
	t = course.Track{Format: course.Line, Sport: geo.Ride, Name: "hill", CorridorMm: 50_000, Laps: laps}
	for i, high := range []int64{100, 100, 115, 85, 85} {
		t.Line = append(t.Line, geo.Point{Lat: 500_000_000 + int64(i)*300*eastPerM, Lon: 80_000_000})
		t.HeightsMm = append(t.HeightsMm, high*1000)
	}
	return t
}

func TestGradient(t *testing.T) {
	c, err := course.New(hill(1))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[unit.DistanceMm]int32{0: 0, 150_000: 0, 450_000: 500, 750_000: -1000, 1_100_000: 0, 9e12: 0, -5: 0} {
		got, ok := c.GradientBp(at)
		if !ok || got < want-5 || got > want+5 {
			t.Errorf("at %d mm %d bp, %v; want about %d", at, got, ok, want)
		}
	}
	// A kink is levelled: half of what follows where it begins.
	if got, _ := c.GradientBp(300_200); got < 200 || got > 300 {
		t.Errorf("where it begins to rise: %d bp", got)
	}
	flat := hill(1)
	flat.HeightsMm = nil
	if c, err = course.New(flat); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.GradientBp(450_000); ok {
		t.Error("a gradient without heights")
	}
}

func TestGradientOfALap(t *testing.T) {
	tr := lapTrack(3)
	for range tr.Line {
		tr.HeightsMm = append(tr.HeightsMm, int64(len(tr.HeightsMm))*20_000)
	}
	tr.HeightsMm[4] = 0
	c, err := course.New(tr)
	if err != nil {
		t.Fatal(err)
	}
	lap := c.LengthMm() / 3
	for _, at := range []unit.DistanceMm{500_000, 1_500_000, lap - 300_000} {
		first, _ := c.GradientBp(at)
		third, _ := c.GradientBp(2*lap + at)
		if first != third || first == 0 {
			t.Errorf("at %d mm: %d bp on the first lap, %d on the third", at, first, third)
		}
	}
	open := tr
	open.Line, open.HeightsMm = tr.Line[:4], tr.HeightsMm[:4]
	open.Gates = nil
	closed, err := course.New(course.Track{Format: course.Line, Sport: geo.Run, Name: "square", Line: open.Line, HeightsMm: open.HeightsMm,
		Laps: 2, CorridorMm: 50_000, Gates: lapTrack(2).Gates})
	if err != nil {
		t.Fatal(err)
	}
	if n := closed.Track(); len(n.HeightsMm) != len(n.Line) {
		t.Errorf("%d heights for a closed line of %d points", len(n.HeightsMm), len(n.Line))
	}
	if again, err := course.New(closed.Track()); err != nil || !again.Track().Equal(closed.Track()) {
		t.Errorf("the same track again: %v", err)
	}
}

func TestHeightsThatCannotBe(t *testing.T) {
	for name, heights := range map[string][]int64{"too few": {1, 2}, "too high": {0, 0, 0, 0, 9_000_001}, "too low": {0, 0, -500_001, 0, 0}} {
		tr := hill(1)
		tr.HeightsMm = heights
		if _, err := course.New(tr); !errors.Is(err, course.ErrHeights) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
