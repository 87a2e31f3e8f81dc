package rank

import "fmt"

// Check verifies every invariant of the board and says what is broken. It reads all of it: for tests and fuzzing.
func (b *Board) Check() error {
	if b.root == 0 {
		if b.size != 0 || b.height != 0 || b.first != 0 {
			return fmt.Errorf("empty board with size %d, height %d, first leaf %d", b.size, b.height, b.first)
		}
		return nil
	}
	c := checker{board: b, next: b.first}
	count, err := c.node(b.root, b.height, 0)
	if err != nil {
		return err
	}
	if c.next != 0 {
		return fmt.Errorf("leaf %d follows the last one", c.next)
	}
	if count != b.size {
		return fmt.Errorf("%d entries below the root, size says %d", count, b.size)
	}
	marked := 0
	for _, p := range b.pages {
		for i := 0; p != nil && i < pageSize; i++ {
			if p[i].leaf() != 0 {
				marked++
			}
		}
	}
	if marked != b.size {
		return fmt.Errorf("%d entries have a leaf, size says %d", marked, b.size)
	}
	return nil
}

// checker goes through the tree from left to right.
type checker struct {
	board *Board
	prev  ref // leaf before
	next  ref // leaf that must come now
	last  bound
	begun bool
}

func (c *checker) node(at ref, height int, parent ref) (int, error) {
	if height == 0 {
		return c.leaf(at, parent)
	}
	n := c.board.inners.get(at)
	if n.parent != parent {
		return 0, fmt.Errorf("inner %d has parent %d, want %d", at, n.parent, parent)
	}
	if n.n < 2 || n.n > fan || parent != 0 && n.n < lowWater/2 {
		return 0, fmt.Errorf("inner %d has %d children", at, n.n)
	}
	sum := 0
	for i := range int(n.n) {
		if i > 0 && c.begun && before(&c.last.key, c.last.entry, &n.low[i].key, n.low[i].entry) == 0 {
			return 0, fmt.Errorf("inner %d: bound %d is not above what stands before it", at, i)
		}
		first := c.begun
		low := n.low[i]
		count, err := c.node(n.kids[i], height-1, at)
		if err != nil {
			return 0, err
		}
		if k, e := c.first(n.kids[i], height-1); first && i > 0 && before(&k, e, &low.key, low.entry) != 0 {
			return 0, fmt.Errorf("inner %d: bound %d is above its child", at, i)
		}
		if count != int(n.counts[i]) {
			return 0, fmt.Errorf("inner %d counts %d below child %d, there are %d", at, n.counts[i], i, count)
		}
		sum += count
	}
	return sum, nil
}

// first is the first pair below a node.
func (c *checker) first(at ref, height int) (Key, Entry) {
	for ; height > 0; height-- {
		at = c.board.inners.get(at).kids[0]
	}
	l := c.board.leaves.get(at)
	return l.keys[0], l.entries[0]
}

func (c *checker) leaf(at, parent ref) (int, error) {
	b := c.board
	l := b.leaves.get(at)
	switch {
	case at != c.next || l.prev != c.prev:
		return 0, fmt.Errorf("leaf %d is out of the chain", at)
	case l.parent != parent:
		return 0, fmt.Errorf("leaf %d has parent %d, want %d", at, l.parent, parent)
	case l.n < 1 || l.n > leafCap:
		return 0, fmt.Errorf("leaf %d has %d entries", at, l.n)
	case l.n < lowWater/2 && l.prev != 0 && l.next != 0:
		return 0, fmt.Errorf("leaf %d has only %d entries", at, l.n)
	case l.distinct != 0 && int(l.distinct) != distinct(l.keys[:l.n]):
		return 0, fmt.Errorf("leaf %d counts %d different keys", at, l.distinct)
	}
	for i := range int(l.n) {
		now := bound{l.keys[i], l.entries[i]}
		if c.begun && before(&c.last.key, c.last.entry, &now.key, now.entry) == 0 {
			return 0, fmt.Errorf("leaf %d: place %d is out of order", at, i)
		}
		if m := b.find(l.entries[i]); m == nil || m.leaf() != at {
			return 0, fmt.Errorf("entry %d does not know that it is in leaf %d", l.entries[i], at)
		}
		c.last, c.begun = now, true
	}
	c.prev, c.next = at, l.next
	return int(l.n), nil
}
