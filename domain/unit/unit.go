// Package unit holds the integer quantities that decide results.
//
// It is not a conversion library: a number is stored in the unit its type names, and a float appears only
// where something is displayed. Instants are counted from the Unix epoch in UTC, leap seconds ignored.
package unit

import "time"

// InstantMs is a point in time: milliseconds since 1970-01-01T00:00:00Z. Device times, event times and
// Meta.At use it.
type InstantMs int64

// InstantUs is a point in time in microseconds since 1970-01-01T00:00:00Z. Interpolated gate times use it;
// places are decided on it, unrounded.
type InstantUs int64

// DurationMs is a length of time in milliseconds.
type DurationMs int64

// DurationUs is a length of time in microseconds.
type DurationUs int64

// DistanceMm is a length in millimetres.
type DistanceMm int64

// Common lengths of time.
const (
	Second DurationMs = 1000
	Minute            = 60 * Second
	Hour              = 60 * Minute
	Day               = 24 * Hour
)

// Us is the same instant in microseconds.
func (t InstantMs) Us() InstantUs { return InstantUs(t) * 1000 }

// Add moves the instant by d.
func (t InstantMs) Add(d DurationMs) InstantMs { return t + InstantMs(d) }

// Sub is the time from u to t.
func (t InstantMs) Sub(u InstantMs) DurationMs { return DurationMs(t - u) }

// Time is the instant for display and for calendar arithmetic.
func (t InstantMs) Time() time.Time { return time.UnixMilli(int64(t)).UTC() }

// CutMs is the instant cut (never rounded) to the millisecond, as results show it.
func (t InstantUs) CutMs() InstantMs {
	ms := int64(t) / 1000
	if int64(t)%1000 < 0 {
		ms--
	}
	return InstantMs(ms)
}

// Sub is the time from u to t.
func (t InstantUs) Sub(u InstantUs) DurationUs { return DurationUs(t - u) }

// RoundMs is the length rounded half away from zero to the millisecond, as differences (net, gap) are shown.
func (d DurationUs) RoundMs() DurationMs {
	if d < 0 {
		return -(-d).RoundMs()
	}
	return DurationMs((d + 500) / 1000)
}
