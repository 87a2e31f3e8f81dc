// Package courses is the courses that the project carries, as GPX: drawn by the project itself on islands that do not
// exist, far out at sea.
//
// It is not the course model (domain/geo) and reads no real place. Draw is how the files were made; a test holds them
// together.
package courses

import (
	"bytes"
	"embed"
	"fmt"
	"math"

	"paceline/domain/geo"
	"paceline/simulations/swarm/gpx"
)

//go:embed *.gpx
var files embed.FS

// Names are the courses there are.
var Names = []string{"velmar"}

// Read gives a course by name.
func Read(name string) (*gpx.Track, error) {
	b, err := files.ReadFile(name + ".gpx")
	if err != nil {
		return nil, fmt.Errorf("courses: %w", err)
	}
	return gpx.Read(bytes.NewReader(b))
}

// hill is a rise at a share of the way round.
type hill struct{ at, highM, wide float64 }

var velmarHills = []hill{{0.24, 52, 0.060}, {0.41, 22, 0.035}, {0.63, 60, 0.062}, {0.86, 15, 0.040}}

// Draw draws a course: once around the island of Velmar, along its coast and over its two ridges, 7.1 km. The finish
// lies 130 m before the start.
func Draw(name string) (*gpx.Track, error) {
	if name != "velmar" {
		return nil, fmt.Errorf("courses: nobody can draw %q", name)
	}
	const (
		lat, lon = 44.6170, -31.2480 // nothing but water
		steps    = 380
		baseM    = 1105.0
		openRad  = 0.115
	)
	t := &gpx.Track{Name: "Velmar coast and ridge", Sport: "cycling"}
	eastPerM := 1 / (geo.EarthRadiusM * math.Pi / 180 * math.Cos(lat*math.Pi/180))
	northPerM := 1 / (geo.EarthRadiusM * math.Pi / 180)
	for i := range steps + 1 {
		f := float64(i) / steps
		a := openRad/2 + f*(2*math.Pi-openRad)
		r := baseM * (1 + 0.16*math.Cos(2*a+0.4) + 0.09*math.Sin(3*a) + 0.035*math.Cos(5*a+1))
		high := 9.0
		for _, h := range velmarHills {
			high += h.highM * math.Exp(-(f-h.at)*(f-h.at)/(2*h.wide*h.wide))
		}
		p := gpx.Point{Point: geo.Degrees(lat+r*math.Sin(a)*northPerM, lon+r*math.Cos(a)*eastPerM),
			AltitudeMm: int64(math.Round(high*100)) * 10, HasAlt: true}
		t.Points = append(t.Points, p)
	}
	return t, nil
}
