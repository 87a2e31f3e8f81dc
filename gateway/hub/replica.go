package hub

import (
	"cmp"
	"slices"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
)

// replica is this node's copy of one competition's board.
type replica struct {
	epoch, version uint64
	recovering     bool
	head           *livev1.Board // without rows
	rows           map[uint32]*ranked
	order          []*ranked // by place; those without one last
	known          bool      // a snapshot has come
	momentAt       unit.InstantMs
}

// ranked is a row and where it stands. Row and spot are replaced, never changed: cuts compare by pointer.
type ranked struct {
	row  *livev1.BoardRow
	spot *spot
	pos  int
}

func newReplica() *replica {
	return &replica{head: &livev1.Board{}, rows: map[uint32]*ranked{}}
}

// change is what an update did.
type change struct {
	head bool // the header or the recovering mark
	rows []*livev1.BoardRow
	gone []uint32
	spot bool // somebody is elsewhere on the ground, perhaps with the same row
}

func (c *change) any() bool { return c.head || len(c.rows) > 0 || len(c.gone) > 0 || c.spot }

// replace takes a snapshot. Rows that say the same keep their identity.
func (r *replica) replace(b *livev1.Board) change {
	var c change
	seen := make(map[uint32]bool, len(b.Rows))
	for _, row := range b.Rows {
		seen[row.GetEntry()] = true
	}
	for entry := range r.rows {
		if !seen[entry] {
			delete(r.rows, entry)
			c.gone = append(c.gone, entry)
		}
	}
	r.take(b, &c)
	r.known = true
	return c
}

// amend takes a delta.
func (r *replica) amend(b *livev1.Board) change {
	var c change
	for _, entry := range b.Removed {
		if r.rows[entry] != nil {
			delete(r.rows, entry)
			c.gone = append(c.gone, entry)
		}
	}
	r.take(b, &c)
	return c
}

func (r *replica) take(b *livev1.Board, c *change) {
	sorted := len(c.gone) == 0
	for _, row := range b.Rows {
		if row == nil {
			continue
		}
		// Where somebody is on the ground is for the audiences of positions that may know it: boards say how far
		// somebody is, and are for everybody.
		lat, lon := row.LatE7, row.LonE7
		row.LatE7, row.LonE7 = 0, 0
		have := r.rows[row.Entry]
		switch {
		case have == nil:
			have = &ranked{row: row}
			r.rows[row.Entry] = have
			sorted = false
			c.rows = append(c.rows, row)
		case !same(have.row, row):
			sorted = sorted && compare(have.row, row) == 0
			have.row = row
			c.rows = append(c.rows, row)
		}
		if s := have.spot; s == nil || s.row != have.row || s.lat != lat || s.lon != lon {
			have.spot, c.spot = &spot{have.row, lat, lon}, true
		}
	}
	if !sorted {
		r.sort()
	}
	head := &livev1.Board{State: b.State, GunAtMs: b.GunAtMs, AtMs: b.AtMs, CourseLengthMm: b.CourseLengthMm, Entries: b.Entries, Gates: b.Gates, StaleSinceMs: b.StaleSinceMs}
	c.head = head.State != r.head.State || head.GunAtMs != r.head.GunAtMs || head.CourseLengthMm != r.head.CourseLengthMm ||
		head.Entries != r.head.Entries || head.Gates != r.head.Gates || head.StaleSinceMs != r.head.StaleSinceMs
	r.head = head
}

func (r *replica) sort() {
	if len(r.order) != len(r.rows) || !r.holdsAll() {
		r.order = r.order[:0]
		for _, e := range r.rows {
			r.order = append(r.order, e)
		}
	}
	slices.SortFunc(r.order, func(a, b *ranked) int { return compare(a.row, b.row) })
	for i, e := range r.order {
		e.pos = i
	}
}

// holdsAll reports whether order has exactly the rows: then it is nearly sorted already.
func (r *replica) holdsAll() bool {
	for _, e := range r.order {
		if r.rows[e.row.Entry] != e {
			return false
		}
	}
	return true
}

// compare orders by place; rows without a place last, furthest first.
func compare(a, b *livev1.BoardRow) int {
	if (a.Place == 0) != (b.Place == 0) {
		if a.Place == 0 {
			return 1
		}
		return -1
	}
	if c := cmp.Compare(a.Place, b.Place); c != 0 {
		return c
	}
	if a.Place == 0 {
		if c := cmp.Compare(b.ProgressMm, a.ProgressMm); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Entry, b.Entry)
}

// same compares what a row says, without reflection.
func same(a, b *livev1.BoardRow) bool {
	return a.Entry == b.Entry && a.Place == b.Place && a.GatesPassed == b.GatesPassed && a.GateAtMs == b.GateAtMs &&
		a.GapMs == b.GapMs && a.GapMm == b.GapMm && a.ProgressMm == b.ProgressMm && a.Status == b.Status &&
		a.UnderReview == b.UnderReview && a.Unconfirmed == b.Unconfirmed && a.OfflineSinceMs == b.OfflineSinceMs &&
		a.NetMs == b.NetMs && a.GunMs == b.GunMs && a.OffCourse == b.OffCourse && a.LatE7 == b.LatE7 &&
		a.LonE7 == b.LonE7 && a.Heat == b.Heat && a.Category == b.Category && a.PositionAtMs == b.PositionAtMs
}

// standing is an entry's place with the gaps to its neighbours.
func (r *replica) standing(competition string, entry uint32) *livev1.Standing {
	e := r.rows[entry]
	if !r.known || e == nil {
		return nil
	}
	s := &livev1.Standing{CompetitionId: competition, Entry: entry, Place: e.row.Place, Epoch: r.epoch, Version: r.version}
	if left := r.head.CourseLengthMm - e.row.ProgressMm; left > 0 {
		s.ToGoMm = left
	}
	if e.row.Place == 0 {
		return s
	}
	if e.pos > 0 {
		s.GapAheadMs = e.row.GapMs - r.order[e.pos-1].row.GapMs
	}
	if e.pos+1 < len(r.order) && r.order[e.pos+1].row.Place != 0 {
		s.GapBehindMs = r.order[e.pos+1].row.GapMs - e.row.GapMs
	}
	return s
}
