package course

import (
	"slices"

	"paceline/domain/fault"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// Format of a race. Wire and stored value: append only.
type Format uint8

// The formats.
const (
	Distance Format = 1 // first to have covered DistanceMm, anywhere
	Line     Format = 2 // a GPS course with gates
)

// Bounds of a track, besides those of geo.
const (
	MaxDistanceMm = unit.DistanceMm(10_000_000_000) // 10,000 km
	// endGateWidthMm is how wide the start and finish are that a course without gates gets.
	endGateWidthMm = unit.DistanceMm(60_000)
	// MaxVisits bounds what one report carries.
	MaxVisits = 4096
)

// What can be wrong with a track, besides what geo says about its line and gates.
var (
	ErrFormat   = fault.New(fault.Invalid, "course.format", "A track is a distance or a GPS course.")
	ErrSport    = fault.New(fault.Invalid, "course.sport", "A track needs a sport of at most 32 bytes.")
	ErrDistance = fault.New(fault.Invalid, "course.distance", "A distance race needs a distance of 1 m to 10,000 km.")
	ErrHeights  = fault.New(fault.Invalid, "course.heights", "A course has no heights, or one for each point of its line, of -500 m to 9,000 m.")
	ErrVisits   = fault.New(fault.Invalid, "course.visits", "Gates and laps make more than 4,096 passings.")
)

// Track is what is needed to find gates and progress, as an organizer gives it.
type Track struct {
	Format     Format
	Sport      geo.Sport
	Name       string
	Line       []geo.Point     // of a GPS course: one lap, from start to finish
	Gates      []geo.Gate      // in order, of one lap; of a distance race only ID, Kind, Mandatory and AtMm count
	Laps       int             // 0 and 1: once
	DistanceMm unit.DistanceMm // of a distance race
	CorridorMm unit.DistanceMm // how far from the line is still on the course
	HeightsMm  []int64         // above the sea, one for each point of Line; nil: not known. No result rests on them
}

// Equal reports whether both tracks say the same.
func (t Track) Equal(u Track) bool {
	return t.Format == u.Format && t.Sport == u.Sport && t.Name == u.Name && t.Laps == u.Laps &&
		t.DistanceMm == u.DistanceMm && t.CorridorMm == u.CorridorMm &&
		slices.Equal(t.Line, u.Line) && slices.Equal(t.Gates, u.Gates) && slices.Equal(t.HeightsMm, u.HeightsMm)
}

// Visit is one passing of a gate that a race asks for.
type Visit struct {
	Gate      int // index into the track's gates
	Lap       int // from 1
	ID        string
	Kind      geo.GateKind
	AtMm      unit.DistanceMm // from the start, all laps counted
	Mandatory bool
}

// Course is a valid track with everything worked out.
type Course struct {
	track  Track
	line   *geo.Course // nil: a distance race
	slope  *slope      // nil: heights are not known
	visits []Visit
}

// New checks a track. Slices are copied; gates that are Unplaced are found on the line; a GPS course without gates
// gets a start and a finish across the ends of its line, a distance race without gates a finish.
func New(t Track) (*Course, error) {
	if t.Sport == "" || len(t.Sport) > 32 {
		return nil, ErrSport
	}
	switch t.Format {
	case Distance:
		return newDistance(t)
	case Line:
		return newLine(t)
	}
	return nil, ErrFormat.With("format %d", t.Format)
}

func newDistance(t Track) (*Course, error) {
	switch {
	case t.DistanceMm < 1000 || t.DistanceMm > MaxDistanceMm:
		return nil, ErrDistance.With("%d mm", t.DistanceMm)
	case t.Name == "" || len(t.Name) > 200:
		return nil, geo.ErrName
	case t.Laps > 1 || t.Laps < 0:
		return nil, geo.ErrLaps.With("a distance race has no laps; name its gates")
	case len(t.Gates) > geo.MaxGates:
		return nil, geo.ErrGates.With("%d gates", len(t.Gates))
	}
	t.Laps, t.Line, t.CorridorMm, t.HeightsMm = 1, nil, 0, nil
	if len(t.Gates) == 0 {
		t.Gates = []geo.Gate{{ID: "finish", Kind: geo.FinishGate, Mandatory: true, AtMm: t.DistanceMm}}
	}
	gates := make([]geo.Gate, len(t.Gates))
	c := &Course{}
	seen := map[string]bool{}
	before := unit.DistanceMm(0)
	for i, g := range t.Gates {
		if err := checkMark(g, i, len(t.Gates), seen[g.ID]); err != nil {
			return nil, err
		}
		last := i == len(t.Gates)-1
		if last && g.AtMm <= 0 {
			g.AtMm = t.DistanceMm
		}
		if g.AtMm <= before || last != (g.AtMm == t.DistanceMm) {
			return nil, geo.ErrGateOrder.With("%s at %d mm", g.ID, g.AtMm)
		}
		seen[g.ID], before = true, g.AtMm
		gates[i] = geo.Gate{ID: g.ID, Name: g.Name, Kind: g.Kind, Mandatory: true, AtMm: g.AtMm}
		c.visits = append(c.visits, Visit{Gate: i, Lap: 1, ID: g.ID, Kind: g.Kind, AtMm: g.AtMm, Mandatory: true})
	}
	t.Gates = gates
	c.track = t
	return c, nil
}

// checkMark checks a gate of a distance race, which is only a mark along the way.
func checkMark(g geo.Gate, i, n int, twice bool) error {
	switch {
	case g.ID == "" || len(g.ID) > 32 || len(g.Name) > 200 || twice:
		return geo.ErrGateID.With("gate %d: %q", i+1, g.ID)
	case (i == n-1) != (g.Kind == geo.FinishGate), g.Kind == geo.StartGate && i > 0, g.Kind.String() == "unknown":
		return geo.ErrGateKind.With("%s is a %s", g.ID, g.Kind)
	}
	return nil
}

func newLine(t Track) (*Course, error) {
	if t.CorridorMm%1000 != 0 {
		return nil, geo.ErrCorridor.With("%d mm is not a whole number of metres", t.CorridorMm)
	}
	if t.Laps < 0 {
		return nil, geo.ErrLaps.With("%d", t.Laps)
	}
	if err := checkHeights(t); err != nil {
		return nil, err
	}
	if len(t.Gates) == 0 {
		t.Gates = endGates(t.Line)
	}
	line, err := geo.NewCourse(geo.Plan{Name: t.Name, Line: t.Line, CorridorM: int(t.CorridorMm / 1000), Laps: t.Laps, Gates: t.Gates})
	if err != nil {
		return nil, err
	}
	if line.Visits() > MaxVisits {
		return nil, ErrVisits.With("%d", line.Visits())
	}
	plan := line.Plan()
	if n := len(t.HeightsMm); n > 0 {
		t.HeightsMm = append([]int64(nil), t.HeightsMm...)
		if len(plan.Line) > n { // laps closed the line
			t.HeightsMm = append(t.HeightsMm, t.HeightsMm[0])
		}
	}
	t.Line, t.Gates, t.Laps = plan.Line, plan.Gates, plan.Laps
	t.DistanceMm = line.TotalMm()
	c := &Course{track: t, line: line, slope: newSlope(t), visits: make([]Visit, line.Visits())}
	for n := range c.visits {
		v := line.Visit(n)
		g := &plan.Gates[v.Gate]
		c.visits[n] = Visit{Gate: v.Gate, Lap: v.Lap, ID: g.ID, Kind: g.Kind, AtMm: v.AtMm, Mandatory: g.Mandatory}
	}
	return c, nil
}

// endGates are a start and a finish across the ends of a line; none if the line is none.
func endGates(line []geo.Point) []geo.Gate {
	start, ok := geo.Gate{ID: "start", Kind: geo.StartGate, Mandatory: true}.Across(line, 0, endGateWidthMm)
	if !ok {
		return nil
	}
	finish, ok := geo.Gate{ID: "finish", Kind: geo.FinishGate, Mandatory: true}.Across(line, geo.LineMm(line), endGateWidthMm)
	if !ok {
		return nil
	}
	return []geo.Gate{start, finish}
}

// Track is the track with all gates placed. Its slices must not be changed.
func (c *Course) Track() Track { return c.track }

// Visits are the gates in the order in which they are visited; the index is the gate number. They must not be
// changed.
func (c *Course) Visits() []Visit { return c.visits }

// Finish is the gate number of the finish: the last visit.
func (c *Course) Finish() int { return len(c.visits) - 1 }

// HasStart reports whether gate 0 begins net time; otherwise the entry's gun does.
func (c *Course) HasStart() bool { return c.visits[0].Kind == geo.StartGate }

// LengthMm is the whole way, all laps counted.
func (c *Course) LengthMm() unit.DistanceMm { return c.track.DistanceMm }

// Limits bound what is plausible in the track's sport.
func (c *Course) Limits() geo.Limits { return geo.LimitsOf(c.track.Sport) }

// Geo is the line and gates on the ground; nil for a distance race.
func (c *Course) Geo() *geo.Course { return c.line }
