package geo

import "paceline/domain/unit"

// Visit is one passing of a gate that a race asks for: the start once, then every other gate on every lap.
type Visit struct {
	Gate int // index into Gates
	Lap  int // from 1
	AtMm unit.DistanceMm
}

// Visits is how many visits the whole course has; the last is the finish.
func (c *Course) Visits() int { return 1 + c.perLap*c.plan.Laps }

// Visit is the n-th visit, from 0 (the start).
func (c *Course) Visit(n int) Visit {
	if n <= 0 {
		return Visit{0, 1, c.atMm[0]}
	}
	lap, gate := (n-1)/c.perLap, (n-1)%c.perLap+1
	return Visit{gate, lap + 1, c.atMm[gate] + unit.DistanceMm(c.lapMm*float64(lap)+0.5)}
}

// Passing is how far somebody has come through the gates; it is a checkpoint as it is.
type Passing struct {
	Next   int            // the visit that is awaited; Visits() when finished
	LastUs unit.InstantUs // of the last visit; while Next is 0 the earliest instant at which the start counts
}

// PassingFrom has passed no gate; the start counts from the gun on.
func PassingFrom(gun unit.InstantMs) Passing { return Passing{LastUs: gun.Us()} }

// Passage is one visit made.
type Passage struct {
	Visit int // see Course.Visit; visits between the last one and this were optional and left out
	At    unit.InstantUs
}

// Pass takes the next passage of a step into s. Call it until it says false: one step may pass several gates.
//
// The rule: gates count in their order, each at its first crossing in its direction after the gate before it.
// A gate that is not mandatory may be left out, so the visits up to and including the next mandatory one are
// looked at and the earliest crossing wins. Gates on one line, as a sprint at the finish, are passed in one instant; that
// this does not make one crossing two laps is NewCourse's care (ErrGateRepeat).
func (c *Course) Pass(s *Passing, p0 Point, t0 unit.InstantMs, p1 Point, t1 unit.InstantMs) (Passage, bool) {
	var best Passage
	found := false
	for n, end := s.Next, c.Visits(); n < end; n++ {
		g := &c.plan.Gates[c.gateOf(n)]
		at, ok := g.Cross(p0, t0, p1, t1)
		if ok && at >= s.LastUs && (!found || at < best.At) {
			best, found = Passage{n, at}, true
		}
		if g.Mandatory {
			break
		}
	}
	if found {
		s.Next, s.LastUs = best.Visit+1, best.At
	}
	return best, found
}

// Finished reports whether every mandatory visit has been made.
func (c *Course) Finished(s Passing) bool { return s.Next >= c.Visits() }

// CeilingMm is how far progress can count before the next mandatory gate is passed: beyond it is a course cut.
func (c *Course) CeilingMm(s Passing) unit.DistanceMm {
	if c.Finished(s) {
		return c.TotalMm()
	}
	v := c.Visit(s.Next)
	must := c.nextMust[v.Gate]
	return v.AtMm - c.atMm[v.Gate] + c.atMm[must]
}

func (c *Course) gateOf(visit int) int {
	if visit == 0 {
		return 0
	}
	return (visit-1)%c.perLap + 1
}
