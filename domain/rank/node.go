package rank

import (
	"math/bits"
	"unsafe"
)

const (
	leafCap = 64
	fan     = 64
	// A node that falls below lowWater is merged with a neighbour if the two have at most highWater, else they share
	// evenly. highWater is less than a full node, so that a merge is not followed by a split at once.
	lowWater  = 32
	highWater = 56
	// Nodes are made in blocks, so that growing never copies the board.
	blockBits = 3
	blockSize = 1 << blockBits
	pageBits  = 10
	pageSize  = 1 << pageBits
)

// ref numbers a node: of the leaves or of the inner nodes, by the height it is met at. 0 is none.
type ref uint32

// leaf holds up to leafCap entries in order. Keys and entries lie apart: finding an entry reads 256 bytes.
type leaf struct {
	entries    [leafCap]Entry
	n          int32
	distinct   int32 // different keys in here, 0 if not counted since the last change
	parent     ref
	prev, next ref
	keys       [leafCap]Key
}

// bound is a lower bound of a child: key and entry.
type bound struct {
	key   Key
	entry Entry
}

// inner has up to fan children. low[i] is <= everything below child i and > everything below child i-1; low[0] is what
// the parent says of this node.
type inner struct {
	kids   [fan]ref
	counts [fan]uint32
	n      int32
	parent ref
	low    [fan]bound
}

// before is 1 if (k, e) stands before (l, f), else 0. It does not branch: one subtraction of three words, of which only the
// borrow is kept. So the comparisons of a search do not wait for each other, nor do their cache misses.
func before(k *Key, e Entry, l *Key, f Entry) int {
	_, borrow := bits.Sub64(uint64(e), uint64(f), 0)
	_, borrow = bits.Sub64(k[1], l[1], borrow)
	_, borrow = bits.Sub64(k[0], l[0], borrow)
	return int(borrow)
}

// stride is how far apart the first looks of a search are; the second looks are at what lies between two of them.
const stride = 8

// child is the index of the child that (k, e) belongs to: how many bounds, but the first, do not stand after it.
func (n *inner) child(k *Key, e Entry) int {
	group, end := 0, int(n.n)
	for i := stride; i < end; i += stride {
		group += 1 - before(k, e, &n.low[i&(fan-1)].key, n.low[i&(fan-1)].entry)
	}
	found := group * stride
	for i := found + 1; i < min(found+stride, end); i++ {
		group += 1 - before(k, e, &n.low[i&(fan-1)].key, n.low[i&(fan-1)].entry)
	}
	return found + group - found/stride
}

// at is the index of a child.
func (n *inner) at(kid ref) int {
	for i := range n.kids {
		if n.kids[i] == kid {
			return i
		}
	}
	panic("rank: a node is not among its parent's children")
}

// total is how many entries lie below.
func (n *inner) total() uint32 {
	var sum uint32
	for _, c := range n.counts[:n.n] {
		sum += c
	}
	return sum
}

// less reports whether place i of the leaf stands before (k, e).
func (l *leaf) less(i int, k *Key, e Entry) bool { return before(&l.keys[i], l.entries[i], k, e) != 0 }

// search is the first place of the leaf that does not stand before (k, e).
func (l *leaf) search(k *Key, e Entry) int {
	group, end := 0, int(l.n)
	for i := stride - 1; i < end; i += stride {
		group += before(&l.keys[i&(leafCap-1)], l.entries[i&(leafCap-1)], k, e)
	}
	found := group * stride
	for i := found; i < min(found+stride-1, end); i++ {
		group += before(&l.keys[i&(leafCap-1)], l.entries[i&(leafCap-1)], k, e)
	}
	return found + group - found/stride
}

// slot is the place of an entry that is in the leaf.
func (l *leaf) slot(e Entry) int {
	for i := range l.entries {
		if l.entries[i] == e && i < int(l.n) {
			return i
		}
	}
	panic("rank: an entry is not in its leaf")
}

// put makes room at i.
func (l *leaf) put(i int, k *Key, e Entry) {
	n := int(l.n)
	copy(l.keys[i+1:n+1], l.keys[i:n])
	copy(l.entries[i+1:n+1], l.entries[i:n])
	l.keys[i], l.entries[i] = *k, e
	l.n, l.distinct = l.n+1, 0
}

// cut takes place i out.
func (l *leaf) cut(i int) {
	n := int(l.n)
	copy(l.keys[i:n-1], l.keys[i+1:n])
	copy(l.entries[i:n-1], l.entries[i+1:n])
	l.n, l.distinct = l.n-1, 0
}

// store keeps nodes in blocks and remembers the freed ones.
type store[T any] struct {
	blocks []*[blockSize]T
	used   ref // highest node given out
	free   []ref
}

func (s *store[T]) get(r ref) *T { return &s.blocks[r>>blockBits][r&(blockSize-1)] }

func (s *store[T]) make() ref {
	if n := len(s.free); n > 0 {
		r := s.free[n-1]
		s.free = s.free[:n-1]
		*s.get(r) = *new(T)
		return r
	}
	s.used++ // 0 is never given out
	if int(s.used>>blockBits) >= len(s.blocks) {
		s.blocks = append(s.blocks, new([blockSize]T))
	}
	return s.used
}

func (s *store[T]) drop(r ref) { s.free = append(s.free, r) }

func (s *store[T]) bytes() int {
	var t T
	return len(s.blocks)*blockSize*int(unsafe.Sizeof(t)) + cap(s.blocks)*8 + cap(s.free)*4
}
