package geo

import (
	"math"

	"paceline/domain/fault"
	"paceline/domain/unit"
)

// Bounds of a course.
const (
	MaxLinePoints = 200_000
	MaxGates      = 256
	MaxLaps       = 1000
	MaxCorridorM  = 50_000
)

// What can be wrong with a course.
var (
	ErrName          = fault.New(fault.Invalid, "course.name", "A course needs a name of at most 200 bytes.")
	ErrLine          = fault.New(fault.Invalid, "course.line", "A course line needs two different points and at most 200,000.")
	ErrPoint         = fault.New(fault.Invalid, "course.point", "A point of the course is not on the globe.")
	ErrAntimeridian  = fault.New(fault.Invalid, "course.antimeridian", "A course may not cross the 180th meridian.")
	ErrCorridor      = fault.New(fault.Invalid, "course.corridor", "The corridor must be 1 to 50,000 m wide.")
	ErrLaps          = fault.New(fault.Invalid, "course.laps", "A course has 1 to 1,000 laps.")
	ErrGates         = fault.New(fault.Invalid, "course.gates", "A course has a start gate first, a finish gate last, and at most 256 gates.")
	ErrGateID        = fault.New(fault.Invalid, "course.gate_id", "Every gate needs a short identifier of its own.")
	ErrGateKind      = fault.New(fault.Invalid, "course.gate_kind", "There is one start gate and one finish gate; the others are splits, sprints or climbs.")
	ErrGateLine      = fault.New(fault.Invalid, "course.gate_line", "A gate needs two different end points.")
	ErrGateDirection = fault.New(fault.Invalid, "course.gate_direction", "A gate is crossed from left to right or from right to left.")
	ErrGateOptional  = fault.New(fault.Invalid, "course.gate_optional", "The start and the finish cannot be left out.")
	ErrGateOrder     = fault.New(fault.Invalid, "course.gate_order", "Gates must stand in the order in which the course passes them.")
	ErrGateOffLine   = fault.New(fault.Invalid, "course.gate_off_line", "The course line does not cross this gate in its direction.")
	ErrGateRepeat    = fault.New(fault.Invalid, "course.gate_repeat", "Two mandatory gates in a row are the same line: jitter on it would count as a lap.")
)

// Plan is a course as people draw it and as it is stored.
type Plan struct {
	Name      string
	Line      []Point // e7, from the start to the finish of one lap
	CorridorM int     // how far from the line, to either side, an athlete is still on the course
	Laps      int     // zero means one
	Gates     []Gate  // e7, of one lap, in order; the start first, the finish last
}

// Course is a valid plan with its distances worked out. It never changes.
type Course struct {
	plan     Plan
	legs     []leg
	lapMm    float64
	perLap   int // gate visits of each lap: all gates but the start
	atMm     []unit.DistanceMm
	nextMust []int // by gate: the index of the first mandatory gate at or after it
}

// NewCourse checks a plan, closes the line if it has laps, and finds the gates that are Unplaced.
// The plan's slices are copied.
func NewCourse(p Plan) (*Course, error) {
	p.Line, p.Gates = append([]Point(nil), p.Line...), append([]Gate(nil), p.Gates...)
	if p.Laps == 0 {
		p.Laps = 1
	}
	if err := checkPlan(p); err != nil {
		return nil, err
	}
	if n := len(p.Line); p.Laps > 1 && p.Line[0] != p.Line[n-1] {
		p.Line = append(p.Line, p.Line[0])
	}
	c := &Course{plan: p, legs: measure(p.Line), perLap: len(p.Gates) - 1}
	if len(c.legs) == 0 {
		return nil, ErrLine.With("all points are the same")
	}
	c.lapMm = c.legs[len(c.legs)-1].endMm()
	if err := c.place(); err != nil {
		return nil, err
	}
	c.nextMust = make([]int, len(p.Gates))
	for i, must := len(p.Gates)-1, 0; i >= 0; i-- {
		if p.Gates[i].Mandatory {
			must = i
		}
		c.nextMust[i] = must
	}
	if err := c.checkRepeats(); err != nil {
		return nil, err
	}
	return c, nil
}

func checkPlan(p Plan) error {
	switch {
	case p.Name == "" || len(p.Name) > 200:
		return ErrName
	case len(p.Line) < 2 || len(p.Line) > MaxLinePoints:
		return ErrLine.With("%d points", len(p.Line))
	case p.CorridorM < 1 || p.CorridorM > MaxCorridorM:
		return ErrCorridor.With("%d m", p.CorridorM)
	case p.Laps < 1 || p.Laps > MaxLaps:
		return ErrLaps.With("%d", p.Laps)
	case len(p.Gates) < 2 || len(p.Gates) > MaxGates:
		return ErrGates.With("%d gates", len(p.Gates))
	}
	for i, q := range p.Line {
		if !q.valid() {
			return ErrPoint.With("point %d", i+1)
		}
		if i > 0 && farEast(p.Line[i-1], q) {
			return ErrAntimeridian.With("point %d", i+1)
		}
	}
	seen := make(map[string]bool, len(p.Gates))
	for i := range p.Gates {
		if err := checkGate(p.Gates, i); err != nil {
			return err
		}
		if id := p.Gates[i].ID; seen[id] {
			return ErrGateID.With("%q twice", id)
		}
		seen[p.Gates[i].ID] = true
	}
	return nil
}

