package world

import (
	"context"
	"fmt"

	"paceline/domain/id"
	"paceline/persistence"
)

// eventStream is an event stream whose unsynced tail can be lost. It checks what it promises: events of a grain
// arrive in order, without a hole.
type eventStream struct {
	w      *World
	synced map[id.Grain]uint64
	tail   map[id.Grain]uint64 // taken, not yet synced
}

func newEventStream(w *World) *eventStream {
	return &eventStream{w: w, synced: map[id.Grain]uint64{}, tail: map[id.Grain]uint64{}}
}

// Publish takes events; whether they are synced at once is the seed's affair.
func (s *eventStream) Publish(_ context.Context, g id.Grain, records []persistence.Record) (uint64, error) {
	last := max(s.tail[g], s.synced[g])
	for _, r := range records {
		if r.Version <= last {
			continue // again: known
		}
		if r.Version != last+1 {
			return s.synced[g], fmt.Errorf("hole in the publication of %s: %d after %d", g, r.Version, last)
		}
		last = r.Version
	}
	s.tail[g] = last
	if s.w.chance(s.w.faults.Unavailable * 5) {
		s.w.count("event stream lost its unsynced tail")
		s.tail[g] = s.synced[g]
		return s.synced[g], nil
	}
	s.synced[g] = last
	return last, nil
}
