package rank

// take removes the pair at slot of a leaf and mends what has become too empty.
func (b *Board) take(at ref, l *leaf, slot int) {
	for kid, p := at, l.parent; p != 0; {
		n := b.inners.get(p)
		n.counts[n.at(kid)]--
		kid, p = p, n.parent
	}
	l.cut(slot)
	if l.n < lowWater && l.parent != 0 {
		b.mendLeaf(at, l)
	} else if l.n == 0 { // the only leaf: the board is empty
		b.leaves.drop(at)
		b.root, b.first = 0, 0
	}
}

// mendLeaf merges a leaf with a neighbour under the same parent, or shares with it. There is one: no inner node has
// fewer than two children.
func (b *Board) mendLeaf(at ref, l *leaf) {
	p := b.inners.get(l.parent)
	i := p.at(at)
	if i == int(p.n)-1 {
		i--
	}
	leftAt, rightAt := p.kids[i], p.kids[i+1]
	left, right := b.leaves.get(leftAt), b.leaves.get(rightAt)
	sum := int(left.n + right.n)
	left.distinct, right.distinct = 0, 0
	if sum > highWater {
		b.shareLeaves(leftAt, left, rightAt, right, sum/2)
		p.counts[i], p.counts[i+1] = uint32(left.n), uint32(right.n)
		p.low[i+1] = bound{right.keys[0], right.entries[0]}
		return
	}
	from := int(left.n)
	copy(left.keys[from:], right.keys[:right.n])
	copy(left.entries[from:], right.entries[:right.n])
	left.n = int32(sum)
	b.settle(leftAt, left, from)
	left.next = right.next
	if left.next != 0 {
		b.leaves.get(left.next).prev = leftAt
	}
	b.leaves.drop(rightAt)
	p.counts[i] = uint32(sum)
	p.cut(i + 1)
	b.mendInner(1, left.parent, p)
}

// shareLeaves moves pairs between neighbours until the left one has want.
func (b *Board) shareLeaves(leftAt ref, left *leaf, rightAt ref, right *leaf, want int) {
	ln, rn := int(left.n), int(right.n)
	if d := want - ln; d > 0 {
		copy(left.keys[ln:], right.keys[:d])
		copy(left.entries[ln:], right.entries[:d])
		copy(right.keys[:rn-d], right.keys[d:rn])
		copy(right.entries[:rn-d], right.entries[d:rn])
		left.n, right.n = int32(want), int32(rn-d)
		b.settle(leftAt, left, ln)
		return
	}
	d := ln - want
	copy(right.keys[d:rn+d], right.keys[:rn])
	copy(right.entries[d:rn+d], right.entries[:rn])
	copy(right.keys[:d], left.keys[want:ln])
	copy(right.entries[:d], left.entries[want:ln])
	left.n, right.n = int32(want), int32(rn+d)
	for _, e := range right.entries[:d] {
		m := b.find(e)
		*m = *m&dirty | mark(rightAt)
	}
}

// mendInner does for an inner node of that level what mendLeaf does for a leaf; a root with one child goes.
func (b *Board) mendInner(level int, at ref, n *inner) {
	if n.parent == 0 {
		if n.n == 1 {
			b.root = n.kids[0]
			b.height--
			b.adopt(level, b.root, 0)
			b.inners.drop(at)
		}
		return
	}
	if n.n >= lowWater {
		return
	}
	p := b.inners.get(n.parent)
	i := p.at(at)
	if i == int(p.n)-1 {
		i--
	}
	leftAt, rightAt := p.kids[i], p.kids[i+1]
	left, right := b.inners.get(leftAt), b.inners.get(rightAt)
	sum := int(left.n + right.n)
	if sum <= highWater {
		for _, kid := range right.kids[:right.n] {
			b.adopt(level, kid, leftAt)
		}
		right.pour(left, 0)
		p.counts[i] += p.counts[i+1]
		p.cut(i + 1)
		b.inners.drop(rightAt)
		b.mendInner(level+1, left.parent, p)
		return
	}
	b.shareInners(level, leftAt, left, rightAt, right)
	p.counts[i], p.counts[i+1], p.low[i+1] = left.total(), right.total(), right.low[0]
}

// shareInners moves children between neighbours until both have about the same number.
func (b *Board) shareInners(level int, leftAt ref, left *inner, rightAt ref, right *inner) {
	want := int(left.n+right.n) / 2
	if d := want - int(left.n); d > 0 {
		for _, kid := range right.kids[:d] {
			b.adopt(level, kid, leftAt)
		}
		rest := new(inner)
		right.pour(rest, d)
		right.pour(left, 0)
		rest.pour(right, 0)
		return
	}
	for _, kid := range left.kids[want:left.n] {
		b.adopt(level, kid, rightAt)
	}
	rest := new(inner)
	left.pour(rest, want)
	right.pour(rest, 0)
	rest.pour(right, 0)
}
