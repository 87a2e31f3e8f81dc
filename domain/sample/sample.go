// Package sample holds what devices measure: batches of samples as integer columns, refusal marks, and the
// canonical form on which digests are made.
//
// It is not a codec (persistence compresses blocks, api carries frames) and it does not judge: device.Accept
// refuses, training.Fold folds. Invariants of a Batch: AtMs, Refused and every present column have Len()
// entries; seq of entry i is FirstSeq+i; Seq starts at 1 in each stream. Values are integers in the unit that
// the channel's name says.
package sample

import (
	"paceline/domain/unit"
)

// MaxBatch is the most samples that one frame or one stored block may hold.
const MaxBatch = 512

// Channel is what a column measures. Wire and stored values: append only, never reorder.
type Channel uint8

// The channels and their units.
const (
	HeartRateBpm    Channel = 1
	PowerW          Channel = 2
	CadenceRpm      Channel = 3 // revolutions or steps of one leg a minute
	SpeedMmS        Channel = 4
	DistanceMm      Channel = 5 // cumulative since the stream's start, as the device counts it
	LatE7           Channel = 6 // degrees * 1e7; present exactly where LonE7 is
	LonE7           Channel = 7
	AltitudeMm      Channel = 8
	InclineBp       Channel = 9  // 0.01 %
	ResistanceDeci  Channel = 10 // 0.1 of the machine's own step
	StrokeRateDeci  Channel = 11 // 0.1 strokes a minute
	TemperatureCC   Channel = 12 // 0.01 degrees Celsius
	EnergyJ         Channel = 13 // cumulative
	PositionErrorMm Channel = 14 // the receiver's own estimate, radius
	Channels                = 15 // one more than the highest
)

var channelNames = [Channels]string{"", "heart_rate_bpm", "power_w", "cadence_rpm", "speed_mm_s", "distance_mm",
	"lat_e7", "lon_e7", "altitude_mm", "incline_bp", "resistance_deci", "stroke_rate_deci", "temperature_cc",
	"energy_j", "position_error_mm"}

// String is the channel's name, with its unit.
func (c Channel) String() string {
	if c == 0 || c >= Channels {
		return "unknown"
	}
	return channelNames[c]
}

// Known reports whether this build knows the channel.
func (c Channel) Known() bool { return c > 0 && c < Channels }

// Trust says how a channel's values come about, best first. Wire values.
type Trust uint8

// The levels of trust.
const (
	TrustUnknown Trust = 0
	Measured     Trust = 1
	Estimated    Trust = 2
	Virtual      Trust = 3
	Manual       Trust = 4
)

// ClockKind says what a device's clock is set by. Wire values.
type ClockKind uint8

// The kinds of clock.
const (
	ClockUnknown ClockKind = 0
	GNSS         ClockKind = 1
	NTP          ClockKind = 2
	Free         ClockKind = 3
)

// Refusal is why a sample does not count. Wire and stored values: append only. Zero: it counts.
type Refusal uint8

// The reasons. A refused sample is handled: it is stored with its values and its mark, and acknowledged.
const (
	Accepted          Refusal = 0
	OutOfRange        Refusal = 1 // a value that cannot be
	TimeNotRising     Refusal = 2 // not after the sample before it
	OutsideWindow     Refusal = 3 // outside the device-time window of the stream
	NoValues          Refusal = 4 // no channel present
	HalfPosition      Refusal = 5 // latitude without longitude or the other way round
	UndeclaredChannel Refusal = 6 // a channel that open_stream did not name
)

var refusalNames = []string{"accepted", "out_of_range", "time_not_rising", "outside_window", "no_values",
	"half_position", "undeclared_channel"}

// String is the stable name of the reason.
func (r Refusal) String() string {
	if int(r) < len(refusalNames) {
		return refusalNames[r]
	}
	return "unknown"
}

// Column is one channel of a batch. Values has an entry for each sample; the one of an absent sample is 0.
type Column struct {
	Present []uint64 // bit i: sample i has a value; nil: the whole column is absent
	Values  []int64
}

// Has reports whether sample i has a value.
func (c *Column) Has(i int) bool { return c.Present != nil && c.Present[i>>6]>>(i&63)&1 == 1 }

