package training

import "paceline/domain/unit"

// SteerFresh is how old the newest position may be that equipment is set by, and how far a clock may be ahead.
const SteerFresh = 2 * unit.Second

// Aim is what equipment is to be set to, and as of when.
type Aim struct {
	At         unit.InstantMs // event time of the sample that it was made from
	ByPower    bool
	GradientBp int32  // of the course, 0.01 %
	PowerW     uint32 // of the plan, if ByPower
}

// Steer works out what the rider's equipment is to be set to: in a race over a course whose heights are known the
// gradient where the rider is, else the step of the rider's own plan. false: nothing, which is always right, because
// equipment goes back to the rider's own setting by itself. There is nothing unless the workout runs and its newest
// sample is fresh; of a course, unless the gun is over, the finish is not passed and the rider is on it.
func Steer(s *State, r *Result, now unit.InstantMs) (Aim, bool) {
	if s.Phase != PhaseLive || s.paused() {
		return Aim{}, false
	}
	if s.Course != nil {
		if _, known := s.Course.GradientBp(0); known {
			return steerByCourse(s, r, now)
		}
	}
	return steerByPlan(s, r, now)
}

func fresh(at, now unit.InstantMs) bool {
	return at != 0 && now.Sub(at) < SteerFresh && at.Sub(now) < SteerFresh
}

func steerByCourse(s *State, r *Result, now unit.InstantMs) (Aim, bool) {
	gun := s.Bound.Gun
	if gun == 0 || now < gun || r.PositionAt < gun || r.Finished || r.OffCourse || !fresh(r.PositionAt, now) {
		return Aim{}, false
	}
	gradient, ok := s.Course.GradientBp(r.ProgressMm)
	return Aim{At: r.PositionAt, GradientBp: gradient}, ok
}

func steerByPlan(s *State, r *Result, now unit.InstantMs) (Aim, bool) {
	if !fresh(r.At, now) {
		return Aim{}, false
	}
	left := s.Elapsed(r.Totals)
	for _, p := range s.Started.Plan {
		if lasts := unit.DurationMs(p.ForS) * unit.Second; left < lasts {
			return Aim{At: r.At, ByPower: true, PowerW: p.PowerW}, true
		} else {
			left -= lasts
		}
	}
	return Aim{}, false // it is over, or there is none
}
