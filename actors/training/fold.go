package training

import (
	"slices"

	"paceline/domain/basis"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Fold makes one timeline of the streams of a workout. It is not safe for concurrent use. Feeding it allocates
// nothing per sample while one stream makes the timeline; with several their points are kept and joined anew when
// a Result is asked for.
type Fold struct {
	params  Params
	measure measure
	order   []int // the streams of the timeline, best first
	streams []*streamFold
	walk    walk
	stale   bool // points were added since the timeline was joined
}

// NewFold begins at the beginning. The params' slices must not be changed afterwards.
func NewFold(p Params) *Fold {
	f := &Fold{params: p, measure: p.measure(), order: p.order(), walk: newWalk(&p)}
	for i := range p.Streams {
		s := &streamFold{spec: &p.Streams[i]}
		s.jump()
		f.streams = append(f.streams, s)
	}
	for _, i := range f.order {
		f.streams[i].channel, _, _ = p.measures(&p.Streams[i])
		f.streams[i].keep = len(f.order) > 1
	}
	return f
}

// Params are what the fold was made with.
func (f *Fold) Params() Params { return f.params }

func (f *Fold) find(k StreamKey) *streamFold {
	i, ok := slices.BinarySearchFunc(f.params.Streams, k, func(s Stream, k StreamKey) int { return compareKeys(s.Key, k) })
	if !ok {
		return nil
	}
	return f.streams[i]
}

// Through is how far a stream is folded: the next sample to feed is one above. Zero for a stream that is not there.
func (f *Fold) Through(k StreamKey) uint64 {
	if s := f.find(k); s != nil {
		return s.Through
	}
	return 0
}

// Facts are what the fold knows of a stream's facts.
func (f *Fold) Facts(k StreamKey) Facts {
	if s := f.find(k); s != nil {
		return s.facts
	}
	return Facts{}
}

// SetFacts gives a stream newer facts. again is true if they say something else about what is folded: then the
// fold must begin again with them, and the old facts stay.
func (f *Fold) SetFacts(k StreamKey, facts Facts) (again bool) {
	s := f.find(k)
	if s == nil || facts.Version < s.facts.Version {
		return false
	}
	if !s.facts.SameThrough(&facts, s.Through) && !step.RuleRefoldOnFact.Off() {
		return true
	}
	s.facts = facts
	s.jump()
	return false
}

// Feed folds what of a batch comes next; what is folded already is passed by. It reports whether the batch reached
// the stream's next seq: a batch beyond it changes nothing.
func (f *Fold) Feed(k StreamKey, b *sample.Batch) bool {
	s := f.find(k)
	if s == nil || b.Len() == 0 {
		return false
	}
	if b.FirstSeq > s.Through+1 {
		if !step.RuleBlockGapReads.Off() {
			return false
		}
		s.Through = b.FirstSeq - 1
	}
	limits := f.walk.limits
	for i := range b.Len() {
		seq := b.FirstSeq + uint64(i)
		if seq <= s.Through {
			continue // folded, or under a skip
		}
		s.Through = seq
		if b.Mark(i) == sample.Accepted {
			at := s.facts.EventMs(seq, b.AtMs[i])
			if (s.Samples == 0 || at > s.Last) && f.params.End.counts(s.spec.Key.Stream, seq, at) {
				if p, ok := s.take(b, i, at, f.measure, limits); ok {
					f.place(s, &p)
				}
			}
		}
		s.jump()
	}
	return true
}

// place adds a point to the timeline.
func (f *Fold) place(s *streamFold, p *point) {
	switch {
	case step.RuleStreamChoice.Off():
		if !f.walk.Begun || p.At > f.walk.Prev.At {
			f.walk.step(p, s.spec.Key.Stream)
		}
	case s.keep:
		s.points = append(s.points, *p)
		f.stale = true
	default:
		f.walk.step(p, s.spec.Key.Stream)
	}
}

// join walks the timeline of several streams from its beginning.
func (f *Fold) join() {
	if !f.stale {
		return
	}
	f.stale = false
	f.walk = newWalk(&f.params)
	line := merge(f.streams, f.order)
	if f.measure == byCounter {
		earned(line, f.streams)
	}
	for i := range line {
		f.walk.step(&line[i].point, f.params.Streams[line[i].stream].Key.Stream)
	}
}

// Basis is what the Result is a function of.
func (f *Fold) Basis() basis.Basis {
	b := make([]basis.StreamBasis, len(f.streams))
	for i, s := range f.streams {
		b[i] = basis.StreamBasis{Device: s.spec.Key.Device, Stream: s.spec.Key.Stream,
			FoldedThrough: s.Through, FactsVersion: s.facts.Version}
	}
	return basis.Of(b...)
}

// Reached reports whether every stream that a finish names is folded through its last seq.
func (f *Fold) Reached(last []StreamEnd) bool {
	for _, e := range last {
		i := slices.IndexFunc(f.params.Streams, func(s Stream) bool { return s.Key.Stream == e.Stream })
		if i < 0 && e.LastSeq > 0 || i >= 0 && f.streams[i].Through < e.LastSeq {
			return false
		}
	}
	return true
}

// LastAt is the event time of the newest sample that counts; 0: there is none.
func (f *Fold) LastAt() unit.InstantMs {
	var last unit.InstantMs
	for _, s := range f.streams {
		if s.Samples > 0 {
			last = max(last, s.Last)
		}
	}
	return last
}

// Adopt changes the params if what is folded so far would be the same with them; false: begin anew.
func (f *Fold) Adopt(p Params) bool {
	if SameFold(f.params, p) {
		return true
	}
	if !slices.Equal(p.Streams, f.params.Streams) || p.Sport != f.params.Sport || p.measure() != f.measure ||
		!slices.Equal(p.order(), f.order) || p.limits() != f.walk.limits {
		return false
	}
	if !f.endsLater(p.End) || f.params.End != nil {
		return false
	}
	if !f.sameRace(p.Race) {
		// Gates before the gun do not count: with the gun ahead of all samples only the last one matters.
		if f.walk.running() || p.Race != nil && p.Race.Gun != 0 && p.Race.Gun < f.LastAt() {
			return false
		}
		was := f.walk
		f.walk = newWalk(&p)
		f.walk.Prev, f.walk.Begun = was.Prev, was.Begun
		f.stale = len(f.order) > 1
	}
	f.params = p
	f.walk.race = p.Race
	return true
}

func (f *Fold) sameRace(r *Race) bool {
	a := f.params.Race
	return a == nil && r == nil || a != nil && r != nil && a.Course == r.Course && a.Gun == r.Gun && a.Primary == r.Primary
}

// endsLater reports whether everything that counted so far still counts.
func (f *Fold) endsLater(e *End) bool {
	for i, s := range f.streams {
		if s.Samples > 0 && !e.counts(f.params.Streams[i].Key.Stream, s.Through, s.Last) {
			return false
		}
	}
	return true
}
