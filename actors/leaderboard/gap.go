package leaderboard

import (
	"cmp"
	"slices"

	"paceline/domain/unit"
)

// Mark is where an athlete was, and when.
type Mark struct {
	Mm unit.DistanceMm
	At unit.InstantMs
}

// curveMarks is how many marks a curve keeps, and curveStep how far apart in time they are: together the last
// minute, which is where the gaps of a close race lie. What lies before, the gates say.
const (
	curveMarks = 32
	curveStep  = 2 * unit.Second
)

// Curve is the newest part of an athlete's way over time. The zero value is empty.
type Curve struct {
	marks [curveMarks]Mark
	n     int
	head  int // where the next one goes
}

// Add takes a new mark if it lies far enough behind the one before, in time and on the course.
func (c *Curve) Add(m Mark) {
	if c.n > 0 {
		last := c.marks[(c.head+curveMarks-1)%curveMarks]
		if m.Mm < last.Mm || m.At < last.At {
			*c = Curve{} // taken back: what was known does not hold any more
		} else if m.At < last.At.Add(curveStep) {
			return
		}
	}
	c.marks[c.head] = m
	c.head = (c.head + 1) % curveMarks
	c.n = min(c.n+1, curveMarks)
}

// AppendTo appends the marks to dst, oldest first.
func (c *Curve) AppendTo(dst []Mark) []Mark {
	for i := range c.n {
		dst = append(dst, c.marks[(c.head+curveMarks-c.n+i)%curveMarks])
	}
	return dst
}

// Trace is a whole way: marks that rise in place and time.
type Trace []Mark

// TraceOf makes a trace of marks in any order; one that contradicts those before it is left out.
func TraceOf(marks []Mark) Trace {
	slices.SortFunc(marks, func(a, b Mark) int { return cmp.Or(cmp.Compare(a.Mm, b.Mm), cmp.Compare(a.At, b.At)) })
	n := 0
	for _, m := range marks {
		if n > 0 && (m.Mm == marks[n-1].Mm || m.At < marks[n-1].At) {
			continue
		}
		marks[n] = m
		n++
	}
	return marks[:n]
}

// TimeAt is when the athlete was at a place, between two marks by straight interpolation.
func (t Trace) TimeAt(mm unit.DistanceMm) (unit.InstantMs, bool) {
	i, hit := slices.BinarySearchFunc(t, mm, func(m Mark, mm unit.DistanceMm) int { return cmp.Compare(m.Mm, mm) })
	switch {
	case hit:
		return t[i].At, true
	case i == 0 || i == len(t):
		return 0, false
	}
	a, b := t[i-1], t[i]
	return a.At + unit.InstantMs(float64(b.At-a.At)*float64(mm-a.Mm)/float64(b.Mm-a.Mm)), true
}

// PlaceAt is where the athlete was at an instant; before the first mark and after the last it stands there.
func (t Trace) PlaceAt(at unit.InstantMs) (unit.DistanceMm, bool) {
	if len(t) == 0 {
		return 0, false
	}
	i, hit := slices.BinarySearchFunc(t, at, func(m Mark, at unit.InstantMs) int { return cmp.Compare(m.At, at) })
	switch {
	case hit:
		return t[i].Mm, true
	case i == 0:
		return t[0].Mm, true
	case i == len(t):
		return t[i-1].Mm, true
	}
	a, b := t[i-1], t[i]
	return a.Mm + unit.DistanceMm(float64(b.Mm-a.Mm)*float64(at-a.At)/float64(b.At-a.At)), true
}

// Gap is how far an athlete is behind the leader, who set off ahead of it by headStart (negative: later). In time if the
// leader's trace reaches the athlete's place, and in length as of the athlete's own instant.
type Gap struct {
	Ms     unit.DurationMs
	Timed  bool
	Behind unit.DistanceMm
}

// GapTo compares an athlete's newest mark with the leader's trace.
func GapTo(leader Trace, me Mark, headStart unit.DurationMs) Gap {
	var g Gap
	if at, ok := leader.TimeAt(me.Mm); ok {
		g.Ms, g.Timed = max(0, me.At.Sub(at)-headStart), true
	}
	if mm, ok := leader.PlaceAt(me.At.Add(-headStart)); ok {
		g.Behind = max(0, mm-me.Mm)
	}
	return g
}
