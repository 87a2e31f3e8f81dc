package training

// Effect is what must follow an event, as data.
type Effect any

// The effects. The shell carries them out once the event is committed.
type (
	// TellDevice: this stream is attached (and perhaps bound to a race).
	TellDevice struct{ Key StreamKey }
	// TellDevices: all attached streams, for the binding has changed.
	TellDevices struct{}
	// Refold: the fold's params have changed.
	Refold struct{}
	// Record: the workout is closed and its recording is to be written.
	Record struct{}
	// TellRecorded: the devices are to journal the floor.
	TellRecorded struct{}
)

// React says what must follow.
func React(s *State, e Event) []Effect {
	switch e := e.(type) {
	case StreamAttached:
		return []Effect{TellDevice{e.Stream.Key}, Refold{}}
	case Bound, Unbound:
		return []Effect{TellDevices{}, Refold{}}
	case FinishRequested:
		return []Effect{Refold{}}
	case Finished, TotalsRevised:
		return []Effect{Record{}}
	case RecordingWritten:
		return []Effect{TellRecorded{}}
	}
	return nil
}

// Reply is the answer to a command: at which version what it asked for holds.
type Reply struct{ Version uint64 }

// Answer is the answer to a command whose last event is e. A pure function.
func Answer(_ Event, version uint64) Reply { return Reply{version} }
