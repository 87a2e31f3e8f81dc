package machine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"paceline/domain/unit"
)

// Lanes is the bounded pool that performs the I/O of all grains of a node: a grain never waits in its mailbox.
// When Waiting jobs queue, a further one is refused and its grain sees an unavailable store. Jobs about old data
// wait behind all others, fill at most half of the queue and keep at most Old workers: what was missed is made up
// for without delaying what is live.
//
// What jobs carry is bounded too, from when they are taken until they are done: live ones, old ones and very large ones
// may hold HeldBytes each. One that is larger than that goes when it is alone among its like.
//
// Lanes also watches: Behind says since when the store has not kept up.
type Lanes struct {
	cfg    LanesConfig
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	more    *sync.Cond
	live    fifo
	old     fifo
	oldRuns int                   // old jobs under way
	held    [likesOfJob]int       // bytes of jobs that wait or are under way
	runs    map[*running]struct{} // jobs under way
	failing [kindsOfJob]failures
	closed  bool
	stop    chan struct{}

	behind behind
	since  atomic.Int64 // wall ms, of behind
}

// LanesConfig sizes a pool.
type LanesConfig struct {
	Workers int // jobs at once; more helps group commit, up to what the store likes
	Waiting int // jobs waiting beyond those
	// HeldBytes is what jobs carry, waiting and under way: so much in live ones, as much in old ones, as much in very
	// large ones; 0: 32 MiB.
	HeldBytes int
	Old       int           // of the workers at most for old data; 0: an eighth, at least one
	Timeout   time.Duration // of one job
	Behind    time.Duration // how long a job may take, or jobs fail, before the store counts as behind; 0: 2 s
}

// DefaultLanes suits the embedded store.
func DefaultLanes() LanesConfig {
	return LanesConfig{Workers: 64, Waiting: 1024, HeldBytes: 32 << 20, Timeout: 10 * time.Second, Behind: 2 * time.Second}
}

// Job is one operation.
type Job struct {
	// Old: about old data, nobody waits for it live.
	Old bool
	// Durable: it writes what must not be lost. Success of such a job is what shows that the store is back.
	Durable bool
	// Bytes is what it holds in memory.
	Bytes int
	// Do performs it. What it returns only tells how the store is.
	Do func(ctx context.Context) error
}

// kind is what a job says something about.
func (j Job) kind() int {
	if j.Durable {
		return 1
	}
	return 0
}

const kindsOfJob = 2

// veryLarge is beyond every append and block: recordings and large snapshots. They do not take the place of others.
const veryLarge = 1 << 20

// like is among which others its bytes count.
func (j Job) like() int {
	switch {
	case j.Bytes > veryLarge:
		return 2
	case j.Old:
		return 1
	}
	return 0
}

const likesOfJob = 3

// forgetFailures is how many times Behind a failure is remembered without another. Grains try again much sooner.
const forgetFailures = 5

type running struct{ began unit.InstantMs }

// failures are those of one kind of jobs since one of them succeeded. Wall clock; 0: the last one succeeded.
type failures struct{ first, last unit.InstantMs }

type queued struct {
	job   Job
	since unit.InstantMs
}

// fifo is a ring that grows to what it is asked to hold, and no further.
type fifo struct {
	ring []queued
	at   int
	n    int
}

func (f *fifo) push(q queued, most int) bool {
	if f.n >= most {
		return false
	}
	if f.n == len(f.ring) {
		bigger := make([]queued, min(max(2*len(f.ring), 16), most))
		for i := range f.n {
			bigger[i] = f.ring[(f.at+i)%len(f.ring)]
		}
		f.ring, f.at = bigger, 0
	}
	f.ring[(f.at+f.n)%len(f.ring)] = q
	f.n++
	return true
}

func (f *fifo) pop() queued {
	q := f.ring[f.at]
	f.ring[f.at] = queued{}
	f.at = (f.at + 1) % len(f.ring)
	f.n--
	return q
}

func wall() unit.InstantMs { return unit.InstantMs(time.Now().UnixMilli()) }

