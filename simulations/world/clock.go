package world

import (
	"container/heap"
	"math/rand/v2"

	"paceline/domain/step"
	"paceline/domain/unit"
)

// event is something that happens at a wall instant; n keeps the order of those at one instant.
type event struct {
	at unit.InstantMs
	n  uint64
	do func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

// clock is the virtual time of a world and the draw of its misfortunes.
type clock struct {
	wall   unit.InstantMs
	origin unit.InstantMs // node clock at wall 0
	agenda agenda
	n      uint64
	rand   *rand.Rand
}

func newClock(seed uint64, origin unit.InstantMs) clock {
	return clock{wall: 1_700_000_000_000, origin: origin, rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))}
}

// in does f after d of wall time.
func (c *clock) in(d unit.DurationMs, f func()) {
	c.n++
	heap.Push(&c.agenda, event{c.wall.Add(max(d, 0)), c.n, f})
}

// next does the next thing on the agenda; false: nothing is left, or nothing before the deadline.
func (c *clock) next(deadline unit.InstantMs) bool {
	if len(c.agenda) == 0 || c.agenda[0].at > deadline {
		return false
	}
	e := heap.Pop(&c.agenda).(event)
	c.wall = max(c.wall, e.at)
	e.do()
	return true
}

const wallStart = unit.InstantMs(1_700_000_000_000)

// now is what a step object is told; the node clock runs at the wall's rate from an origin of its own.
func (c *clock) now() step.Now {
	return step.Now{Wall: c.wall, Node: c.node(c.wall), WallOfNode: func(t unit.InstantMs) unit.InstantMs {
		return wallStart + (t - c.origin)
	}}
}

func (c *clock) node(wall unit.InstantMs) unit.InstantMs { return c.origin + (wall - wallStart) }

// chance draws true with probability p.
func (c *clock) chance(p float64) bool { return p > 0 && c.rand.Float64() < p }

// upTo draws a length of time from 0 to d.
func (c *clock) upTo(d unit.DurationMs) unit.DurationMs {
	if d <= 0 {
		return 0
	}
	return unit.DurationMs(c.rand.Int64N(int64(d) + 1))
}
