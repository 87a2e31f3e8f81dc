package cql

import (
	"context"
	"errors"

	"paceline/persistence"
)

// send runs one request in its lane, within one Timeout for all its attempts. What may be repeated is sent once more:
// a read, and a plain write (it carries its timestamp, so twice is once). A conditional write is not: a second one
// would be refused by the first, and nobody could tell. If any attempt may have written, the outcome is unknown
// whatever the next one says.
func (r *Rows) send(ctx context.Context, k kind, do func(ctx context.Context) error) error {
	l := r.lanes[k]
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	err := outcome(k, do(ctx))
	if err == nil || k == conditional || ctx.Err() != nil {
		return err
	}
	again := outcome(k, do(ctx))
	if again != nil && !errors.Is(again, persistence.ErrUnknown) && errors.Is(err, persistence.ErrUnknown) {
		return err
	}
	return again
}
