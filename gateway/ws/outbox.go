package ws

import (
	"slices"
	"sync"

	"paceline/domain/unit"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

// outbox is what waits for a connection's write loop: messages for the session, frames for the client, slots with
// something to take. Nothing here blocks.
type outbox struct {
	wake chan struct{} // capacity 1: the write loop looks at everything when it wakes

	mu        sync.Mutex
	inbox     []any // for the session
	frames    [][]byte
	size      int // bytes of frames
	maxFrames int
	maxBytes  int
	newest    []newest // one of each key
	slots     []*hub.Slot
	closing   wire.CloseCode // 0: not
	dead      bool
}

// newest is a frame that a newer one of the same key replaces, and that nobody wants to have later.
type newest struct {
	key   string
	frame []byte
	until unit.InstantMs // node clock
}

func (o *outbox) init(frames, bytes int) {
	o.wake = make(chan struct{}, 1)
	o.maxFrames, o.maxBytes = frames, bytes
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// post hands a message to the session.
func (o *outbox) post(msg any) {
	o.mu.Lock()
	if !o.dead {
		o.inbox = append(o.inbox, msg)
	}
	o.mu.Unlock()
	o.signal()
}

// send queues a frame. A client that lets too many wait is closed: acks and answers are not replaceable.
func (o *outbox) send(frame []byte) {
	o.mu.Lock()
	switch {
	case o.dead || o.closing != 0:
	case len(o.frames) >= o.maxFrames || o.size+len(frame) > o.maxBytes:
		o.frames, o.closing = nil, wire.CloseSlow
	default:
		o.frames = append(o.frames, frame)
		o.size += len(frame)
	}
	o.mu.Unlock()
	o.signal()
}

// replace takes a frame in the place of the one before it, if that is not written yet.
func (o *outbox) replace(n newest) {
	o.mu.Lock()
	if i := slices.IndexFunc(o.newest, func(m newest) bool { return m.key == n.key }); i >= 0 {
		o.newest[i] = n
	} else if !o.dead && o.closing == 0 {
		o.newest = append(o.newest, n)
	}
	o.mu.Unlock()
	o.signal()
}

// takeNewest is what has not been replaced.
func (o *outbox) takeNewest() []newest {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.newest
	o.newest = nil
	return n
}

// Ready queues a slot.
func (o *outbox) ready(s *hub.Slot) {
	o.mu.Lock()
	if !o.dead {
		o.slots = append(o.slots, s)
	}
	o.mu.Unlock()
	o.signal()
}

// close makes the write loop close the connection when all frames queued so far are written.
func (o *outbox) close(code wire.CloseCode) {
	o.mu.Lock()
	if o.closing == 0 {
		o.closing = code
	}
	o.mu.Unlock()
	o.signal()
}

// kill ends everything at once.
func (o *outbox) kill() {
	o.mu.Lock()
	o.dead = true
	o.inbox, o.frames, o.newest, o.slots = nil, nil, nil, nil
	o.mu.Unlock()
	o.signal()
}

// work is what the write loop found.
type work struct {
	inbox   []any
	frames  [][]byte
	slots   []*hub.Slot
	closing wire.CloseCode
	dead    bool
}

func (o *outbox) take(reuse work) work {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := work{o.inbox, o.frames, o.slots, o.closing, o.dead}
	o.inbox, o.frames, o.slots, o.size = reuse.inbox[:0], reuse.frames[:0], reuse.slots[:0], 0
	return w
}
