package geo

import (
	"math"

	"paceline/domain/fault"
	"paceline/domain/unit"
)

// EarthRadiusM is the radius of the sphere on which distances are measured, as watches do.
const EarthRadiusM = 6_371_000

// E7 is the number of decimal digits of a degree on the wire and in the store: 1e-7 degrees, about 11 mm.
const E7 = 7

// e7PerDegree turns degrees into the product's positions.
const e7PerDegree = 10_000_000

// ErrDegrees is the answer to a text that is not a decimal number of degrees.
var ErrDegrees = fault.New(fault.Invalid, "course.degrees", "This is not a position in degrees.")

// Point is a position in degrees at an integer scale: latitude north, longitude east. All points of one
// calculation have the same scale. Each coordinate must lie within ±2^62, which leaves room for 1e-16 degrees.
type Point struct {
	Lat, Lon int64
}

// Degrees is the e7 position nearest to floating-point degrees; for courses and simulations, not for samples.
func Degrees(lat, lon float64) Point {
	return Point{Lat: int64(math.Round(lat * e7PerDegree)), Lon: int64(math.Round(lon * e7PerDegree))}
}

// ParseDegrees reads a decimal number exactly and keeps digits decimals (0 to 16), rounding half away from zero.
// It takes "-12.5", "12", "+0.25"; no exponent. The whole text counts, however long: recordings carry 30 digits.
func ParseDegrees(text string, digits int) (int64, error) {
	rest, negative := text, false
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		negative, rest = rest[0] == '-', rest[1:]
	}
	var value int64
	whole, kept, seen := 0, 0, false
	point, up := false, false
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c == '.' && !point:
			point = true
		case c < '0' || c > '9':
			return 0, ErrDegrees.With("%q", text)
		case point && kept == digits:
			if !seen {
				up, seen = c >= '5', true
			}
		default:
			value = value*10 + int64(c-'0')
			if point {
				kept++
			} else if whole++; value > 360 {
				return 0, ErrDegrees.With("%q is out of range", text)
			}
		}
	}
	if whole == 0 || digits < 0 || digits > 16 {
		return 0, ErrDegrees.With("%q", text)
	}
	for ; kept < digits; kept++ {
		value *= 10
	}
	if up {
		value++
	}
	if negative {
		value = -value
	}
	return value, nil
}

// valid reports whether an e7 position is on the globe.
func (p Point) valid() bool {
	return p.Lat >= -90*e7PerDegree && p.Lat <= 90*e7PerDegree && p.Lon >= -180*e7PerDegree && p.Lon <= 180*e7PerDegree
}

// radiansPerE7 turns an e7 coordinate into radians.
const radiansPerE7 = math.Pi / 180 / e7PerDegree

// mmPerE7 is the length of one e7 step of latitude.
const mmPerE7 = radiansPerE7 * EarthRadiusM * 1000

// DistanceMm is the great-circle distance of two e7 positions (haversine), rounded to the millimetre.
func DistanceMm(p, q Point) unit.DistanceMm {
	return unit.DistanceMm(math.Round(haversineMm(p, q)))
}

func haversineMm(p, q Point) float64 {
	sinLat := math.Sin(float64(q.Lat-p.Lat) * radiansPerE7 / 2)
	sinLon := math.Sin(float64(q.Lon-p.Lon) * radiansPerE7 / 2)
	h := sinLat*sinLat + math.Cos(float64(p.Lat)*radiansPerE7)*math.Cos(float64(q.Lat)*radiansPerE7)*sinLon*sinLon
	return 2 * EarthRadiusM * 1000 * math.Asin(math.Min(1, math.Sqrt(h)))
}
