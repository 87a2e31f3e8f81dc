package training

import (
	"cmp"
	"slices"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// RulesVersion names these rules. A race pins it when its start list is locked.
const RulesVersion = 1

// HoleMs is how long the better stream must be silent before the next one counts.
const HoleMs = 10 * unit.Second

// StreamKey names a stream of the workout.
type StreamKey struct{ Device, Stream string }

func compareKeys(a, b StreamKey) int {
	return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Stream, b.Stream))
}

// Stream is what a stream says about itself when it is attached.
type Stream struct {
	Key   StreamKey
	Clock sample.ClockKind
	// Trust of each channel that it declares; Declared says which those are.
	Trust    [sample.Channels]sample.Trust
	Declared [sample.Channels]bool
}

// Race is what a fold needs of the race that the workout rides in.
type Race struct {
	Course  *course.Course
	Gun     unit.InstantMs // this entry's start; 0: not yet known
	Primary string         // stream id; empty: none named
}

// End is where the workout ends.
type End struct {
	At   unit.InstantMs // event time
	Last []StreamEnd    // through here the named streams count in any case
}

// StreamEnd is the last sample of a stream, as finish_workout names it.
type StreamEnd struct {
	Stream  string
	LastSeq uint64
}

// Params are everything about a workout that its fold depends on, besides samples and facts.
type Params struct {
	Streams []Stream // sorted by key
	Sport   geo.Sport
	Race    *Race
	End     *End
}

// measure is what the timeline is made of.
type measure uint8

const (
	byCounter  measure = iota // credited distance
	byPosition                // points on the ground
)

func (p *Params) measure() measure {
	if p.Race != nil && p.Race.Course.Geo() != nil {
		return byPosition
	}
	return byCounter
}

func (p *Params) limits() geo.Limits {
	if p.Race != nil {
		return p.Race.Course.Limits()
	}
	return geo.LimitsOf(p.Sport)
}

// measures reports whether a stream can take part in the timeline, by which channel, and how good it is: smaller is
// better.
func (p *Params) measures(s *Stream) (channel sample.Channel, grade int, ok bool) {
	switch {
	case p.measure() == byPosition:
		return sample.LatE7, grade10(s, sample.LatE7), s.Declared[sample.LatE7]
	case s.Declared[sample.DistanceMm]:
		return sample.DistanceMm, grade10(s, sample.DistanceMm), true
	case p.Race == nil: // outside a race distance may also be summed over positions
		return sample.LatE7, 100 + grade10(s, sample.LatE7), s.Declared[sample.LatE7]
	}
	return 0, 0, false
}

// grade10 is trust, then clock: 10 for measured, 40 for manual, 90 for unknown; 1 more without GNSS.
func grade10(s *Stream, c sample.Channel) int {
	g := 10 * int(s.Trust[c])
	if s.Trust[c] == sample.TrustUnknown {
		g = 90
	}
	if s.Clock != sample.GNSS {
		g++
	}
	return g
}

// order is the streams of the timeline, best first, as indices.
func (p *Params) order() []int {
	var out []int
	grades := make([]int, len(p.Streams))
	for i := range p.Streams {
		_, grade, ok := p.measures(&p.Streams[i])
		if !ok {
			continue
		}
		if p.Race != nil && p.Race.Primary != "" && p.Streams[i].Key.Stream == p.Race.Primary {
			grade = -1
		}
		grades[i] = grade
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(grades[a], grades[b]),
			cmp.Compare(p.Streams[a].Key.Stream, p.Streams[b].Key.Stream),
			cmp.Compare(p.Streams[a].Key.Device, p.Streams[b].Key.Device))
	})
	return out
}

// best is the stream that a channel's totals come from; -1: none declares it.
func (p *Params) best(c sample.Channel) int {
	best := -1
	for i := range p.Streams {
		s := &p.Streams[i]
		if !s.Declared[c] {
			continue
		}
		if best < 0 || cmp.Or(cmp.Compare(grade10(s, c), grade10(&p.Streams[best], c)),
			cmp.Compare(s.Key.Stream, p.Streams[best].Key.Stream)) < 0 {
			best = i
		}
	}
	return best
}

// counts reports whether a sample lies before the end.
func (e *End) counts(stream string, seq uint64, at unit.InstantMs) bool {
	if e == nil || at <= e.At {
		return true
	}
	for i := range e.Last {
		if e.Last[i].Stream == stream {
			return seq <= e.Last[i].LastSeq
		}
	}
	return false
}
