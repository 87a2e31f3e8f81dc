package rank

import "paceline/domain/unit"

// Entry is the number that a race or a board gives to who takes part: small numbers, counted up from 0 or 1. The memory
// of a board grows with the highest entry it has seen.
type Entry uint32

// MaxEntry is the highest entry a board takes.
const MaxEntry Entry = 1<<24 - 1

// Key is what a board orders by: three words compared one after another, smaller is better.
type Key [3]uint64

// Less reports whether k stands before l.
func (k Key) Less(l Key) bool {
	if k[0] != l[0] {
		return k[0] < l[0]
	}
	if k[1] != l[1] {
		return k[1] < l[1]
	}
	return k[2] < l[2]
}

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
	Gates    uint32
	Last     unit.InstantUs // the time that counts at the last gate passed: an instant, or a length for net order
	Progress unit.DistanceMm
}

// Key packs a race.
func (r Race) Key() Key {
	return Key{uint64(r.Class)<<32 | uint64(^r.Gates), Asc(int64(r.Last)), Desc(int64(r.Progress))}
}

// RaceOf unpacks what Race.Key packed.
func RaceOf(k Key) Race {
	return Race{
		Class:    uint8(k[0] >> 32),
		Gates:    ^uint32(k[0]),
		Last:     unit.InstantUs(k[1] ^ 1<<63),
		Progress: unit.DistanceMm(^k[2] ^ 1<<63),
	}
}
