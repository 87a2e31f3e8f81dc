package device

import (
	"fmt"
	"maps"
	"slices"

	"paceline/domain/unit"
)

// State is one device.
type State struct {
	Version      uint64 // events applied
	FactsVersion uint64 // of the newest fact of any stream
	Registered   bool
	Device       Registered
	Claim        Claimed // no Person: nobody
	// Streams by id. Version of each is that of the newest fact of its own: Stream gives the device's.
	// Nil while there are none.
	Streams map[string]*StreamFacts
}

// New is a device of which nothing is known.
func New() *State { return &State{} }

// Stream is a copy of what the journal says about a stream, with the device's FactsVersion; false: it was never
// opened.
func (s *State) Stream(stream string) (*StreamFacts, bool) {
	f := s.Streams[stream]
	if f == nil {
		return nil, false
	}
	c := f.Clone()
	c.Version = s.FactsVersion
	return c, true
}

// StreamIDs are the ids of all streams, ascending.
func (s *State) StreamIDs() []string { return slices.Sorted(maps.Keys(s.Streams)) }

// Rider reports whether the person may stream with the device at an instant.
func (s *State) Rider(person string, at unit.InstantMs) bool {
	if person == "" {
		return false
	}
	if person == s.Device.Owner {
		return true
	}
	return person == s.Claim.Person && s.claimHolds(at)
}

func (s *State) claimHolds(at unit.InstantMs) bool {
	return s.Claim.Person != "" && (s.Claim.Until == 0 || at < s.Claim.Until)
}

// Apply takes the next event of the journal. It is the only place that changes the state.
func (s *State) Apply(e Event) {
	s.Version++
	if IsFact(e) {
		s.FactsVersion = s.Version
	}
	switch e := e.(type) {
	case Registered:
		s.Registered, s.Device = true, e
	case Claimed:
		s.Claim = e
	case Released:
		s.Claim = Claimed{}
	case StreamOpened:
		if s.Streams == nil {
			s.Streams = map[string]*StreamFacts{}
		}
		s.Streams[e.Stream] = NewStreamFacts(e.Stream)
	}
	if f := s.Streams[StreamOf(e)]; f != nil {
		f.Apply(s.Version, e)
	}
}

// Check reports the first broken invariant.
func (s *State) Check() error {
	if s.FactsVersion > s.Version {
		return fmt.Errorf("facts version %d is above version %d", s.FactsVersion, s.Version)
	}
	for _, id := range s.StreamIDs() {
		if err := s.Streams[id].Check(); err != nil {
			return fmt.Errorf("stream %s: %w", id, err)
		}
	}
	return nil
}

// Check reports the first broken invariant.
func (f *StreamFacts) Check() error {
	if f.Opened && (f.Opening.Stream != f.Stream || f.Opening.WindowFrom > f.Opening.WindowTo) {
		return fmt.Errorf("opened with %+v", f.Opening)
	}
	for i, c := range f.Clocks {
		if c.FromSeq == 0 || i > 0 && c.FromSeq <= f.Clocks[i-1].FromSeq {
			return fmt.Errorf("clock %d from seq %d", i, c.FromSeq)
		}
	}
	for i, k := range f.Skips {
		if k.From == 0 || k.To < k.From || i > 0 && k.From <= f.Skips[i-1].To+1 {
			return fmt.Errorf("skip %d is %d..%d", i, k.From, k.To)
		}
	}
	return nil
}
