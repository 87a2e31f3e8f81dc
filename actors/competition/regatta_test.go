package competition

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// passing is one row of expected-gates.csv.
type passing struct {
	athlete  string
	gate     int
	at       unit.InstantMs
	position int
	gapMs    unit.DurationMs
	netMs    unit.DurationMs
}

// regattaPassings reads the recorded regatta; it is not part of the project.
func regattaPassings(t *testing.T) []passing {
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	var f *os.File
	var err error
	for _, folder := range []string{filepath.Join(root, "activities"), root} {
		f, err = os.Open(filepath.Join(folder, "group-regatta-2024", "expected-gates.csv"))
		if err == nil {
			break
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no recordings: %q has no activities/group-regatta-2024 (set PACELINE_DATA)", root)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []passing
	for _, r := range rows[1:] {
		at, err := time.Parse(time.RFC3339, r[4])
		gap, err2 := strconv.ParseFloat(r[8], 64)
		net, err3 := strconv.ParseFloat(r[9], 64)
		position, err4 := strconv.Atoi(r[7])
		if err := errors.Join(err, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		all = append(all, passing{athlete: r[0], gate: int(r[1][1] - '1'), at: unit.InstantMs(at.UnixMilli()), position: position,
			gapMs: unit.DurationMs(gap*1000 + 0.5), netMs: unit.DurationMs(net*1000 + 0.5)})
	}
	return all
}

// regatta is the course of the regatta: five meridians.
func regatta(by leaderboard.Base) Definition {
	points := [][2]float64{{53.5612, 9.76}, {53.5658, 9.70}, {53.5669, 9.67}, {53.5511, 9.70}, {53.5486, 9.76}}
	d := Definition{Name: "Regatta", RankBy: by, CutoffAfter: 6 * unit.Hour, AutoOfficialAfter: -1,
		Track: course.Track{Format: course.Line, Sport: "sail", CorridorMm: 2_000_000}}
	for _, p := range points {
		d.Track.Line = append(d.Track.Line, geo.Degrees(p[0], p[1]))
	}
	south, north := geo.Degrees(53.36, 0).Lat, geo.Degrees(53.76, 0).Lat
	for i, lon := range []float64{9.76, 9.70, 9.67, 9.70, 9.76} {
		g := geo.Gate{ID: fmt.Sprint("G", i+1), Kind: geo.SplitGate, Mandatory: true, AtMm: geo.Unplaced}
		switch i {
		case 0:
			g.Kind = geo.StartGate
		case 4:
			g.Kind = geo.FinishGate
		}
		if i < 3 {
			g = g.Westward(geo.Degrees(0, lon).Lon, south, north)
		} else {
			g = g.Eastward(geo.Degrees(0, lon).Lon, south, north)
		}
		d.Track.Gates = append(d.Track.Gates, g)
	}
	return d
}

// TestRegatta: three real boats by gun and by net. With one time base only it would pass too easily: the order on the
// water and the order by net time differ.
func TestRegatta(t *testing.T) {
	const start = unit.InstantMs(1718462760000) // 2024-06-15T14:46:00Z
	passings := regattaPassings(t)
	boats := []string{"alex", "richard", "yury"}
	want := map[leaderboard.Base]string{leaderboard.Gun: "[alex yury richard]", leaderboard.Net: "[richard alex yury]"}
	for base, order := range want {
		d, err := regatta(base).normal()
		if err != nil {
			t.Fatal(err)
		}
		var starters []Starter
		inputs := make([]Input, len(boats))
		for i, name := range boats {
			starters = append(starters, Starter{Entry: uint32(i + 1), GunAt: start, Bound: true})
			inputs[i] = Input{Entry: uint32(i + 1)}
			for _, p := range passings {
				if p.athlete == name {
					inputs[i].Gates = append(inputs[i].Gates, GateTime{uint32(p.gate), p.at.Us()})
				}
			}
		}
		rows, err := Standings(RulesVersion, d, start.Add(d.CutoffAfter), starters, inputs)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, r := range rows {
			name := boats[r.Entry-1]
			got = append(got, name)
			if int(r.Place) != i+1 {
				t.Errorf("%s has place %d, want %d", name, r.Place, i+1)
			}
			for _, p := range passings {
				if p.athlete == name && p.gate == 4 && abs(r.Net.RoundMs()-p.netMs) > 1 {
					t.Errorf("%s: net %d ms, want %d", name, r.Net.RoundMs(), p.netMs)
				}
			}
		}
		if fmt.Sprint(got) != order {
			t.Errorf("order by base %d: %v, want %s", base, got, order)
		}
	}
	for _, p := range passings {
		place, gap := 1, unit.DurationMs(0)
		for _, q := range passings {
			if q.gate == p.gate && q.at < p.at {
				place++
				gap = max(gap, p.at.Sub(q.at))
			}
		}
		if place != p.position || abs(gap-p.gapMs) > 1 { // the file's gaps are of unrounded times
			t.Errorf("%s at gate %d: place %d gap %d ms, want %d and %d", p.athlete, p.gate+1, place, gap, p.position, p.gapMs)
		}
	}
}

func abs(d unit.DurationMs) unit.DurationMs { return max(d, -d) }
