package hub

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/wire"
)

// Teller sends one-way messages to grains.
type Teller interface {
	Tell(to id.Grain, msg proto.Message)
}

// Views is what the hub reads.
type Views interface {
	Roster(ctx context.Context, competition string) (People, error)
	// Feed returns at most limit items after a version, in order, and whether there are more.
	Feed(ctx context.Context, competition string, after uint64, limit int) ([]*livev1.FeedItem, bool, error)
	// Inbox is the same of a person's inbox.
	Inbox(ctx context.Context, person string, after uint64, limit int) ([]*livev1.Event, bool, error)
}

// Deps is what a Node needs.
type Deps struct {
	Clock func() step.Now
	Tell  Teller
	Views Views
}

const (
	// inboxSize is how many messages wait for Step. A full inbox holds connections back and drops updates, which
	// are then asked for again.
	inboxSize = 4096
	// readers is how many reads of views run at once; readQueue how many wait. Beyond it a read fails at once and
	// is tried again by its poll.
	readers   = 4
	readQueue = 1024
	readTime  = 5 * time.Second
)

// ErrBusy: too many reads of views are waiting.
var ErrBusy = fault.Later("hub.busy", "This node is busy; try again.")

// Node carries a Hub's messages: one goroutine runs Step, a few read views.
type Node struct {
	hub   *Hub
	deps  Deps
	inbox chan any
	reads chan any
	done  chan struct{} // closed when Run ends

	mu   sync.Mutex
	lost map[string]bool // topics whose updates were dropped

	// Owned by Run's loop.
	timers map[string]unit.InstantMs // wall clock
}

// NewNode makes the carrier of a hub. Run must be running for anything to happen.
func NewNode(h *Hub, deps Deps) *Node {
	return &Node{
		hub: h, deps: deps, inbox: make(chan any, inboxSize), reads: make(chan any, readQueue),
		done: make(chan struct{}), lost: map[string]bool{}, timers: map[string]unit.InstantMs{},
	}
}

// Hub is the hub that the node carries; only Standing and Holds may be called on it.
func (n *Node) Hub() *Hub { return n.hub }

// Post hands a message to the hub; it waits while the inbox is full, and drops it when Run has ended.
func (n *Node) Post(msg any) {
	select {
	case n.inbox <- msg:
	case <-n.done:
	}
}

// Update hands over an update from the cluster. It never waits: if the inbox is full the update is dropped and the
// topic is asked for again.
func (n *Node) Update(u *clusterv1.TopicUpdate) {
	select {
	case n.inbox <- u:
	default:
		n.mu.Lock()
		n.lost[u.Topic] = true
		n.mu.Unlock()
	}
}

// Run runs the hub until ctx ends.
func (n *Node) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() { n.read(ctx) })
	}
	n.loop(ctx)
	close(n.done)
	wg.Wait()
}

func (n *Node) loop(ctx context.Context) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-n.inbox:
			n.step(msg)
		case <-alarm.C:
			n.ring()
		}
		n.resync()
		n.set(alarm)
	}
}

func (n *Node) resync() {
	n.mu.Lock()
	var lost []string
	for t := range n.lost {
		lost = append(lost, t)
	}
	clear(n.lost)
	n.mu.Unlock()
	for _, t := range lost {
		n.step(Resync{t})
	}
}

// ring turns the timers that are due into ticks.
func (n *Node) ring() {
	now := n.deps.Clock().Wall
	for key, at := range n.timers {
		if at <= now {
			delete(n.timers, key)
			n.step(step.Tick{Key: key})
		}
	}
}

func (n *Node) set(alarm *time.Timer) {
	next := time.Hour
	now := n.deps.Clock().Wall
	for _, at := range n.timers {
		next = min(next, time.Duration(at.Sub(now))*time.Millisecond)
	}
	alarm.Reset(max(next, 0))
}

func (n *Node) step(msg any) {
	for _, out := range n.hub.Step(n.deps.Clock(), msg) {
		n.perform(out)
	}
}

func (n *Node) perform(out step.Out) {
	switch o := out.(type) {
	case Publish:
		for _, s := range o.To {
			s.Offer(o.Frame)
		}
	case step.Send:
		if m, ok := o.Msg.(proto.Message); ok {
			n.deps.Tell.Tell(o.To, m)
		}
	case step.After:
		n.timers[o.Key] = o.At
	case Again:
		o.Slot.RetryHistory()
	case Refuse:
		o.Slot.watcher.Refused(o.Slot, o.Err)
	case ReadRoster, ReadFeed:
		select {
		case n.reads <- o:
		default:
			n.step(outcome(o, ErrBusy))
		}
	}
}

func (n *Node) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case ask := <-n.reads:
			limited, cancel := context.WithTimeout(ctx, readTime)
			n.Post(n.ask(limited, ask))
			cancel()
		}
	}
}

func (n *Node) ask(ctx context.Context, ask any) any {
	switch a := ask.(type) {
	case ReadRoster:
		p, err := n.deps.Views.Roster(ctx, a.Competition)
		return RosterRead{a.Competition, p, err}
	case ReadFeed:
		r := FeedRead{Ask: a}
		if a.Topic.Kind == wire.Inbox {
			r.Events, r.More, r.Err = n.deps.Views.Inbox(ctx, a.Topic.ID, a.After, a.Limit)
			return r
		}
		r.Items, r.More, r.Err = n.deps.Views.Feed(ctx, a.Topic.ID, a.After, a.Limit)
		return r
	}
	return nil
}

// outcome is a read that was not made.
func outcome(ask any, err error) any {
	if a, ok := ask.(ReadFeed); ok {
		return FeedRead{Ask: a, Err: err}
	}
	return RosterRead{Competition: ask.(ReadRoster).Competition, Err: err}
}
