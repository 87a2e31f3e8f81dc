package swarm

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/audit"
	"paceline/simulations/oracle"
)

// Crossing is a gate passed, by what was sent.
type Crossing struct {
	Gate int
	At   unit.InstantUs
}

// Crossings is which gates the samples of one entry pass, and when, as the oracle finds them: the whole recording at
// once, in order, without anything that a network or a node could have done to it. Refused samples do not count.
func Crossings(c *course.Course, gun unit.InstantMs, b *sample.Batch, refused map[uint64]sample.Refusal) []Crossing {
	marked := marked(b, refused)
	gates, _ := oracle.Gates(audit.Course(c), &oracle.Entry{GunMs: gun,
		Streams: []oracle.Stream{{Declared: true, Samples: audit.Samples(&marked, math.MaxUint64)}}})
	var out []Crossing
	for _, gate := range slices.Sorted(maps.Keys(gates)) {
		out = append(out, Crossing{Gate: gate, At: gates[gate]})
	}
	return out
}

// marked is the batch with the node's refusals.
func marked(b *sample.Batch, refused map[uint64]sample.Refusal) sample.Batch {
	c := *b
	if len(refused) > 0 {
		c.Refused = make([]sample.Refusal, c.Len())
		for i := range c.Refused {
			c.Refused[i] = refused[c.FirstSeq+uint64(i)]
		}
	}
	return c
}

// Implausible is the samples after a step that nobody of the sport can make, by the counter or by position.
func Implausible(c *course.Course, b *sample.Batch) []uint64 {
	var out []uint64
	limits := c.Limits()
	last := -1
	for i := range b.Len() {
		_, hasD := b.Value(sample.DistanceMm, i)
		_, hasP := b.Value(sample.LatE7, i)
		if c.Geo() == nil && !hasD || c.Geo() != nil && !hasP {
			continue
		}
		if last >= 0 {
			var step unit.DistanceMm
			if c.Geo() == nil {
				v, _ := b.Value(sample.DistanceMm, i)
				w, _ := b.Value(sample.DistanceMm, last)
				step = unit.DistanceMm(max(0, v-w))
			} else {
				step = geo.DistanceMm(pointOf(b, last), pointOf(b, i))
			}
			if !limits.Plausible(step, b.AtMs[i].Sub(b.AtMs[last])) {
				out = append(out, b.FirstSeq+uint64(i))
			}
		}
		last = i
	}
	return out
}

func pointOf(b *sample.Batch, i int) geo.Point {
	lat, _ := b.Value(sample.LatE7, i)
	lon, _ := b.Value(sample.LonE7, i)
	return geo.Point{Lat: lat, Lon: lon}
}

// Digest is the digest that the store's samples 1…through must have.
func Digest(b *sample.Batch, through uint64, refused map[uint64]sample.Refusal) [32]byte {
	c := marked(b, refused)
	d := sample.NewDigest()
	d.Add(&c, 0, int(min(through, uint64(c.Len()))))
	return d.Sum()
}

// Check is one promise that was looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// CheckStored compares what the published result was computed from with what the devices sent and what was
// acknowledged: acknowledged = stored.
func CheckStored(devices []*Device, result *competitionv1.ResultPublished) Check {
	c := Check{Name: "acknowledged = stored"}
	inputs := map[string]*competitionv1.InputStream{}
	for _, in := range result.GetInput() {
		for _, s := range in.Streams {
			inputs[s.StreamId] = s
		}
	}
	samples := uint64(0)
	for _, d := range devices {
		in := inputs[d.Stream]
		switch {
		case in == nil && d.Acked() == 0:
			continue
		case in == nil:
			return c.fail("%s: %d samples were acknowledged, the result knows no stream of them", d.Name, d.Acked())
		case in.ThroughSeq < d.Acked():
			return c.fail("%s: acknowledged through %d, stored through %d", d.Name, d.Acked(), in.ThroughSeq)
		case in.ThroughSeq > d.Sent():
			return c.fail("%s: sent through %d, stored through %d", d.Name, d.Sent(), in.ThroughSeq)
		}
		if want := Digest(d.Samples, in.ThroughSeq, d.Refused()); !bytes.Equal(in.Digest, want[:]) {
			return c.fail("%s: the stored samples 1…%d are not those that were sent (digest %x, want %x)", d.Name, in.ThroughSeq, in.Digest, want)
		}
		samples += in.ThroughSeq
	}
	c.OK, c.Detail = true, fmt.Sprintf("%d samples of %d streams, digests equal", samples, len(inputs))
	return c
}

