package rank

import (
	"slices"

	"paceline/domain/fault"
)

// ErrEntry is the answer to a change whose entry no board can have.
var ErrEntry = fault.New(fault.Invalid, "rank.entry", "This entry number is too high for a board.")

// Change is what has become of an entry between two ticks.
type Change struct {
	Entry Entry
	Gone  bool
	Key   Key // zero if Gone
}

// Watch makes the board remember from now on which entries change. It costs a bit, and 4 bytes for each changed entry.
func (b *Board) Watch() { b.watching = true }

// Changed is how many entries have changed since the last TakeChanges.
func (b *Board) Changed() int { return len(b.changed) }

// TakeChanges appends to dst what has changed since the last call, by entry number, each entry once with its newest key.
// One that has come back to where it was is among them. Applied to a copy as of the last call they make it equal.
func (b *Board) TakeChanges(dst []Change) []Change {
	slices.Sort(b.changed)
	for _, e := range b.changed {
		m := b.find(e)
		*m &^= dirty
		k, ok := b.Key(e)
		dst = append(dst, Change{e, !ok, k})
	}
	b.changed = b.changed[:0]
	return dst
}

// Apply makes another board's changes on this one.
func (b *Board) Apply(changes []Change) error {
	for _, c := range changes {
		switch {
		case c.Entry > MaxEntry:
			return ErrEntry.With("%d", c.Entry)
		case c.Gone:
			b.Remove(c.Entry)
		default:
			b.Set(c.Entry, c.Key)
		}
	}
	return nil
}

// Diff compares two cuts of a board: the rows of after that are new or have another place or key, in its order, and
// the entries that are no longer in it, in the order of before.
func Diff(before, after []Row) (changed []Row, gone []Entry) {
	was := make(map[Entry]Row, len(before))
	for _, r := range before {
		was[r.Entry] = r
	}
	for _, r := range after {
		if old, ok := was[r.Entry]; !ok || old != r {
			changed = append(changed, r)
		}
		delete(was, r.Entry)
	}
	for _, r := range before {
		if _, ok := was[r.Entry]; ok {
			gone = append(gone, r.Entry)
		}
	}
	return changed, gone
}

func (b *Board) note(e Entry, m *mark) {
	if b.watching && *m&dirty == 0 {
		*m |= dirty
		b.changed = append(b.changed, e)
	}
}
