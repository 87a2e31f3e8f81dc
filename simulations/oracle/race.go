package oracle

import (
	"math/big"
	"sort"

	"paceline/domain/unit"
)

// Entry is one entry with everything its times come from.
type Entry struct {
	Number      uint32
	GunMs       unit.InstantMs // its own start
	CutoffMs    unit.InstantMs // gates count through it
	Bound       bool           // a workout rides for it
	Streams     []Stream
	Primary     string
	Finish      *Finish
	Decision    string // of an official, or by withdrawing: dsq, dnf, dns or empty
	PenaltyMs   unit.DurationMs
	Review      bool // put under review by something that the samples do not show
	LeapCleared bool // an official has looked at the impossible step
	Unanswered  bool // its workout did not answer: Given counts
	Given       []Passage
}

// Passage is a gate time that is taken as given, because its samples are not to be had.
type Passage struct {
	Gate int
	At   unit.InstantUs
}

// Row is one line of a result.
type Row struct {
	Entry   uint32
	Place   uint32 // 0: none
	Status  string // finished, dnf, dns, dsq
	Review  bool
	StartUs unit.InstantUs
	EndUs   unit.InstantUs
	GunUs   unit.DurationUs // penalties included
	NetUs   unit.DurationUs
	Gates   map[int]unit.InstantUs

	tookGun, tookNet unit.DurationUs // to the furthest gate
}

// Standings are the rows in the order of the result. byNet: places by net time.
func Standings(c *Course, entries []Entry, byNet bool) []Row {
	rows := make([]Row, len(entries))
	for i := range entries {
		rows[i] = row(c, &entries[i])
	}
	time := func(r *Row) unit.DurationUs {
		if byNet {
			return r.NetUs
		}
		return r.GunUs
	}
	took := func(r *Row) unit.DurationUs {
		if byNet {
			return r.tookNet
		}
		return r.tookGun
	}
	group := func(r *Row) int {
		switch {
		case r.Status == "finished" && !r.Review:
			return 0
		case r.Status == "finished", r.Status == "racing":
			return 1
		case r.Status == "dnf":
			return 2
		case r.Status == "dns":
			return 3
		}
		return 4
	}
	sort.SliceStable(rows, func(x, y int) bool {
		a, b := &rows[x], &rows[y]
		if group(a) != group(b) {
			return group(a) < group(b)
		}
		ga, la := last(a)
		gb, lb := last(b)
		if ga != gb {
			return ga > gb
		}
		if group(a) == 2 && la != lb {
			return la < lb
		}
		if group(a) != 2 && took(a) != took(b) {
			return took(a) < took(b)
		}
		return a.Entry < b.Entry
	})
	for i := range rows {
		if group(&rows[i]) != 0 {
			continue
		}
		rows[i].Place = uint32(i + 1)
		if i > 0 && time(&rows[i]) == time(&rows[i-1]) {
			rows[i].Place = rows[i-1].Place
		}
	}
	return rows
}

// last is the highest gate passed and when; -1: none.
func last(r *Row) (int, unit.InstantUs) {
	n, when := -1, unit.InstantUs(0)
	for g, t := range r.Gates {
		if g > n {
			n, when = g, t
		}
	}
	return n, when
}

func row(c *Course, e *Entry) Row {
	r := Row{Entry: e.Number, Status: "dns", Gates: map[int]unit.InstantUs{}, Review: e.Review}
	if e.Bound {
		gates, leap := map[int]unit.InstantUs{}, false
		if len(e.Streams) > 0 {
			gates, leap = Gates(c, e)
		}
		for _, g := range e.Given {
			gates[g.Gate] = g.At
		}
		for g, t := range gates {
			if t >= e.GunMs.Us() && t <= e.CutoffMs.Us() {
				r.Gates[g] = t
			}
		}
		r.Review = r.Review || leap && !e.LeapCleared
		r.Status = "dnf"
		if e.Unanswered {
			r.Status = "racing"
		}
		finish := len(c.visits) - 1
		r.StartUs = e.GunMs.Us()
		if t, ok := r.Gates[0]; ok && c.visits[0].Start {
			r.StartUs = t
		}
		if t, ok := r.Gates[finish]; ok {
			r.Status, r.EndUs = "finished", t
		}
	}
	if e.Decision != "" {
		r.Status = e.Decision
	}
	penalty := unit.DurationUs(e.PenaltyMs) * 1000
	if n, t := last(&r); n >= 0 {
		r.tookGun, r.tookNet = t.Sub(e.GunMs.Us())+penalty, t.Sub(r.StartUs)+penalty
	}
	if r.Status == "finished" {
		r.GunUs = r.EndUs.Sub(e.GunMs.Us()) + penalty
		r.NetUs = r.EndUs.Sub(r.StartUs) + penalty
	}
	return r
}