// NewLanes starts the workers; Close ends them.
func NewLanes(cfg LanesConfig) *Lanes {
	if cfg.Old == 0 {
		cfg.Old = max(1, cfg.Workers/8)
	}
	if cfg.HeldBytes == 0 {
		cfg.HeldBytes = DefaultLanes().HeldBytes
	}
	if cfg.Behind == 0 {
		cfg.Behind = DefaultLanes().Behind
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Lanes{cfg: cfg, cancel: cancel, runs: map[*running]struct{}{}, stop: make(chan struct{}),
		behind: behind{after: unit.DurationMs(cfg.Behind.Milliseconds())}}
	l.more = sync.NewCond(&l.mu)
	for range cfg.Workers {
		l.done.Go(func() { l.work(ctx) })
	}
	l.done.Go(l.watch)
	return l
}

// Go queues a job; false: there is no room or the pool is closed, and the job will not run.
func (l *Lanes) Go(j Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.live.n+l.old.n >= l.cfg.Waiting {
		return false
	}
	held := &l.held[j.like()]
	if *held > 0 && *held+j.Bytes > l.cfg.HeldBytes {
		return false
	}
	q, most := &l.live, l.cfg.Waiting
	if j.Old {
		q, most = &l.old, max(1, l.cfg.Waiting/2)
	}
	if !q.push(queued{j, wall()}, most) {
		return false
	}
	*held += j.Bytes
	l.more.Signal()
	return true
}

// next waits for a job; false: the pool is closed and empty.
func (l *Lanes) next() (Job, *running, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		var j Job
		switch {
		case l.live.n > 0:
			j = l.live.pop().job
		case l.old.n > 0 && l.oldRuns < l.cfg.Old:
			j = l.old.pop().job
			l.oldRuns++
		case l.closed && l.old.n == 0:
			return Job{}, nil, false
		default:
			l.more.Wait()
			continue
		}
		r := &running{began: wall()}
		l.runs[r] = struct{}{}
		return j, r, true
	}
}

func (f *failures) note(began unit.InstantMs, bad bool) {
	if !bad {
		*f = failures{}
		return
	}
	f.first, f.last = earlier(f.first, began), wall()
}

func (l *Lanes) work(ctx context.Context) {
	for {
		j, r, ok := l.next()
		if !ok {
			return
		}
		jobCtx, end := context.WithTimeout(ctx, l.cfg.Timeout)
		err := j.Do(jobCtx)
		end()
		l.mu.Lock()
		delete(l.runs, r)
		l.held[j.like()] -= j.Bytes
		if j.Old {
			l.oldRuns--
			l.more.Signal() // another old one may begin
		}
		l.failing[j.kind()].note(r.began, err != nil && !incurable(err))
		if l.closed {
			l.more.Broadcast()
		}
		l.mu.Unlock()
	}
}

// Queued is how many jobs wait, and how many of them are about old data.
func (l *Lanes) Queued() (all, old int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live.n + l.old.n, l.old.n
}

// Behind is since when, by the wall clock, the store has not kept up: operations of that time have no outcome yet,
// or have failed and none has succeeded since. 0: it keeps up.
func (l *Lanes) Behind() unit.InstantMs { return unit.InstantMs(l.since.Load()) }

// watch looks several times while the store may be behind without being called so.
func (l *Lanes) watch() {
	tick := time.NewTicker(l.cfg.Behind / 8)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.look(wall())
		}
	}
}

func (l *Lanes) look(now unit.InstantMs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := unit.InstantMs(0)
	for r := range l.runs {
		oldest = earlier(oldest, r.began)
	}
	if l.live.n > 0 {
		oldest = earlier(oldest, l.live.ring[l.live.at].since)
	}
	for _, f := range l.failing {
		if now.Sub(f.last) < forgetFailures*l.behind.after { // else nobody tries any more, and nobody knows
			oldest = earlier(oldest, f.first)
		}
	}
	l.since.Store(int64(l.behind.look(now, oldest)))
}

// earlier of two instants, of which 0 is none.
func earlier(a, b unit.InstantMs) unit.InstantMs {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// behind makes one steady answer of many looks: it begins where the oldest complaint began, and it ends when there
// has been none for a while, so that a slow store is not called well between two slow operations.
type behind struct {
	after unit.DurationMs
	since unit.InstantMs // 0: not behind
	bad   unit.InstantMs // the last look with a complaint
}

func (b *behind) look(now, oldest unit.InstantMs) unit.InstantMs {
	complaint := oldest != 0 && now.Sub(oldest) >= b.after
	switch {
	case complaint:
		b.since, b.bad = earlier(b.since, oldest), now
	case b.since != 0 && now.Sub(b.bad) >= b.after:
		b.since = 0
	}
	return b.since
}

// Close finishes the queued jobs, then ends the workers.
func (l *Lanes) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.stop)
	l.more.Broadcast()
	l.mu.Unlock()
	l.done.Wait()
	l.cancel()
}
