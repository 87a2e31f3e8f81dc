package courses_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/simulations/swarm/athlete"
	"paceline/simulations/swarm/courses"
	"paceline/simulations/swarm/gpx"
)

var rewrite = flag.Bool("rewrite", false, "draw the files again")

// The files are what Draw draws.
func TestFilesAreDrawn(t *testing.T) {
	for _, name := range courses.Names {
		drawn, err := courses.Draw(name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := gpx.Write(&b, drawn); err != nil {
			t.Fatal(err)
		}
		if *rewrite {
			if err := os.WriteFile(name+".gpx", b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(name + ".gpx")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(file, b.Bytes()) {
			t.Errorf("%s.gpx is not what Draw draws (-rewrite)", name)
		}
	}
}

// A course can be raced on: it makes a valid track, its slopes can be ridden, start and finish do not touch.
func TestCoursesCanBeRaced(t *testing.T) {
	for _, name := range courses.Names {
		track, err := courses.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		line := track.Line()
		c, err := course.New(course.Track{Format: course.Line, Sport: geo.Ride, Name: track.Name, Line: line, CorridorMm: 60_000})
		if err != nil {
			t.Fatal(err)
		}
		if km := float64(c.LengthMm()) / 1e6; km < 6 || km > 8 {
			t.Errorf("%s is %.1f km long", name, km)
		}
		if gap := geo.DistanceMm(line[0], line[len(line)-1]); gap < 100_000 || gap > 200_000 {
			t.Errorf("%s: %d m from the finish to the start", name, gap/1000)
		}
		heights := make([]int64, len(line))
		for i, p := range track.Points {
			heights[i] = p.AltitudeMm
		}
		p, err := athlete.NewProfile(line, heights)
		if err != nil {
			t.Fatal(err)
		}
		steepest := 0.0
		for at := 0.0; at < p.LengthM(); at += 10 {
			steepest = max(steepest, p.Slope(at), -p.Slope(at))
		}
		if steepest < 0.05 || steepest > 0.12 {
			t.Errorf("%s: steepest slope %.1f %%", name, steepest*100)
		}
		t.Logf("%s: %d m, steepest %.1f %%", name, c.LengthMm()/1000, steepest*100)
	}
}
