package project

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/persistence"
	"paceline/persistence/view"
)

// Projection adds to the change what follows from one event.
type Projection func(ctx context.Context, c *view.Change, r persistence.Record) error

// Journal is where the projector looks when something is missing.
type Journal interface {
	ReadJournal(ctx context.Context, g id.Grain, after uint64, limit int) (records []persistence.Record, more bool, err error)
}

const (
	// eventsAtOnce bounds one write: a mass start's appends are many rows.
	eventsAtOnce = 128
	stripes      = 256
)

// Projector implements persistence.EventStream. Safe for concurrent use; the events of one grain are taken one
// after the other here, and any number of processes may take them at once.
type Projector struct {
	journal Journal
	tables  *view.Tables
	kinds   map[id.Kind]Projection
	seed    maphash.Seed
	locks   [stripes]sync.Mutex

	// known is where this projector has left the cursors of grains. They never go back, and who has moved one further since is
	// found by Still, so events that follow on need not ask.
	mu    sync.Mutex
	known map[cursorOf]uint64
}

type cursorOf struct {
	g   id.Grain
	gen uint64
}

// maxKnown bounds the memory that asking saves time with.
const maxKnown = 16384

func (p *Projector) leave(t target, through uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[cursorOf{t.g, t.gen}] = through
}

// cursor is where the events from a version on are taken up.
func (p *Projector) cursor(ctx context.Context, t target, from uint64) (uint64, error) {
	p.mu.Lock()
	through, known := p.known[cursorOf{t.g, t.gen}]
	p.mu.Unlock()
	if known && through+1 == from {
		return through, nil
	}
	return p.tables.CursorIn(ctx, t.g, t.gen)
}

var _ persistence.EventStream = (*Projector)(nil)

// New is a projector with the given projections; see Views for those of the product.
func New(journal Journal, tables *view.Tables, kinds map[id.Kind]Projection) *Projector {
	return &Projector{journal: journal, tables: tables, kinds: kinds, seed: maphash.MakeSeed(), known: map[cursorOf]uint64{}}
}

func (p *Projector) lock(g id.Grain) func() {
	l := &p.locks[maphash.Comparable(p.seed, g)%stripes]
	l.Lock()
	return l.Unlock
}

// target is the views of one grain in one generation.
type target struct {
	g       id.Grain
	gen     uint64
	project Projection
}

// Publish implements persistence.EventStream.
func (p *Projector) Publish(ctx context.Context, g id.Grain, records []persistence.Record) (uint64, error) {
	project := p.kinds[g.Kind]
	if project == nil {
		if len(records) == 0 {
			return 0, nil
		}
		return records[len(records)-1].Version, nil
	}
	defer p.lock(g)()
	plan, err := p.tables.Plan(ctx, g.Kind)
	if err != nil {
		return 0, err
	}
	for {
		var through uint64
		for i, gen := range plan.Writes() {
			reached, err := p.publish(ctx, target{g, gen, project}, records)
			if i == 0 {
				through = reached
			}
			if err != nil {
				return through, err
			}
		}
		// A rebuild that began meanwhile may have read the journal before these events were in it only if the plan
		// said so before this look; what it says since then has read them.
		now, err := p.tables.LookAtPlan(ctx, g.Kind)
		if err != nil {
			return 0, err
		}
		if now.Serving == plan.Serving && now.Building == plan.Building || step.RulePlanAgain.Off() {
			return through, nil
		}
		plan = now
	}
}

// publish takes events into one generation.
func (p *Projector) publish(ctx context.Context, t target, records []persistence.Record) (uint64, error) {
	if len(records) == 0 {
		return p.tables.CursorIn(ctx, t.g, t.gen)
	}
	through, err := p.cursor(ctx, t, records[0].Version)
	if err != nil {
		return 0, fmt.Errorf("views of %v: %w", t.g, err)
	}
	for len(records) > 0 && records[0].Version <= through {
		records = records[1:]
	}
	if len(records) == 0 {
		return through, nil
	}
	if records[0].Version > through+1 && !step.RulePublishHole.Off() {
		// What lies between was published to somebody who did not live to see it taken.
		if through, err = p.catchUp(ctx, t, through, records[0].Version-1); err != nil {
			return through, err
		}
		for len(records) > 0 && records[0].Version <= through { // another projector has been faster
			records = records[1:]
		}
		if len(records) == 0 {
			return through, nil
		}
	}
	if records[0].Version != through+1 && !step.RulePublishHole.Off() {
		return through, fmt.Errorf("views of %v: %w: the journal ends at %d, published is %d", t.g, persistence.ErrUnavailable, through, records[0].Version)
	}
	return p.take(ctx, t, through, records)
}

