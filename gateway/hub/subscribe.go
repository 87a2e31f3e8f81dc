package hub

import (
	"slices"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/wire"
)

// maxCategories is how many categories a competition may declare.
const maxCategories = 64

func (h *Hub) conn(c Conn) *connection {
	k := h.conns[c]
	if k == nil {
		k = &connection{subs: map[subKey]*Slot{}, follows: map[string]bool{}}
		h.conns[c] = k
	}
	return k
}

// race finds or begins a competition; interest in a new one is sent at once.
func (h *Hub) race(now step.Now, competition string) (*race, []step.Out) {
	r := h.races[competition]
	if r != nil {
		return r, nil
	}
	r = &race{id: competition, board: newReplica(), cuts: map[wire.Cut]*cut{}, layers: newLayers()}
	h.mu.Lock()
	h.races[competition] = r
	h.mu.Unlock()
	return r, append([]step.Out{h.interest(r, false)}, h.arm(now)...)
}

// arm sets the renewal timer if it is not set.
func (h *Hub) arm(now step.Now) []step.Out {
	if h.renewing {
		return nil
	}
	h.renewing = true
	return []step.Out{step.After{Key: keyRenew, At: now.Wall.Add(h.cfg.Renew)}}
}

func (h *Hub) onFollow(now step.Now, f Follow) []step.Out {
	k := h.conn(f.Conn)
	if k.follows[f.Competition] {
		return nil
	}
	k.follows[f.Competition] = true
	r, outs := h.race(now, f.Competition)
	r.followers++
	return outs
}

func (h *Hub) onSubscribe(now step.Now, s Subscribe) []step.Out {
	key := subKey{s.Topic, s.Cut}
	h.unsubscribe(s.Conn, key)
	if h.subs >= h.cfg.MaxSubscriptions {
		return []step.Out{Refuse{s.Slot, ErrFull}}
	}
	var outs []step.Out
	switch s.Topic.Kind {
	case wire.Positions:
		if outs = h.subscribeMap(now, s); refused(outs, s.Slot) {
			return outs
		}
	case wire.Board:
		r, more := h.race(now, s.Topic.ID)
		outs = more
		c := r.cuts[s.Cut]
		if c == nil {
			if !r.mayCut(s.Cut) {
				return append(outs, Refuse{s.Slot, wire.ErrCut})
			}
			c = &cut{sub: h.number()}
			r.cuts[s.Cut] = c
			if r.board.known {
				c.renew(s.Topic, s.Cut, r.board, true)
			}
		}
		c.slots = append(c.slots, s.Slot)
		r.subscribers++
		outs = append(outs, first(c.frame, s.Slot)...)
	case wire.Roster:
		r := h.rosterOf(s.Topic.ID)
		r.viewers[s.Slot] = s.Viewer
		if r.known {
			outs = append(outs, first(r.frame(s.Viewer), s.Slot)...)
		}
		outs = append(append(outs, r.poll(now)...), h.pollSoon(now)...)
	case wire.Feed, wire.Inbox:
		f := h.feedOf(s.Topic)
		if len(f.slots) == 0 {
			outs = append(outs, f.interest(h.cfg.Node, false))
		}
		f.slots = append(f.slots, s.Slot)
		outs = append(append(outs, first(f.frame, s.Slot)...), f.read()...)
		outs = append(append(outs, h.pollSoon(now)...), h.arm(now)...)
	case wire.Workout:
		w := h.workouts[s.Topic.ID]
		if w == nil {
			w = &workoutTopic{training: s.Training, sub: h.number()}
			h.workouts[s.Topic.ID] = w
			outs = append(outs, w.interest(h.cfg.Node, false))
		}
		if w.training != s.Training {
			return []step.Out{Refuse{s.Slot, wire.ErrTopic}}
		}
		w.slots = append(w.slots, s.Slot)
		outs = append(append(outs, first(w.frame, s.Slot)...), h.arm(now)...)
	}
	h.subs++
	h.conn(s.Conn).subs[key] = s.Slot
	return outs
}

