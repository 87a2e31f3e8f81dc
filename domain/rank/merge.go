package rank

import "paceline/domain/fault"

// ErrEntryTwice is the answer to a merge of boards that share an entry.
var ErrEntryTwice = fault.New(fault.Conflict, "rank.entry_twice", "An entry stands on two of the boards.")

// Merge makes one board of several, such as those of heats. The boards stay as they are.
func Merge(t Ties, boards ...*Board) (*Board, error) {
	m := New(t)
	for s := newStreams(boards); len(s) > 0; s.next() {
		l, i := s[0].leaf, s[0].slot
		if _, twice := m.Key(l.entries[i]); twice {
			return nil, ErrEntryTwice.With("%d", l.entries[i])
		}
		m.Set(l.entries[i], l.keys[i])
	}
	return m, nil
}

// TopAcross appends to dst the n best rows of several boards with the places they have together.
func TopAcross(dst []Row, t Ties, n int, boards ...*Board) []Row {
	place, index := 1, 0
	var last Key
	for s := newStreams(boards); len(s) > 0 && index < n; s.next() {
		l, i := s[0].leaf, s[0].slot
		if k := l.keys[i]; index > 0 && k != last {
			place++
			if t == Competition {
				place = index + 1
			}
		}
		last = l.keys[i]
		dst = append(dst, Row{l.entries[i], place, last})
		index++
	}
	return dst
}

// PlaceAcross is the Competition place that a key has or would have on several boards together.
func PlaceAcross(k Key, boards ...*Board) int {
	place := 1
	for _, b := range boards {
		place += b.CountBefore(k)
	}
	return place
}

// stream reads one board in order.
type stream struct {
	board *Board
	leaf  *leaf
	slot  int
}

// streams is a heap of what is left to read, the best row first.
type streams []stream

func newStreams(boards []*Board) streams {
	var s streams
	for _, b := range boards {
		if b.size > 0 {
			s = append(s, stream{b, b.leaves.get(b.first), 0})
		}
	}
	for i := len(s)/2 - 1; i >= 0; i-- {
		s.sink(i)
	}
	return s
}

func (s *streams) next() {
	h := *s
	top := &h[0]
	if top.slot++; top.slot == int(top.leaf.n) {
		if top.leaf.next == 0 {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		} else {
			top.leaf, top.slot = top.board.leaves.get(top.leaf.next), 0
		}
	}
	*s = h
	h.sink(0)
}

func (s streams) sink(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(s); c++ {
			a, b := &s[least], &s[c]
			if b.leaf.less(b.slot, &a.leaf.keys[a.slot], a.leaf.entries[a.slot]) {
				least = c
			}
		}
		if least == i {
			return
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
