package device

import (
	"slices"
	"sort"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

// StreamFacts is what the journal says about one stream: everything but the samples that a result may depend
// on. It is a pure projection: anyone who reads the journal gets the same.
type StreamFacts struct {
	Stream string
	// Version is facts_version: that of the newest fact of any stream of the device.
	Version uint64
	// Opened is false until the journal has StreamOpened; then Opening says with what.
	Opened  bool
	Opening StreamOpened
	Clocks  []ClockSet // ascending in FromSeq, each FromSeq once
	Skips   []Span     // ascending, not touching each other
	Floor   Floor
	Closed  bool
	// ClosedAt is the last seq that will ever come, if Closed.
	ClosedAt uint64
}

// Floor is where the recording ends and rows begin. Zero: there is no recording yet.
type Floor struct {
	Through   uint64
	Digest    [32]byte
	Recording [32]byte
}

// NewStreamFacts knows nothing yet about the stream.
func NewStreamFacts(stream string) *StreamFacts { return &StreamFacts{Stream: stream} }

// Apply takes the event that the device's journal holds at version. Events go in journal order; those of other
// streams only move Version.
func (f *StreamFacts) Apply(version uint64, e Event) {
	if IsFact(e) {
		f.Version = version
	}
	if StreamOf(e) != f.Stream {
		return
	}
	switch e := e.(type) {
	case StreamOpened:
		f.Opened, f.Opening = true, e
	case ClockSet:
		f.applyClock(e)
	case Skipped:
		for _, s := range e.Spans {
			f.Skips = addSpan(f.Skips, s)
		}
	case StreamClosed:
		f.Closed, f.ClosedAt = true, e.LastSeq
	case StreamRecorded:
		if e.Through >= f.Floor.Through {
			f.Floor = Floor{e.Through, e.Digest, e.Recording}
		}
	}
}

// applyClock keeps the newest of two with the same FromSeq. An activation that was behind may journal a lower
// FromSeq than one before it: the order of seqs decides, not that of the journal.
func (f *StreamFacts) applyClock(e ClockSet) {
	i := sort.Search(len(f.Clocks), func(i int) bool { return f.Clocks[i].FromSeq >= e.FromSeq })
	if i < len(f.Clocks) && f.Clocks[i].FromSeq == e.FromSeq {
		f.Clocks[i] = e
		return
	}
	f.Clocks = slices.Insert(f.Clocks, i, e)
}

// Reach is the lowest seq whose reading the event changes; false: it changes none of this stream. A fold that
// has gone further must go back before it.
func (f *StreamFacts) Reach(e Event) (fromSeq uint64, changes bool) {
	if StreamOf(e) != f.Stream {
		return 0, false
	}
	switch e := e.(type) {
	case StreamOpened:
		return 1, true
	case ClockSet:
		return e.FromSeq, true
	case Skipped:
		if len(e.Spans) > 0 {
			return e.Spans[0].From, true
		}
	}
	return 0, false
}

// Clone shares nothing that Apply changes.
func (f *StreamFacts) Clone() *StreamFacts {
	c := *f
	c.Clocks = slices.Clone(f.Clocks)
	c.Skips = slices.Clone(f.Skips)
	return &c
}

// EventMs is the event time of a sample: its device time and the offset of the last ClockSet at or before its
// seq. Without one the device's own time counts.
func (f *StreamFacts) EventMs(seq uint64, device unit.InstantMs) unit.InstantMs {
	if c, ok := f.ClockAt(seq); ok {
		return device.Add(c.Offset)
	}
	return device
}

// ClockAt is the ClockSet that holds at seq; false: none.
func (f *StreamFacts) ClockAt(seq uint64) (ClockSet, bool) {
	i := sort.Search(len(f.Clocks), func(i int) bool { return f.Clocks[i].FromSeq > seq })
	if i == 0 {
		return ClockSet{}, false
	}
	return f.Clocks[i-1], true
}

// SkipAt is the skip that covers seq; false: none.
func (f *StreamFacts) SkipAt(seq uint64) (Span, bool) {
	i := sort.Search(len(f.Skips), func(i int) bool { return f.Skips[i].To >= seq })
	if i < len(f.Skips) && f.Skips[i].From <= seq {
		return f.Skips[i], true
	}
	return Span{}, false
}

// Jump is through, or the end of the skip that begins right behind it: skipped seqs count as handled.
func (f *StreamFacts) Jump(through uint64) uint64 {
	if s, ok := f.SkipAt(through + 1); ok {
		return s.To
	}
	return through
}

// TrustOf is how the channel's values come about; false: it was not declared.
func (f *StreamFacts) TrustOf(c sample.Channel) (sample.Trust, bool) {
	for _, s := range f.Opening.Channels {
		if s.Channel == c {
			return s.Trust, true
		}
	}
	return sample.TrustUnknown, false
}

// addSpan keeps spans ascending and merged where they touch.
func addSpan(spans []Span, s Span) []Span {
	if s.From > s.To {
		return spans
	}
	lo := sort.Search(len(spans), func(i int) bool { return spans[i].To+1 >= s.From })
	hi := lo
	for hi < len(spans) && spans[hi].From <= s.To+1 {
		s.From, s.To = min(s.From, spans[hi].From), max(s.To, spans[hi].To)
		hi++
	}
	return slices.Replace(spans, lo, hi, s)
}

// without is the part of spans that lies outside of all taken; both ascending.
func without(spans, taken []Span) []Span {
	var out []Span
	for _, s := range spans {
		for _, t := range taken {
			if t.To < s.From || s.From > s.To {
				continue
			}
			if t.From > s.To {
				break
			}
			if t.From > s.From {
				out = append(out, Span{s.From, t.From - 1})
			}
			s.From = t.To + 1
		}
		if s.From <= s.To {
			out = append(out, s)
		}
	}
	return out
}
