package view

import (
	"context"
	"sync"
)

// looks lets those who ask for a plan at the same time share a read: one is under way, and who asks meanwhile waits for the
// next, so that a read has always begun after the question. Every published group of events asks once.
type looks struct {
	mu      sync.Mutex
	running bool
	waiting []chan<- looked
}

type looked struct {
	plan Plan
	err  error
}

func (l *looks) ask(ctx context.Context, read func(context.Context) (Plan, error)) (Plan, error) {
	answer := make(chan looked, 1)
	l.mu.Lock()
	l.waiting = append(l.waiting, answer)
	begin := !l.running
	l.running = true
	l.mu.Unlock()
	if begin {
		go l.run(context.WithoutCancel(ctx), read)
	}
	select {
	case <-ctx.Done():
		return Plan{}, ctx.Err()
	case a := <-answer:
		return a.plan, a.err
	}
}

// run reads as long as anybody asks. A driver bounds how long a read takes.
func (l *looks) run(ctx context.Context, read func(context.Context) (Plan, error)) {
	for {
		l.mu.Lock()
		asked := l.waiting
		l.waiting = nil
		l.running = len(asked) > 0
		l.mu.Unlock()
		if len(asked) == 0 {
			return
		}
		plan, err := read(ctx)
		for _, a := range asked {
			a <- looked{plan, err}
		}
	}
}
