package geo

import (
	"math"

	"paceline/domain/unit"
)

// Tuning of the map matching. None of it reaches a published result.
const (
	// minSlackMm widens the window both ways: it covers the error of a position along the course, and what passes at a
	// turning point before the heading has turned too. In a wide corridor, where boats tack and projections wander, it is
	// the slackShare of the corridor.
	minSlackMm, slackShare = 60_000, 0.25
	// doubtMm is the least uncertainty of the predicted place, doubtShare the share of an unseen movement that is
	// doubtful. It outlives a hole by about doubtMs, so that a wrong guess can still be corrected.
	doubtMm, doubtShare, doubtMs = 10_000, 0.3, 15_000
	// More than holeMs without a sample is a hole; some apps send every 10 s.
	holeMs = 12_000
	// headingMm is the movement over which the heading is taken; turnMm what it costs to go against the course, as if the
	// course were that far away. steadyMm and steadyMs bound how far and long the position behind the heading is smoothed.
	headingMm, turnMm, steadyMm, steadyMs = 12_000, 70_000, 4_000, 3000
	// calmMs is the time over which the speed is smoothed.
	calmMs = 10_000
	// OffCourseAfter is how long an athlete may be nowhere near the course before it is said.
	OffCourseAfter = 60 * unit.Second
)

// Progress is where a Tracker has got to. The zero value stands before the first sample; it is a checkpoint as it is.
type Progress struct {
	AtMm       unit.DistanceMm // where the athlete is along the course, all laps counted; may go back
	FurthestMm unit.DistanceMm // the furthest it has been: this ranks, and never goes back
	SpeedMmS   int64           // along the course, smoothed; below zero on the way back
	FixedAt    unit.InstantMs  // when AtMm was last found; before the first fix, when the first sample was
	SeenAt     unit.InstantMs  // the newest sample, fixed or not
	Begun      bool

	DoubtMm         unit.DistanceMm // what holes have left of uncertainty
	Steady, Tail    Point           // the smoothed position; where it was when the heading was last taken
	EastMm, NorthMm unit.DistanceMm // the heading: the movement up to Tail; zero if not known
}

// Tracker follows one athlete along a course by windowed map matching: only the part of the course that can have
// been reached since the last fix is looked at. Without the window somebody on an out-and-back course, a figure of
// eight or a lap course would jump to the other leg. It is floating point, for display and live order only.
type Tracker struct {
	State  Progress
	course *Course
	limits Limits
}

// NewTracker follows an athlete from the start of the course, or from where State is set afterwards.
func NewTracker(c *Course, l Limits) Tracker { return Tracker{course: c, limits: l} }

// Step takes the next position, in order of time; an older one changes nothing. It does not allocate.
// onCourse is false when no place on the course has fitted for more than OffCourseAfter; progress then stays.
func (t *Tracker) Step(p Point, at unit.InstantMs) (progress unit.DistanceMm, onCourse bool) {
	return t.StepBelow(p, at, math.MaxInt64)
}

// StepBelow is Step with a ceiling (Course.CeilingMm): progress does not count beyond a mandatory gate that has not
// been passed, so a short cut shows as off course and not as a lead.
func (t *Tracker) StepBelow(p Point, at unit.InstantMs, ceiling unit.DistanceMm) (progress unit.DistanceMm, onCourse bool) {
	s := &t.State
	if !s.Begun {
		s.Begun, s.FixedAt, s.SeenAt, s.Steady, s.Tail = true, at, at, p, p
	} else if at <= s.SeenAt {
		return s.FurthestMm, s.onCourse()
	}
	s.turn(p, at.Sub(s.SeenAt), t.limits.MaxSpeedMmS)
	s.SeenAt = at
	took := at.Sub(s.FixedAt)
	if place, ok := t.match(p, took, float64(ceiling)); ok {
		s.fix(place, at, took, t.limits.MaxSpeedMmS)
		s.FurthestMm = max(s.FurthestMm, min(s.AtMm, ceiling))
	}
	return s.FurthestMm, s.onCourse()
}

// Anchor sets the place for sure, as at a gate that has just been passed.
func (t *Tracker) Anchor(place unit.DistanceMm, at unit.InstantMs) {
	s := &t.State
	s.AtMm, s.FixedAt, s.Begun, s.DoubtMm = place, at, true, 0
	s.FurthestMm, s.SeenAt = max(s.FurthestMm, place), max(s.SeenAt, at)
}

func (s *Progress) onCourse() bool { return s.SeenAt.Sub(s.FixedAt) <= OffCourseAfter }