func first(f *Frame, s *Slot) []step.Out {
	if f == nil {
		return nil // the replica is empty: the first update brings a snapshot
	}
	return []step.Out{Publish{f, []*Slot{s}}}
}

// mayCut refuses categories that the competition does not have; before the board is known, more than it may have.
func (r *race) mayCut(c wire.Cut) bool {
	if c.Kind != wire.Category {
		return true
	}
	if r.board.known && len(r.board.rows) > 0 {
		for _, e := range r.board.order {
			if e.row.Category == c.Category {
				return true
			}
		}
		return false
	}
	n := 0
	for k := range r.cuts {
		if k.Kind == wire.Category {
			n++
		}
	}
	for i := range r.layers {
		for k := range r.layers[i].cuts {
			if k.Kind == wire.Category {
				n++
			}
		}
	}
	return n < 2*maxCategories // board and positions
}

func refused(outs []step.Out, s *Slot) bool {
	return slices.ContainsFunc(outs, func(o step.Out) bool {
		r, ok := o.(Refuse)
		return ok && r.Slot == s
	})
}

func (h *Hub) unsubscribe(c Conn, key subKey) {
	k := h.conns[c]
	if k == nil || k.subs[key] == nil {
		return
	}
	slot := k.subs[key]
	delete(k.subs, key)
	h.drop(key, slot)
	if len(k.subs) == 0 && len(k.follows) == 0 {
		delete(h.conns, c)
	}
}

// drop takes a slot out of its topic. The replica stays until the next renewal finds that nobody wants it.
func (h *Hub) drop(key subKey, slot *Slot) {
	slot.End()
	h.subs--
	switch key.topic.Kind {
	case wire.Positions:
		h.dropMap(h.races[key.topic.ID], key.cut, slot)
	case wire.Board:
		r := h.races[key.topic.ID]
		c := r.cuts[key.cut]
		c.slots = without(c.slots, slot)
		r.subscribers--
		if len(c.slots) == 0 {
			delete(r.cuts, key.cut)
		}
	case wire.Roster:
		r := h.rosters[key.topic.ID]
		delete(r.viewers, slot)
		h.forgetRoster(r)
	case wire.Feed, wire.Inbox:
		f := h.feeds[key.topic]
		f.slots = without(f.slots, slot)
		if len(f.slots) == 0 {
			delete(h.feeds, key.topic)
			h.stops = append(h.stops, f.interest(h.cfg.Node, true))
		}
	case wire.Workout:
		w := h.workouts[key.topic.ID]
		w.slots = without(w.slots, slot)
		if len(w.slots) == 0 {
			delete(h.workouts, key.topic.ID)
			h.stops = append(h.stops, w.interest(h.cfg.Node, true))
		}
	}
}

// without removes a slot in place; the order of slots says nothing.
func without(slots []*Slot, s *Slot) []*Slot {
	i := slices.Index(slots, s)
	if i < 0 {
		return slots
	}
	last := len(slots) - 1
	slots[i] = slots[last]
	slots[last] = nil
	return slots[:last]
}

func (h *Hub) onGone(c Conn) {
	k := h.conns[c]
	if k == nil {
		return
	}
	delete(h.conns, c)
	for key, slot := range k.subs {
		h.drop(key, slot)
	}
	for competition := range k.follows {
		h.races[competition].followers--
	}
}

// pollSoon sets the timer that looks for news of feeds and rosters.
func (h *Hub) pollSoon(now step.Now) []step.Out {
	if h.polling {
		return nil
	}
	h.polling = true
	return []step.Out{step.After{Key: keyFeeds, At: now.Wall.Add(unit.DurationMs(feedPoll))}}
}

func (h *Hub) poll(now step.Now) []step.Out {
	var outs []step.Out
	for _, f := range h.feeds {
		outs = append(outs, f.poll(now)...)
		for _, s := range f.stalled {
			outs = append(outs, Again{s})
		}
		f.stalled = nil
	}
	for _, r := range h.rosters {
		outs = append(outs, r.poll(now)...)
	}
	if len(h.feeds)+len(h.rosters) == 0 {
		return nil
	}
	return append(outs, h.pollSoon(now)...)
}
