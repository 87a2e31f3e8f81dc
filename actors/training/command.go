package training

import (
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Command is what a workout can be told.
type Command interface {
	CommandMeta() step.Meta
	trainingCommand()
}

// Commands of a person.
type (
	// Start begins the workout. The same particulars again change nothing.
	Start struct {
		step.Meta
		Started Started
	}
	// Pause begins a break.
	Pause struct {
		step.Meta
		EventTime unit.InstantMs
	}
	// Resume ends it.
	Resume struct {
		step.Meta
		EventTime unit.InstantMs
	}
	// Lap marks a lap of the athlete's own.
	Lap struct {
		step.Meta
		EventTime unit.InstantMs
	}
	// Finish ends the workout; EventTime is the device's time as the fold sees it.
	Finish struct {
		step.Meta
		By, Reason string
		DeviceTime unit.InstantMs
		EventTime  unit.InstantMs
		Streams    []StreamEnd
	}
)

// Commands of other grains and of the workout's own shell.
type (
	// Attach comes from a device.
	Attach struct {
		step.Meta
		Stream Stream
		Sport  string // by which the stream's samples are judged; empty: it names none
	}
	// Bind comes from a competition.
	Bind struct {
		step.Meta
		Bound Bound
	}
	// Unbind too.
	Unbind struct {
		step.Meta
		Competition string
		Version     uint64
	}
	// Observe brings what the fold has found, under which binding.
	Observe struct {
		step.Meta
		Competition string
		Binding     uint64
		Gates       []Passage
		Flags       []Flag
		Why         string // of revisions
	}
	// Conclude closes a workout whose finish was requested, or revises the totals of a closed one.
	Conclude struct {
		step.Meta
		Basis      basis.Basis
		Totals     Totals
		Incomplete bool
	}
	// NoteRecording says that a recording is stored.
	NoteRecording struct {
		step.Meta
		Written RecordingWritten
	}
)

func (Start) trainingCommand()         {}
func (Pause) trainingCommand()         {}
func (Resume) trainingCommand()        {}
func (Lap) trainingCommand()           {}
func (Finish) trainingCommand()        {}
func (Attach) trainingCommand()        {}
func (Bind) trainingCommand()          {}
func (Unbind) trainingCommand()        {}
func (Observe) trainingCommand()       {}
func (Conclude) trainingCommand()      {}
func (NoteRecording) trainingCommand() {}
