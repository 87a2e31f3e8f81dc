// Package telemetry turns telemetry frames of the live protocol into sample batches and back.
//
// It is not a judge of values: what a heart or a boat cannot do is refused sample by sample in the device's
// rules. It checks only what makes a frame a frame, so that nothing behind it meets a hole in the columns. It
// copies: a batch never shares memory with the frame it came from.
//
// Invariants: a frame that Check accepts converts without error; FromBatch(ToBatch(f)) says the same samples as
// f. Times are milliseconds of the device's clock, values integers in the unit that the channel's name says.
package telemetry

import (
	"math/bits"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// MaxSeq bounds seqs, so that no sum of seqs overflows.
const MaxSeq = 1<<62 - 1

// Faults of a frame. None can succeed when sent again.
var (
	ErrSamples = fault.New(fault.Invalid, "telemetry.samples", "A frame holds 1 to 512 samples.")
	ErrSeq     = fault.New(fault.Invalid, "telemetry.seq", "Sequence numbers start at 1.")
	ErrTime    = fault.New(fault.Invalid, "telemetry.time", "The sample times cannot be added up.")
	ErrChannel = fault.New(fault.Invalid, "telemetry.channel", "A column's channel is unknown.")
	ErrTwice   = fault.New(fault.Invalid, "telemetry.channel_twice", "A channel may have one column only.")
	ErrColumn  = fault.New(fault.Invalid, "telemetry.column", "A column's values and presence do not fit the number of samples.")
)

// Check reports whether the frame is whole: 1 to 512 samples, seqs and times that add up, one column for each
// known channel, as many values as presence says.
func Check(t *livev1.Telemetry) error {
	n := len(t.GetAtDeltaMs())
	if n < 1 || n > sample.MaxBatch {
		return ErrSamples.With("%d samples", n)
	}
	if t.FirstSeq < 1 || t.FirstSeq > MaxSeq-uint64(n) {
		return ErrSeq.With("first_seq %d", t.FirstSeq)
	}
	if err := checkTimes(t); err != nil {
		return err
	}
	var seen [sample.Channels]bool
	for _, c := range t.Columns {
		if c == nil || c.Channel <= 0 || c.Channel >= sample.Channels {
			return ErrChannel.With("channel %d", c.GetChannel())
		}
		if seen[c.Channel] {
			return ErrTwice.With("channel %d", c.Channel)
		}
		seen[c.Channel] = true
		if err := checkColumn(c, n); err != nil {
			return err
		}
	}
	return nil
}

func checkTimes(t *livev1.Telemetry) error {
	at := t.BaseTimeMs
	for i, d := range t.AtDeltaMs {
		next := at + d
		if (d > 0) != (next > at) && d != 0 {
			return ErrTime.With("sample %d", i)
		}
		at = next
	}
	return nil
}

func checkColumn(c *livev1.Column, n int) error {
	if len(c.Present) == 0 {
		if len(c.Values) != n {
			return ErrColumn.With("channel %d: %d values for %d samples", c.Channel, len(c.Values), n)
		}
		return nil
	}
	if len(c.Present) != (n+7)/8 {
		return ErrColumn.With("channel %d: %d bytes of presence for %d samples", c.Channel, len(c.Present), n)
	}
	if n%8 != 0 && c.Present[n/8]>>(n%8) != 0 {
		return ErrColumn.With("channel %d: presence beyond the last sample", c.Channel)
	}
	set := 0
	for _, b := range c.Present {
		set += bits.OnesCount8(b)
	}
	if set != len(c.Values) {
		return ErrColumn.With("channel %d: %d values, presence says %d", c.Channel, len(c.Values), set)
	}
	return nil
}

// ToBatch fills dst with the frame's samples, reusing what dst has. If the frame is not whole, dst is left as
// it was.
func ToBatch(dst *sample.Batch, t *livev1.Telemetry) error {
	if err := Check(t); err != nil {
		return err
	}
	n := len(t.AtDeltaMs)
	dst.FirstSeq = t.FirstSeq
	dst.Refused = nil
	if cap(dst.AtMs) < n {
		dst.AtMs = make([]unit.InstantMs, n)
	}
	dst.AtMs = dst.AtMs[:n]
	at := t.BaseTimeMs
	for i, d := range t.AtDeltaMs {
		at += d
		dst.AtMs[i] = unit.InstantMs(at)
	}
	var used [sample.Channels]bool
	for _, c := range t.Columns {
		if len(c.Values) == 0 {
			continue // a column that nobody has is absent
		}
		used[c.Channel] = true
		fillColumn(&dst.Columns[c.Channel], c, n)
	}
	for c := range dst.Columns {
		if !used[c] {
			dst.Columns[c] = sample.Column{}
		}
	}
	return nil
}

func fillColumn(dst *sample.Column, c *livev1.Column, n int) {
	dst.Grow(n)
	if len(c.Present) == 0 {
		copy(dst.Values, c.Values)
		for i := range dst.Present {
			dst.Present[i] = ^uint64(0)
		}
		if n%64 != 0 {
			dst.Present[n/64] = 1<<(n%64) - 1
		}
		return
	}
	next := 0
	for i, b := range c.Present {
		for ; b != 0; b &= b - 1 {
			dst.Set(i*8+bits.TrailingZeros8(b), c.Values[next])
			next++
		}
	}
}

// FromBatch fills dst with the samples of b as a frame of the stream, reusing what dst has. Refusal marks do
// not travel: they are the receiver's. b holds 1 to 512 samples.
func FromBatch(dst *livev1.Telemetry, stream string, b *sample.Batch) {
	n := b.Len()
	dst.StreamId, dst.FirstSeq = stream, b.FirstSeq
	dst.AtDeltaMs = dst.AtDeltaMs[:0]
	dst.BaseTimeMs = 0
	if n > 0 {
		dst.BaseTimeMs = int64(b.AtMs[0])
	}
	before := dst.BaseTimeMs
	for _, at := range b.AtMs {
		dst.AtDeltaMs = append(dst.AtDeltaMs, int64(at)-before)
		before = int64(at)
	}
	free := dst.Columns[:0]
	for c := range b.Columns {
		if b.Columns[c].Present == nil {
			continue
		}
		var col *livev1.Column
		if len(free) < cap(free) {
			col = free[:len(free)+1][len(free)]
		}
		if col == nil {
			col = &livev1.Column{}
		}
		col.Channel = livev1.Channel(c)
		columnOf(col, &b.Columns[c], n)
		if len(col.Values) > 0 {
			free = append(free, col)
		}
	}
	dst.Columns = free
}

func columnOf(dst *livev1.Column, c *sample.Column, n int) {
	dst.Values = dst.Values[:0]
	dst.Present = dst.Present[:0]
	for range (n + 7) / 8 {
		dst.Present = append(dst.Present, 0)
	}
	for i := range n {
		if c.Has(i) {
			dst.Present[i/8] |= 1 << (i % 8)
			dst.Values = append(dst.Values, c.Values[i])
		}
	}
	if len(dst.Values) == n {
		dst.Present = dst.Present[:0] // all have a value: nothing to say
	}
}
