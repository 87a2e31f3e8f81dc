package device

import (
	"encoding/xml"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

// recordings are real tracks; none of their points is refused.
var recordings = []string{
	"group-regatta-2024/alex.gpx", "group-regatta-2024/richard.gpx", "group-regatta-2024/yury.gpx",
	"virtual-5k/runner-1.gpx", "virtual-5k/runner-2.gpx", "virtual-5k/runner-3.gpx", "virtual-5k/runner-4.gpx",
	"virtual-5k/runner-5.gpx", "ghost-10k/run-a.gpx", "ghost-10k/run-b.gpx",
}

type gpx struct {
	Points []struct {
		Lat       float64  `xml:"lat,attr"`
		Lon       float64  `xml:"lon,attr"`
		Elevation *float64 `xml:"ele"`
		Time      string   `xml:"time"`
		HeartRate *int64   `xml:"extensions>TrackPointExtension>hr"`
		Cadence   *int64   `xml:"extensions>TrackPointExtension>cad"`
	} `xml:"trk>trkseg>trkpt"`
}

// The limits take what real watches have recorded.
func TestLimitsTakeRealRecordings(t *testing.T) {
	root := os.Getenv("PACELINE_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	root = filepath.Join(root, "activities")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no recordings: %v (PACELINE_DATA names the folder)", err)
	}
	for _, name := range recordings {
		bytes, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		var g gpx
		if err := xml.Unmarshal(bytes, &g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var rows []row
		for _, p := range g.Points {
			at, err := time.Parse(time.RFC3339, p.Time)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r := row{unit.InstantMs(at.UnixMilli()), map[sample.Channel]int64{
				sample.LatE7: int64(math.Round(p.Lat * 1e7)), sample.LonE7: int64(math.Round(p.Lon * 1e7))}}
			if p.Elevation != nil {
				r.values[sample.AltitudeMm] = int64(math.Round(*p.Elevation * 1000))
			}
			if p.HeartRate != nil {
				r.values[sample.HeartRateBpm] = *p.HeartRate
			}
			if p.Cadence != nil {
				r.values[sample.CadenceRpm] = *p.Cadence
			}
			rows = append(rows, r)
		}
		f := opened("run")
		f.Opening.WindowFrom, f.Opening.WindowTo = rows[0].at, rows[0].at+86_400_000
		b, tail := batch(1, rows...), Tail{}
		if got := Accept(f, &tail, b); got != 0 {
			why := map[sample.Refusal]int{}
			for i := range b.Len() {
				why[b.Mark(i)]++
			}
			t.Errorf("%s: %d of %d refused: %v", name, got, len(rows), why)
		}
	}
}
