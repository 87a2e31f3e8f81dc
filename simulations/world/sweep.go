package world

import (
	"slices"

	"paceline/cluster/wakeup"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// sweeper carries a node's wake-up sweeper for as long as the node lives.
type sweeper struct {
	w      *World
	n      *node
	life   uint64
	s      *wakeup.Sweeper
	timers map[string]uint64
}

// shards are those of the plan's grains: the other ones hold nothing, and reading them only costs time.
func (p *plan) shards() []int {
	var all []int
	for _, g := range p.grains() {
		all = append(all, persistence.ShardOf(g))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// startSweep gives a node its sweeper. Both nodes sweep all shards: two owners at once only fire twice.
func (w *World) startSweep(n *node) {
	n.sweep = &sweeper{w: w, n: n, life: n.life, s: wakeup.New(w.plan.shards()), timers: map[string]uint64{}}
	n.sweep.step(wakeup.Start{})
}

func (s *sweeper) step(msg any) {
	if s.life != s.n.life || !s.n.up {
		return
	}
	for _, o := range s.s.Step(s.w.now(), msg, nil) {
		switch o := o.(type) {
		case persistence.Do:
			s.w.store(o.Op, func(result any, err error) { s.step(persistence.Done{Tag: o.Tag, Result: result, Err: err}) })
		case step.Send:
			s.w.count("wake-up fired")
			s.w.send(o.To, o.Msg)
		case step.After:
			s.timers[o.Key]++
			gen := s.timers[o.Key]
			s.w.in(unit.DurationMs(o.At-s.w.wall), func() {
				if s.timers[o.Key] == gen {
					s.step(step.Tick{Key: o.Key})
				}
			})
		}
	}
}
