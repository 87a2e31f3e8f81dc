package training

import (
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// The hold rules: a value counts until the next one, at most so long.
const (
	holdHeartRate = 5 * unit.Second // then it is missing, never 0
	holdPower     = 3 * unit.Second // then it is 0
	climbStep     = 3000            // mm: smaller ups and downs are noise
)

// held is a value that counts until the next one.
type held struct {
	At    unit.InstantMs
	Value int64
	Sum   int64 // value · ms
	Ms    int64 // for which there was a value
	Begun bool
}

func (h *held) take(at unit.InstantMs, v int64, most unit.DurationMs) {
	if h.Begun {
		d := int64(min(at.Sub(h.At), most))
		h.Sum += h.Value * d
		h.Ms += d
	}
	h.At, h.Value, h.Begun = at, v, true
}

// counter is the distance that a stream has earned by itself.
type counter struct {
	At    unit.InstantMs
	Raw   int64 // what the device says; of positions nothing
	Lat   int64
	Lon   int64
	Total int64 // credited, mm
	Begun bool
}

// earn credits a step; impossible is true for one over twice the limit, which earns nothing.
func (c *counter) earn(delta int64, at unit.InstantMs, l geo.Limits) (impossible bool) {
	took := at.Sub(c.At)
	c.At = at
	if !l.Plausible(unit.DistanceMm(delta), took) && !step.RuleSpeedCredit.Off() {
		return true
	}
	c.Total += delta
	return false
}

// byDevice takes the device's own counter.
func (c *counter) byDevice(raw int64, at unit.InstantMs, l geo.Limits) (impossible bool) {
	if !c.Begun {
		c.Begun, c.At, c.Raw = true, at, raw
		return false
	}
	delta, again := raw-c.Raw, false
	if delta < 0 {
		delta, again = max(raw, 0), true // it has begun again at zero
	}
	c.Raw = raw
	return c.earn(delta, at, l) && !again
}

// byPosition sums the way between positions; only outside distance races.
func (c *counter) byPosition(p geo.Point, at unit.InstantMs, l geo.Limits) (impossible bool) {
	if !c.Begun {
		c.Begun, c.At, c.Lat, c.Lon = true, at, p.Lat, p.Lon
		return false
	}
	delta := geo.DistanceMm(geo.Point{Lat: c.Lat, Lon: c.Lon}, p)
	c.Lat, c.Lon = p.Lat, p.Lon
	return c.earn(int64(delta), at, l)
}

// climb counts metres upwards with hysteresis.
type climb struct {
	Ref   int64
	Up    int64
	Begun bool
}

func (c *climb) take(mm int64) {
	switch {
	case !c.Begun:
		c.Begun, c.Ref = true, mm
	case mm >= c.Ref+climbStep:
		c.Up += mm - c.Ref
		c.Ref = mm
	case mm <= c.Ref-climbStep:
		c.Ref = mm
	}
}

// streamState is where the fold of one stream stands: a checkpoint as it is.
type streamState struct {
	Through uint64 // seq, jumps over skips
	Samples uint64 // that count
	First   unit.InstantMs
	Last    unit.InstantMs
	Counter counter
	Heart   held
	Power   held
	Climb   climb
	Cadence held
	Speed   held
	PosAt   unit.InstantMs
	Lat     int64
	Lon     int64
}

// point is one sample of the timeline.
type point struct {
	At         unit.InstantMs
	Seq        uint64
	Lat, Lon   int64 // byPosition
	Mm         int64 // byCounter: credited so far
	Impossible bool  // the step to it, by the stream's own counter
}

// streamFold folds one stream.
type streamFold struct {
	spec    *Stream
	facts   Facts
	channel sample.Channel // that the timeline takes; 0: none
	keep    bool           // more streams than one make the timeline: points are kept
	points  []point
	streamState
}

// jump moves Through over skips.
func (s *streamFold) jump() {
	for {
		k, ok := s.facts.skipAt(s.Through + 1)
		if !ok {
			return
		}
		s.Through = k.To
	}
}

// take folds one sample that counts. p is what it adds to the timeline, if ok.
func (s *streamFold) take(b *sample.Batch, i int, at unit.InstantMs, m measure, l geo.Limits) (p point, ok bool) {
	if s.Samples == 0 {
		s.First = at
	}
	s.Samples++
	s.Last = at
	if v, has := b.Value(sample.HeartRateBpm, i); has && v > 0 {
		s.Heart.take(at, v, holdHeartRate)
	}
	if v, has := b.Value(sample.PowerW, i); has {
		s.Power.take(at, v, holdPower)
	}
	if v, has := b.Value(sample.CadenceRpm, i); has {
		s.Cadence.take(at, v, holdHeartRate)
	}
	if v, has := b.Value(sample.SpeedMmS, i); has {
		s.Speed.take(at, v, holdHeartRate)
	}
	if v, has := b.Value(sample.AltitudeMm, i); has {
		s.Climb.take(v)
	}
	p = point{At: at, Seq: b.FirstSeq + uint64(i)}
	counted := false
	if v, has := b.Value(sample.DistanceMm, i); has {
		p.Impossible = s.Counter.byDevice(v, at, l)
		counted = true
	}
	lat, hasLat := b.Value(sample.LatE7, i)
	lon, hasLon := b.Value(sample.LonE7, i)
	positioned := hasLat && hasLon
	if positioned {
		s.PosAt, s.Lat, s.Lon = at, lat, lon
		p.Lat, p.Lon = lat, lon
		if !s.spec.Declared[sample.DistanceMm] {
			p.Impossible = s.Counter.byPosition(geo.Point{Lat: lat, Lon: lon}, at, l)
			counted = true
		}
	}
	p.Mm = s.Counter.Total
	if s.channel == 0 {
		return p, false
	}
	if m == byPosition {
		return p, positioned
	}
	return p, counted
}
