package leaderboard

import (
	"cmp"
	"slices"

	"paceline/domain/rank"
	"paceline/domain/unit"
)

// Status of a contender. Wire and stored value: append only.
type Status uint8

// The statuses.
const (
	Entered  Status = 1
	Racing   Status = 2
	Finished Status = 3
	DNS      Status = 4
	DNF      Status = 5
	DSQ      Status = 6
)

var statusNames = [...]string{Entered: "entered", Racing: "racing", Finished: "finished", DNS: "dns", DNF: "dnf", DSQ: "dsq"}

func (s Status) String() string {
	if int(s) < len(statusNames) && statusNames[s] != "" {
		return statusNames[s]
	}
	return "unknown"
}

// Class is the group in which a status stands: 0 has places, higher ones stand below and have none.
func (s Status) Class() uint8 {
	switch s {
	case Racing, Finished:
		return 0
	case DNF:
		return 2
	case DNS:
		return 3
	case DSQ:
		return 4
	case Entered:
	}
	return 1
}

// Base is where an entry's time begins. Wire and stored value: append only.
type Base uint8

// The time bases.
const (
	Gun Base = 1 // the entry's own gun
	Net Base = 2 // the start gate, if the course has one and it was crossed; else the gun
)

// Key is one link of a chain.
type Key uint8

// The keys.
const (
	ByStatus   Key = 1 // Status.Class
	ByReview   Key = 2 // of those in the race, who is under review stands behind who is not
	ByGates    Key = 3 // more gates reached
	ByLastGate Key = 4 // less time, on the ranking's base, at the last gate reached; of two DNF the earlier instant
	ByProgress Key = 5 // further along the course
)

// Ranking is what a board ranks by, as data.
type Ranking struct {
	Base Base
	Keys []Key
	Ties rank.Ties
	// ReviewPlaced gives a place also to who is under review.
	ReviewPlaced bool
}

// Live is the order of a race in progress.
func Live(b Base) Ranking {
	return Ranking{Base: b, Keys: []Key{ByStatus, ByGates, ByLastGate, ByProgress}, ReviewPlaced: true}
}

// Result is the order of a result: finishers by time; then who is under review; DNF by gates and the instant of the
// last one; DNS; DSQ. Progress is floating point somewhere on its way and never in a result.
func Result(b Base) Ranking {
	return Ranking{Base: b, Keys: []Key{ByStatus, ByReview, ByGates, ByLastGate}}
}

// Contender is what a ranking may look at.
type Contender struct {
	Entry    uint32
	Status   Status
	Review   bool
	Reached  int            // number of the last gate passed, plus one; 0: none
	Last     unit.InstantUs // when that was
	GunAt    unit.InstantUs // the entry's own gun
	StartAt  unit.InstantUs // start gate, or GunAt
	Penalty  unit.DurationUs
	Progress unit.DistanceMm
}

// Time is how long the contender took to the last gate reached, penalties included; 0 before the first.
func (c *Contender) Time(b Base) unit.DurationUs {
	if c.Reached == 0 {
		return 0
	}
	from := c.GunAt
	if b == Net {
		from = c.StartAt
	}
	return c.Last.Sub(from) + c.Penalty
}

// Race packs the live order: rank.Key of it orders as Live(b) does.
func (c *Contender) Race(b Base) rank.Race {
	return rank.Race{Class: c.Status.Class(), Gates: uint16(c.Reached), Last: unit.InstantUs(c.Time(b)), Progress: c.Progress}
}

// Compare orders two contenders by the chain; 0 is a tie.
func (r Ranking) Compare(a, b *Contender) int {
	for _, k := range r.Keys {
		if o := r.compareBy(k, a, b); o != 0 {
			return o
		}
	}
	return 0
}

func (r Ranking) compareBy(k Key, a, b *Contender) int {
	switch k {
	case ByStatus:
		return cmp.Compare(a.Status.Class(), b.Status.Class())
	case ByReview:
		if a.Status.Class() != 0 {
			return 0 // whoever has no place loses none
		}
		return cmp.Compare(bit(a.Review), bit(b.Review))
	case ByGates:
		return cmp.Compare(b.Reached, a.Reached)
	case ByLastGate:
		if a.Status == DNF && b.Status == DNF {
			return cmp.Compare(a.Last, b.Last)
		}
		return cmp.Compare(a.Time(r.Base), b.Time(r.Base))
	case ByProgress:
		return cmp.Compare(b.Progress, a.Progress)
	}
	return 0
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Placed reports whether a contender has a place in this ranking at all.
func (r Ranking) Placed(c *Contender) bool {
	return c.Status.Class() == 0 && (r.ReviewPlaced || !c.Review && c.Status == Finished)
}

// Sort puts contenders in order and says each one's place; 0: none. Equal ones share a place.
func (r Ranking) Sort(all []Contender) (places []uint32) {
	slices.SortFunc(all, func(a, b Contender) int {
		return cmp.Or(r.Compare(&a, &b), cmp.Compare(a.Entry, b.Entry))
	})
	places = make([]uint32, len(all))
	n, place, last := uint32(0), uint32(0), -1
	for i := range all {
		if !r.Placed(&all[i]) {
			continue
		}
		n++
		if last < 0 || r.Compare(&all[last], &all[i]) != 0 {
			if place++; r.Ties == rank.Competition {
				place = n
			}
		}
		places[i], last = place, i
	}
	return places
}
