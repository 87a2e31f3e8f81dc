// Package faulty puts the failures of a real store in front of a row driver: outcomes that are lost although
// the write was applied, was not, or is applied later; stores that are away, slow, or without any answer.
//
// It decides nothing by itself: for every write it asks Decide, so that a seed, a script or a simulated world
// is in charge. It is not a simulation of replicas: after a late write is applied everybody sees it.
package faulty

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"paceline/persistence"
)

// Fate is what becomes of one write.
type Fate uint8

// The fates.
const (
	Done     Fate = iota // applied and answered
	Away                 // not applied: ErrUnavailable
	LostNo               // not applied: ErrUnknown
	LostYes              // applied: ErrUnknown
	LostLate             // ErrUnknown now; applied when Late.Apply is called, if ever
)

// Write describes a write to Decide.
type Write struct {
	N        int // counts writes from 0
	Table    persistence.Table
	Part     string
	If       bool   // conditional
	Expected uint64 // of a conditional one
	Rows     int
}

// Late is a write that is still on its way.
type Late struct {
	Write Write
	apply func(ctx context.Context) error
	done  bool
}

// Apply lets the write arrive, once; a conditional one is then decided on what is there.
func (l *Late) Apply(ctx context.Context) error {
	if l.done {
		return nil
	}
	l.done = true
	return l.apply(ctx)
}

// Rows implements persistence.Rows. Decide and ReadFails may be changed between calls.
type Rows struct {
	persistence.Rows
	// Decide is asked before each write; nil: all are Done.
	Decide func(Write) Fate
	// ReadFails is asked before each read; true: ErrUnavailable. nil: reads never fail.
	ReadFails func(persistence.Table) bool

	mu   sync.Mutex
	n    int
	late []*Late
	sky  sky
}

// Over puts failures in front of a driver.
func Over(rows persistence.Rows) *Rows { return &Rows{Rows: rows} }

// RowID passes on what a sealed driver underneath offers.
func (r *Rows) RowID(ctx context.Context, subject string, plain []byte) ([16]byte, error) {
	if n, ok := r.Rows.(persistence.Identifier); ok {
		return n.RowID(ctx, subject, plain)
	}
	return persistence.PlainRowID(plain), nil
}

// Shared passes on what the driver underneath says.
func (r *Rows) Shared() bool { return persistence.Shared(r.Rows) }

// TakeLate returns the writes that are still on their way, oldest first, and forgets them.
func (r *Rows) TakeLate() []*Late {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.late
	r.late = nil
	return slices.Clone(l)
}

// write asks for the fate and follows it. apply's own error wins: a write that fails has failed.
func (r *Rows) write(ctx context.Context, w Write, apply func(ctx context.Context) error) error {
	r.mu.Lock()
	w.N = r.n
	r.n++
	decide := r.Decide
	r.mu.Unlock()
	gaveUp, err := r.sky.pass(ctx)
	switch {
	case gaveUp && w.N%2 == 0: // the request had arrived: it is carried out, and nobody hears of it
		if err := apply(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		return fmt.Errorf("%w: write %d: %w", persistence.ErrUnknown, w.N, err)
	case gaveUp:
		return fmt.Errorf("%w: write %d: %w", persistence.ErrUnknown, w.N, err)
	case err != nil:
		return err
	}
	fate := Done
	if decide != nil {
		fate = decide(w)
	}
	switch fate {
	case Away:
		return fmt.Errorf("%w: write %d", persistence.ErrUnavailable, w.N)
	case LostNo:
		return fmt.Errorf("%w: write %d", persistence.ErrUnknown, w.N)
	case LostLate:
		r.mu.Lock()
		r.late = append(r.late, &Late{Write: w, apply: apply})
		r.mu.Unlock()
		return fmt.Errorf("%w: write %d", persistence.ErrUnknown, w.N)
	case LostYes:
		if err := apply(ctx); err != nil {
			return err
		}
		return fmt.Errorf("%w: write %d", persistence.ErrUnknown, w.N)
	case Done:
	}
	return apply(ctx)
}

func (r *Rows) read(ctx context.Context, t persistence.Table) error {
	if gaveUp, err := r.sky.pass(ctx); gaveUp {
		return fmt.Errorf("%w: read: %w", persistence.ErrUnavailable, err)
	} else if err != nil {
		return err
	}
	if r.ReadFails != nil && r.ReadFails(t) {
		return fmt.Errorf("%w: read", persistence.ErrUnavailable)
	}
	return nil
}

// PutIf implements persistence.Rows.
func (r *Rows) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (applied bool, current persistence.Head, err error) {
	w := Write{Table: p.Table, Part: p.Key, If: true, Expected: expected, Rows: len(rows)}
	err = r.write(ctx, w, func(ctx context.Context) (err error) {
		applied, current, err = r.Rows.PutIf(ctx, p, expected, head, rows)
		return err
	})
	if err != nil {
		return false, persistence.Head{}, err
	}
	return applied, current, nil
}

// Put implements persistence.Rows.
func (r *Rows) Put(ctx context.Context, muts []persistence.Mutation) error {
	w := Write{Rows: len(muts)}
	if len(muts) > 0 {
		w.Table, w.Part = muts[0].Part.Table, muts[0].Part.Key
	}
	return r.write(ctx, w, func(ctx context.Context) error { return r.Rows.Put(ctx, muts) })
}

// DeleteRange implements persistence.Rows.
func (r *Rows) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	w := Write{Table: p.Table, Part: p.Key}
	return r.write(ctx, w, func(ctx context.Context) error { return r.Rows.DeleteRange(ctx, p, from, to) })
}

// Head implements persistence.Rows.
func (r *Rows) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	if err := r.read(ctx, p.Table); err != nil {
		return persistence.Head{}, err
	}
	return r.Rows.Head(ctx, p)
}

// Get implements persistence.Rows.
func (r *Rows) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	if err := r.read(ctx, p.Table); err != nil {
		return nil, false, err
	}
	return r.Rows.Get(ctx, p, cluster)
}

// Range implements persistence.Rows.
func (r *Rows) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	if err := r.read(ctx, p.Table); err != nil {
		return nil, err
	}
	return r.Rows.Range(ctx, p, q)
}

// HeadRange implements persistence.Rows.
func (r *Rows) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (persistence.Head, []persistence.Row, error) {
	if err := r.read(ctx, p.Table); err != nil {
		return persistence.Head{}, nil, err
	}
	return r.Rows.HeadRange(ctx, p, q)
}

// Parts passes on what the driver underneath offers.
func (r *Rows) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	if s, ok := r.Rows.(persistence.Scanner); ok {
		return s.Parts(ctx, t, after, limit)
	}
	return nil, persistence.ErrNoScan
}
