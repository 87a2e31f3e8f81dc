package geo_test

import (
	"cmp"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// activities is the folder of real recordings; they are not part of the project.
func activities(t testing.TB) string {
	t.Helper()
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	for _, folder := range []string{filepath.Join(root, "activities"), root} {
		if _, err := os.Stat(filepath.Join(folder, "group-regatta-2024")); err == nil {
			return folder
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Skipf("no recordings: %q has no folder activities/group-regatta-2024 (set PACELINE_DATA)", root)
	return ""
}

type fix struct {
	point geo.Point
	at    unit.InstantMs
}

// recording reads the track points of a GPX file at a scale of 10^-digits degrees.
func recording(t testing.TB, path string, digits int) []fix {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Points []struct {
			Lat  string    `xml:"lat,attr"`
			Lon  string    `xml:"lon,attr"`
			Time time.Time `xml:"time"`
		} `xml:"trk>trkseg>trkpt"`
	}
	if err := xml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	fixes := make([]fix, len(doc.Points))
	for i, p := range doc.Points {
		lat, err1 := geo.ParseDegrees(p.Lat, digits)
		lon, err2 := geo.ParseDegrees(p.Lon, digits)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		fixes[i] = fix{geo.Point{Lat: lat, Lon: lon}, unit.InstantMs(p.Time.UnixMilli())}
	}
	return fixes
}

var (
	gun   = unit.InstantMs(time.Date(2024, 6, 15, 14, 46, 0, 0, time.UTC).UnixMilli())
	boats = []string{"alex", "richard", "yury"}
)

// regattaPlan is the race in 1e-7 degrees.
func regattaPlan() geo.Plan {
	const south, north = 533600000, 537600000
	gate := func(id string, k geo.GateKind) geo.Gate {
		return geo.Gate{ID: id, Kind: k, Mandatory: true, AtMm: geo.Unplaced}
	}
	line := []geo.Point{
		geo.Degrees(53.5612, 9.76), geo.Degrees(53.5658, 9.70), geo.Degrees(53.5669, 9.67),
		geo.Degrees(53.5511, 9.70), geo.Degrees(53.5486, 9.76),
	}
	return geo.Plan{Name: "Hamburg", Line: line, CorridorM: 2000, Gates: []geo.Gate{
		gate("G1", geo.StartGate).Westward(97600000, south, north),
		gate("G2", geo.SplitGate).Westward(97000000, south, north),
		gate("G3", geo.SplitGate).Westward(96700000, south, north),
		gate("G4", geo.SplitGate).Eastward(97000000, south, north),
		gate("G5", geo.FinishGate).Eastward(97600000, south, north),
	}}
}

// finerGates brings the plan's gates from e7 to a finer scale.
func finerGates(gates []geo.Gate, digits int) []geo.Gate {
	k := int64(math.Pow10(digits - geo.E7))
	finer := slices.Clone(gates)
	for i := range finer {
		g := &finer[i]
		g.A, g.B = geo.Point{Lat: g.A.Lat * k, Lon: g.A.Lon * k}, geo.Point{Lat: g.B.Lat * k, Lon: g.B.Lon * k}
	}
	return finer
}

// gateTimes is the rule written out: gates in order, first crossing in the right direction after the one before.
func gateTimes(t testing.TB, gates []geo.Gate, track []fix) []unit.InstantUs {
	t.Helper()
	var times []unit.InstantUs
	last := gun.Us() - 1
	for i := 1; i < len(track); i++ {
		for len(times) < len(gates) {
			a, b := track[i-1], track[i]
			at, ok := gates[len(times)].Cross(a.point, a.at, b.point, b.at)
			if !ok || at <= last {
				break
			}
			times, last = append(times, at), at
		}
	}
	if len(times) != len(gates) {
		t.Fatalf("passed %d gates, want %d", len(times), len(gates))
	}
	return times
}

type expectedRow struct {
	at       unit.InstantMs
	position int
	gap, net float64
}

func expectedGates(t testing.TB, folder string) map[string][]expectedRow {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "expected-gates.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]expectedRow{}
	for _, r := range rows[1:] {
		at, err1 := time.Parse("2006-01-02T15:04:05.000-07:00", r[4])
		position, err2 := strconv.Atoi(r[7])
		gap, err3 := strconv.ParseFloat(r[8], 64)
		net, err4 := strconv.ParseFloat(r[9], 64)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		want[r[0]] = append(want[r[0]], expectedRow{unit.InstantMs(at.UnixMilli()), position, gap, net})
	}
	return want
}

func seconds(d unit.DurationMs) string { return fmt.Sprintf("%.3f", float64(d)/1000) }

// order lists the boats by a time at one gate.
func order(times map[string][]unit.InstantUs, by func([]unit.InstantUs) int64) []string {
	o := slices.Clone(boats)
	slices.SortFunc(o, func(a, b string) int { return cmp.Compare(by(times[a]), by(times[b])) })
	return o
}

// The golden test: all 15 rows exactly, at the files' full precision.
//
// The files carry up to 30 decimals. Kept are 12, rounded; cut instead of rounded gives the same 15 rows.
// Instants are cut to the millisecond, gap and net are differences of unrounded microseconds, rounded.
func TestRegattaFullPrecision(t *testing.T) {
	const digits = 12
	folder := filepath.Join(activities(t), "group-regatta-2024")
	want := expectedGates(t, folder)
	gates := finerGates(regattaPlan().Gates, digits)
	times := map[string][]unit.InstantUs{}
	for _, b := range boats {
		times[b] = gateTimes(t, gates, recording(t, filepath.Join(folder, b+".gpx"), digits))
	}
	rows := 0
	for gate := range gates {
		places := order(times, func(x []unit.InstantUs) int64 { return int64(x[gate]) })
		for i, b := range places {
			at, w := times[b][gate], want[b][gate]
			if got := at.CutMs(); got != w.at {
				t.Errorf("%s G%d at %v, want %v", b, gate+1, got.Time(), w.at.Time())
			}
			if i+1 != w.position {
				t.Errorf("%s G%d place %d, want %d", b, gate+1, i+1, w.position)
			}
			if got := seconds(at.Sub(times[places[0]][gate]).RoundMs()); got != fmt.Sprintf("%.3f", w.gap) {
				t.Errorf("%s G%d gap %s, want %.3f", b, gate+1, got, w.gap)
			}
			if got := seconds(at.Sub(times[b][0]).RoundMs()); got != fmt.Sprintf("%.3f", w.net) {
				t.Errorf("%s G%d net %s, want %.3f", b, gate+1, got, w.net)
			}
			rows++
		}
	}
	if rows != 15 {
		t.Errorf("compared %d rows, want 15", rows)
	}
}

// Through wire and store positions have 1e-7 degrees: each time is within 3 ms and every order is the same. This goes
// through Course and Passing, as the product does.
func TestRegattaAtWirePrecision(t *testing.T) {
	folder := filepath.Join(activities(t), "group-regatta-2024")
	want := expectedGates(t, folder)
	course, err := geo.NewCourse(regattaPlan())
	if err != nil {
		t.Fatal(err)
	}
	fine, coarse := map[string][]unit.InstantUs{}, map[string][]unit.InstantUs{}
	gates := finerGates(regattaPlan().Gates, 12)
	for _, b := range boats {
		path := filepath.Join(folder, b+".gpx")
		fine[b] = gateTimes(t, gates, recording(t, path, 12))
		track, s := recording(t, path, geo.E7), geo.PassingFrom(gun)
		for i := 1; i < len(track); i++ {
			for {
				p, ok := course.Pass(&s, track[i-1].point, track[i-1].at, track[i].point, track[i].at)
				if !ok {
					break
				}
				coarse[b] = append(coarse[b], p.At)
			}
		}
		if !course.Finished(s) || len(coarse[b]) != 5 {
			t.Fatalf("%s passed %d gates, want 5 and finished", b, len(coarse[b]))
		}
		for gate, at := range coarse[b] {
			if d := at.CutMs().Sub(want[b][gate].at); d < -3 || d > 3 {
				t.Errorf("%s G%d is %d ms from the expected time", b, gate+1, d)
			}
		}
	}
	for gate := range gates {
		gunTime := func(x []unit.InstantUs) int64 { return int64(x[gate]) }
		net := func(x []unit.InstantUs) int64 { return int64(x[gate] - x[0]) }
		if got, want := order(coarse, gunTime), order(fine, gunTime); !slices.Equal(got, want) {
			t.Errorf("G%d gun order %v, want %v", gate+1, got, want)
		}
		if got, want := order(coarse, net), order(fine, net); !slices.Equal(got, want) {
			t.Errorf("G%d net order %v, want %v", gate+1, got, want)
		}
	}
	if got, want := order(coarse, func(x []unit.InstantUs) int64 { return int64(x[4] - x[0]) }), []string{"richard", "alex", "yury"}; !slices.Equal(got, want) {
		t.Errorf("net order at the finish %v, want %v", got, want)
	}
}

// Progress follows the real boats along the line drawn for them: it never goes back, stays on the course, is where the
// gates are when they are passed and comes to the end.
func TestRegattaProgress(t *testing.T) {
	folder := filepath.Join(activities(t), "group-regatta-2024")
	course, err := geo.NewCourse(regattaPlan())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boats {
		track, s := recording(t, filepath.Join(folder, b+".gpx"), geo.E7), geo.PassingFrom(gun)
		tracker := geo.NewTracker(course, geo.LimitsOf(geo.Other))
		var last unit.DistanceMm
		for i := 1; i < len(track); i++ {
			for {
				p, ok := course.Pass(&s, track[i-1].point, track[i-1].at, track[i].point, track[i].at)
				if !ok {
					break
				}
				at := course.Visit(p.Visit).AtMm
				if off := (tracker.State.AtMm - at); p.Visit > 0 && (off < -1_000_000 || off > 1_000_000) {
					t.Errorf("%s passes gate %d at %d m with progress %d m", b, p.Visit+1, at/1000, tracker.State.AtMm/1000)
				}
			}
			if s.Next == 0 || course.Finished(s) {
				continue
			}
			progress, on := tracker.Step(track[i].point, track[i].at)
			if progress < last {
				t.Fatalf("%s went back from %d to %d mm", b, last, progress)
			}
			if !on {
				t.Errorf("%s is off the course at %v", b, track[i].at.Time())
			}
			last = progress
		}
		if short := course.TotalMm() - last; short > 300_000 {
			t.Errorf("%s ends %d m before the finish", b, short/1000)
		}
	}
}

// The limit of running finds the one track of the virtual five kilometres that jumps, and no other.
func TestTeleportInRealRuns(t *testing.T) {
	folder := filepath.Join(activities(t), "virtual-5k")
	limits := geo.LimitsOf(geo.Run)
	for n := 1; n <= 5; n++ {
		jumps := 0
		track := recording(t, filepath.Join(folder, fmt.Sprintf("runner-%d.gpx", n)), geo.E7)
		for i := 1; i < len(track); i++ {
			a, b := track[i-1], track[i]
			if !limits.Plausible(geo.DistanceMm(a.point, b.point), b.at.Sub(a.at)) {
				jumps++
			}
		}
		if want := map[int]int{4: 1}[n]; jumps != want {
			t.Errorf("runner-%d jumps %d times, want %d", n, jumps, want)
		}
	}
}
