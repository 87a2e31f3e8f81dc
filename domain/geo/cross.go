package geo

import (
	"math/bits"

	"paceline/domain/unit"
)

// Cross says whether the step from p0 (at t0) to p1 (at t1) crosses the gate's line, when, and which way.
//
// With d = p1-p0, g = B-A and den = d×g: u = ((A-p0)×g)/den is the share of the step before the line,
// v = ((A-p0)×d)/den the place on the line. It crosses if 0 <= u < 1 and 0 <= v <= 1. u is half open so that a step
// that ends on the line leaves the crossing to the next one: a path cut anywhere crosses exactly as often.
// dir is +1 from the left of A→B to its right, -1 the other way, whatever way the gate wants (Gate.Direction).
// The instant is floor(t0 + u·(t1-t0)) in microseconds.
//
// All of it is exact: products are 128 bits wide, the time 192. Points may have any scale if the gate has it too.
// A step back in time crosses nothing; two samples of one instant cross at that instant. It does not allocate.
func Cross(g *Gate, p0 Point, t0 unit.InstantMs, p1 Point, t1 unit.InstantMs) (at unit.InstantUs, dir int, ok bool) {
	if t1 < t0 {
		return 0, 0, false
	}
	dx, dy := p1.Lon-p0.Lon, p1.Lat-p0.Lat
	gx, gy := g.B.Lon-g.A.Lon, g.B.Lat-g.A.Lat
	ax, ay := g.A.Lon-p0.Lon, g.A.Lat-p0.Lat
	den := cross(dx, dy, gx, gy)
	if den.sign == 0 {
		return 0, 0, false
	}
	u := cross(ax, ay, gx, gy)
	if u.sign == -den.sign || !u.below(den) {
		return 0, 0, false
	}
	v := cross(ax, ay, dx, dy)
	if v.sign == -den.sign || den.below(v) {
		return 0, 0, false
	}
	return t0.Us() + unit.InstantUs(share(u, den, uint64(t1-t0)*1000)), den.sign, true
}

// wide is a signed number of up to 128 bits: sign and magnitude.
type wide struct {
	hi, lo uint64
	sign   int
}

// below compares magnitudes.
func (a wide) below(b wide) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// cross is ax·by - ay·bx. Coordinates within ±2^62 differ by less than 2^63, each product stays below 2^126.
func cross(ax, ay, bx, by int64) wide {
	h1, l1 := mul(ax, by)
	h2, l2 := mul(ay, bx)
	lo, borrow := bits.Sub64(l1, l2, 0)
	hi, _ := bits.Sub64(h1, h2, borrow)
	switch {
	case hi>>63 != 0:
		lo, carry := bits.Add64(^lo, 1, 0)
		return wide{^hi + carry, lo, -1}
	case hi|lo == 0:
		return wide{}
	}
	return wide{hi, lo, 1}
}

// mul is the signed 128-bit product in two's complement.
func mul(a, b int64) (hi, lo uint64) {
	hi, lo = bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		hi -= uint64(b)
	}
	if b < 0 {
		hi -= uint64(a)
	}
	return hi, lo
}

// share is floor(|u|·d / |den|) for |u| < |den|: a 192-bit number divided by a 128-bit one, the quotient below d.
// One digit of long division with a normalised divisor: the estimate is at most two too large.
func share(u, den wide, d uint64) uint64 {
	p1, p0 := bits.Mul64(u.lo, d)
	p2, mid := bits.Mul64(u.hi, d)
	p1, carry := bits.Add64(p1, mid, 0)
	p2 += carry
	if den.hi == 0 { // then u.hi is 0 and u.lo < den.lo, so p1 < den.lo
		q, _ := bits.Div64(p1, p0, den.lo)
		return q
	}
	s := bits.LeadingZeros64(den.hi)
	if s > 0 {
		den.hi, den.lo = den.hi<<s|den.lo>>(64-s), den.lo<<s
		p2, p1, p0 = p2<<s|p1>>(64-s), p1<<s|p0>>(64-s), p0<<s
	}
	q, r := ^uint64(0), uint64(0)
	if p2 < den.hi {
		q, r = bits.Div64(p2, p1, den.hi)
	} else { // p2 == den.hi: the digit would be 2^64, so take the largest and its remainder
		var over uint64
		if r, over = bits.Add64(p1, den.hi, 0); over != 0 {
			return q
		}
	}
	for {
		h, l := bits.Mul64(q, den.lo)
		if h < r || h == r && l <= p0 {
			return q
		}
		q--
		var over uint64
		if r, over = bits.Add64(r, den.hi, 0); over != 0 {
			return q
		}
	}
}
