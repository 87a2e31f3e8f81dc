package training

import "paceline/domain/basis"

// Checkpoint is where a fold stands, small enough to be written every few seconds. It is a cache: a right prefix of
// a deterministic fold, good for the same rules, the same params and facts that say the same about what it holds.
type Checkpoint struct {
	Rules   uint32
	Basis   basis.Basis
	Facts   []Facts // by stream, as in Basis
	Streams []streamState
	Walk    walkState
}

// Checkpoint is the fold's; false while several streams make the timeline, for then it would hold all points.
func (f *Fold) Checkpoint() (Checkpoint, bool) {
	if len(f.order) > 1 {
		return Checkpoint{}, false
	}
	c := Checkpoint{Rules: RulesVersion, Basis: f.Basis(), Walk: f.walk.walkState}
	c.Walk.Gates = append([]Passage(nil), f.walk.Gates...)
	for _, s := range f.streams {
		c.Facts = append(c.Facts, s.facts)
		c.Streams = append(c.Streams, s.streamState)
	}
	return c, true
}

// Restore is a fold that stands where the checkpoint does; false if it is of other rules or streams. The caller
// vouches for the other params. Newer facts are then given by SetFacts, which says if they reach into it.
func Restore(p Params, c Checkpoint) (*Fold, bool) {
	f := NewFold(p)
	n := len(f.streams)
	if c.Rules != RulesVersion || len(c.Basis) != n || len(c.Streams) != n || len(c.Facts) != n || len(f.order) > 1 {
		return nil, false
	}
	for i, s := range f.streams {
		b := c.Basis[i]
		if (StreamKey{b.Device, b.Stream}) != s.spec.Key || b.FoldedThrough != c.Streams[i].Through {
			return nil, false
		}
		s.facts, s.streamState = c.Facts[i], c.Streams[i]
	}
	f.walk.walkState = c.Walk
	return f, true
}
