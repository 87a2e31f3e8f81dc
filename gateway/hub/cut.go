package hub

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
)

// aroundRows is how many rows around:ENTRY shows before and after the entry.
const aroundRows = 5

// cut is one selection of a board's rows and who watches it.
type cut struct {
	sub   uint32
	rows  []*livev1.BoardRow // as of frame; never changed, replaced
	head  *livev1.Board      // as of frame; never changed, replaced
	frame *Frame             // the last one; nil before the first
	slots []*Slot
}

// choose returns the rows of a cut, in order of place.
func (r *replica) choose(c wire.Cut) []*livev1.BoardRow {
	switch c.Kind {
	case wire.Top:
		return rowsOf(r.order[:min(int(c.N), len(r.order))])
	case wire.Around:
		e := r.rows[c.N]
		if e == nil {
			return nil
		}
		return rowsOf(r.order[max(0, e.pos-aroundRows):min(len(r.order), e.pos+aroundRows+1)])
	case wire.Category:
		var rows []*livev1.BoardRow
		for _, e := range r.order {
			if e.row.Category == c.Category {
				rows = append(rows, e.row)
			}
		}
		return rows
	case wire.All:
	}
	return rowsOf(r.order)
}

func rowsOf(order []*ranked) []*livev1.BoardRow {
	rows := make([]*livev1.BoardRow, len(order))
	for i, e := range order {
		rows[i] = e.row
	}
	return rows
}

// unchanged reports whether the cut's rows are still these, without making a new list.
func (r *replica) unchanged(c wire.Cut, rows []*livev1.BoardRow) bool {
	from, to := 0, len(r.order)
	switch c.Kind {
	case wire.Top:
		to = min(int(c.N), to)
	case wire.Around:
		e := r.rows[c.N]
		if e == nil {
			return len(rows) == 0
		}
		from, to = max(0, e.pos-aroundRows), min(to, e.pos+aroundRows+1)
	case wire.Category:
		return equal(r.choose(c), rows)
	case wire.All:
	}
	if to-from != len(rows) {
		return false
	}
	for i, e := range r.order[from:to] {
		if e.row != rows[i] {
			return false
		}
	}
	return true
}

func equal(a, b []*livev1.BoardRow) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// diff says how to get from old rows to new ones.
func diff(old, rows []*livev1.BoardRow) (changes []changed, removed []uint32) {
	before := make(map[uint32]*livev1.BoardRow, len(old))
	for _, r := range old {
		before[r.Entry] = r
	}
	for _, r := range rows {
		if was := before[r.Entry]; was != r {
			changes = append(changes, changed{was, r})
		}
		delete(before, r.Entry)
	}
	for _, r := range old { // in order: the bytes do not depend on a map
		if before[r.Entry] != nil {
			removed = append(removed, r.Entry)
		}
	}
	return changes, removed
}

// renew makes the cut's frame for the replica as it is now; nil if it shows what the last one did. force makes one
// even if no row has changed (the header has, or the epoch).
func (c *cut) renew(t wire.Topic, key wire.Cut, r *replica, force bool) *Frame {
	newEpoch := c.frame == nil || c.frame.Epoch != r.epoch
	if !newEpoch && !force && r.unchanged(key, c.rows) {
		return nil
	}
	rows := r.choose(key)
	f := &Frame{Topic: t, Cut: key, Epoch: r.epoch, Version: r.version, Recovering: r.recovering, Sub: c.sub}
	b := board{head: r.head, rows: rows}
	if !newEpoch {
		f.Base, b.base = c.frame.Version, c.head
		b.changed, b.removed = diff(c.rows, rows)
	}
	if !newEpoch && !b.says() {
		f.Base = 0
	}
	f.content = &b
	c.rows, c.head, c.frame = rows, r.head, f
	return f
}
