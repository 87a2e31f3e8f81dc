package training

import (
	"paceline/domain/basis"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// freshMs is how long a live value is shown.
const freshMs = 5 * unit.Second

// Totals are the workout's numbers; heart rate and power come from one stream each, pauses count.
type Totals struct {
	ElapsedMs  unit.DurationMs // from the first sample to the last; State.Elapsed leaves pauses out
	DistanceMm unit.DistanceMm
	AscentMm   unit.DistanceMm
	WorkJ      int64
	HeartBpm   int32 // mean
	PowerW     int32 // mean
	Samples    uint64
}

// Live is the newest numbers; 0: none for five seconds.
type Live struct {
	HeartBpm, PowerW, CadenceRpm, SpeedMmS int32
}

// Result is what the fold has found: a function of Params and Basis.
type Result struct {
	Basis      basis.Basis
	Gates      []Passage // ascending by gate and by time
	Finished   bool      // the last gate is passed
	Flags      []Flag
	ProgressMm unit.DistanceMm
	OffCourse  bool
	At         unit.InstantMs // event time of the newest sample; 0: there is none
	Position   geo.Point
	PositionAt unit.InstantMs // 0: there is none
	Totals     Totals
	Live       Live
}

// Result is what has been found so far. Its slices are the caller's.
func (f *Fold) Result() Result {
	f.join()
	w := &f.walk
	r := Result{
		Basis: f.Basis(), Gates: append([]Passage(nil), w.Gates...), Finished: w.finished(),
		ProgressMm: w.progress(), At: f.LastAt(), Totals: f.totals(),
	}
	r.OffCourse = !w.On && len(w.Gates) > 0 && !r.Finished
	if w.Flagged {
		r.Flags = []Flag{w.Flag}
	}
	for _, s := range f.streams {
		if s.PosAt > r.PositionAt {
			r.Position, r.PositionAt = geo.Point{Lat: s.Lat, Lon: s.Lon}, s.PosAt
		}
	}
	if w.measure == byPosition && w.Begun {
		r.Position, r.PositionAt = geo.Point{Lat: w.Prev.Lat, Lon: w.Prev.Lon}, w.Prev.At
	}
	r.Live = Live{
		HeartBpm:   f.live(sample.HeartRateBpm, r.At, func(s *streamFold) *held { return &s.Heart }),
		PowerW:     f.live(sample.PowerW, r.At, func(s *streamFold) *held { return &s.Power }),
		CadenceRpm: f.live(sample.CadenceRpm, r.At, func(s *streamFold) *held { return &s.Cadence }),
		SpeedMmS:   f.live(sample.SpeedMmS, r.At, func(s *streamFold) *held { return &s.Speed }),
	}
	return r
}

func (f *Fold) totals() Totals {
	var t Totals
	first, last := unit.InstantMs(0), f.LastAt()
	for _, s := range f.streams {
		t.Samples += s.Samples
		if s.Samples > 0 && (first == 0 || s.First < first) {
			first = s.First
		}
	}
	if first != 0 {
		t.ElapsedMs = last.Sub(first)
	}
	switch {
	case f.measure == byCounter && f.walk.Begun:
		t.DistanceMm = unit.DistanceMm(f.walk.Prev.Mm)
	case len(f.order) > 0:
		t.DistanceMm = unit.DistanceMm(f.streams[f.order[0]].Counter.Total)
	}
	if i := f.params.best(sample.AltitudeMm); i >= 0 {
		t.AscentMm = unit.DistanceMm(f.streams[i].Climb.Up)
	}
	if i := f.params.best(sample.HeartRateBpm); i >= 0 {
		if h := &f.streams[i].Heart; h.Ms > 0 {
			t.HeartBpm = int32((h.Sum + h.Ms/2) / h.Ms)
		}
	}
	if i := f.params.best(sample.PowerW); i >= 0 {
		h := &f.streams[i].Power
		t.WorkJ = (h.Sum + 500) / 1000
		if t.ElapsedMs > 0 {
			t.PowerW = int32((h.Sum + int64(t.ElapsedMs)/2) / int64(t.ElapsedMs))
		}
	}
	return t
}

func (f *Fold) live(c sample.Channel, now unit.InstantMs, of func(*streamFold) *held) int32 {
	i := f.params.best(c)
	if i < 0 {
		return 0
	}
	h := of(f.streams[i])
	if !h.Begun || now.Sub(h.At) > freshMs {
		return 0
	}
	return int32(h.Value)
}
