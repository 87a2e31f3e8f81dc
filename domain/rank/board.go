package rank

import "fmt"

// Ties says how places are counted after equal keys.
type Ties uint8

// The two ways of counting.
const (
	Competition Ties = 0 // 1, 2, 2, 4
	Dense       Ties = 1 // 1, 2, 2, 3
)

// Board keeps entries in the order of their keys. The zero value is an empty board with Competition places.
type Board struct {
	ties   Ties
	size   int
	height int // of inner nodes above the leaves
	root   ref // a leaf if height is 0
	first  ref // leaf
	leaves store[leaf]
	inners store[inner]
	pages  []*[pageSize]mark // by entry

	watching bool
	changed  []Entry
}

// mark says of an entry in which leaf it is, and whether it has changed since the last TakeChanges.
type mark uint32

const dirty mark = 1 << 31

func (m mark) leaf() ref { return ref(m &^ dirty) }

// New is an empty board.
func New(t Ties) *Board { return &Board{ties: t} }

// Len is how many entries the board has.
func (b *Board) Len() int { return b.size }

// Set puts an entry where its key belongs, or moves it there; false if it has had that key already.
// An entry above MaxEntry is a broken invariant of the caller: it panics.
func (b *Board) Set(e Entry, k Key) bool {
	m := b.mark(e)
	at := m.leaf()
	if at == 0 {
		b.insert(e, &k, m)
		b.size++
		b.note(e, m)
		return true
	}
	l := b.leaves.get(at)
	slot := l.slot(e)
	if l.keys[slot] == k {
		return false
	}
	if !l.move(slot, &k) {
		b.take(at, l, slot)
		*m = *m & dirty
		b.insert(e, &k, m)
	}
	b.note(e, m)
	return true
}

// Remove takes an entry off the board; false if it is not there.
func (b *Board) Remove(e Entry) bool {
	m := b.find(e)
	if m == nil || m.leaf() == 0 {
		return false
	}
	at := m.leaf()
	l := b.leaves.get(at)
	b.take(at, l, l.slot(e))
	*m = *m & dirty
	b.size--
	b.note(e, m)
	return true
}

// Key is an entry's key.
func (b *Board) Key(e Entry) (Key, bool) {
	m := b.find(e)
	if m == nil || m.leaf() == 0 {
		return Key{}, false
	}
	l := b.leaves.get(m.leaf())
	return l.keys[l.slot(e)], true
}

// Bytes is the memory that the board holds.
func (b *Board) Bytes() int {
	pages := 0
	for _, p := range b.pages {
		if p != nil {
			pages++
		}
	}
	return b.leaves.bytes() + b.inners.bytes() + pages*pageSize*4 + cap(b.pages)*8 + cap(b.changed)*4
}

// move gives the entry at slot a new key if it stays in this leaf: between the leaf's ends, or beyond an end of
// the whole board. Its neighbours make way one by one, since most moves are short.
func (l *leaf) move(slot int, k *Key) bool {
	e, last := l.entries[slot], int(l.n)-1
	if l.prev != 0 && before(k, e, &l.keys[0], l.entries[0]) != 0 || l.next != 0 && l.less(last, k, e) {
		return false
	}
	for slot > 0 && !l.less(slot-1, k, e) {
		l.keys[slot], l.entries[slot] = l.keys[slot-1], l.entries[slot-1]
		slot--
	}
	for slot < last && l.less(slot+1, k, e) {
		l.keys[slot], l.entries[slot] = l.keys[slot+1], l.entries[slot+1]
		slot++
	}
	l.keys[slot], l.entries[slot], l.distinct = *k, e, 0
	return true
}

// find is the mark of an entry, nil if it never had one.
func (b *Board) find(e Entry) *mark {
	if p := int(e >> pageBits); p < len(b.pages) && b.pages[p] != nil {
		return &b.pages[p][e&(pageSize-1)]
	}
	return nil
}

// mark is the mark of an entry, made if need be.
func (b *Board) mark(e Entry) *mark {
	p := int(e >> pageBits)
	if p >= len(b.pages) || b.pages[p] == nil {
		if e > MaxEntry {
			panic(fmt.Sprintf("rank: entry %d is above MaxEntry", e))
		}
		for p >= len(b.pages) {
			b.pages = append(b.pages, nil)
		}
		b.pages[p] = new([pageSize]mark)
	}
	return &b.pages[p][e&(pageSize-1)]
}

// settle notes that the entries of a leaf from i on are in it.
func (b *Board) settle(at ref, l *leaf, i int) {
	for _, e := range l.entries[i:l.n] {
		m := b.find(e)
		*m = *m&dirty | mark(at)
	}
}
