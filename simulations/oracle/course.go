package oracle

import "math"

// Gate is a line, or a mark of a distance race.
type Gate struct {
	A, B      Point
	Direction int // +1: from left to right for somebody who looks from A to B
	AtMm      int64
	Start     bool // net time begins here; only the first gate can
	Mandatory bool
}

// Track is a course as the organizer has it, one lap of it.
type Track struct {
	Distance bool // gates are marks on the distance counter
	Sport    string
	Laps     int
	Gates    []Gate
}

// Course is what is to be passed, laps unrolled.
type Course struct {
	distance bool
	visits   []Gate
	maxMmS   int64
}

// NewCourse unrolls the laps: the first gate once, all others once a lap. The first gate and the last of a lap cannot
// be left out.
func NewCourse(t Track) *Course {
	c := &Course{distance: t.Distance, maxMmS: fastestMmS(t.Sport)}
	if t.Distance {
		c.visits = t.Gates
		return c
	}
	for lap := range max(1, t.Laps) {
		for i, g := range t.Gates {
			if lap > 0 && i == 0 {
				continue
			}
			g.Start = g.Start && i == 0
			g.Mandatory = g.Mandatory || i == 0 || i == len(t.Gates)-1
			c.visits = append(c.visits, g)
		}
	}
	return c
}

// fastestMmS is the fastest plausible speed in mm/s of limits version 1, written down a second time.
func fastestMmS(sport string) int64 {
	for name, metresPerS := range map[string]float64{"walk": 5, "run": 12.5, "swim": 3, "row": 8, "ride": 31, "ski": 45} {
		if name == sport {
			return int64(metresPerS * 1000)
		}
	}
	return 40_000
}

// leaps reports whether a step is longer than twice the fastest speed allows.
func (c *Course) leaps(mm, tookMs int64) bool { return mm > 2*c.maxMmS*tookMs/1000 }

// greatCircleMm is the length of a step between e7 positions on a sphere of 6,371 km, to the millimetre: the chord between
// the two points in space, and the arc above it.
func greatCircleMm(p, q Point) int64 {
	px, py, pz := inSpace(p)
	qx, qy, qz := inSpace(q)
	chord := math.Sqrt((px-qx)*(px-qx) + (py-qy)*(py-qy) + (pz-qz)*(pz-qz))
	return int64(math.Round(2 * math.Asin(min(1, chord/2)) * 6_371_000_000))
}

func inSpace(p Point) (x, y, z float64) {
	lat, lon := float64(p.Lat)/1e7*math.Pi/180, float64(p.Lon)/1e7*math.Pi/180
	return math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat)
}