// take projects consecutive events that begin right after through.
func (p *Projector) take(ctx context.Context, t target, through uint64, records []persistence.Record) (uint64, error) {
	for len(records) > 0 {
		n := min(eventsAtOnce, len(records))
		last := records[n-1].Version
		taken, err := p.write(ctx, t, through, records[:n])
		if errors.Is(err, persistence.ErrErased) {
			// The person is gone: there are no rows to write, and nobody must wait for them.
			taken, err = true, p.tables.BeginIn(t.g, t.gen).Commit(ctx, last)
		}
		if err != nil {
			return through, fmt.Errorf("views of %v after %d: %w", t.g, through, err)
		}
		if taken {
			p.leave(t, last)
			through, records = last, records[n:]
			continue
		}
		if through, err = p.tables.CursorIn(ctx, t.g, t.gen); err != nil {
			return 0, fmt.Errorf("views of %v: %w", t.g, err)
		}
		for len(records) > 0 && records[0].Version <= through {
			records = records[1:]
		}
	}
	return through, nil
}

// write projects events that follow on through. taken is false if another projector has moved on meanwhile: what was
// read may then be of several versions, and nothing is written.
func (p *Projector) write(ctx context.Context, t target, through uint64, records []persistence.Record) (taken bool, err error) {
	c := p.tables.BeginIn(t.g, t.gen)
	for _, r := range records {
		if err := t.project(ctx, c, r); err != nil {
			return false, fmt.Errorf("event %d of kind %d: %w", r.Version, r.Kind, err)
		}
	}
	if still, err := c.Still(ctx, through); err != nil || !still && !step.RuleStillThere.Off() {
		return false, err
	}
	return true, c.Commit(ctx, records[len(records)-1].Version)
}

// catchUp projects from the journal until upTo (0: all there is).
func (p *Projector) catchUp(ctx context.Context, t target, through, upTo uint64) (uint64, error) {
	for more := true; more && (upTo == 0 || through < upTo); {
		var err error
		if through, more, err = p.page(ctx, t, through, upTo); err != nil {
			return through, err
		}
	}
	return through, nil
}

// page projects one page of the journal.
func (p *Projector) page(ctx context.Context, t target, through, upTo uint64) (now uint64, more bool, err error) {
	limit := eventsAtOnce
	if upTo > 0 {
		limit = int(min(eventsAtOnce, upTo-through))
	}
	records, more, err := p.journal.ReadJournal(ctx, t.g, through, limit)
	if errors.Is(err, persistence.ErrErased) {
		now, err = p.skipErased(ctx, t, max(through, upTo))
		return now, false, err
	}
	if err != nil {
		return through, false, fmt.Errorf("views of %v: %w", t.g, err)
	}
	now, err = p.take(ctx, t, through, records)
	return now, more, err
}

// skipErased moves over events that nobody can read any more.
func (p *Projector) skipErased(ctx context.Context, t target, upTo uint64) (uint64, error) {
	if upTo == 0 {
		return 0, nil
	}
	if err := p.tables.BeginIn(t.g, t.gen).Commit(ctx, upTo); err != nil {
		return 0, fmt.Errorf("views of %v: %w", t.g, err)
	}
	return upTo, nil
}

// CatchUp takes what the journal holds beyond the views: for a start after a crash, and for tools.
func (p *Projector) CatchUp(ctx context.Context, g id.Grain) (uint64, error) {
	project := p.kinds[g.Kind]
	if project == nil {
		return 0, nil
	}
	defer p.lock(g)()
	plan, err := p.tables.Plan(ctx, g.Kind)
	if err != nil {
		return 0, err
	}
	t := target{g, plan.Serving, project}
	through, err := p.tables.CursorIn(ctx, g, t.gen)
	if err != nil {
		return 0, fmt.Errorf("views of %v: %w", g, err)
	}
	return p.catchUp(ctx, t, through, 0)
}
