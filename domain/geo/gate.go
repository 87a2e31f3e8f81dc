package geo

import "paceline/domain/unit"

// GateKind says what a gate is for. It is a wire value: append only.
type GateKind uint8

// The kinds of gates.
const (
	StartGate  GateKind = 1 // net time begins here; always the first
	SplitGate  GateKind = 2
	SprintGate GateKind = 3
	ClimbGate  GateKind = 4
	FinishGate GateKind = 5 // ends a lap, and on the last lap the race; always the last
)

var gateKinds = [...]string{StartGate: "start", SplitGate: "split", SprintGate: "sprint", ClimbGate: "climb", FinishGate: "finish"}

func (k GateKind) String() string {
	if int(k) < len(gateKinds) && gateKinds[k] != "" {
		return gateKinds[k]
	}
	return "unknown"
}

// Direction is the side from which a gate must be crossed, seen by somebody who looks from A to B.
type Direction int8

// The two ways through a gate.
const (
	LeftToRight Direction = 1
	RightToLeft Direction = -1
)

// Unplaced as AtMm asks NewCourse to find the gate on the course line.
const Unplaced unit.DistanceMm = -1

// Gate is a line on the ground between two end points that counts if it is crossed in its direction.
type Gate struct {
	ID        string // short and stable, unique on the course
	Name      string // for people
	A, B      Point
	Direction Direction
	Kind      GateKind
	Mandatory bool            // it cannot be left out; the start and the finish never can
	AtMm      unit.DistanceMm // along the course line of one lap, or Unplaced
}

// Cross is Cross limited to the gate's own direction.
func (g *Gate) Cross(p0 Point, t0 unit.InstantMs, p1 Point, t1 unit.InstantMs) (unit.InstantUs, bool) {
	at, dir, ok := Cross(g, p0, t0, p1, t1)
	return at, ok && dir == int(g.Direction)
}

// Eastward places the gate on a meridian, to be crossed towards the east.
func (g Gate) Eastward(lon, south, north int64) Gate {
	g.A, g.B, g.Direction = Point{south, lon}, Point{north, lon}, LeftToRight
	return g
}

// Westward places the gate on a meridian, to be crossed towards the west.
func (g Gate) Westward(lon, south, north int64) Gate {
	g.A, g.B, g.Direction = Point{south, lon}, Point{north, lon}, RightToLeft
	return g
}

// Across places the gate at right angles to a course line, atMm along it and widthMm wide, to be crossed the way
// the course goes. False if the line has no length or atMm is not on it. At a bend the leg that begins there counts.
func (g Gate) Across(line []Point, atMm, widthMm unit.DistanceMm) (Gate, bool) {
	legs := measure(line)
	n := len(legs)
	if n == 0 || atMm < 0 || float64(atMm) > legs[n-1].endMm()+1 {
		return g, false
	}
	i := 0
	for i < n-1 && float64(atMm) >= legs[i].endMm() {
		i++
	}
	leg := &legs[i]
	mid, ex, ey := leg.at(float64(atMm)), leg.dxMm/leg.lenMm, leg.dyMm/leg.lenMm
	half := float64(widthMm) / 2
	// A is on the athlete's right and B on the left, so that along the course is from the left of A→B to its right.
	g.A, g.B = leg.shift(mid, ey*half, -ex*half), leg.shift(mid, -ey*half, ex*half)
	g.Direction, g.AtMm = LeftToRight, atMm
	return g, g.A != g.B
}
