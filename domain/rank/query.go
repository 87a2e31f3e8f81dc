package rank

import "iter"

// Row is one line of a board.
type Row struct {
	Entry Entry
	Place int // from 1; equal keys share one
	Key   Key
}

// Index is how many stand before an entry in the total order.
func (b *Board) Index(e Entry) (int, bool) {
	m := b.find(e)
	if m == nil || m.leaf() == 0 {
		return 0, false
	}
	l := b.leaves.get(m.leaf())
	return b.before(m.leaf(), l) + l.slot(e), true
}

// Place is an entry's place, from 1. Under Dense it reads every leaf before the entry's own; else it costs as much
// as Index.
func (b *Board) Place(e Entry) (int, bool) {
	m := b.find(e)
	if m == nil || m.leaf() == 0 {
		return 0, false
	}
	l := b.leaves.get(m.leaf())
	return b.placeAt(m.leaf(), l, l.slot(e)), true
}

// CountBefore is how many entries have a better key.
func (b *Board) CountBefore(k Key) int {
	if b.root == 0 {
		return 0
	}
	at, sum := b.root, 0
	for range b.height {
		n := b.inners.get(at)
		i := n.child(&k, 0)
		for _, c := range n.counts[:i] {
			sum += int(c)
		}
		at = n.kids[i]
	}
	return sum + b.leaves.get(at).search(&k, 0)
}

// At is the row at an index of the total order.
func (b *Board) At(index int) (Row, bool) {
	if index < 0 || index >= b.size {
		return Row{}, false
	}
	at, i := b.seek(index)
	l := b.leaves.get(at)
	return Row{l.entries[i], b.placeAt(at, l, i), l.keys[i]}, true
}

// Window appends n rows from an index on to dst; fewer at the ends of the board.
func (b *Board) Window(dst []Row, from, n int) []Row {
	if from < 0 {
		n, from = n+from, 0
	}
	n = min(n, b.size-from)
	if n <= 0 {
		return dst
	}
	at, i := b.seek(from)
	l := b.leaves.get(at)
	place := b.placeAt(at, l, i)
	for index := from; ; index++ {
		dst = append(dst, Row{l.entries[i], place, l.keys[i]})
		if n--; n == 0 {
			return dst
		}
		k := l.keys[i]
		if i++; i == int(l.n) {
			at, i = l.next, 0
			l = b.leaves.get(at)
		}
		if l.keys[i] != k {
			place = b.placeAfter(place, index)
		}
	}
}

// Top appends the n best rows to dst.
func (b *Board) Top(dst []Row, n int) []Row { return b.Window(dst, 0, n) }

// Around appends an entry's row to dst with those ahead of it and behind it; nothing if it is not on the board.
func (b *Board) Around(dst []Row, e Entry, ahead, behind int) []Row {
	i, ok := b.Index(e)
	if !ok {
		return dst
	}
	from := max(0, i-ahead)
	return b.Window(dst, from, i-from+1+behind)
}

// All goes through the board in order. The board must not change meanwhile.
func (b *Board) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		place, index := 1, 0
		var last Key
		for at := b.first; at != 0; at = b.leaves.get(at).next {
			l := b.leaves.get(at)
			for i := range int(l.n) {
				if index > 0 && l.keys[i] != last {
					place = b.placeAfter(place, index-1)
				}
				if !yield(Row{l.entries[i], place, l.keys[i]}) {
					return
				}
				last, index = l.keys[i], index+1
			}
		}
	}
}

// placeAfter is the place of the row after index if its key differs from that of the row at index, whose place is given.
func (b *Board) placeAfter(place, index int) int {
	if b.ties == Dense {
		return place + 1
	}
	return index + 2
}

// before is how many entries stand in the leaves before this one.
func (b *Board) before(at ref, l *leaf) int {
	sum := 0
	for kid, p := at, l.parent; p != 0; {
		n := b.inners.get(p)
		for i := range n.kids {
			if n.kids[i] == kid {
				break
			}
			sum += int(n.counts[i])
		}
		kid, p = p, n.parent
	}
	return sum
}

// seek finds the leaf and the slot of an index.
func (b *Board) seek(index int) (ref, int) {
	at := b.root
	for range b.height {
		n := b.inners.get(at)
		i := 0
		for index >= int(n.counts[i]) {
			index -= int(n.counts[i])
			i++
		}
		at = n.kids[i]
	}
	return at, index
}

// placeAt is the place of a slot.
func (b *Board) placeAt(at ref, l *leaf, slot int) int {
	k := l.keys[slot]
	if b.ties == Dense {
		return b.densePlace(at, slot)
	}
	for slot > 0 && l.keys[slot-1] == k {
		slot--
	}
	if slot == 0 && l.prev != 0 {
		if p := b.leaves.get(l.prev); p.keys[p.n-1] == k {
			return 1 + b.CountBefore(k)
		}
	}
	return 1 + b.before(at, l) + slot
}

// densePlace counts the different keys up to a slot.
func (b *Board) densePlace(target ref, slot int) int {
	place := 0
	var last Key
	for at := b.first; ; {
		l := b.leaves.get(at)
		if place > 0 && l.keys[0] == last {
			place--
		}
		if at == target {
			return place + distinct(l.keys[:slot+1])
		}
		if l.distinct == 0 {
			l.distinct = int32(distinct(l.keys[:l.n]))
		}
		place, last, at = place+int(l.distinct), l.keys[l.n-1], l.next
	}
}

// distinct counts the different keys of an ordered run.
func distinct(keys []Key) int {
	n := 1
	for i := 1; i < len(keys); i++ {
		if keys[i] != keys[i-1] {
			n++
		}
	}
	return n
}
