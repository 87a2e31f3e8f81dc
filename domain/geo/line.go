package geo

import (
	"math"
	"sort"

	"paceline/domain/unit"
)

// leg is one straight piece of a course line, with what progress needs already worked out. The local plane has its
// origin at a, x east and y north, in millimetres; it is good for legs of some tens of kilometres.
type leg struct {
	a, b       Point
	fromMm     float64 // along the line, where the leg begins
	lenMm      float64 // haversine
	dxMm, dyMm float64 // b in the plane, stretched so that its length is lenMm
	xPerE7     float64 // mm of one e7 step of longitude here
	yPerE7     float64
}

func (l *leg) endMm() float64 { return l.fromMm + l.lenMm }

// measure turns a line into its legs; points that repeat the one before are left out.
func measure(line []Point) []leg {
	legs := make([]leg, 0, len(line))
	var from float64
	for i := 1; i < len(line); i++ {
		if line[i] == line[i-1] {
			continue
		}
		l := leg{a: line[i-1], b: line[i], fromMm: from, lenMm: haversineMm(line[i-1], line[i]), yPerE7: mmPerE7}
		l.xPerE7 = mmPerE7 * math.Cos(float64(l.a.Lat/2+l.b.Lat/2)*radiansPerE7)
		l.dxMm, l.dyMm = float64(l.b.Lon-l.a.Lon)*l.xPerE7, float64(l.b.Lat-l.a.Lat)*l.yPerE7
		if flat := math.Hypot(l.dxMm, l.dyMm); flat > 0 {
			k := l.lenMm / flat
			l.dxMm, l.dyMm, l.xPerE7, l.yPerE7 = l.dxMm*k, l.dyMm*k, l.xPerE7*k, l.yPerE7*k
		}
		if l.lenMm > 0 {
			legs, from = append(legs, l), l.endMm()
		}
	}
	return legs
}

// at is the point atMm along the line, which must be on this leg.
func (l *leg) at(atMm float64) Point {
	f := math.Min(1, math.Max(0, (atMm-l.fromMm)/l.lenMm))
	return Point{
		Lat: l.a.Lat + int64(math.Round(f*float64(l.b.Lat-l.a.Lat))),
		Lon: l.a.Lon + int64(math.Round(f*float64(l.b.Lon-l.a.Lon))),
	}
}

// shift moves a point by millimetres east and north.
func (l *leg) shift(p Point, eastMm, northMm float64) Point {
	return Point{Lat: p.Lat + int64(math.Round(northMm/l.yPerE7)), Lon: p.Lon + int64(math.Round(eastMm/l.xPerE7))}
}

// project is the place on the leg between loMm and hiMm along the line that is nearest to p, and the square of the
// distance to it; cut says that a nearer one lies on the leg, beyond these bounds.
func (l *leg) project(p Point, loMm, hiMm float64) (atMm, lateralMm2 float64, cut bool) {
	x, y := float64(p.Lon-l.a.Lon)*l.xPerE7, float64(p.Lat-l.a.Lat)*l.yPerE7
	nearest := math.Max(0, math.Min(l.lenMm, (x*l.dxMm+y*l.dyMm)/l.lenMm))
	along := math.Max(loMm-l.fromMm, math.Min(hiMm-l.fromMm, nearest))
	f := along / l.lenMm
	ox, oy := x-f*l.dxMm, y-f*l.dyMm
	return l.fromMm + along, ox*ox + oy*oy, along != nearest
}

// legAt is the index of the leg that atMm along the line lies on; where two meet, the later one.
func legAt(legs []leg, atMm float64) int {
	i := sort.Search(len(legs), func(i int) bool { return legs[i].endMm() > atMm })
	return min(i, len(legs)-1)
}

// LineMm is the length of a line.
func LineMm(line []Point) unit.DistanceMm {
	legs := measure(line)
	if len(legs) == 0 {
		return 0
	}
	return unit.DistanceMm(math.Round(legs[len(legs)-1].endMm()))
}
