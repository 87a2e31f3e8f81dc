package rank

import "paceline/domain/unit"

// Entry is the number that a race or a board gives to who takes part: small numbers, counted up from 0 or 1. The memory
// of a board grows with the highest entry it has seen.
type Entry uint32

// MaxEntry is the highest entry a board takes.
const MaxEntry Entry = 1<<24 - 1

// Key is what a board orders by: 128 bits, the first word before the second, smaller is better. Two full numbers fit
// (Asc, Desc), or more that are packed, as Race does. It is this short because a big board's speed is that of memory.
type Key [2]uint64

// Less reports whether k stands before l.
func (k Key) Less(l Key) bool { return k[0] < l[0] || k[0] == l[0] && k[1] < l[1] }

// Compare is -1, 0 or +1.
func (k Key) Compare(l Key) int {
	switch {
	case k == l:
		return 0
	case k.Less(l):
		return -1
	}
	return 1
}

// Asc is the word for a number of which less is better.
func Asc(v int64) uint64 { return uint64(v) ^ 1<<63 }

// Desc is the word for a number of which more is better.
func Desc(v int64) uint64 { return ^Asc(v) }

// Race is what a race in progress ranks by, in this order: Class ascending, Gates descending, Last ascending,
// Progress descending.
type Race struct {
	Class    uint8 // 0 for who is in the race; higher ones stand below: unranked, DNF, DSQ, DNS as the race defines them
	Gates    uint16
	Last     unit.InstantUs // at the last gate passed: an instant, or a length of time for net order; 1685 to 2255
	Progress unit.DistanceMm
}

// A race's key, from the highest bit: 8 class, 16 gates, 54 time, 50 progress. What does not fit is clamped.
const (
	lastBits     = 54
	progressBits = 50
	lastSplit    = 64 - progressBits // bits of the time that share a word with the progress
	lastBias     = 1 << (lastBits - 1)
)

// Key packs a race.
func (r Race) Key() Key {
	last := uint64(min(max(int64(r.Last), -lastBias), lastBias-1) + lastBias)
	progress := uint64(1)<<progressBits - 1 - uint64(min(max(int64(r.Progress), 0), 1<<progressBits-1))
	return Key{
		uint64(r.Class)<<56 | uint64(^r.Gates)<<40 | last>>lastSplit,
		last<<progressBits | progress,
	}
}

// RaceOf unpacks what Race.Key packed.
func RaceOf(k Key) Race {
	return Race{
		Class:    uint8(k[0] >> 56),
		Gates:    ^uint16(k[0] >> 40),
		Last:     unit.InstantUs(int64(k[0]<<24>>24<<lastSplit|k[1]>>progressBits) - lastBias),
		Progress: unit.DistanceMm(uint64(1)<<progressBits - 1 - k[1]<<lastSplit>>lastSplit),
	}
}
