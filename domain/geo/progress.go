package geo

import (
	"math"

	"paceline/domain/unit"
)

// Tuning of the map matching. None of it reaches a published result.
const (
	// slackMm widens the window both ways: it covers the error of a position along the course.
	slackMm = 30_000
	// doubtMm is the least uncertainty of the predicted place; sure is the share of a movement that is doubtful.
	doubtMm, doubtShare = 10_000, 0.3
	// calmMs is the time over which the speed is smoothed.
	calmMs = 10_000
	// OffCourseAfter is how long an athlete may be nowhere near the course before it is said.
	OffCourseAfter = 60 * unit.Second
)

// Progress is where a Tracker has got to. The zero value stands before the first sample; it is a checkpoint as it is.
type Progress struct {
	AtMm       unit.DistanceMm // where the athlete is along the course, all laps counted; may go back
	FurthestMm unit.DistanceMm // the furthest it has been: this ranks, and never goes back
	SpeedMmS   int64           // along the course, smoothed
	FixedAt    unit.InstantMs  // when AtMm was last found; before the first fix, when the first sample was
	SeenAt     unit.InstantMs  // the newest sample, fixed or not
	Begun      bool
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
		s.Begun, s.FixedAt, s.SeenAt = true, at, at
	} else if at <= s.SeenAt {
		return s.FurthestMm, s.onCourse()
	}
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
	s.AtMm, s.FixedAt, s.Begun = place, at, true
	s.FurthestMm, s.SeenAt = max(s.FurthestMm, place), max(s.SeenAt, at)
}

func (s *Progress) onCourse() bool { return s.SeenAt.Sub(s.FixedAt) <= OffCourseAfter }

// fix takes a place that was found.
func (s *Progress) fix(placeMm float64, at unit.InstantMs, took unit.DurationMs, maxMmS int64) {
	place := unit.DistanceMm(math.Round(placeMm))
	if took > 0 {
		speed := int64(place-s.AtMm) * 1000 / int64(took)
		speed = max(0, min(speed, maxMmS))
		s.SpeedMmS += (speed - s.SpeedMmS) * int64(took) / (int64(took) + calmMs)
	}
	s.AtMm, s.FixedAt = place, at
}

// candidate is a place on the course where the way from the position is shortest nearby.
type candidate struct{ placeMm, lateralMm2 float64 }

// match finds the place within the window [s-slack, s+vmax·Δt+slack] and the corridor. Among places where the distance
// from the line has a local minimum it takes the least lateral² + λ·(Δs-v·Δt)². λ falls as the prediction grows
// doubtful. (Taking every place instead would drag the result towards the prediction.)
func (t *Tracker) match(p Point, took unit.DurationMs, ceilingMm float64) (float64, bool) {
	c, s := t.course, &t.State
	sec := float64(took) / 1000
	from := float64(s.AtMm)
	lo := math.Max(0, from-slackMm)
	hi := math.Min(from+float64(t.limits.MaxSpeedMmS)*sec+slackMm, ceilingMm+slackMm)
	hi = math.Min(hi, c.lapMm*float64(c.plan.Laps))
	if hi < lo {
		return 0, false
	}
	expect := from + float64(s.SpeedMmS)*sec
	doubt := doubtMm + doubtShare*math.Max(float64(s.SpeedMmS), float64(t.limits.MaxSpeedMmS)/4)*sec
	lambda := doubtMm * doubtMm / (doubt * doubt)
	corridor := float64(c.plan.CorridorM) * 1000

	best, bestCost := candidate{}, math.Inf(1)
	consider := func(q candidate) {
		if d := q.placeMm - expect; q.lateralMm2 <= corridor*corridor && q.lateralMm2+lambda*d*d < bestCost {
			best, bestCost = q, q.lateralMm2+lambda*d*d
		}
	}
	n := len(c.legs)
	lap := min(int(lo/c.lapMm), c.plan.Laps-1)
	k := lap*n + legAt(c.legs, lo-float64(lap)*c.lapMm)
	falling, prev := true, candidate{lateralMm2: math.Inf(1)}
	for ; k < n*c.plan.Laps; k++ {
		base := float64(k/n) * c.lapMm
		l := &c.legs[k%n]
		if base+l.fromMm > hi {
			break
		}
		place, lateral := l.project(p, lo-base, hi-base)
		now := candidate{base + place, lateral}
		if falling && now.lateralMm2 > prev.lateralMm2 {
			consider(prev)
		}
		falling = now.lateralMm2 <= prev.lateralMm2
		prev = now
	}
	if falling && !math.IsInf(prev.lateralMm2, 1) {
		consider(prev)
	}
	return best.placeMm, !math.IsInf(bestCost, 1)
}
