package device

import (
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// tailSamples is how many handled samples back Accept looks.
const tailSamples = 64

// Tail is what Accept needs of the samples of lower seq: the device time of the last accepted one of the last 64
// handled. The zero value is the tail of an empty stream.
type Tail struct {
	lastAt unit.InstantMs
	since  uint8 // refused ones behind it
	known  bool
}

// TailOf is the tail behind batches in ascending order of seq. Where they reach 64 handled samples back, what
// lies before makes no difference.
func TailOf(batches []sample.Batch) Tail {
	var t Tail
	for i := range batches {
		t.Add(&batches[i])
	}
	return t
}

// Add moves the tail behind a batch that is judged already.
func (t *Tail) Add(b *sample.Batch) {
	for i := max(0, b.Len()-tailSamples); i < b.Len(); i++ {
		t.add(b.AtMs[i], b.Mark(i))
	}
}

func (t *Tail) add(at unit.InstantMs, mark sample.Refusal) {
	if mark == sample.Accepted {
		t.lastAt, t.since, t.known = at, 0, true
		return
	}
	if !t.known {
		return
	}
	if t.since++; t.since >= tailSamples {
		*t = Tail{}
	}
}

// Accept marks the samples of b that do not count, moves the tail behind b and says how many are refused. b
// begins right behind what the tail has seen; marks that it brings are forgotten. It allocates only marks, once
// for a batch that has any.
func Accept(f *StreamFacts, t *Tail, b *sample.Batch) (refused int) {
	j := judge{window: Bound{int64(f.Opening.WindowFrom), int64(f.Opening.WindowTo)}}
	j.limits, _ = LimitsOf(f.Opening.LimitsVersion, f.Opening.Sport)
	if j.limits == nil {
		// An older build than the one that opened the stream: it has no bounds for this version, and must
		// refuse nothing that the newer one takes. Check and the shell refuse to serve such a stream.
		j.limits = &anything
	}
	for _, c := range f.Opening.Channels {
		j.declared |= 1 << c.Channel
	}
	for c := range b.Columns {
		if b.Columns[c].Present != nil {
			j.columns[j.n] = uint8(c)
			j.n++
		}
	}
	marks := b.Refused[:0]
	b.Refused = nil
	for i := range b.AtMs {
		m := j.mark(b, i, t)
		t.add(b.AtMs[i], m)
		if m == sample.Accepted {
			continue
		}
		if refused == 0 {
			n := b.Len()
			if cap(marks) < n {
				marks = make([]sample.Refusal, n)
			}
			marks = marks[:n]
			clear(marks)
			b.Refused = marks
		}
		marks[i] = m
		refused++
	}
	return refused
}

var anything = func() (l Limits) {
	for c := range l {
		l[c] = Bound{-1 << 63, 1<<63 - 1}
	}
	return l
}()

// judge is what all samples of one batch are judged by.
type judge struct {
	limits   *Limits
	window   Bound
	declared uint32
	columns  [sample.Channels]uint8 // those that the batch has
	n        int
}

// mark is the first reason that holds, in the order of version 1: it is stored, so the order may not change.
func (j *judge) mark(b *sample.Batch, i int, t *Tail) sample.Refusal {
	var present uint32
	outside := false
	for _, c := range j.columns[:j.n] {
		col := &b.Columns[c]
		if !col.Has(i) {
			continue
		}
		present |= 1 << c
		l := &j.limits[c]
		outside = outside || col.Values[i] < l.Least || col.Values[i] > l.Most
	}
	at := int64(b.AtMs[i])
	switch {
	case present == 0:
		return sample.NoValues
	case present>>sample.LatE7&1 != present>>sample.LonE7&1:
		return sample.HalfPosition
	case present&^j.declared != 0:
		return sample.UndeclaredChannel
	case outside:
		return sample.OutOfRange
	case at < j.window.Least || at > j.window.Most:
		return sample.OutsideWindow
	case t.known && b.AtMs[i] <= t.lastAt:
		return sample.TimeNotRising
	}
	return sample.Accepted
}
