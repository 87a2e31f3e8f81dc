package training

import "paceline/domain/unit"

// SteerFresh is how old the newest position may be that equipment is set by, and how far a clock may be ahead.
const SteerFresh = 2 * unit.Second

// Steer is how steep the course is where the rider is, in 0.01 %, and as of when: what rideable equipment is set to.
// false: there is nothing to set. That is so unless the workout runs in a race over a course whose heights are known,
// the gun is over, the finish is not passed, the rider is on the course, and the position is fresh. What sets nothing
// is right: equipment goes back to the rider's own setting by itself.
func Steer(s *State, r *Result, now unit.InstantMs) (gradientBp int32, at unit.InstantMs, ok bool) {
	switch {
	case s.Phase != PhaseLive, s.paused(), s.Course == nil, s.Bound == nil:
		return 0, 0, false
	case s.Bound.Gun == 0, now < s.Bound.Gun, r.PositionAt < s.Bound.Gun, r.Finished, r.OffCourse:
		return 0, 0, false
	case r.PositionAt == 0, now.Sub(r.PositionAt) >= SteerFresh, r.PositionAt.Sub(now) >= SteerFresh:
		return 0, 0, false
	}
	gradientBp, ok = s.Course.GradientBp(r.ProgressMm)
	return gradientBp, r.PositionAt, ok
}
