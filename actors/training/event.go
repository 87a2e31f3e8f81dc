package training

import (
	"slices"

	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/unit"
)

// Event is a fact of a workout's journal. A fact is never taken back: it is superseded.
type Event interface{ trainingEvent() }

// Started begins the workout.
type Started struct {
	WorkoutID  string
	Sport      string
	Zone       string // IANA
	UTCOffsetS int32
	DeviceTime unit.InstantMs
	Plan       []PlanStep
}

// PlanStep holds a power for so long.
type PlanStep struct {
	ForS   uint32
	PowerW uint32
}

// Equal reports whether both say the same.
func (e Started) Equal(o Started) bool {
	return e.WorkoutID == o.WorkoutID && e.Sport == o.Sport && e.Zone == o.Zone && e.UTCOffsetS == o.UTCOffsetS &&
		e.DeviceTime == o.DeviceTime && slices.Equal(e.Plan, o.Plan)
}

// StreamAttached says that this stream belongs to the workout. Nothing of it is acknowledged before.
type StreamAttached struct{ Stream Stream }

// Bound says that the workout rides in a race. A higher version of the same competition's binding replaces the one before.
type Bound struct {
	Competition string
	Entry       uint32
	Version     uint64 // of the competition's journal
	Primary     string // stream id; empty: none named
	Track       course.Track
	Gun         unit.InstantMs // this entry's start; 0: not yet known
	Rules       uint32
	Cutoff      unit.InstantMs // 0: not yet known
	Grace       unit.DurationMs
}

// Unbound says that the workout rides in that race no longer.
type Unbound struct {
	Competition string
	Version     uint64
}

// Paused begins a break of the athlete's own.
type Paused struct{ At unit.InstantMs }

// Resumed ends it.
type Resumed struct{ At unit.InstantMs }

// LapMarked is the athlete's own lap, numbered from 1.
type LapMarked struct {
	Lap uint32
	At  unit.InstantMs
}

// Passed is a gate passed, keyed by gate.
type Passed struct {
	Gate    uint32
	At      unit.InstantUs
	Binding uint64
}

// Revised replaces what was said of a gate; None says that it is not passed any more.
type Revised struct {
	Gate     uint32
	From, To unit.InstantUs
	None     bool
	Why      string
	Binding  uint64
}

// Flagged puts the entry under review.
type Flagged struct{ Flag Flag }

// FlagCleared takes that back, for what was seen is not there any more.
type FlagCleared struct{ Reason string }

// Who may ask for a finish.
const (
	ByPerson = "person"
	BySystem = "system"
)

// FinishRequested says that the workout is over; what is missing of it may still come.
type FinishRequested struct {
	By          string
	Reason      string
	DeviceTime  unit.InstantMs
	At          unit.InstantMs // event time
	Streams     []StreamEnd
	RequestedAt unit.InstantMs // node clock
}

// Finished closes the workout with its totals.
type Finished struct {
	Basis      basis.Basis
	Totals     Totals
	Incomplete bool // the grace ended before all samples were there
}

// TotalsRevised replaces the totals after later samples.
type TotalsRevised struct {
	Replaces, Basis basis.Basis
	Totals          Totals
}

// RecordingWritten says that the whole workout lies under this digest.
type RecordingWritten struct {
	Recording [32]byte
	Streams   []RecordedStream
}

// RecordedStream is one stream of a recording.
type RecordedStream struct {
	Key     StreamKey
	Through uint64
	Digest  [32]byte
}

// Fenced says nothing; it only moves the version.
type Fenced struct{}

func (Started) trainingEvent()          {}
func (StreamAttached) trainingEvent()   {}
func (Bound) trainingEvent()            {}
func (Unbound) trainingEvent()          {}
func (Paused) trainingEvent()           {}
func (Resumed) trainingEvent()          {}
func (LapMarked) trainingEvent()        {}
func (Passed) trainingEvent()           {}
func (Revised) trainingEvent()          {}
func (Flagged) trainingEvent()          {}
func (FlagCleared) trainingEvent()      {}
func (FinishRequested) trainingEvent()  {}
func (Finished) trainingEvent()         {}
func (TotalsRevised) trainingEvent()    {}
func (RecordingWritten) trainingEvent() {}
func (Fenced) trainingEvent()           {}
