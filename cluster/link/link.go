package link

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
)

// name of the link's actor, the same on each node.
const name = "link"

// DefaultQueue is about two ticks of a few hundred topics.
const DefaultQueue = 1024

// Router knows the members' addresses.
type Router interface {
	Address(member string) (address string, ok bool)
}

// Handler takes what arrives for this node's hub and sessions.
type Handler interface {
	// Deliver gets a *clusterv1.TopicUpdate or *clusterv1.SessionNotice.
	Deliver(msg proto.Message)
	// Resync says that updates of the topic were dropped: ask for a snapshot.
	Resync(topic string)
}

// Counts are what a Link has seen.
type Counts struct {
	Sent, Received, Dropped, Unknown atomic.Int64
}

// Link is this node's end. It is safe for concurrent use.
type Link struct {
	system *actor.ActorSystem
	route  Router
	pid    *actor.PID
	counts Counts

	mu      sync.Mutex
	queue   []proto.Message
	most    int
	lost    map[string]struct{} // topics to resync
	closed  bool
	handler Handler
	awake   chan struct{} // capacity 1: there is something to do
	ended   chan struct{}
}

// New makes the link of a node; Open starts it.
func New(system *actor.ActorSystem, route Router, queue int) *Link {
	if queue <= 0 {
		queue = DefaultQueue
	}
	return &Link{
		system: system, route: route, most: queue, lost: make(map[string]struct{}),
		awake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// Open makes the link reachable. Close ends it.
func (l *Link) Open() error {
	pid, err := l.system.Root.SpawnNamed(actor.PropsFromFunc(l.receive), name)
	if err != nil {
		return fmt.Errorf("open link: %w", err)
	}
	l.pid = pid
	go l.run()
	return nil
}

// Attach says who takes what arrives; until then it waits in the queue.
func (l *Link) Attach(h Handler) {
	l.mu.Lock()
	l.handler = h
	l.mu.Unlock()
	l.wake()
}

// Close ends the link and waits for the handler to return.
func (l *Link) Close() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	l.wake()
	if l.pid == nil {
		return
	}
	if !was {
		l.system.Root.Stop(l.pid)
	}
	<-l.ended
}

// Counts of this link.
func (l *Link) Counts() *Counts { return &l.counts }

// ToNode sends a one-way message to the hub of a member. One that is no member now is left out: its interest ends.
func (l *Link) ToNode(member string, msg proto.Message) {
	address, ok := l.route.Address(member)
	if !ok {
		l.counts.Unknown.Add(1)
		return
	}
	l.counts.Sent.Add(1)
	l.system.Root.Send(actor.NewPID(address, name), msg)
}

func (l *Link) receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *clusterv1.TopicUpdate:
		l.put(m, m.GetTopic())
	case *clusterv1.SessionNotice:
		l.put(m, "")
	}
}

func (l *Link) put(m proto.Message, topic string) {
	l.mu.Lock()
	room := l.most
	if topic != "" {
		room = l.most * 3 / 4
	}
	switch {
	case l.closed:
	case len(l.queue) >= room:
		l.counts.Dropped.Add(1)
		if topic != "" {
			l.lost[topic] = struct{}{}
		}
	default:
		l.counts.Received.Add(1)
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	l.wake()
}

func (l *Link) wake() {
	select {
	case l.awake <- struct{}{}:
	default:
	}
}

func (l *Link) run() {
	defer close(l.ended)
	for range l.awake {
		for {
			batch, lost, h, closed := l.take()
			if closed {
				return
			}
			if len(batch) == 0 && len(lost) == 0 {
				break
			}
			for _, m := range batch {
				h.Deliver(m)
			}
			for topic := range lost {
				h.Resync(topic)
			}
		}
	}
}

// take is all that waits, if there is a handler.
func (l *Link) take() (batch []proto.Message, lost map[string]struct{}, h Handler, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.handler == nil {
		return nil, nil, nil, l.closed
	}
	batch, l.queue = l.queue, nil
	if len(l.lost) > 0 {
		lost, l.lost = l.lost, make(map[string]struct{})
	}
	return batch, lost, l.handler, false
}
