package project

import (
	"context"
	"fmt"
	"time"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/persistence/view"
)

// Lister lists the grains that have a journal.
type Lister interface {
	Grains(ctx context.Context, after string, limit int) (grains []id.Grain, next string, err error)
}

// Rebuild says how the views of one kind of grain are made anew.
type Rebuild struct {
	Kind id.Kind
	// EachSecond bounds the events that are projected in a second, and the old partitions that are deleted, so that
	// serving does not suffer; 0: 2,000. A grain counts as one event at least.
	EachSecond int
	// Linger is how long the old generation stays after the switch, for readers who have not heard of it; 0: 30 s.
	Linger time.Duration
	// Token tells rebuilds apart, in all processes.
	Token string
	// Progress is told now and then; nil: nobody.
	Progress func(Progress)
}

// Progress is how far a rebuild is.
type Progress struct {
	Kind   id.Kind
	Phase  string // resumed, building, switched, deleting, done
	Grains uint64 // taken so far, also by those who went before
}

// The phases of a rebuild.
const (
	PhaseResumed  = "resumed"
	PhaseBuilding = "building"
	PhaseSwitched = "switched"
	PhaseDeleting = "deleting"
	PhaseDone     = "done"
)

// ErrNoViews is the answer to a rebuild of what has no views.
var ErrNoViews = fault.New(fault.Invalid, "views.unknown", "There are no such views: competitions, trainings or people.")

const (
	grainsAtOnce    = 64
	partsAtOnce     = 64
	defaultRate     = 2000
	defaultLingerMs = 30_000
)

// Rebuild makes the views of a kind anew beside the old ones, while everybody goes on reading and writing, then puts
// them in their place by one conditional write and deletes the old. Broken off at any point, the next one goes on where
// this one stood. Of two at once the one that comes later goes on.
//
// Nothing is lost in between: once the plan names the new generation, whoever publishes an event writes it there too, or
// looked at the plan before and then had its event in the journal before the scan began.
func (p *Projector) Rebuild(ctx context.Context, all Lister, r Rebuild) error {
	if p.kinds[r.Kind] == nil || view.Kinds[r.Kind] == "" {
		return ErrNoViews.With("%q", r.Kind)
	}
	b := &rebuilding{p: p, all: all, Rebuild: r, pace: newPace(r.EachSecond)}
	if b.Linger <= 0 {
		b.Linger = defaultLingerMs * time.Millisecond
	}
	if b.Progress == nil {
		b.Progress = func(Progress) {}
	}
	var err error
	if b.plan, err = p.tables.LookAtPlan(ctx, r.Kind); err != nil {
		return err
	}
	switch {
	case b.plan.Building > 0 || b.plan.Deleting:
		b.say(PhaseResumed)
	default:
		next := b.plan.Last + 1
		err = b.change(ctx, view.Plan{Serving: b.plan.Serving, Building: next, Last: next})
	}
	if err == nil && b.plan.Building > 0 {
		err = b.build(ctx)
	}
	if err == nil {
		err = b.clean(ctx)
	}
	if err != nil {
		return fmt.Errorf("rebuild of the views of %s: %w", view.Kinds[r.Kind], err)
	}
	b.say(PhaseDone)
	return nil
}

// rebuilding is one rebuild under way.
type rebuilding struct {
	Rebuild
	p    *Projector
	all  Lister
	plan view.Plan
	pace *pace
}

func (b *rebuilding) say(phase string) {
	b.Progress(Progress{Kind: b.Kind, Phase: phase, Grains: b.plan.Grains})
}

func (b *rebuilding) change(ctx context.Context, to view.Plan) (err error) {
	now, err := b.p.tables.ChangePlan(ctx, b.Kind, b.plan, to, b.Token)
	if err == nil {
		b.plan = now
	}
	return err
}

// build takes all journals into the new generation and switches.
func (b *rebuilding) build(ctx context.Context) error {
	for {
		b.say(PhaseBuilding)
		grains, next, err := b.all.Grains(ctx, string(b.plan.After), grainsAtOnce)
		if err != nil {
			return err
		}
		to := b.plan
		for _, g := range grains {
			if g.Kind != b.Kind {
				continue
			}
			if err := b.take(ctx, g); err != nil {
				return err
			}
			to.Grains++
		}
		to.After = []byte(next)
		if next == "" {
			to.Serving, to.Building, to.Deleting = b.plan.Building, 0, true
		}
		if err := b.change(ctx, to); err != nil {
			return err
		}
		if next == "" {
			b.say(PhaseSwitched)
			return nil
		}
	}
}

// take brings one grain up to its journal's end, page by page, so that its own events need not wait long.
func (b *rebuilding) take(ctx context.Context, g id.Grain) error {
	t := target{g, b.plan.Building, b.p.kinds[g.Kind]}
	for more := true; more; {
		before, after, again, err := b.page(ctx, t)
		if err != nil {
			return err
		}
		more = again
		if err := b.pace.spent(ctx, max(1, int(after-before))); err != nil {
			return err
		}
	}
	return nil
}

func (b *rebuilding) page(ctx context.Context, t target) (before, after uint64, more bool, err error) {
	defer b.p.lock(t.g)()
	if before, err = b.p.tables.CursorIn(ctx, t.g, t.gen); err != nil {
		return 0, 0, false, err
	}
	after, more, err = b.p.page(ctx, t, before, 0)
	return before, after, more && after > before, err
}

// clean deletes what the plan has ceased to serve, once nobody can be reading it.
func (b *rebuilding) clean(ctx context.Context) error {
	if err := wait(ctx, b.Linger); err != nil {
		return err
	}
	for b.plan.Deleting {
		b.say(PhaseDeleting)
		deleted, next, err := b.p.tables.DeleteOthers(ctx, b.Kind, b.plan.Writes(), string(b.plan.After), partsAtOnce)
		if err != nil {
			return err
		}
		to := b.plan
		to.After, to.Deleting = []byte(next), next != ""
		if err := b.change(ctx, to); err != nil {
			return err
		}
		if err := b.pace.spent(ctx, deleted); err != nil {
			return err
		}
	}
	return nil
}

// pace spreads work over time.
type pace struct {
	each  time.Duration
	ready time.Time
}

func newPace(eachSecond int) *pace {
	if eachSecond <= 0 {
		eachSecond = defaultRate
	}
	return &pace{each: max(time.Second/time.Duration(eachSecond), 1), ready: time.Now()}
}

// spent waits until n more may be done. What was not used is not saved up.
func (p *pace) spent(ctx context.Context, n int) error {
	now := time.Now()
	if p.ready.Before(now) {
		p.ready = now
	}
	p.ready = p.ready.Add(time.Duration(n) * p.each)
	return wait(ctx, p.ready.Sub(now))
}

func wait(ctx context.Context, d time.Duration) error {
	if d < time.Millisecond {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