// CheckGates compares every gate time of the result with what was sent, to the microsecond where the device's clock was
// right.
func CheckGates(devices []*Device, c *course.Course, gun unit.InstantMs, result *competitionv1.ResultPublished) Check {
	k := Check{Name: "every gate time follows from what was sent"}
	n := 0
	for _, d := range devices {
		row := rowOf(result, d.Entry())
		if row == nil {
			return k.fail("%s has no row in the result", d.Name)
		}
		want := d.crossings(c, gun)
		if len(want) != len(row.Gates) {
			return k.fail("%s: %d gates in the result, %d by what was sent", d.Name, len(row.Gates), len(want))
		}
		for i, g := range row.Gates {
			off := unit.InstantUs(g.AtUs) - want[i].At
			if d.Ahead == 0 && off != 0 || max(off, -off) > clockError || int(g.Gate) != want[i].Gate {
				return k.fail("%s: gate %d at %d, by what was sent gate %d at %d", d.Name, g.Gate, g.AtUs, want[i].Gate, want[i].At)
			}
			n++
		}
	}
	k.OK, k.Detail = true, fmt.Sprintf("%d gate times, equal to the microsecond", n)
	return k
}

func upTo(b *sample.Batch, seq uint64) *sample.Batch {
	s := b.Slice(0, int(min(seq, uint64(b.Len()))))
	return &s
}

func rowOf(result *competitionv1.ResultPublished, entry uint32) *competitionv1.ResultRow {
	for _, r := range result.GetRows() {
		if r.Entry == entry {
			return r
		}
	}
	return nil
}

// CheckOrder compares the places with the order that the sent samples give: those who finished and are not under
// review, by gun time (net decides where the race says so), equal times share a place.
func CheckOrder(devices []*Device, c *course.Course, gun unit.InstantMs, byNet bool, result *competitionv1.ResultPublished) Check {
	k := Check{Name: "order right"}
	type finisher struct {
		d    *Device
		time int64
	}
	var order []finisher
	for _, d := range devices {
		row := rowOf(result, d.Entry())
		x := d.crossings(c, gun)
		finished := len(x) > 0 && x[len(x)-1].Gate == c.Finish()
		if row == nil || finished != (row.Status == livev1.EntryStatus_ENTRY_STATUS_FINISHED) {
			return k.fail("%s: finished by what was sent: %v, in the result: %v", d.Name, finished, row.GetStatus())
		}
		if !finished || row.UnderReview {
			if row.Place != 0 {
				return k.fail("%s has place %d without a finish that counts", d.Name, row.Place)
			}
			continue
		}
		began := gun.Us()
		if byNet && c.HasStart() {
			began = x[0].At
		}
		end := x[len(x)-1].At
		if d.Ahead != 0 && len(row.Gates) == len(x) { // as the node has measured the clock, within clockError
			end = unit.InstantUs(row.Gates[len(x)-1].AtUs)
		}
		order = append(order, finisher{d, int64(end - began)})
	}
	slices.SortStableFunc(order, func(a, b finisher) int { return cmp.Compare(a.time, b.time) })
	place := uint32(0)
	for i, f := range order {
		if i == 0 || f.time != order[i-1].time {
			place = uint32(i + 1)
		}
		if got := rowOf(result, f.d.Entry()).Place; got != place {
			return k.fail("%s has place %d, by what was sent %d", f.d.Name, got, place)
		}
	}
	k.OK, k.Detail = true, fmt.Sprintf("%d places", len(order))
	return k
}

// CheckViewers looks at what the viewers have seen: never back, no delta that follows nothing.
func CheckViewers(viewers []*Viewer) Check {
	k := Check{Name: "no viewer goes back"}
	frames := 0
	for i, v := range viewers {
		back, base, n := v.Faults()
		if back > 0 || base > 0 {
			return k.fail("viewer %d: %d times back, %d deltas that follow nothing", i+1, back, base)
		}
		if n == 0 {
			return k.fail("viewer %d has seen nothing", i+1)
		}
		frames += n
	}
	k.OK, k.Detail = true, fmt.Sprintf("%d viewers, %d frames", len(viewers), frames)
	return k
}

func (c Check) fail(format string, args ...any) Check {
	c.OK, c.Detail = false, fmt.Sprintf(format, args...)
	return c
}