// turn takes the heading of a movement that is long enough to have one. A hole leaves it unknown and adds doubt.
func (s *Progress) turn(p Point, took unit.DurationMs, maxMmS int64) {
	s.DoubtMm -= s.DoubtMm * unit.DistanceMm(took) / (unit.DistanceMm(took) + doubtMs)
	if took > holeMs {
		s.Steady, s.Tail, s.EastMm, s.NorthMm = p, p, 0, 0
		s.DoubtMm += unit.DistanceMm(unseenMm(s.SpeedMmS, maxMmS, took))
		return
	}
	if took > 0 { // a fast athlete needs no smoothing: the noise is small beside the movement
		calm := int64(min(steadyMs, steadyMm*1000/max(1, s.SpeedMmS)))
		s.Steady.Lat += (p.Lat - s.Steady.Lat) * int64(took) / (int64(took) + calm)
		s.Steady.Lon += (p.Lon - s.Steady.Lon) * int64(took) / (int64(took) + calm)
	}
	east := float64(s.Steady.Lon-s.Tail.Lon) * mmPerE7 * math.Cos(float64(p.Lat)*radiansPerE7)
	north := float64(s.Steady.Lat-s.Tail.Lat) * mmPerE7
	moved := math.Hypot(east, north)
	if expected := float64(s.SpeedMmS) * float64(took) / 1000; moved < expected/2 && expected > headingMm {
		s.Tail, s.EastMm, s.NorthMm = s.Steady, 0, 0 // it turned between two samples
	} else if moved >= headingMm {
		s.Tail, s.EastMm, s.NorthMm = s.Steady, unit.DistanceMm(east), unit.DistanceMm(north)
	}
}

// unseenMm is how far off the predicted place may be after a time without sight.
func unseenMm(speedMmS, maxMmS int64, took unit.DurationMs) float64 {
	return doubtShare * math.Max(float64(speedMmS), float64(maxMmS)/4) * float64(took) / 1000
}

// against is what it costs to be on a leg with this heading, in mm²: nothing along it, turnMm² the other way.
func (s *Progress) against(l *leg) float64 {
	east, north := float64(s.EastMm), float64(s.NorthMm)
	if east == 0 && north == 0 {
		return 0
	}
	cos := (east*l.dxMm + north*l.dyMm) / (math.Hypot(east, north) * l.lenMm)
	return turnMm * turnMm * (1 - cos) / 2
}

// fix takes a place that was found.
func (s *Progress) fix(placeMm float64, at unit.InstantMs, took unit.DurationMs, maxMmS int64) {
	place := unit.DistanceMm(math.Round(placeMm))
	if took > 0 {
		speed := int64(place-s.AtMm) * 1000 / int64(took)
		speed = max(-maxMmS, min(speed, maxMmS)) // noise goes both ways and must cancel out
		s.SpeedMmS += (speed - s.SpeedMmS) * int64(took) / (int64(took) + calmMs)
	}
	s.AtMm, s.FixedAt = place, at
}

// candidate is a place on the course that is the nearest one to the position in its neighbourhood.
type candidate struct {
	placeMm, lateralMm2 float64
	leg                 *leg
	cut                 bool // the window ends here, the course comes nearer beyond it: no match
}

// match finds the place within the corridor and the window [furthest-slack, s+vmax·Δt+slack]. Who goes back further is off
// the course: following it would lose those who have turned where the course turns and were taken to go back.
// Among places where the distance
// from the line has a local minimum it takes the least lateral² + λ·(Δs-v·Δt)² + what the heading says against it.
// λ falls as the prediction grows doubtful. (Taking every place instead would drag the result towards the prediction.)
func (t *Tracker) match(p Point, took unit.DurationMs, ceilingMm float64) (float64, bool) {
	c, s := t.course, &t.State
	sec := float64(took) / 1000
	corridor := float64(c.plan.CorridorM) * 1000
	slack := math.Max(minSlackMm, slackShare*corridor)
	around, from := slack+float64(s.DoubtMm), float64(s.AtMm)
	lo := math.Max(0, float64(s.FurthestMm)-around)
	hi := math.Min(from+float64(t.limits.MaxSpeedMmS)*sec+around, ceilingMm+slack)
	hi = math.Min(hi, c.lapMm*float64(c.plan.Laps))
	if hi < lo {
		return 0, false
	}
	expect := from + math.Max(0, float64(s.SpeedMmS))*sec
	doubt := doubtMm + float64(s.DoubtMm) + unseenMm(s.SpeedMmS, t.limits.MaxSpeedMmS, took)
	lambda := doubtMm * doubtMm / (doubt * doubt)
	best, bestCost := 0.0, math.Inf(1)
	consider := func(q candidate) {
		if q.cut || q.lateralMm2 > corridor*corridor {
			return
		}
		d := q.placeMm - expect
		if cost := q.lateralMm2 + lambda*d*d + s.against(q.leg); cost < bestCost {
			best, bestCost = q.placeMm, cost
		}
	}
	n := len(c.legs)
	lap := min(int(lo/c.lapMm), c.plan.Laps-1)
	falling, prev := true, candidate{lateralMm2: math.Inf(1)}
	for k := lap*n + legAt(c.legs, lo-float64(lap)*c.lapMm); k < n*c.plan.Laps; k++ {
		base := float64(k/n) * c.lapMm
		l := &c.legs[k%n]
		if base+l.fromMm > hi {
			break
		}
		place, lateral, cut := l.project(p, lo-base, hi-base)
		if falling && lateral > prev.lateralMm2 {
			consider(prev)
		}
		falling = lateral <= prev.lateralMm2
		prev = candidate{base + place, lateral, l, cut}
	}
	if falling && prev.leg != nil {
		consider(prev)
	}
	return best, !math.IsInf(bestCost, 1)
}
