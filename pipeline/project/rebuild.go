package project

import (
	"context"
	"fmt"
	"time"

	"paceline/domain/id"
)

// Lister lists the grains that have a journal.
type Lister interface {
	Grains(ctx context.Context, after string, limit int) (grains []id.Grain, next string, err error)
}

// SweepPlan says how to go over all journals.
type SweepPlan struct {
	// After is where an earlier sweep stopped; "": from the start.
	After string
	// EachSecond bounds how many grains are taken in a second, so that serving does not suffer; 0: 100.
	EachSecond int
	// Anew: clear the rows of each grain first. Without it only what is missing is added.
	Anew bool
}

const grainsAtOnce = 64

// Sweep goes on until the end and returns "", or until an error and returns where to go on.
func (p *Projector) Sweep(ctx context.Context, all Lister, s SweepPlan) (after string, err error) {
	if s.EachSecond <= 0 {
		s.EachSecond = 100
	}
	pace := time.NewTicker(max(time.Second/time.Duration(s.EachSecond), 1))
	defer pace.Stop()
	take := p.CatchUp
	if s.Anew {
		take = p.Rebuild
	}
	for {
		grains, next, err := all.Grains(ctx, s.After, grainsAtOnce)
		if err != nil {
			return s.After, fmt.Errorf("sweep of views: %w", err)
		}
		for _, g := range grains {
			if p.kinds[g.Kind] == nil {
				continue
			}
			select {
			case <-ctx.Done():
				return s.After, ctx.Err()
			case <-pace.C:
			}
			if _, err := take(ctx, g); err != nil {
				return s.After, err
			}
		}
		if next == "" {
			return "", nil
		}
		s.After = next
	}
}
