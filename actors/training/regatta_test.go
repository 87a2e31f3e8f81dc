package training_test

import (
	"cmp"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// activities is the folder of real recordings; they are not part of the project.
func activities(t testing.TB) string {
	t.Helper()
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	folder := filepath.Join(root, "activities")
	if _, err := os.Stat(filepath.Join(folder, "group-regatta-2024")); err != nil {
		t.Skipf("no recordings: %v (set PACELINE_DATA)", err)
	}
	return folder
}

// positions is the track points of a GPX file as one stream of a watch, at the store's precision.
func positions(t testing.TB, path string) sample.Batch {
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
	n := len(doc.Points)
	b := sample.Batch{FirstSeq: 1, AtMs: make([]unit.InstantMs, n)}
	b.Columns[sample.LatE7].Grow(n)
	b.Columns[sample.LonE7].Grow(n)
	for i, p := range doc.Points {
		lat, err1 := geo.ParseDegrees(p.Lat, geo.E7)
		lon, err2 := geo.ParseDegrees(p.Lon, geo.E7)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		b.AtMs[i] = unit.InstantMs(p.Time.UnixMilli())
		b.Columns[sample.LatE7].Set(i, lat)
		b.Columns[sample.LonE7].Set(i, lon)
	}
	return b
}

func regatta(t testing.TB) *course.Course {
	t.Helper()
	const south, north = 533600000, 537600000
	gate := func(id string, k geo.GateKind) geo.Gate {
		return geo.Gate{ID: id, Kind: k, Mandatory: true, AtMm: geo.Unplaced}
	}
	c, err := course.New(course.Track{Format: course.Line, Sport: "sail", Name: "Hamburg", CorridorMm: 2_000_000,
		Line: []geo.Point{geo.Degrees(53.5612, 9.76), geo.Degrees(53.5658, 9.70), geo.Degrees(53.5669, 9.67),
			geo.Degrees(53.5511, 9.70), geo.Degrees(53.5486, 9.76)},
		Gates: []geo.Gate{
			gate("G1", geo.StartGate).Westward(97600000, south, north), gate("G2", geo.SplitGate).Westward(97000000, south, north),
			gate("G3", geo.SplitGate).Westward(96700000, south, north), gate("G4", geo.SplitGate).Eastward(97000000, south, north),
			gate("G5", geo.FinishGate).Eastward(97600000, south, north)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Through the store's precision every gate of the three real boats is within 3 ms, and gun and net order are equal.
func TestRegatta(t *testing.T) {
	folder := filepath.Join(activities(t), "group-regatta-2024")
	f, err := os.Open(filepath.Join(folder, "expected-gates.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	gun := unit.InstantMs(time.Date(2024, 6, 15, 14, 46, 0, 0, time.UTC).UnixMilli())
	race := &training.Race{Course: regatta(t), Gun: gun}
	stream := training.Stream{Key: training.StreamKey{Device: "u/watch", Stream: "s"}, Clock: sample.GNSS}
	stream.Declared[sample.LatE7], stream.Declared[sample.LonE7] = true, true
	times := map[string][]training.Passage{}
	for _, boat := range []string{"alex", "richard", "yury"} {
		b := positions(t, filepath.Join(folder, boat+".gpx"))
		fold := training.NewFold(training.Params{Streams: []training.Stream{stream}, Sport: "sail", Race: race})
		for at := 0; at < b.Len(); at += 60 {
			part := b.Slice(at, min(at+60, b.Len()))
			fold.Feed(stream.Key, &part)
		}
		r := fold.Result()
		if !r.Finished || len(r.Flags) > 0 || r.ProgressMm != race.Course.LengthMm() {
			t.Errorf("%s: finished %v, flags %v, progress %d of %d", boat, r.Finished, r.Flags, r.ProgressMm, race.Course.LengthMm())
		}
		times[boat] = r.Gates
	}
	compared := 0
	for _, row := range rows[1:] {
		at, err := time.Parse("2006-01-02T15:04:05.000-07:00", row[4])
		if err != nil {
			t.Fatal(err)
		}
		gate, err := strconv.Atoi(row[1][1:])
		if err != nil {
			t.Fatal(err)
		}
		got := times[row[0]][gate-1]
		if d := got.At.CutMs() - unit.InstantMs(at.UnixMilli()); d > 3 || d < -3 || int(got.Gate) != gate-1 {
			t.Errorf("%s G%d is %d ms off", row[0], gate, d)
		}
		place := 1
		for _, other := range times {
			if other[gate-1].At < got.At {
				place++
			}
		}
		if want, _ := strconv.Atoi(row[7]); place != want {
			t.Errorf("%s G%d place %d, want %d", row[0], gate, place, want)
		}
		compared++
	}
	net := []string{"alex", "richard", "yury"}
	slices.SortFunc(net, func(a, b string) int {
		return cmp.Compare(times[a][4].At-times[a][0].At, times[b][4].At-times[b][0].At)
	})
	if compared != 15 || !slices.Equal(net, []string{"richard", "alex", "yury"}) {
		t.Errorf("compared %d rows, net order %v", compared, net)
	}
}
