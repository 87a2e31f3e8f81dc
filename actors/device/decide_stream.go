package device

import (
	"slices"

	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// openClock is a first guess at the clock from the opening message alone, so that a device that never measures
// itself is not hours away. A receiver of satellites needs none.
func openClock(c OpenStream) (ClockSet, bool) {
	offset := c.NodeTime.Sub(c.DeviceTime)
	if c.Clock == sample.GNSS || c.NodeTime == 0 || !differs(offset, 0, openError) || abs(offset) > maxClockApart {
		return ClockSet{}, false
	}
	return ClockSet{Stream: c.Stream, FromSeq: 1, Offset: offset, Error: openError, Source: "open"}, true
}

// differs: a measurement tells something new only beyond max(250 ms, 3 times its error).
func differs(measured, held, err unit.DurationMs) bool {
	return abs(measured-held) > max(clockLeast, clockErrors*err)
}

func abs(d unit.DurationMs) unit.DurationMs { return max(d, -d) }

func decideClock(s *State, c SetClock) ([]Event, error) {
	f := s.Streams[c.Stream]
	switch {
	case f == nil:
		return nil, ErrUnknownStream
	case c.Through >= MaxSeq:
		return nil, ErrSeq
	case abs(c.Offset) > maxClockApart || c.Offset == -1<<63 || c.Error < 0 || c.Error > maxClockApart:
		return nil, ErrClock
	case !text(c.Source):
		return nil, ErrText
	case f.Opening.Clock == sample.GNSS:
		return nil, nil
	}
	from := c.Through + 1
	held, measured := f.ClockAt(from)
	// Before the first sample the first real measurement is taken as it is.
	first := c.Through == 0 && (!measured || held.Source == "open") && c.Offset != held.Offset
	if !first && !differs(c.Offset, held.Offset, c.Error) {
		return nil, nil
	}
	return []Event{ClockSet{Stream: c.Stream, FromSeq: from, Offset: c.Offset, Error: c.Error, Source: c.Source}}, nil
}

func decideSkip(s *State, c Skip) ([]Event, error) {
	f := s.Streams[c.Stream]
	switch {
	case f == nil:
		return nil, ErrUnknownStream
	case c.Want.From == 0 || c.Want.To < c.Want.From || c.Want.To > MaxSeq:
		return nil, ErrSeq
	case c.Want.To-c.Want.From >= maxSkip || c.Want.From > c.Through+maxSkip:
		return nil, ErrSkipFar
	case f.Closed && c.Want.To > f.ClosedAt:
		return nil, ErrClosed
	case !text(c.Reason):
		return nil, ErrText
	}
	spans := TrimSkip(f, c.Want, c.Through, c.Held)
	if len(spans) == 0 {
		return nil, nil
	}
	return []Event{Skipped{Stream: c.Stream, Spans: spans, Reason: c.Reason}}, nil
}

// TrimSkip is what is left of a declared skip: nothing of the cover, of the recording, of what rows were seen to
// hold or of what is skipped already. held is ascending.
func TrimSkip(f *StreamFacts, want Span, through uint64, held []Span) []Span {
	if step.RuleSkipTrimmed.Off() {
		return []Span{want}
	}
	below := Span{0, max(through, f.Floor.Through)}
	left := without([]Span{want}, []Span{below})
	left = without(left, held)
	return without(left, f.Skips)
}

func decideClose(s *State, c CloseStream) ([]Event, error) {
	f := s.Streams[c.Stream]
	switch {
	case f == nil:
		return nil, ErrUnknownStream
	case c.LastSeq > MaxSeq:
		return nil, ErrSeq
	case f.Closed && f.ClosedAt == c.LastSeq:
		return nil, nil
	case f.Closed:
		return nil, ErrClosed.With("closed at %d", f.ClosedAt)
	case c.LastSeq < c.Through || c.LastSeq < f.Floor.Through:
		return nil, ErrCloseBelow.With("through %d", max(c.Through, f.Floor.Through))
	}
	return []Event{StreamClosed{Stream: c.Stream, LastSeq: c.LastSeq}}, nil
}

// decideRecord takes a recording as the floor. One that was made without a skip that the journal has, or with
// one that it has not, is not yet the truth: its training reads the journal and writes another.
func decideRecord(s *State, c Record) ([]Event, error) {
	f := s.Streams[c.Stream]
	switch {
	case f == nil || f.Opening.Training != c.Training:
		return nil, ErrUnknownStream
	case c.Through == 0 || c.Through > MaxSeq:
		return nil, ErrSeq
	case f.Floor == Floor{c.Through, c.Digest, c.Recording}, c.Through < f.Floor.Through:
		return nil, nil
	case c.Through == f.Floor.Through && c.Digest != f.Floor.Digest:
		return nil, ErrRecording.With("another digest at the floor %d", c.Through)
	case !slices.Equal(clip(f.Skips, c.Through), clip(c.Skips, c.Through)):
		return nil, ErrRecording.With("skips differ through %d", c.Through)
	}
	return []Event{StreamRecorded{Stream: c.Stream, Through: c.Through, Digest: c.Digest, Recording: c.Recording}}, nil
}

// clip is the part of spans at or below through, merged where they touch.
func clip(spans []Span, through uint64) []Span {
	var out []Span
	for _, s := range spans {
		if s.From > through {
			break
		}
		out = addSpan(out, Span{s.From, min(s.To, through)})
	}
	return out
}
