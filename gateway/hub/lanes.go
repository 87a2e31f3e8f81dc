package hub

import "sync"

// What is touched from more than one goroutine in a node: a slot by the hub and by its connection's write loop, a
// frame's bytes by all write loops, the replicas by sessions that ask for a place. The protocol is in the files
// that use these; in the simulated world, on one thread, they cost nothing and decide nothing.
type (
	mutex   struct{ sync.Mutex }
	rwMutex struct{ sync.RWMutex }
	once    struct{ sync.Once }
)
