package training

// Effect is what must follow an event, as data.
type Effect any

// The effects. The shell carries them out once the event is committed; what it must go on doing until it is echoed
// (reports, recordings) it sees in the state, so that a crash loses nothing.
type (
	// TellDevices of all attached streams that the binding has changed.
	TellDevices struct{}
	// TellRecorded tells the devices that they are to journal the floor.
	TellRecorded struct{}
)

// React says what must follow.
func React(_ *State, e Event) []Effect {
	switch e.(type) {
	case Bound, Unbound:
		return []Effect{TellDevices{}}
	case RecordingWritten:
		return []Effect{TellRecorded{}}
	}
	return nil
}

// Reply is the answer to a command: at which version what it asked for holds.
type Reply struct{ Version uint64 }

// Answer is the answer to a command whose last event is e. A pure function.
func Answer(_ Event, version uint64) Reply { return Reply{version} }
