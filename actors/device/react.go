package device

import "paceline/domain/step"

// Effect is what must follow a committed event.
type Effect interface{ isEffect() }

type (
	// TellTraining says that the stream's facts or end have changed; a hint that may be lost.
	TellTraining struct{ Stream string }
	// DropRows says that rows wholly at or below Through are in a recording.
	DropRows struct {
		Stream  string
		Through uint64
	}
)

func (TellTraining) isEffect() {}
func (DropRows) isEffect()     {}

// React says what must follow an event that was just applied.
func React(_ *State, e Event) []Effect {
	switch e := e.(type) {
	case ClockSet, Skipped, StreamClosed: // of StreamOpened the training is told until it answers
		return []Effect{TellTraining{StreamOf(e)}}
	case StreamRecorded:
		return []Effect{DropRows{e.Stream, e.Through}, TellTraining{e.Stream}}
	}
	return nil
}

// Answer is what a command gets whose last event is e, at version v.
type Answer struct {
	Version uint64
	Event   Event // nil: the command changed nothing
}

// AnswerTo is the answer of a command whose last event is e, at version v.
func AnswerTo(e Event, v uint64) Answer { return Answer{v, e} }

// AnswerUnchanged is the answer of an accepted command that changed nothing.
func AnswerUnchanged(_ *State, _ Command, v uint64) Answer { return Answer{Version: v} }

var _ Command = Register{Meta: step.Meta{}}
