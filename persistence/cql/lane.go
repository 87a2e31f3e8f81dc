package cql

import (
	"context"
	"fmt"
	"sync/atomic"

	"paceline/persistence"
)

// lane bounds what is under way of one kind, and what waits for it. Kinds do not share one: conditional writes that
// pile up on a slow server must not keep samples from being stored.
type lane struct {
	name    string
	turns   chan struct{}
	most    int64 // under way and waiting together
	present atomic.Int64
}

func newLane(name string, underWay, waiting int) *lane {
	return &lane{name: name, turns: make(chan struct{}, underWay), most: int64(underWay + waiting)}
}

// enter waits for a turn; leave gives it back. It fails, with nothing sent, if too many wait already or if ctx ends.
func (l *lane) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	if n := l.present.Add(1); n > l.most {
		l.present.Add(-1)
		return fmt.Errorf("%w: cql: %d %s are under way or wait already", persistence.ErrUnavailable, l.most, l.name)
	}
	select {
	case l.turns <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		l.present.Add(-1)
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, ctx.Err())
	}
}

func (l *lane) leave() {
	<-l.turns
	l.present.Add(-1)
}
