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
// after the other.
type Projector struct {
	journal Journal
	tables  *view.Tables
	kinds   map[id.Kind]Projection
	seed    maphash.Seed
	locks   [stripes]sync.Mutex
}

var _ persistence.EventStream = (*Projector)(nil)

// New is a projector with the given projections; see Views for those of the product.
func New(journal Journal, tables *view.Tables, kinds map[id.Kind]Projection) *Projector {
	return &Projector{journal: journal, tables: tables, kinds: kinds, seed: maphash.MakeSeed()}
}

func (p *Projector) lock(g id.Grain) func() {
	l := &p.locks[maphash.Comparable(p.seed, g)%stripes]
	l.Lock()
	return l.Unlock
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
	through, err := p.tables.Cursor(ctx, g)
	if err != nil {
		return 0, fmt.Errorf("views of %v: %w", g, err)
	}
	for len(records) > 0 && records[0].Version <= through {
		records = records[1:]
	}
	if len(records) == 0 {
		return through, nil
	}
	if records[0].Version > through+1 && !step.RulePublishHole.Off() {
		// What lies between was published to somebody who did not live to see it taken.
		if through, err = p.catchUp(ctx, g, project, through, records[0].Version-1); err != nil {
			return through, err
		}
	}
	if records[0].Version != through+1 && !step.RulePublishHole.Off() {
		return through, fmt.Errorf("views of %v: %w: the journal ends at %d, published is %d", g, persistence.ErrUnavailable, through, records[0].Version)
	}
	return p.take(ctx, g, project, through, records)
}

// take projects consecutive events that begin right after through.
func (p *Projector) take(ctx context.Context, g id.Grain, project Projection, through uint64, records []persistence.Record) (uint64, error) {
	for len(records) > 0 {
		n := min(eventsAtOnce, len(records))
		last := records[n-1].Version
		err := p.write(ctx, g, project, records[:n])
		if errors.Is(err, persistence.ErrErased) {
			// The person is gone: there are no rows to write, and nobody must wait for them.
			err = p.tables.Begin(g).Commit(ctx, last)
		}
		if err != nil {
			return through, fmt.Errorf("views of %v after %d: %w", g, through, err)
		}
		through, records = last, records[n:]
	}
	return through, nil
}

func (p *Projector) write(ctx context.Context, g id.Grain, project Projection, records []persistence.Record) error {
	c := p.tables.Begin(g)
	for _, r := range records {
		if err := project(ctx, c, r); err != nil {
			return fmt.Errorf("event %d of kind %d: %w", r.Version, r.Kind, err)
		}
	}
	return c.Commit(ctx, records[len(records)-1].Version)
}

// catchUp projects from the journal until upTo (0: all there is).
func (p *Projector) catchUp(ctx context.Context, g id.Grain, project Projection, through, upTo uint64) (uint64, error) {
	for more := true; more && (upTo == 0 || through < upTo); {
		limit := eventsAtOnce
		if upTo > 0 {
			limit = int(min(eventsAtOnce, upTo-through))
		}
		records, again, err := p.journal.ReadJournal(ctx, g, through, limit)
		if errors.Is(err, persistence.ErrErased) {
			return p.skipErased(ctx, g, max(through, upTo))
		}
		if err != nil {
			return through, fmt.Errorf("views of %v: %w", g, err)
		}
		if through, err = p.take(ctx, g, project, through, records); err != nil {
			return through, err
		}
		more = again
	}
	return through, nil
}

// skipErased moves over events that nobody can read any more.
func (p *Projector) skipErased(ctx context.Context, g id.Grain, upTo uint64) (uint64, error) {
	if err := p.tables.Begin(g).Commit(ctx, upTo); err != nil {
		return 0, fmt.Errorf("views of %v: %w", g, err)
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
	through, err := p.tables.Cursor(ctx, g)
	if err != nil {
		return 0, fmt.Errorf("views of %v: %w", g, err)
	}
	return p.catchUp(ctx, g, project, through, 0)
}

// Rebuild makes the rows of one grain anew from its journal. Readers see them missing meanwhile. It may be
// broken off and begun again.
func (p *Projector) Rebuild(ctx context.Context, g id.Grain) (uint64, error) {
	project := p.kinds[g.Kind]
	if project == nil {
		return 0, nil
	}
	defer p.lock(g)()
	if err := p.tables.Clear(ctx, g); err != nil {
		return 0, fmt.Errorf("rebuild views of %v: %w", g, err)
	}
	return p.catchUp(ctx, g, project, 0, 0)
}
