package call

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cespare/xxhash/v2"

	"paceline/domain/id"
)

const cacheShards = 64

// places remembers where grains live: bounded, forgotten on a failure and whenever the members change.
type places struct {
	shards [cacheShards]placeShard
	most   int // for each shard
}

type placeShard struct {
	mu   sync.Mutex
	pids map[id.Grain]*actor.PID
}

func newPlaces(most int) *places {
	c := &places{most: max(1, most/cacheShards)}
	for i := range c.shards {
		c.shards[i].pids = make(map[id.Grain]*actor.PID)
	}
	return c
}

func (c *places) shard(g id.Grain) *placeShard {
	return &c.shards[xxhash.Sum64String(g.ID)%cacheShards]
}

func (c *places) get(g id.Grain) *actor.PID {
	s := c.shard(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids[g]
}

func (c *places) put(g id.Grain, pid *actor.PID) {
	s := c.shard(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.pids[g]; !known && len(s.pids) >= c.most {
		for victim := range s.pids { // any one: a miss costs one message to the owner
			delete(s.pids, victim)
			break
		}
	}
	s.pids[g] = pid
}

// drop forgets the place if it is still the one that failed.
func (c *places) drop(g id.Grain, pid *actor.PID) {
	s := c.shard(g)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.pids[g]; known != nil && (pid == nil || known.Id == pid.Id && known.Address == pid.Address) {
		delete(s.pids, g)
	}
}

func (c *places) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		clear(s.pids)
		s.mu.Unlock()
	}
}

func (c *places) size() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.pids)
		s.mu.Unlock()
	}
	return n
}