func checkGate(gates []Gate, i int) error {
	g, first, last := &gates[i], i == 0, i == len(gates)-1
	switch {
	case g.ID == "" || len(g.ID) > 32 || len(g.Name) > 200:
		return ErrGateID.With("gate %d: %q", i+1, g.ID)
	case first != (g.Kind == StartGate) || last != (g.Kind == FinishGate) || g.Kind.String() == "unknown":
		return ErrGateKind.With("%s is a %s", g.ID, g.Kind)
	case !g.A.valid() || !g.B.valid():
		return ErrPoint.With("gate %s", g.ID)
	case g.A == g.B:
		return ErrGateLine.With("%s", g.ID)
	case farEast(g.A, g.B):
		return ErrAntimeridian.With("gate %s", g.ID)
	case g.Direction != LeftToRight && g.Direction != RightToLeft:
		return ErrGateDirection.With("%s: %d", g.ID, g.Direction)
	case (first || last) && !g.Mandatory:
		return ErrGateOptional.With("%s", g.ID)
	}
	return nil
}

func farEast(a, b Point) bool {
	d := b.Lon - a.Lon
	return d > 180*e7PerDegree || d < -180*e7PerDegree
}

// place finds the gates that are Unplaced, each where the line first crosses it after the one before, and checks
// that all stand in order on the line.
func (c *Course) place() error {
	var before float64
	for i := range c.plan.Gates {
		g := &c.plan.Gates[i]
		at := float64(g.AtMm)
		if g.AtMm < 0 {
			found, ok := c.find(g, before)
			if !ok {
				return ErrGateOffLine.With("%s beyond %d m", g.ID, int64(before)/1000)
			}
			at, g.AtMm = found, unit.DistanceMm(math.Round(found))
		}
		if at < before-0.5 || at > c.lapMm+1 {
			return ErrGateOrder.With("%s at %d mm", g.ID, g.AtMm)
		}
		before = at
		c.atMm = append(c.atMm, g.AtMm)
	}
	return nil
}

// find is where the line first crosses the gate in its direction at or beyond fromMm. Here both ends of a leg count:
// a gate may stand at the very end of the line or at a turning point.
func (c *Course) find(g *Gate, fromMm float64) (float64, bool) {
	const span = 1 << 40 // as "time": the place on a leg in 2^-40 parts
	for i := range c.legs {
		l := &c.legs[i]
		if l.endMm() < fromMm-0.5 {
			continue
		}
		part, dir, ok := Cross(g, l.a, 0, l.b, span/1000)
		f := float64(part) / (span / 1000 * 1000)
		if !ok { // does it end on the gate? then the way back begins there
			_, back, touches := Cross(g, l.b, 0, l.a, 0)
			if !touches {
				continue
			}
			f, dir = 1, -back
		}
		if at := l.fromMm + f*l.lenMm; dir == int(g.Direction) && at >= fromMm-0.5 {
			return at, true
		}
	}
	return 0, false
}

// checkRepeats refuses two mandatory visits in a row to one line.
func (c *Course) checkRepeats() error {
	last := -1
	for v := range min(c.Visits(), 2*len(c.plan.Gates)) {
		i := c.Visit(v).Gate
		g := &c.plan.Gates[i]
		if !g.Mandatory {
			continue
		}
		if last >= 0 {
			h := &c.plan.Gates[last]
			if g.A == h.A && g.B == h.B || g.A == h.B && g.B == h.A {
				return ErrGateRepeat.With("%s after %s", g.ID, h.ID)
			}
		}
		last = i
	}
	return nil
}

// Name is what people call the course.
func (c *Course) Name() string { return c.plan.Name }

// Plan is the plan with all gates placed and the line closed if it has laps. Its slices must not be changed.
func (c *Course) Plan() Plan { return c.plan }

// Laps is how often the line is followed.
func (c *Course) Laps() int { return c.plan.Laps }

// Gates are the gates of one lap, in order. They must not be changed.
func (c *Course) Gates() []Gate { return c.plan.Gates }

// LapMm is the length of one lap.
func (c *Course) LapMm() unit.DistanceMm { return unit.DistanceMm(math.Round(c.lapMm)) }

// TotalMm is the length of all laps.
func (c *Course) TotalMm() unit.DistanceMm {
	return unit.DistanceMm(math.Round(c.lapMm * float64(c.plan.Laps)))
}

// PointAt is the point at a progress along the course, laps included; before the start and after the end it is
// the end of the line.
func (c *Course) PointAt(progress unit.DistanceMm) Point {
	at := math.Min(math.Max(0, float64(progress)), c.lapMm*float64(c.plan.Laps))
	if lap := math.Floor(at / c.lapMm); lap < float64(c.plan.Laps) {
		at -= lap * c.lapMm
	} else {
		at = c.lapMm
	}
	return c.legs[legAt(c.legs, at)].at(at)
}
