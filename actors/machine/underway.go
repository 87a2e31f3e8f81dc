package machine

import (
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// item is one decided event on its way to the journal.
type item[E any] struct {
	event   E
	record  persistence.Record
	effects []Effect
	last    bool // of its command: a group is only cut behind it
}

// held is an answer that waits until the journal has reached needs.
type held struct {
	needs uint64
	reply step.Reply
}

// flight is the append under way.
type flight[E any] struct {
	append  persistence.Append
	items   []item[E]
	retryMs unit.DurationMs
	since   unit.InstantMs // wall, of the first try
	began   step.Now       // of the first try
	looking bool           // the head is being read
}

// underWay is what a machine holds only as long as something is on its way. Most grains of a node wait for somebody, and
// hold none of it.
type underWay[E any] struct {
	load    loader
	waiting []func(step.Now) // submitted while loading

	// On the way to the journal.
	pending []item[E]
	flight  *flight[E]
	held    []held
	saving  *persistence.Snapshot // waits until the journal reaches it
	// Refusals about to leave, while the head is looked at.
	refusals   []step.Reply
	confirming bool

	// On the way to the event stream.
	unpublished []persistence.Record
	owed        int // bytes of payloads decided here and not published
	publishing  bool
	cursorWrite uint64 // being written; 0: none
	publishWait unit.DurationMs

	asking  uint64                                            // tag of the read that tells who has fenced this activation
	handler map[uint64]func(now step.Now, d persistence.Done) // of I/O
	outs    []step.Out
	depth   int
}

// nothing is on its way.
func (u *underWay[E]) nothing() bool {
	return len(u.handler) == 0 && len(u.waiting) == 0 && len(u.pending) == 0 && u.flight == nil && len(u.held) == 0 && u.saving == nil &&
		len(u.refusals) == 0 && len(u.unpublished) == 0 && u.cursorWrite == 0
}

// Set puts a value into a map that is made for the first one: most maps of most grains never have any.
func Set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}
