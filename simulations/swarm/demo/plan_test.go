package demo

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// data is a folder of real recordings; they are not part of the project.
func data(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	folder := filepath.Join(root, "activities", name)
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no recordings: %q has no activities/%s (set PACELINE_DATA)", root, name)
	}
	return folder
}

// The regatta as it is sent gives the expected times within 3 ms and every order, before any node has seen it.
func TestRegattaPlan(t *testing.T) {
	p, err := planOf(Options{Data: data(t, "group-regatta-2024")}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := readExpected(p.Expected)
	if err != nil || len(want) != 15 {
		t.Fatalf("%d expected rows, %v", len(want), err)
	}
	got := map[string]unit.InstantMs{}
	for i := range p.Entrants {
		for _, x := range p.crossings(&p.Entrants[i]) {
			got[handle(p.Entrants[i].Name)+p.Course.Visits()[x.Gate].ID] = x.At.CutMs()
		}
		if p.reviewExpected(&p.Entrants[i]) {
			t.Errorf("%s comes under review", p.Entrants[i].Name)
		}
	}
	for _, e := range want {
		if d := got[e.athlete+e.gate].Sub(e.at); d < -apartMs || d > apartMs {
			t.Errorf("%s %s is %d ms from the expected time", e.athlete, e.gate, d)
		}
	}
	if s := p.speed(); s < 110 || s > 130 {
		t.Errorf("speed %v", s)
	}
	gun, net := expectedOrders(want, "G5")
	if gun[0] != "alex" || gun[2] != "richard" || net[0] != "richard" || net[2] != "yury" {
		t.Errorf("expected orders %v, %v", gun, net)
	}
}

// Five runs of five days become one race: all begin at the gun, the counter is a watch's, and only runner-4 jumps.
func TestVirtualPlan(t *testing.T) {
	p, err := planOf(Options{Data: data(t, "virtual-5k")}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Entrants) != 5 || p.Track.DistanceMm != 5_000_000 {
		t.Fatalf("%d entrants over %d mm", len(p.Entrants), p.Track.DistanceMm)
	}
	for i := range p.Entrants {
		e := &p.Entrants[i]
		if e.Samples.AtMs[0] != p.Gun {
			t.Errorf("%s begins at %d, the gun is %d", e.Name, e.Samples.AtMs[0], p.Gun)
		}
		if _, _, ok := p.finish(e); !ok {
			t.Errorf("%s does not finish", e.Name)
		}
		if got, want := p.reviewExpected(e), e.Name == "Runner-4"; got != want {
			t.Errorf("%s under review: %v", e.Name, got)
		}
		sum := unit.DistanceMm(0)
		for k := 1; k < e.Samples.Len(); k++ {
			a, _ := e.Samples.Value(sample.LatE7, k-1)
			b, _ := e.Samples.Value(sample.LonE7, k-1)
			c, _ := e.Samples.Value(sample.LatE7, k)
			d, _ := e.Samples.Value(sample.LonE7, k)
			sum += geo.DistanceMm(geo.Point{Lat: a, Lon: b}, geo.Point{Lat: c, Lon: d})
			if mm, ok := e.Samples.Value(sample.DistanceMm, k); !ok || mm != int64(sum) {
				t.Fatalf("%s: sample %d counts %d mm, want %d", e.Name, k, mm, sum)
			}
		}
	}
}

func TestGhostPlan(t *testing.T) {
	for _, name := range []string{"ghost-4k", "ghost-8k", "ghost-10k"} {
		p, err := planOf(Options{Data: data(t, name)}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Entrants {
			if _, _, ok := p.finish(&p.Entrants[i]); !ok {
				t.Errorf("%s: %s does not finish", name, p.Entrants[i].Name)
			}
		}
	}
}

// The project's own race: twelve athletes, all gates, one gives up, and the same seed is the same race.
func TestOwnPlan(t *testing.T) {
	wall := time.UnixMilli(1_800_000_000_123)
	p, err := planOf(Options{Seed: 5}, wall)
	if err != nil {
		t.Fatal(err)
	}
	q, err := planOf(Options{Seed: 5}, wall)
	if err != nil {
		t.Fatal(err)
	}
	finished := 0
	for i := range p.Entrants {
		if x, y := p.crossings(&p.Entrants[i]), q.crossings(&q.Entrants[i]); len(x) != len(y) || x[len(x)-1] != y[len(y)-1] {
			t.Errorf("%s differs", p.Entrants[i].Name)
		}
		if _, _, ok := p.finish(&p.Entrants[i]); ok {
			finished++
		}
	}
	if finished != 11 || len(p.Course.Visits()) != 6 || p.Gun%1000 != 0 {
		t.Errorf("%d finish, %d gates, gun %d", finished, len(p.Course.Visits()), p.Gun)
	}
}

func TestPlanRefuses(t *testing.T) {
	if _, err := planOf(Options{Data: filepath.Join(t.TempDir(), "nothing")}, time.Time{}); err == nil {
		t.Error("a folder that is not there")
	}
	if _, err := planOf(Options{Data: t.TempDir()}, time.Time{}); err == nil {
		t.Error("a folder that nobody knows")
	}
	for _, speed := range []float64{5000, -1, math.NaN(), math.Inf(1)} {
		if _, err := (Options{Speed: speed}).withDefaults(); err == nil {
			t.Errorf("a clock of %v", speed)
		}
	}
}
