package machine

import (
	"context"
	"sync"
	"time"
)

// Lanes is the bounded pool that performs the I/O of all grains of a node: a grain never waits in its mailbox.
// When Waiting jobs queue, a further one is refused and its grain sees an unavailable store.
type Lanes struct {
	jobs   chan func(context.Context)
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.RWMutex
	closed bool
}

// LanesConfig sizes a pool.
type LanesConfig struct {
	Workers int           // jobs at once; more helps group commit, up to what the store likes
	Waiting int           // jobs waiting beyond those
	Timeout time.Duration // of one job
}

// DefaultLanes suits the embedded store.
func DefaultLanes() LanesConfig {
	return LanesConfig{Workers: 64, Waiting: 1024, Timeout: 10 * time.Second}
}

// NewLanes starts the workers; Close ends them.
func NewLanes(cfg LanesConfig) *Lanes {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lanes{jobs: make(chan func(context.Context), cfg.Waiting), cancel: cancel}
	for range cfg.Workers {
		l.done.Go(func() {
			for job := range l.jobs {
				jobCtx, end := context.WithTimeout(ctx, cfg.Timeout)
				job(jobCtx)
				end()
			}
		})
	}
	return l
}

// Go queues a job; false: the queue is full or the pool closed, and the job will not run.
func (l *Lanes) Go(job func(context.Context)) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return false
	}
	select {
	case l.jobs <- job:
		return true
	default:
		return false
	}
}

// Close finishes the queued jobs, then ends the workers.
func (l *Lanes) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.jobs)
	l.mu.Unlock()
	l.done.Wait()
	l.cancel()
}
