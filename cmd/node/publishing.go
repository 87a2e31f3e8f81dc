package main

import (
	"context"
	"sync"
	"time"

	"paceline/domain/id"
	"paceline/persistence"
)

// lagForgotten is after how long a grain whose events were not taken is no longer counted here, if it does not try again:
// its next activation is elsewhere. (A wake-up tries every 30 s.)
const lagForgotten = 2 * time.Minute

// publishing is the event stream with an eye on what it has not taken: the outbox's lag.
type publishing struct {
	persistence.EventStream
	now func() time.Time

	mu      sync.Mutex
	waiting map[id.Grain]*lagging
}

type lagging struct{ since, tried time.Time }

func watchPublishing(s persistence.EventStream) *publishing {
	return &publishing{EventStream: s, now: time.Now, waiting: make(map[id.Grain]*lagging)}
}

// Publish implements persistence.EventStream.
func (p *publishing) Publish(ctx context.Context, g id.Grain, records []persistence.Record) (synced uint64, err error) {
	p.mu.Lock()
	if w := p.waiting[g]; w == nil {
		p.waiting[g] = &lagging{since: p.now(), tried: p.now()}
	} else {
		w.tried = p.now()
	}
	p.mu.Unlock()
	synced, err = p.EventStream.Publish(ctx, g, records)
	if err == nil && (len(records) == 0 || synced >= records[len(records)-1].Version) {
		p.mu.Lock()
		delete(p.waiting, g)
		p.mu.Unlock()
	}
	return synced, err
}

// lag is how many grains have events that were not taken, and since when the first has.
func (p *publishing) lag() (grains int, oldest time.Duration) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for g, w := range p.waiting {
		if now.Sub(w.tried) > lagForgotten {
			delete(p.waiting, g)
			continue
		}
		oldest = max(oldest, now.Sub(w.since))
	}
	return len(p.waiting), oldest
}
