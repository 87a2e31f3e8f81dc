package hub

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/gateway/wire"
)

// mapCut is one selection of a layer's rows and who watches it.
type mapCut struct {
	sub     uint32
	rows    []*livev1.PositionRow // as of frame; never changed, replaced
	frame   *Frame                // the last one; nil before the first
	redrawn bool                  // frame shows others than what its viewers were sent under its version
	slots   []*Slot
}

// renew makes the cut's frame for what the layer shows; nil if it shows what the last one did.
func (c *mapCut) renew(t wire.Topic, cut wire.Cut, l *layer, force bool) *Frame {
	m, rows := l.shown, l.choose(cut)
	same := samePointers(rows, c.rows)
	f := &Frame{Topic: t, Cut: cut, Epoch: m.epoch, Version: m.version, Recovering: m.recovering, Sub: c.sub}
	p := &positions{atMs: m.head.AtMs, rows: rows}
	if was := c.frame; was != nil && was.Epoch == m.epoch {
		if same && !force && was.Recovering == m.recovering {
			return nil
		}
		if was.Version == m.version { // nothing has moved, but somebody may not be shown any more, or may be now
			c.redrawn = c.redrawn || !same
		} else {
			var gone bool
			p.changed, gone = movedRows(c.rows, rows)
			if !gone && !c.redrawn { // positions have no way to say who is gone: a snapshot does
				f.Base = was.Version
			}
			c.redrawn = false
		}
	} else {
		c.redrawn = false
	}
	f.content = p
	c.rows, c.frame = rows, f
	return f
}

func samePointers(a, b []*livev1.PositionRow) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// movedRows are the rows that are not what they were, and whether any has left.
func movedRows(old, rows []*livev1.PositionRow) (changed []*livev1.PositionRow, gone bool) {
	before := make(map[uint32]*livev1.PositionRow, len(old))
	for _, r := range old {
		before[r.Entry] = r
	}
	for _, r := range rows {
		if before[r.Entry] != r {
			changed = append(changed, r)
		}
		delete(before, r.Entry)
	}
	return changed, len(before) > 0
}

// publishMaps brings every audience's map up to date, at most once in PositionsEvery; force: the header has changed.
func (h *Hub) publishMaps(now step.Now, r *race, force bool) []step.Out {
	watched, delayed := r.maps()
	if !r.board.known || !watched && !delayed {
		return nil // the first viewer finds mapDirty
	}
	learnt := force || r.mapDirty && now.Wall.Sub(r.mapAt) >= h.cfg.PositionsEvery
	if learnt {
		m := r.board.moment(now.Node)
		for i := range r.layers {
			r.layers[i].learn(m)
		}
		r.mapDirty, r.mapAt = false, now.Wall
	}
	var outs []step.Out
	waiting := r.mapDirty
	for i := range r.layers {
		l := &r.layers[i]
		l.advance(now, h.cfg.PositionsEvery)
		outs = append(outs, h.show(r, l, force && l.rule.delay == 0)...)
		waiting = waiting || len(l.ring) > 0
	}
	if watched && waiting && !h.thinning {
		h.thinning = true
		at := now.Wall.Add(h.cfg.PositionsEvery)
		if r.mapDirty {
			at = r.mapAt.Add(h.cfg.PositionsEvery)
		}
		outs = append(outs, step.After{Key: keyPositions, At: at})
	}
	return outs
}

// show makes the frames of a layer's cuts, if the layer has something to show.
func (h *Hub) show(r *race, l *layer, force bool) []step.Out {
	if len(l.cuts) == 0 || !l.draw(h.rosters[r.id], r.board) {
		return nil
	}
	var outs []step.Out
	topic := wire.Topic{Kind: wire.Positions, ID: r.id}
	for key, c := range l.cuts {
		if f := c.renew(topic, key, l, force); f != nil {
			outs = append(outs, Publish{f, c.slots})
		}
	}
	return outs
}

// redraw follows a change of the roster: who may be shown on the ground.
func (h *Hub) redraw(competition string) []step.Out {
	r := h.races[competition]
	if r == nil {
		return nil
	}
	var outs []step.Out
	for i := range r.layers {
		if l := &r.layers[i]; l.rule.position {
			outs = append(outs, h.show(r, l, false)...)
		}
	}
	return outs
}

// maps says whether anybody watches a map of the race, and whether a map has to be kept for later.
func (r *race) maps() (watched, delayed bool) {
	for i := range r.layers {
		watched = watched || len(r.layers[i].cuts) > 0
		delayed = delayed || r.layers[i].rule.delay > 0
	}
	return watched, delayed
}

// needsPeople: a map shows people on the ground, and who may be shown stands in the roster.
func (r *race) needsPeople() bool {
	for i := range r.layers {
		if l := &r.layers[i]; len(l.cuts) > 0 && (l.rule.position || l.audience != wire.Public) {
			return true
		}
	}
	return false
}

// holdPeople keeps the roster of a race whose maps need it.
func (h *Hub) holdPeople(now step.Now, r *race) []step.Out {
	if r.holdsPeople || !r.needsPeople() {
		return nil
	}
	r.holdsPeople = true
	p := h.rosterOf(r.id)
	p.maps = true
	return append(p.poll(now), h.pollSoon(now)...)
}

func (h *Hub) releasePeople(r *race) {
	if !r.holdsPeople || r.needsPeople() {
		return
	}
	r.holdsPeople = false
	if p := h.rosters[r.id]; p != nil {
		p.maps = false
		h.forgetRoster(p)
	}
}

// subscribeMap adds a viewer to a cut of positions.
func (h *Hub) subscribeMap(now step.Now, s Subscribe) []step.Out {
	r, outs := h.race(now, s.Topic.ID)
	l := &r.layers[s.Cut.Audience]
	c := l.cuts[s.Cut]
	if c == nil {
		if !r.mayCut(s.Cut) {
			return append(outs, Refuse{s.Slot, wire.ErrCut})
		}
		c = &mapCut{sub: h.number()}
		l.cuts[s.Cut] = c
	}
	c.slots = append(c.slots, s.Slot)
	r.subscribers++
	outs = append(append(outs, h.holdPeople(now, r)...), h.publishMaps(now, r, false)...)
	return append(outs, first(c.frame, s.Slot)...)
}

// dropMap takes a viewer out of it.
func (h *Hub) dropMap(r *race, cut wire.Cut, slot *Slot) {
	l := &r.layers[cut.Audience]
	c := l.cuts[cut]
	c.slots = without(c.slots, slot)
	r.subscribers--
	if len(c.slots) == 0 {
		delete(l.cuts, cut)
	}
	h.releasePeople(r)
}
