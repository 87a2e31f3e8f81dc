package training

import (
	"slices"
	"sort"

	"paceline/domain/step"
	"paceline/domain/unit"
)

// Span is a range of seqs, both ends included.
type Span struct{ From, To uint64 }

// ClockFrom says what to add to a device's time from a seq on.
type ClockFrom struct {
	FromSeq  uint64
	OffsetMs unit.DurationMs
}

// Facts are what a device's journal says about one stream, as far as the fold needs it.
type Facts struct {
	Version uint64      // of the device's journal, through which all its facts are in here
	Clocks  []ClockFrom // ascending by FromSeq
	Skips   []Span      // ascending; they neither touch nor overlap
}

// NewFacts puts clocks (in journal order) and skips in order.
func NewFacts(version uint64, clocks []ClockFrom, skips []Span) Facts {
	f := Facts{Version: version}
	clocks = slices.Clone(clocks)
	slices.SortStableFunc(clocks, func(a, b ClockFrom) int { return compareSeq(a.FromSeq, b.FromSeq) })
	for _, c := range clocks {
		if n := len(f.Clocks); n > 0 && f.Clocks[n-1].FromSeq == c.FromSeq {
			f.Clocks[n-1] = c // the later one of the journal
			continue
		}
		f.Clocks = append(f.Clocks, c)
	}
	skips = slices.Clone(skips)
	slices.SortFunc(skips, func(a, b Span) int { return compareSeq(a.From, b.From) })
	for _, s := range skips {
		if s.From > s.To {
			continue
		}
		if n := len(f.Skips); n > 0 && s.From <= f.Skips[n-1].To+1 {
			f.Skips[n-1].To = max(f.Skips[n-1].To, s.To)
			continue
		}
		f.Skips = append(f.Skips, s)
	}
	return f
}

func compareSeq(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// EventMs is the event time of a sample.
func (f *Facts) EventMs(seq uint64, device unit.InstantMs) unit.InstantMs {
	for i := len(f.Clocks) - 1; i >= 0; i-- {
		if f.Clocks[i].FromSeq <= seq || step.RuleClockFromJournal.Off() {
			return device.Add(f.Clocks[i].OffsetMs)
		}
	}
	return device
}

// NewestOffset is the offset that the newest samples have.
func (f *Facts) NewestOffset() unit.DurationMs {
	if n := len(f.Clocks); n > 0 {
		return f.Clocks[n-1].OffsetMs
	}
	return 0
}

// skipAt is the skip that holds seq.
func (f *Facts) skipAt(seq uint64) (Span, bool) {
	if len(f.Skips) == 0 || step.RuleSkipFinal.Off() {
		return Span{}, false
	}
	i := sort.Search(len(f.Skips), func(i int) bool { return f.Skips[i].To >= seq })
	if i < len(f.Skips) && f.Skips[i].From <= seq {
		return f.Skips[i], true
	}
	return Span{}, false
}

// SameThrough reports whether f and g say the same about all seqs through a seq: only then may a fold that went
// so far by f go on by g.
func (f *Facts) SameThrough(g *Facts, through uint64) bool {
	return slices.Equal(f.clocksThrough(through), g.clocksThrough(through)) &&
		slices.Equal(f.skipsThrough(through), g.skipsThrough(through))
}

// clocksThrough leaves out what changes nothing.
func (f *Facts) clocksThrough(through uint64) []ClockFrom {
	var out []ClockFrom
	var offset unit.DurationMs
	for _, c := range f.Clocks {
		c.FromSeq = max(c.FromSeq, 1)
		if c.FromSeq > through || c.OffsetMs == offset {
			continue
		}
		offset = c.OffsetMs
		out = append(out, c)
	}
	return out
}

func (f *Facts) skipsThrough(through uint64) []Span {
	var out []Span
	for _, s := range f.Skips {
		if s.From <= through {
			out = append(out, Span{s.From, min(s.To, through)})
		}
	}
	return out
}
