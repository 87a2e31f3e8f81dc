package athlete

import (
	"errors"
	"math"
	"sort"

	"paceline/domain/geo"
)

// ErrProfile is a course that nobody can move along.
var ErrProfile = errors.New("athlete: a course needs two different points")

const smoothM = 40 // heights are levelled over so much, or noise in them would be walls

// Profile is a course as an athlete meets it: where, how high and how steep it is at a distance from the start. Before
// the start and beyond the end it goes straight on, level.
type Profile struct {
	points []geo.Point
	atM    []float64
	highM  []float64
}

// NewProfile makes a profile of a line and its heights in millimetres; nil heights: level.
func NewProfile(line []geo.Point, heightsMm []int64) (*Profile, error) {
	p := &Profile{}
	for i, q := range line {
		high := 0.0
		if i < len(heightsMm) {
			high = float64(heightsMm[i]) / 1000
		}
		at := 0.0
		if n := len(p.points); n > 0 {
			step := float64(geo.DistanceMm(p.points[n-1], q)) / 1000
			if step == 0 {
				continue
			}
			at = p.atM[n-1] + step
		}
		p.points, p.atM, p.highM = append(p.points, q), append(p.atM, at), append(p.highM, high)
	}
	if len(p.points) < 2 {
		return nil, ErrProfile
	}
	return p, nil
}

// LengthM is the length of the course.
func (p *Profile) LengthM() float64 { return p.atM[len(p.atM)-1] }

// leg is the leg on which a place lies, and how far along it as a share (beyond 0…1 outside of the course).
func (p *Profile) leg(atM float64) (int, float64) {
	i := sort.SearchFloat64s(p.atM, atM)
	i = min(max(i, 1), len(p.atM)-1)
	return i - 1, (atM - p.atM[i-1]) / (p.atM[i] - p.atM[i-1])
}

// PointAt is the place on the ground; leftM is how far to the left of the line.
func (p *Profile) PointAt(atM, leftM float64) geo.Point {
	i, f := p.leg(atM)
	a, b := p.points[i], p.points[i+1]
	dLat, dLon := float64(b.Lat-a.Lat), float64(b.Lon-a.Lon)
	lat, lon := float64(a.Lat)+f*dLat, float64(a.Lon)+f*dLon
	if leftM != 0 {
		cos := math.Cos(lat / 1e7 * math.Pi / 180)
		length := math.Hypot(dLat, dLon*cos)
		e7PerM := 1e7 * 180 / math.Pi / geo.EarthRadiusM
		lat += dLon * cos / length * leftM * e7PerM
		lon -= dLat / length * leftM * e7PerM / cos
	}
	return geo.Point{Lat: int64(math.Round(lat)), Lon: int64(math.Round(lon))}
}

// HeightM is the height above the sea.
func (p *Profile) HeightM(atM float64) float64 {
	i, f := p.leg(math.Min(math.Max(0, atM), p.LengthM()))
	return p.highM[i] + f*(p.highM[i+1]-p.highM[i])
}

// Slope is rise over run, levelled.
func (p *Profile) Slope(atM float64) float64 {
	from, to := math.Max(0, atM-smoothM/2), math.Min(p.LengthM(), atM+smoothM/2)
	if to <= from {
		return 0
	}
	return (p.HeightM(to) - p.HeightM(from)) / (to - from)
}
