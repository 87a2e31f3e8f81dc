package gpx_test

import (
	"reflect"
	"strings"
	"testing"

	"paceline/simulations/swarm/gpx"
)

// FuzzRead: any file is refused or read; what was read is written and read the same.
func FuzzRead(f *testing.F) {
	f.Add(watch)
	f.Add(watch[:len(watch)/2])
	f.Add(strings.Replace(watch, ">104<", ">NaN<", 1))
	f.Add(strings.Replace(watch, `lat="0"`, `lat="-90.00000001"`, 1))
	f.Fuzz(func(t *testing.T, text string) {
		track, err := gpx.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		var out strings.Builder
		if err := gpx.Write(&out, track); err != nil {
			t.Fatalf("Write: %v", err)
		}
		again, err := gpx.Read(strings.NewReader(out.String()))
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, out.String())
		}
		if !reflect.DeepEqual(measured(again.Points), measured(track.Points)) {
			t.Fatalf("read %+v, read again %+v", track.Points, again.Points)
		}
	})
}

// measured leaves out what a point does not have: 255 beats are a watch's word for none.
func measured(points []gpx.Point) []gpx.Point {
	var out []gpx.Point
	for _, p := range points {
		if !p.HasAlt {
			p.AltitudeMm = 0
		}
		if !p.HasHeart {
			p.HeartRate = 0
		}
		if !p.HasCadence {
			p.Cadence = 0
		}
		if !p.HasPower {
			p.PowerW = 0
		}
		out = append(out, p)
	}
	return out
}
