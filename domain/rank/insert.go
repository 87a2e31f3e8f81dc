package rank

// insert puts a new pair into its leaf. Counts grow on the way down, since nothing can refuse.
func (b *Board) insert(e Entry, k *Key, m *mark) {
	if b.root == 0 {
		b.root = b.leaves.make()
		b.first = b.root
	}
	at := b.root
	for range b.height {
		n := b.inners.get(at)
		i := n.child(k, e)
		n.counts[i]++
		at = n.kids[i]
	}
	l := b.leaves.get(at)
	i := l.search(k, e)
	if l.n < leafCap {
		l.put(i, k, e)
	} else {
		at = b.splitLeaf(at, l, i, k, e)
	}
	*m = *m&dirty | mark(at)
}

// splitLeaf divides a full leaf and puts (k, e), whose place was i, into one half. At either end of the board the leaf
// stays whole beside a new one: a start list that comes in order fills its leaves.
func (b *Board) splitLeaf(at ref, l *leaf, i int, k *Key, e Entry) ref {
	mid := leafCap / 2
	switch {
	case i == leafCap && l.next == 0:
		mid = leafCap
	case i == 0 && l.prev == 0:
		mid = 0
	}
	rightAt := b.leaves.make()
	r := b.leaves.get(rightAt)
	r.n = int32(copy(r.keys[:], l.keys[mid:]))
	copy(r.entries[:], l.entries[mid:])
	l.n, l.distinct = int32(mid), 0
	r.prev, r.next, l.next = at, l.next, rightAt
	if r.next != 0 {
		b.leaves.get(r.next).prev = rightAt
	}
	b.settle(rightAt, r, 0)
	in := at
	if i > mid || mid == leafCap {
		in = rightAt
		r.put(i-mid, k, e)
	} else {
		l.put(i, k, e)
	}
	l.parent = b.grow(at, l.parent)
	b.addChild(1, l.parent, at, uint32(l.n), child{rightAt, uint32(r.n), bound{r.keys[0], r.entries[0]}})
	return in
}

// child is what an inner node knows of a child.
type child struct {
	at    ref
	count uint32
	low   bound
}

// grow gives a root that is about to split a parent; any other node has one.
func (b *Board) grow(kid, parent ref) ref {
	if parent != 0 {
		return parent
	}
	b.root = b.inners.make()
	b.height++
	n := b.inners.get(b.root)
	n.n, n.kids[0] = 1, kid
	return b.root
}

// addChild puts a new child into p to the right of left, whose count is leftCount from now on; a full p splits first.
// level is p's height: the children of level 1 are leaves.
func (b *Board) addChild(level int, p, left ref, leftCount uint32, c child) {
	n := b.inners.get(p)
	i := n.at(left)
	n.counts[i] = leftCount
	if n.n < fan {
		n.put(i+1, c)
		b.adopt(level, c.at, p)
		return
	}
	const mid = fan / 2
	rightAt := b.inners.make()
	r := b.inners.get(rightAt)
	n.pour(r, mid)
	for _, kid := range r.kids[:r.n] {
		b.adopt(level, kid, rightAt)
	}
	if i < mid {
		n.put(i+1, c)
		b.adopt(level, c.at, p)
	} else {
		r.put(i+1-mid, c)
		b.adopt(level, c.at, rightAt)
	}
	n.parent = b.grow(p, n.parent)
	b.addChild(level+1, n.parent, p, n.total(), child{rightAt, r.total(), r.low[0]})
}

// adopt tells a child who its parent is.
func (b *Board) adopt(level int, kid, parent ref) {
	if level == 1 {
		b.leaves.get(kid).parent = parent
	} else {
		b.inners.get(kid).parent = parent
	}
}

// put makes room for a child at i.
func (n *inner) put(i int, c child) {
	end := int(n.n)
	copy(n.kids[i+1:end+1], n.kids[i:end])
	copy(n.counts[i+1:end+1], n.counts[i:end])
	copy(n.low[i+1:end+1], n.low[i:end])
	n.kids[i], n.counts[i], n.low[i] = c.at, c.count, c.low
	n.n++
}

// cut takes child i out.
func (n *inner) cut(i int) {
	end := int(n.n)
	copy(n.kids[i:end-1], n.kids[i+1:end])
	copy(n.counts[i:end-1], n.counts[i+1:end])
	copy(n.low[i:end-1], n.low[i+1:end])
	n.n--
}

// pour moves the children from i on to the end of r.
func (n *inner) pour(r *inner, i int) {
	copy(r.counts[r.n:], n.counts[i:n.n])
	copy(r.low[r.n:], n.low[i:n.n])
	r.n += int32(copy(r.kids[r.n:], n.kids[i:n.n]))
	n.n = int32(i)
}
