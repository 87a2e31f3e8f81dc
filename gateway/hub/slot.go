package hub

import (
	"paceline/domain/step"
	"paceline/gateway/wire"
)

// Watcher is told about a slot. It must not block.
type Watcher interface {
	// Ready: there is something to take, and nothing was taken since the last time.
	Ready(s *Slot)
	// Refused: the hub does not serve the subscription.
	Refused(s *Slot, err error)
}

// Slot is one subscription of one connection: what its viewer has seen, and the newest frame it has not. The hub
// offers, the connection's write loop takes; both may be on different goroutines.
type Slot struct {
	watcher Watcher

	mu             mutex
	epoch, version uint64 // what the viewer has
	newest         *Frame
	history        *Frame // of a feed: items that only this viewer has missed
	waiting        bool   // of a feed: for history
	queued         bool   // ready was called and nothing was taken since
	named          bool   // the viewer knows the number of topic and cut
	ended          bool
}

// NewSlot makes the slot of a subscription whose viewer has {epoch, version}; 0, 0 if it has nothing.
func NewSlot(epoch, version uint64, w Watcher) *Slot {
	return &Slot{epoch: epoch, version: version, watcher: w}
}

// Offer puts a frame in place of one that was not taken yet. A frame that is not newer than what the viewer has
// is not for it: a hub that is behind stays silent until it has caught up.
func (s *Slot) Offer(f *Frame) {
	s.mu.Lock()
	if s.ended || !f.after(s.epoch, s.version) && !step.RuleHubSilent.Off() {
		s.mu.Unlock()
		return
	}
	if f.log != nil && f.log.private {
		s.history, s.waiting = f, false
	} else {
		s.newest = f
	}
	wake := !s.queued
	s.queued = true
	s.mu.Unlock()
	if wake {
		s.watcher.Ready(s)
	}
}

// End makes the slot ignore what is still on its way to it.
func (s *Slot) End() {
	s.mu.Lock()
	s.ended, s.newest, s.history = true, nil, nil
	s.mu.Unlock()
}

// Taken is what Take found.
type Taken struct {
	Bytes  []byte  // nil: nothing to send
	More   bool    // take again
	Behind *Behind // ask the hub for history
}

// Take returns the bytes that bring the viewer up to date and notes that it has them.
func (s *Slot) Take(e wire.Encoding) Taken {
	s.mu.Lock()
	f, h := s.newest, s.history
	s.queued = false
	if h != nil {
		s.history = nil
		if h.Base != s.version {
			h = nil // asked for before something else was sent
		}
	}
	if h != nil {
		s.epoch, s.version, s.named = h.Epoch, h.Version, true
		s.queued = f != nil
		s.mu.Unlock()
		return Taken{Bytes: h.Snapshot(e), More: f != nil}
	}
	if f == nil || s.waiting {
		s.mu.Unlock()
		return Taken{}
	}
	if f.log != nil {
		return s.takeFeed(f, e)
	}
	s.newest = nil
	onBase := f.Base != 0 && f.Epoch == s.epoch && f.Base == s.version
	named := s.gets(f)
	s.mu.Unlock()
	if onBase {
		return Taken{Bytes: f.deltaFor(named, e)}
	}
	return Taken{Bytes: f.Snapshot(e)}
}

// gets notes that the viewer gets f, and says whether it knew the number of topic and cut. s.mu is held.
func (s *Slot) gets(f *Frame) (named bool) {
	named = s.named
	s.epoch, s.version, s.named = f.Epoch, f.Version, true
	return named
}

// deltaFor is the delta for a viewer that knows the number of topic and cut, or does not.
func (f *Frame) deltaFor(named bool, e wire.Encoding) []byte {
	if named {
		return f.Delta(e)
	}
	return f.NamedDelta(e)
}

// takeFeed sends what the viewer has not seen: the shared delta if that is all, else items from the frame's log,
// else asks for history. s.mu is held and given back.
func (s *Slot) takeFeed(f *Frame, e wire.Encoding) Taken {
	defer s.mu.Unlock()
	if !f.after(s.epoch, s.version) {
		s.newest = nil
		return Taken{}
	}
	seen := s.version
	if s.epoch != f.Epoch {
		seen = 0
	}
	if seen < f.log.from {
		s.waiting = true
		return Taken{Behind: &Behind{Slot: s, Topic: f.Topic, After: seen}}
	}
	s.newest = nil
	onBase := s.epoch == f.Epoch && seen == f.Base && f.changes()
	named := s.gets(f)
	if onBase {
		return Taken{Bytes: f.deltaFor(named, e)}
	}
	return Taken{Bytes: f.log.since(f, seen, e)}
}

// RetryHistory makes the slot ask again: the history could not be read.
func (s *Slot) RetryHistory() {
	s.mu.Lock()
	wake := s.waiting && s.newest != nil && !s.queued
	s.waiting = false
	if wake {
		s.queued = true
	}
	s.mu.Unlock()
	if wake {
		s.watcher.Ready(s)
	}
}