// Set gives sample i a value. The column must have been Grown.
func (c *Column) Set(i int, v int64) {
	c.Present[i>>6] |= 1 << (i & 63)
	c.Values[i] = v
}

// Grow makes room for n samples, all absent. It reuses what the column has.
func (c *Column) Grow(n int) {
	w := (n + 63) / 64
	if cap(c.Present) < w {
		c.Present = make([]uint64, w)
	}
	if cap(c.Values) < n {
		c.Values = make([]int64, n)
	}
	c.Present, c.Values = c.Present[:w], c.Values[:n]
	clear(c.Present)
	clear(c.Values)
}

// Batch is a run of consecutive samples of one stream.
type Batch struct {
	FirstSeq uint64
	AtMs     []unit.InstantMs // device clock, untouched
	Refused  []Refusal        // one for each sample; nil: none is refused
	Columns  [Channels]Column
}

// Len is the number of samples.
func (b *Batch) Len() int { return len(b.AtMs) }

// Bytes is about what it takes in memory.
func (b *Batch) Bytes() int {
	n := 8*len(b.AtMs) + len(b.Refused)
	for i := range b.Columns {
		n += 8 * (len(b.Columns[i].Present) + len(b.Columns[i].Values))
	}
	return n
}

// LastSeq is the seq of the last sample.
func (b *Batch) LastSeq() uint64 { return b.FirstSeq + uint64(len(b.AtMs)) - 1 }

// Mark is the refusal mark of sample i.
func (b *Batch) Mark(i int) Refusal {
	if b.Refused == nil {
		return Accepted
	}
	return b.Refused[i]
}

// Value is the value of a channel at sample i.
func (b *Batch) Value(c Channel, i int) (int64, bool) {
	col := &b.Columns[c]
	if !col.Has(i) {
		return 0, false
	}
	return col.Values[i], true
}

// Slice is the samples from..to (indices, half open). It shares times and values with b; presence is copied.
func (b *Batch) Slice(from, to int) Batch {
	s := Batch{FirstSeq: b.FirstSeq + uint64(from), AtMs: b.AtMs[from:to:to]}
	if b.Refused != nil {
		s.Refused = b.Refused[from:to:to]
	}
	for c := range b.Columns {
		col := &b.Columns[c]
		if col.Present == nil {
			continue
		}
		p := make([]uint64, (to-from+63)/64)
		some := false
		for i := from; i < to; i++ {
			if col.Has(i) {
				p[(i-from)>>6] |= 1 << ((i - from) & 63)
				some = true
			}
		}
		if some {
			s.Columns[c] = Column{Present: p, Values: col.Values[from:to:to]}
		}
	}
	return s
}

// Append adds the samples of o, which must begin right after b ends.
func (b *Batch) Append(o *Batch) {
	n, m := b.Len(), o.Len()
	if n == 0 {
		b.FirstSeq = o.FirstSeq
	}
	b.AtMs = append(b.AtMs, o.AtMs...)
	if b.Refused != nil || o.Refused != nil {
		if b.Refused == nil {
			b.Refused = make([]Refusal, n, n+m)
		}
		for i := 0; i < m; i++ {
			b.Refused = append(b.Refused, o.Mark(i))
		}
	}
	for c := range b.Columns {
		bc, oc := &b.Columns[c], &o.Columns[c]
		if bc.Present == nil && oc.Present == nil {
			continue
		}
		var joined Column
		joined.Grow(n + m)
		for i := 0; i < n; i++ {
			if bc.Has(i) {
				joined.Set(i, bc.Values[i])
			}
		}
		for i := 0; i < m; i++ {
			if oc.Has(i) {
				joined.Set(n+i, oc.Values[i])
			}
		}
		*bc = joined
	}
}

// Same reports whether sample i of b and sample j of o have the same device time and values. Marks are not
// compared: they follow from the values.
func (b *Batch) Same(i int, o *Batch, j int) bool {
	if b.AtMs[i] != o.AtMs[j] {
		return false
	}
	for c := range b.Columns {
		v, ok := b.Value(Channel(c), i)
		w, okw := o.Value(Channel(c), j)
		if ok != okw || v != w {
			return false
		}
	}
	return true
}