// Gates finds what the entry has passed, by number, and whether a step was impossible.
func Gates(c *Course, e *Entry) (map[int]unit.InstantUs, bool) {
	line := timeline(e.Streams, e.Primary, e.Finish, c)
	if c.distance {
		return marks(c, e, line)
	}
	return crossings(c, e, line)
}

func marks(c *Course, e *Entry, line []at) (map[int]unit.InstantUs, bool) {
	out := map[int]unit.InstantUs{}
	gun := int64(e.GunMs)
	zero, zeroAt := int64(0), -1
	for i := range line {
		if line[i].ms >= gun {
			zero, zeroAt = line[i].mm, i
			if i > 0 {
				a, b := line[i-1], line[i]
				zero = a.mm + ratioFloor(b.mm-a.mm, gun-a.ms, b.ms-a.ms)
			}
			break
		}
	}
	if zeroAt < 0 {
		return out, false
	}
	leap := false
	over := int64(0)
	for n, g := range c.visits {
		target := zero + g.AtMm
		for i := max(zeroAt, 1); i < len(line); i++ {
			a, b := line[i-1], line[i]
			if b.mm >= target && a.mm < target {
				part := big.NewInt((b.ms - a.ms) * 1000)
				part.Mul(part, big.NewInt(target-a.mm)).Div(part, big.NewInt(b.mm-a.mm))
				out[n] = unit.InstantUs(a.ms*1000 + part.Int64())
				over = b.ms
				break
			}
		}
		if _, ok := out[n]; !ok {
			over = int64(1) << 62
			break
		}
	}
	for i := 1; i < len(line); i++ {
		if line[i].leap && line[i].ms > gun && line[i].ms <= over {
			leap = true
		}
	}
	return out, leap
}

func crossings(c *Course, e *Entry, line []at) (map[int]unit.InstantUs, bool) {
	out := map[int]unit.InstantUs{}
	gun := int64(e.GunMs)
	next, lastUs := 0, gun*1000
	leap := false
	for i := 1; i < len(line) && next < len(c.visits); i++ {
		a, b := line[i-1], line[i]
		if b.ms < gun {
			continue
		}
		if c.leaps(greatCircleMm(a.p, b.p), b.ms-a.ms) {
			leap = true
		}
		for next < len(c.visits) {
			gate, when, found := 0, int64(0), false
			for n := next; n < len(c.visits); n++ {
				t, ok := cross(&c.visits[n], a, b)
				// Gates on one line, as a sprint at the finish, are passed in one instant.
				if ok && t >= lastUs && (!found || t < when) {
					gate, when, found = n, t, true
				}
				if c.visits[n].Mandatory {
					break
				}
			}
			if !found {
				break
			}
			out[gate] = unit.InstantUs(when)
			next, lastUs = gate+1, when
		}
	}
	return out, leap
}

// cross is the instant in µs at which the step a→b crosses the gate in its direction: 0 <= u < 1 along the step and
// 0 <= v <= 1 along the gate, exactly.
func cross(g *Gate, a, b at) (int64, bool) {
	dx, dy := big.NewInt(b.p.Lon-a.p.Lon), big.NewInt(b.p.Lat-a.p.Lat)
	gx, gy := big.NewInt(g.B.Lon-g.A.Lon), big.NewInt(g.B.Lat-g.A.Lat)
	px, py := big.NewInt(g.A.Lon-a.p.Lon), big.NewInt(g.A.Lat-a.p.Lat)
	den := cross2(dx, dy, gx, gy)
	if den.Sign() != g.Direction {
		return 0, false
	}
	u, v := cross2(px, py, gx, gy), cross2(px, py, dx, dy)
	if den.Sign() < 0 {
		den.Neg(den)
		u.Neg(u)
		v.Neg(v)
	}
	if u.Sign() < 0 || u.Cmp(den) >= 0 || v.Sign() < 0 || v.Cmp(den) > 0 {
		return 0, false
	}
	u.Mul(u, big.NewInt((b.ms-a.ms)*1000))
	return a.ms*1000 + u.Div(u, den).Int64(), true
}

func cross2(ax, ay, bx, by *big.Int) *big.Int {
	l := new(big.Int).Mul(ax, by)
	return l.Sub(l, new(big.Int).Mul(ay, bx))
}
