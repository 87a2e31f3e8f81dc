package world

import (
	"context"
	"fmt"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
)

// checkStored compares every acknowledged sample with what the store holds: nothing lost, nothing twice, one
// value for each seq.
func (w *World) checkStored() {
	for _, c := range w.sources {
		var skips []persistence.Span
		f, err := w.facts(c)
		if err != nil {
			w.failf("stream %s: %v", c.s.id, err)
			continue
		}
		if len(f.Skips) > 0 { // its answer may never have reached the client
			skips = []persistence.Span{{From: uint64(c.s.lost[0] + 1), To: uint64(c.s.lost[1])}}
		}
		if err := w.checkStream(c, skips); err != nil {
			w.failf("stream %s: %v", c.s.id, err)
		}
	}
}

func (w *World) checkStream(c *source, skips []persistence.Span) error {
	batches, err := w.readStream(c, skips)
	if err != nil {
		return err
	}
	next := uint64(1)
	for _, b := range batches {
		for i := range b.Len() {
			seq := b.FirstSeq + uint64(i)
			if len(skips) > 0 && next == skips[0].From {
				next = skips[0].To + 1
			}
			if seq != next {
				return fmt.Errorf("seq %d follows %d", seq, next-1)
			}
			next++
			if int64(b.AtMs[i]) != c.s.atMs[seq-1] {
				return fmt.Errorf("seq %d was measured at %d, stored %d", seq, c.s.atMs[seq-1], b.AtMs[i])
			}
		}
	}
	if len(skips) > 0 && next == skips[0].From {
		next = skips[0].To + 1
	}
	if next <= c.acked {
		return fmt.Errorf("acknowledged through %d, stored through %d", c.acked, next-1)
	}
	return nil
}

// checkRest lets the world go on without misfortune and without clients: everything that was journalled must be
// published, and no wake-up may be left for grains that have nothing to do.
func (w *World) checkRest() {
	w.faults = Calm()
	w.disagreeUntil = 0
	w.onMessage, w.onOut = nil, nil
	for until := w.wall.Add(max(45*unit.Minute, w.restFor)); len(w.failures) == 0 && w.next(until); {
	}
	for _, g := range w.plan.grains() {
		head, err := w.stored.Head(background, g)
		if err != nil {
			w.failf("head of %s: %v", g, err)
		}
		if w.stream.synced[g] != head.Version {
			w.failf("%s: published through %d of %d", g, w.stream.synced[g], head.Version)
		}
	}
	w.rows.Each(persistence.TableWakeup, func(_ string, r persistence.Row) {
		w.failf("a wake-up is left for ever: %q", r.Cluster)
	})
}

// grains are all that the plan brings to life.
func (p *plan) grains() []id.Grain {
	all := append([]id.Grain{id.Of(id.Competition, p.competition)}, p.others...)
	for _, r := range p.riders {
		all = append(all, id.Scoped(id.Training, r.user, r.workout))
		for _, s := range r.streams {
			all = append(all, id.Grain{Kind: id.Device, ID: s.device})
		}
	}
	return all
}

var background = context.Background()
