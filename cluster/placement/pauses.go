package placement

import (
	"sync"
	"sync/atomic"
	"time"

	"paceline/domain/id"
)

// The pauses of a grain that was fenced here: random up to pauseFirst, doubled with each fence up to pauseMost. After
// pauseForgets without another one it begins anew.
const (
	pauseFirst   = 200 * time.Millisecond
	pauseMost    = 5 * time.Second
	pauseForgets = 6 * pauseMost
)

// pauses are the grains that were fenced here and are not to be activated yet. Without them two members that disagree
// about who owns a grain could fence each other for ever: each reads the journal, appends, and so ends the other's
// activation before that has answered anybody. It is safe for concurrent use.
type pauses struct {
	random func() uint64
	n      atomic.Int64 // nearly always none: nobody waits for the lock then

	mu  sync.Mutex
	all map[id.Grain]pause
}

type pause struct {
	by    string // the member that has the grain
	until time.Time
	most  time.Duration // of the one after it
}

func newPauses(random func() uint64) *pauses {
	return &pauses{random: random, all: make(map[id.Grain]pause)}
}

// begin begins a pause: a random one of the upper half of what it may be, so that two that began together part.
func (s *pauses) begin(g id.Grain, by string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := pauseFirst
	if last, known := s.all[g]; known && now.Before(last.until.Add(pauseForgets)) {
		most = last.most
	}
	half := most / 2
	d := half + time.Duration(s.random()%uint64(half+1))
	s.all[g] = pause{by: by, until: now.Add(d), most: min(2*most, pauseMost)}
	s.n.Store(int64(len(s.all)))
	return d
}

// of reports a pause that is not over, and which member has the grain.
func (s *pauses) of(g id.Grain, now time.Time) (by string, paused bool) {
	if s.n.Load() == 0 {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.all[g]
	return p.by, known && now.Before(p.until)
}

// forget drops what nobody needs: it is bounded by the grains that were fenced within pauseForgets.
func (s *pauses) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g, p := range s.all {
		if now.After(p.until.Add(pauseForgets)) {
			delete(s.all, g)
		}
	}
	s.n.Store(int64(len(s.all)))
}
