package call

import (
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cespare/xxhash/v2"

	"paceline/domain/id"
)

const cacheShards = 64

// places remembers where grains live: bounded, forgotten on a failure and whenever the members change. The key is the grain's
// identity, with which its PID begins: of a node's many grains none has its name here a second time.
type places struct {
	shards [cacheShards]placeShard
	most   int // for each shard
}

type placeShard struct {
	mu   sync.Mutex
	pids map[string]*actor.PID
}

func newPlaces(most int) *places {
	c := &places{most: max(1, most/cacheShards)}
	for i := range c.shards {
		c.shards[i].pids = make(map[string]*actor.PID)
	}
	return c
}

func (c *places) shard(identity []byte) *placeShard {
	return &c.shards[xxhash.Sum64(identity)%cacheShards]
}

// identityBytes is room for what identities there are: a look allocates nothing.
const identityBytes = 160

func (c *places) get(g id.Grain) *actor.PID {
	identity := g.AppendIdentity(make([]byte, 0, identityBytes))
	s := c.shard(identity)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pids[string(identity)]
}

func (c *places) put(g id.Grain, pid *actor.PID) {
	identity := g.AppendIdentity(make([]byte, 0, identityBytes))
	s := c.shard(identity)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.pids[string(identity)]; !known && len(s.pids) >= c.most {
		for victim := range s.pids { // any one: a miss costs one message to the owner
			delete(s.pids, victim)
			break
		}
	}
	key, whole := pid.Id, len(identity)
	if !strings.HasPrefix(key, string(identity)) { // a grain's PID always does
		key = string(identity)
	}
	delete(s.pids, string(identity)) // with the key, which is of the PID before
	s.pids[key[:whole]] = pid
}

// drop forgets the place if it is still the one that failed.
func (c *places) drop(g id.Grain, pid *actor.PID) {
	identity := g.AppendIdentity(make([]byte, 0, identityBytes))
	s := c.shard(identity)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.pids[string(identity)]; known != nil && (pid == nil || known.Id == pid.Id && known.Address == pid.Address) {
		delete(s.pids, string(identity))
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
