package training

import (
	"math/bits"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// The flags that put an entry under review.
const (
	FlagDistanceStep = "distance.implausible_step"
	FlagPositionStep = "position.implausible_step"
)

// Passage is a gate passed: the index of the visit, and when.
type Passage struct {
	Gate uint32
	At   unit.InstantUs
}

// Flag says why an entry is under review, and where that was seen first.
type Flag struct {
	Reason string
	Stream string
	Seq    uint64
	At     unit.InstantMs
}

// walkState is where the walk along the timeline stands: a checkpoint as it is.
type walkState struct {
	Begun    bool
	Prev     point
	Mark     int64 // the counter at the gun
	Marked   bool
	Next     int // visit, of a distance race
	Passing  geo.Passing
	Gates    []Passage
	Progress geo.Progress
	On       bool // on course
	Flagged  bool
	Flag     Flag
}

// walk goes along the timeline, point after point, and finds gates, progress and impossible steps.
type walk struct {
	race    *Race
	measure measure
	limits  geo.Limits
	walkState
}

func newWalk(p *Params) walk {
	w := walk{race: p.Race, measure: p.measure(), limits: p.limits()}
	w.On = true
	if w.running() {
		w.Passing = geo.PassingFrom(w.race.Gun)
	}
	return w
}

// running reports whether there is a gun to count from.
func (w *walk) running() bool { return w.race != nil && w.race.Gun != 0 }

// finished reports whether the last visit was made.
func (w *walk) finished() bool {
	if !w.running() {
		return false
	}
	if w.measure == byPosition {
		return w.race.Course.Geo().Finished(w.Passing)
	}
	return w.Next > w.race.Course.Finish()
}

// step takes the next point; points come in order of time. It allocates only where a gate is passed.
func (w *walk) step(p *point, stream string) {
	prev, begun := w.Prev, w.Begun
	w.Prev, w.Begun = *p, true
	if !w.running() || p.At < w.race.Gun {
		return
	}
	if !w.Marked {
		w.Marked, w.Mark = true, p.Mm
		if begun {
			w.Mark = prev.Mm + share(p.Mm-prev.Mm, int64(w.race.Gun-prev.At), int64(p.At-prev.At))
		}
	}
	over := w.finished()
	if w.measure == byPosition {
		w.stepCourse(&prev, p, begun, over, stream)
		return
	}
	if begun && p.Impossible && !over && p.At > w.race.Gun {
		w.flag(FlagDistanceStep, p, stream)
	}
	visits := w.race.Course.Visits()
	for w.Next < len(visits) {
		target := w.Mark + int64(visits[w.Next].AtMm)
		if !begun || p.Mm < target {
			return
		}
		// prev.Mm < target: otherwise the gate had been passed before.
		at := prev.At.Us() + unit.InstantUs(share(int64(p.At-prev.At)*1000, target-prev.Mm, p.Mm-prev.Mm))
		w.Gates = append(w.Gates, Passage{uint32(w.Next), at})
		w.Next++
	}
}

func (w *walk) stepCourse(prev, p *point, begun, over bool, stream string) {
	c := w.race.Course.Geo()
	to := geo.Point{Lat: p.Lat, Lon: p.Lon}
	tracker := geo.NewTracker(c, w.limits)
	tracker.State = w.Progress
	if begun {
		from := geo.Point{Lat: prev.Lat, Lon: prev.Lon}
		if !over && !w.limits.Plausible(geo.DistanceMm(from, to), p.At.Sub(prev.At)) {
			w.flag(FlagPositionStep, p, stream)
		}
		for {
			pass, ok := c.Pass(&w.Passing, from, prev.At, to, p.At)
			if !ok {
				break
			}
			w.Gates = append(w.Gates, Passage{uint32(pass.Visit), pass.At})
			tracker.Anchor(c.Visit(pass.Visit).AtMm, pass.At.CutMs())
		}
	}
	if !c.Finished(w.Passing) {
		_, w.On = tracker.StepBelow(to, p.At, c.CeilingMm(w.Passing))
	}
	w.Progress = tracker.State
}

func (w *walk) flag(reason string, p *point, stream string) {
	if !w.Flagged {
		w.Flagged, w.Flag = true, Flag{Reason: reason, Stream: stream, Seq: p.Seq, At: p.At}
	}
}

// progress is how far along the course the entry is, of the whole length.
func (w *walk) progress() unit.DistanceMm {
	if !w.running() || !w.Marked {
		return 0
	}
	if w.measure == byPosition {
		return w.Progress.FurthestMm
	}
	return min(unit.DistanceMm(w.Prev.Mm-w.Mark), w.race.Course.LengthMm())
}

// share is floor(total·part/whole) for 0 <= part <= whole, 0 < whole and 0 <= total, in 128 bits.
func share(total, part, whole int64) int64 {
	if total <= 0 || part <= 0 || whole <= 0 {
		return 0
	}
	if part >= whole {
		return total
	}
	hi, lo := bits.Mul64(uint64(total), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(q)
}
