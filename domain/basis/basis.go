// Package basis says from what something was computed: how far each stream was folded, and which facts of its
// device were applied.
//
// It is not the input itself (samples and journals are). Invariants of a Basis: sorted by device and stream, each
// stream once. Whatever is computed from telemetry is a function of its basis alone, so two results of one
// training are compared by their bases, never by when they arrived.
package basis

import (
	"cmp"
	"slices"
)

// StreamBasis is one stream's part.
type StreamBasis struct {
	Device        string // "<affinity>/<id>"
	Stream        string
	FoldedThrough uint64 // seq; jumps over skips
	FactsVersion  uint64 // of the device's journal, through which all its facts were applied
}

// Basis is all streams, sorted.
type Basis []StreamBasis

// Of sorts streams into a basis; of two of one stream the newer counts.
func Of(streams ...StreamBasis) Basis {
	b := slices.Clone(Basis(streams))
	slices.SortStableFunc(b, compareNewer)
	return slices.CompactFunc(b, func(x, y StreamBasis) bool { return compare(x, y) == 0 })
}

func compare(x, y StreamBasis) int {
	return cmp.Or(cmp.Compare(x.Device, y.Device), cmp.Compare(x.Stream, y.Stream))
}

// compareNewer puts the newer of one stream first.
func compareNewer(x, y StreamBasis) int {
	return cmp.Or(compare(x, y), cmp.Compare(y.FactsVersion, x.FactsVersion), cmp.Compare(y.FoldedThrough, x.FoldedThrough))
}

// older reports whether x lies before y: fewer facts, or as many and fewer samples.
func (x StreamBasis) older(y StreamBasis) bool {
	return x.FactsVersion < y.FactsVersion || x.FactsVersion == y.FactsVersion && x.FoldedThrough < y.FoldedThrough
}

// Stream is the part of one stream; a stream that is not named stands at the very beginning.
func (b Basis) Stream(device, stream string) StreamBasis {
	want := StreamBasis{Device: device, Stream: stream}
	if i, ok := slices.BinarySearchFunc(b, want, compare); ok {
		return b[i]
	}
	return want
}

// Older reports whether a is older than b in some stream. Of two bases each may be older than the other.
func Older(a, b Basis) bool {
	for _, y := range b {
		if a.Stream(y.Device, y.Stream).older(y) {
			return true
		}
	}
	return false
}

// Equal reports whether both say the same.
func Equal(a, b Basis) bool { return slices.Equal(a, b) }

// Clone is an independent copy.
func (b Basis) Clone() Basis { return slices.Clone(b) }

// Join is, stream by stream, the newer part: whoever has read up to it is older than neither.
func Join(a, b Basis) Basis { return Of(append(slices.Clone(a), b...)...) }

// Version is one number that rises whenever the basis grows: Σ facts_version · 2^40 + Σ folded_through.
func (b Basis) Version() uint64 {
	var v uint64
	for _, s := range b {
		v += s.FactsVersion<<40 + s.FoldedThrough
	}
	return v
}
