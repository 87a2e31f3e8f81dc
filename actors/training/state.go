package training

import (
	"fmt"
	"slices"

	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// Bounds of a workout.
const (
	MaxStreams   = 16
	MaxLaps      = 1000
	MaxPlanSteps = 500
	maxPlanW     = 2500
	maxPlanS     = 24 * 3600
	DefaultGrace = 10 * unit.Minute
	// attachLate is how long after the finish a device may still bring what it has recorded.
	attachLate = 7 * unit.Day
	// idleBound is how long a race that has not begun keeps an idle workout open.
	idleBound = 7 * unit.Day
)

// Phase of a workout.
type Phase uint8

// The phases.
const (
	PhaseNone Phase = iota
	PhaseLive
	PhaseFinishing
	PhaseOver
)

var phases = [...]string{"none", "live", "finishing", "finished"}

func (p Phase) String() string { return phases[p] }

// Break is a pause; To is 0 while it lasts.
type Break struct{ From, To unit.InstantMs }

// Gate is what the journal says of one gate.
type Gate struct {
	Taken bool
	At    unit.InstantUs
}

// State is the facts of a workout.
type State struct {
	Phase   Phase
	Started Started
	Streams []Stream // sorted by key
	Bound   *Bound
	Course  *course.Course // of Bound
	Gates   []Gate         // by gate number; may be shorter than the course
	Flags   []Flag         // by reason
	Breaks  []Break
	Laps    []LapMarked
	Finish  *FinishRequested
	// Of a closed workout.
	Basis      basis.Basis
	Totals     Totals
	Incomplete bool
	Recording  *RecordingWritten // the newest
	// Unbindings by competition, so that a late copy of an older binding does not bind again.
	Unbound []Unbound

	compile Compile
}

// Compile makes a course of a track: course.New, or one that gives equal tracks the same course. It must be a pure
// function in all else.
type Compile func(course.Track) (*course.Course, error)

// New is a workout of which nothing is known.
func New() *State { return NewWith(course.New) }

// NewWith is New with a course for each track that is shared by all workouts of a race: a course of thousands of
// points for each of ten thousand athletes would be most of the node's memory.
func NewWith(c Compile) *State { return &State{compile: c} }

// Params are what the fold of this state needs. They share nothing that Apply changes in place.
func (s *State) Params() Params {
	p := Params{Streams: s.Streams, Sport: geo.Sport(s.Started.Sport)}
	if s.Bound != nil {
		p.Race = &Race{Course: s.Course, Gun: s.Bound.Gun, Primary: s.Bound.Primary}
	}
	if s.Finish != nil {
		p.End = &End{At: s.Finish.At, Last: s.Finish.Streams}
	}
	return p
}

// SameFold reports whether folds of both params find the same in the same samples.
func SameFold(a, b Params) bool {
	if !slices.Equal(a.Streams, b.Streams) || a.Sport != b.Sport || (a.Race == nil) != (b.Race == nil) || (a.End == nil) != (b.End == nil) {
		return false
	}
	if a.Race != nil && (a.Race.Course != b.Race.Course || a.Race.Gun != b.Race.Gun || a.Race.Primary != b.Race.Primary) {
		return false
	}
	return a.End == nil || a.End.At == b.End.At && slices.Equal(a.End.Last, b.End.Last)
}

// Elapsed is the workout's length, pauses left out.
func (s *State) Elapsed(t Totals) unit.DurationMs {
	paused := unit.DurationMs(0)
	for _, b := range s.Breaks {
		if b.To > b.From {
			paused += b.To.Sub(b.From)
		}
	}
	return max(t.ElapsedMs-paused, 0)
}

// GraceEnds is when a requested finish no longer waits for samples; false: none is requested.
func (s *State) GraceEnds() (unit.InstantMs, bool) {
	if s.Phase != PhaseFinishing {
		return 0, false
	}
	grace := DefaultGrace
	if s.Bound != nil && s.Bound.Grace > 0 {
		grace = s.Bound.Grace
	}
	return s.Finish.RequestedAt.Add(grace), true
}

// InOpenRace reports whether a race may still want this workout.
func (s *State) InOpenRace(now, last unit.InstantMs) bool {
	switch {
	case s.Bound == nil:
		return false
	case s.Bound.Cutoff == 0:
		return now < last.Add(idleBound)
	}
	return now <= s.Bound.Cutoff
}

// Passages are the gates that the journal says are passed.
func (s *State) Passages() []Passage {
	var out []Passage
	for i, g := range s.Gates {
		if g.Taken {
			out = append(out, Passage{uint32(i), g.At})
		}
	}
	return out
}

// Check is the invariants; an error is a fault of these rules.
func (s *State) Check() error {
	if s.Course != nil && len(s.Gates) > len(s.Course.Visits()) {
		return fmt.Errorf("%d gates on a course of %d", len(s.Gates), len(s.Course.Visits()))
	}
	if (s.Bound == nil) != (s.Course == nil) {
		return fmt.Errorf("bound %v, course %v", s.Bound != nil, s.Course != nil)
	}
	before := unit.InstantUs(0)
	for i, g := range s.Gates {
		if g.Taken && g.At < before {
			return fmt.Errorf("gate %d at %d, before the one before it", i, g.At)
		}
		if g.Taken {
			before = g.At
		}
	}
	if !slices.IsSortedFunc(s.Streams, func(a, b Stream) int { return compareKeys(a.Key, b.Key) }) {
		return fmt.Errorf("streams are not in order")
	}
	if (s.Phase >= PhaseFinishing) != (s.Finish != nil) {
		return fmt.Errorf("phase %s, finish %v", s.Phase, s.Finish != nil)
	}
	if n := len(s.Breaks); n > 1 && slices.ContainsFunc(s.Breaks[:n-1], func(b Break) bool { return b.To == 0 }) {
		return fmt.Errorf("two pauses at once")
	}
	return nil
}
