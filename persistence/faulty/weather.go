package faulty

import (
	"context"
	"fmt"
	"sync"
	"time"

	"paceline/persistence"
)

// Weather is how the whole store is for a while. The zero value is fine.
type Weather struct {
	Delay time.Duration // of every operation: a slow store
	Away  bool          // every operation fails at once, and nothing was written
	Hangs bool          // no operation has an outcome until the weather changes, or until its caller gives up
}

// sky holds the weather; operations that hang wait for it to change.
type sky struct {
	mu      sync.Mutex
	weather Weather
	changed chan struct{} // closed at the next change
}

// Set changes the weather. Operations that hang go on in the new one. It may be called at any time, unlike Decide and
// ReadFails.
func (r *Rows) Set(w Weather) {
	s := &r.sky
	s.mu.Lock()
	defer s.mu.Unlock()
	s.weather = w
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *sky) now() (Weather, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.weather, s.changed
}

// pass waits as long as the weather says. gaveUp: the caller did first; what became of the operation is then open.
func (s *sky) pass(ctx context.Context) (gaveUp bool, err error) {
	for {
		w, changed := s.now()
		var after <-chan time.Time
		switch {
		case w.Away:
			return false, fmt.Errorf("%w: the weather", persistence.ErrUnavailable)
		case !w.Hangs && w.Delay == 0:
			return false, nil
		case !w.Hangs:
			t := time.NewTimer(w.Delay)
			defer t.Stop()
			after, changed = t.C, nil
		}
		select {
		case <-changed:
		case <-after:
			return false, nil
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}
