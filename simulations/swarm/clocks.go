package swarm

import (
	"slices"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/course"
	"paceline/domain/unit"
)

// now is the device's clock.
func (d *Device) now() unit.InstantMs { return d.Node.Now().Add(d.Ahead) }

// until is how long by the wall until the device's clock shows at.
func (d *Device) until(at unit.InstantMs) time.Duration { return d.Node.Until(at.Add(-d.Ahead)) }

// wrongClock sets the clock of the i-th device: of three one is right, one minutes ahead, one minutes behind.
func (d *Device) wrongClock(i int) {
	switch i % 3 {
	case 1:
		d.Clock, d.Ahead = livev1.ClockKind_CLOCK_KIND_NTP, 3*60*unit.Second
	case 2:
		d.Clock, d.Ahead = livev1.ClockKind_CLOCK_KIND_FREE, -7*60*unit.Second
	default:
		return
	}
	for k := range d.Samples.AtMs {
		d.Samples.AtMs[k] = d.Samples.AtMs[k].Add(d.Ahead)
	}
}

// clockError is how far gate times of a device may lie off whose clock was off and had to be measured: an NTP clock by
// the opening message alone, which may have waited. That the result follows from what was stored, to the microsecond,
// is for verify.
const clockError = 2_000_000 // µs

// crossings are those of what the node has acknowledged, on the node's clock.
func (d *Device) crossings(c *course.Course, gun unit.InstantMs) []Crossing {
	b := upTo(d.Samples, d.Acked())
	if d.Ahead != 0 {
		b.AtMs = slices.Clone(b.AtMs)
		for i := range b.AtMs {
			b.AtMs[i] = b.AtMs[i].Add(-d.Ahead)
		}
	}
	return Crossings(c, gun, b, d.Refused())
}
