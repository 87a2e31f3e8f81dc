package device

import (
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// Event is one fact in a device's journal.
type Event interface{ isEvent() }

// ChannelSpec declares a channel of a stream.
type ChannelSpec struct {
	Channel sample.Channel
	Trust   sample.Trust
}

// Span is a range of seqs, both ends included.
type Span struct{ From, To uint64 }

type (
	// Registered is the first event of a device.
	Registered struct {
		Owner        string // user id; empty: a machine that riders share
		Name         string
		Model        string
		Organization string
	}
	// Claimed says who rides a device from now on.
	Claimed struct {
		Person string
		Until  unit.InstantMs // node clock; 0: until released; of a shared machine only in journals of before
	}
	// Released ends a claim.
	Released struct{ Person string }
	// StreamOpened comes once for each stream; what it says never changes.
	StreamOpened struct {
		Stream        string
		Training      string // "<person>/<workout>"
		Person        string // whose workout it is, and whose key seals the samples
		WindowFrom    unit.InstantMs
		WindowTo      unit.InstantMs // device time; both ends belong to the window
		LimitsVersion uint32
		Clock         sample.ClockKind
		Channels      []ChannelSpec // ascending, each once
		Sport         string        // empty: limits of "other"
	}
	// ClockSet says how device time becomes event time from a seq on.
	ClockSet struct {
		Stream  string
		FromSeq uint64
		Offset  unit.DurationMs // event time = device time + Offset
		Error   unit.DurationMs
		Source  string // "ping" or "open"
	}
	// Skipped says what the device has really lost. It is final: a row that lands under it does not count.
	Skipped struct {
		Stream string
		Spans  []Span // ascending, trimmed to what the series did not hold
		Reason string
	}
	// StreamClosed says that nothing above LastSeq will come.
	StreamClosed struct {
		Stream  string
		LastSeq uint64
	}
	// StreamRecorded is the floor: through here a recording holds the samples.
	StreamRecorded struct {
		Stream    string
		Through   uint64
		Digest    [32]byte // of the stream's canonical samples
		Recording [32]byte // names the recording
	}
	// Fenced says nothing; it moves the version, so that a dead activation's late append cannot apply.
	Fenced struct{}
)

func (Registered) isEvent()     {}
func (Claimed) isEvent()        {}
func (Released) isEvent()       {}
func (StreamOpened) isEvent()   {}
func (ClockSet) isEvent()       {}
func (Skipped) isEvent()        {}
func (StreamClosed) isEvent()   {}
func (StreamRecorded) isEvent() {}
func (Fenced) isEvent()         {}

// IsFact reports whether readers of samples must know the event: it moves facts_version.
func IsFact(e Event) bool {
	switch e.(type) {
	case StreamOpened, ClockSet, Skipped, StreamRecorded:
		return true
	}
	return false
}

// StreamOf is the stream that the event is about; empty: none.
func StreamOf(e Event) string {
	switch e := e.(type) {
	case StreamOpened:
		return e.Stream
	case ClockSet:
		return e.Stream
	case Skipped:
		return e.Stream
	case StreamClosed:
		return e.Stream
	case StreamRecorded:
		return e.Stream
	}
	return ""
}
