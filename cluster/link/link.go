package link

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
)

// Name of the link's actor, the same on each node.
const Name = "link"

// Router knows the members' addresses.
type Router interface {
	Address(member string) (address string, ok bool)
}

// Handler takes what arrives for this node's hub and sessions.
type Handler interface {
	// Deliver gets a *clusterv1.TopicUpdate or *clusterv1.SessionNotice.
	Deliver(msg proto.Message)
	// Resync says that updates of the topic were dropped: ask for a snapshot. "" is every topic.
	Resync(topic string)
}

// Grains takes what other members send to grains of this one (call.Caller).
type Grains interface {
	Here(to id.Grain, msg proto.Message, o call.Origin, done func(proto.Message, error))
	TellHere(to id.Grain, msg proto.Message, forwarded bool)
}

// Former lets go of grains that this member owned (placement.Placement).
type Former interface {
	Release(asker string, g id.Grain, done func())
	ReleaseAll(asker string, done func())
}

// Counts are what a Link has seen.
type Counts struct {
	Sent, Received, Dropped, Unknown atomic.Int64 // messages for hubs
	Parcels, Taken                   atomic.Int64 // parcels sent and taken
	Holes, Strangers                 atomic.Int64 // parcels that never came, and such as were not for this run
	Refused, Unanswered              atomic.Int64 // asks and answers without room
}

// Link is this node's end. It is safe for concurrent use.
type Link struct {
	cfg    Config
	system *actor.ActorSystem
	self   string // member id
	route  Router
	grains Grains
	former Former
	pid    *actor.PID
	counts Counts

	mu      sync.Mutex
	queue   []proto.Message
	bytes   int                 // of the queue
	lost    map[string]struct{} // topics to resync
	peers   map[string]*peer    // by member id
	closed  bool
	handler Handler
	status  func(ask *clusterv1.NodeStatusAsk, done func(proto.Message, error))
	awake   chan struct{} // capacity 1: there is something to do
	ended   chan struct{}
}

var _ call.Remote = (*Link)(nil)

// New makes the link of a node; Open starts it.
func New(system *actor.ActorSystem, route Router, grains Grains, former Former, cfg Config) *Link {
	return &Link{
		cfg: cfg, system: system, self: system.ID, route: route, grains: grains, former: former,
		lost: make(map[string]struct{}), peers: make(map[string]*peer),
		awake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// Open makes the link reachable. Close ends it.
func (l *Link) Open() error {
	pid, err := l.system.Root.SpawnNamed(actor.PropsFromFunc(l.receive), Name)
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

// Status says who answers other members that ask what this node does. It is called on the link's goroutine.
func (l *Link) Status(f func(ask *clusterv1.NodeStatusAsk, done func(proto.Message, error))) {
	l.mu.Lock()
	l.status = f
	l.mu.Unlock()
}

// Close ends the link and waits for the handler to return.
func (l *Link) Close() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	peers := l.peers
	l.peers = make(map[string]*peer)
	l.mu.Unlock()
	for _, p := range peers {
		p.leave()
	}
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

// Fullest is what the members cost that take least: bytes that wait for one, and parcels that are under way to one.
func (l *Link) Fullest() (waitingBytes, underWay int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		bytes, parcels := p.holds()
		waitingBytes, underWay = max(waitingBytes, bytes), max(underWay, parcels)
	}
	return waitingBytes, underWay
}

// ToNode sends a one-way message to the hub of a member. One that is no member now is left out: its interest ends.
func (l *Link) ToNode(member string, msg proto.Message) {
	if member == l.self {
		l.counts.Sent.Add(1)
		l.arrive(msg)
		return
	}
	p := l.peer(member)
	if p == nil {
		l.counts.Unknown.Add(1)
		return
	}
	l.counts.Sent.Add(1)
	switch m := msg.(type) {
	case *clusterv1.TopicUpdate:
		p.update(m)
	case *clusterv1.SessionNotice:
		if !p.put(&clusterv1.Item{What: &clusterv1.Item_Notice{Notice: m}}, l.cfg.PeerBytes) {
			l.counts.Dropped.Add(1)
		}
	}
}

// Ask implements call.Remote.
func (l *Link) Ask(member string, a *clusterv1.Ask, done func(proto.Message, error)) (forget func()) {
	p := l.peer(member)
	if p == nil {
		done(nil, call.ErrMoved)
		return func() {}
	}
	return p.ask(a, done)
}

// Tell implements call.Remote.
func (l *Link) Tell(member string, a *clusterv1.Ask) bool {
	p := l.peer(member)
	return p != nil && p.put(&clusterv1.Item{What: &clusterv1.Item_Ask{Ask: a}}, l.cfg.PeerBytes*3/4)
}

// peer is the way to a member; nil: it is none now.
func (l *Link) peer(member string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[member]; p != nil || l.closed {
		return p
	}
	address, ok := l.route.Address(member)
	if !ok {
		return nil
	}
	p := newPeer(l, member, address)
	l.peers[member] = p
	return p
}

// MembersChanged forgets who is no member any more.
func (l *Link) MembersChanged() {
	var gone []*peer
	l.mu.Lock()
	for member, p := range l.peers {
		if _, ok := l.route.Address(member); !ok {
			delete(l.peers, member)
			gone = append(gone, p)
		}
	}
	l.mu.Unlock()
	for _, p := range gone {
		p.leave()
	}
}

func (l *Link) receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*clusterv1.Parcel); ok {
		l.unpack(m)
	}
}

// unpack opens a parcel. What a former run was sent, or what somebody sends who is no member, is dropped: this one
// would answer for state that it does not have.
func (l *Link) unpack(m *clusterv1.Parcel) {
	var p *peer
	if m.GetTo() == l.self {
		p = l.peer(m.GetFrom())
	}
	if p == nil {
		l.counts.Strangers.Add(1)
		return
	}
	l.counts.Taken.Add(1)
	lost, again := p.arrived(m, time.Now())
	if again {
		return
	}
	if lost {
		l.counts.Holes.Add(1)
		l.resync("")
	}
	for _, it := range m.GetItems() {
		switch w := it.GetWhat().(type) {
		case *clusterv1.Item_Ask:
			l.asked(p, w.Ask)
		case *clusterv1.Item_Answer:
			if done := p.answered(w.Answer.GetId()); done != nil {
				done(call.Unpack(w.Answer.GetType(), w.Answer.GetMessage()))
			}
		case *clusterv1.Item_Update:
			l.arrive(w.Update)
		case *clusterv1.Item_Notice:
			l.arrive(w.Notice)
		case *clusterv1.Item_Resync:
			l.resync(w.Resync)
		}
	}
}

// asked hands on what another member sends to a grain of this one.
func (l *Link) asked(p *peer, a *clusterv1.Ask) {
	reply := func(m proto.Message, err error) {
		if err != nil {
			m = call.Reason(err)
		}
		bytes, err := proto.Marshal(m)
		if err != nil {
			return // the asker's time ends
		}
		p.answer(&clusterv1.Answer{Id: a.GetId(), Type: string(m.ProtoReflect().Descriptor().FullName()), Message: bytes})
	}
	msg, err := call.Unpack(a.GetType(), a.GetMessage())
	if ask, ok := msg.(*clusterv1.NodeStatusAsk); ok {
		l.askedStatus(ask, reply)
		return
	}
	_, release := msg.(*clusterv1.Release)
	if release && a.GetGrain() == "" {
		l.former.ReleaseAll(p.member, func() { reply(&clusterv1.Released{}, nil) })
		return
	}
	to, bad := id.ParseIdentity(a.GetGrain())
	if bad != nil {
		reply(nil, bad)
		return
	}
	if release {
		l.former.Release(p.member, to, func() { reply(&clusterv1.Released{}, nil) })
		return
	}
	switch now := time.Now(); {
	case err != nil:
		reply(nil, err)
	case a.GetId() == 0:
		l.grains.TellHere(to, msg, a.GetForwarded())
	default:
		l.grains.Here(to, msg, call.Origin{
			Within:   now.Add(time.Duration(a.GetWithinMs()) * time.Millisecond),
			Deadline: now.Add(time.Duration(a.GetDeadlineMs()) * time.Millisecond),
			Trace:    a.GetTrace(), Forwarded: a.GetForwarded(),
		}, reply)
	}
}

func (l *Link) askedStatus(ask *clusterv1.NodeStatusAsk, reply func(proto.Message, error)) {
	l.mu.Lock()
	status := l.status
	l.mu.Unlock()
	if status == nil {
		reply(nil, call.ErrBusy) // it has not begun yet
		return
	}
	status(ask, reply)
}

// arrive queues what came for this node's hub and sessions.
func (l *Link) arrive(msg proto.Message) {
	switch m := msg.(type) {
	case *clusterv1.TopicUpdate:
		l.put(m, m.GetTopic())
	case *clusterv1.SessionNotice:
		l.put(m, "")
	}
}

func (l *Link) resync(topic string) {
	l.mu.Lock()
	l.lost[topic] = struct{}{}
	l.mu.Unlock()
	l.wake()
}

func (l *Link) put(m proto.Message, topic string) {
	size := proto.Size(m)
	l.mu.Lock()
	room, most := l.cfg.HubQueue, l.cfg.HubBytes
	if topic != "" {
		room, most = room*3/4, most*3/4
	}
	switch {
	case l.closed:
	case len(l.queue) >= room, len(l.queue) > 0 && l.bytes+size > most:
		l.counts.Dropped.Add(1)
		if topic != "" {
			l.lost[topic] = struct{}{}
		}
	default:
		l.counts.Received.Add(1)
		l.queue = append(l.queue, m)
		l.bytes += size
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
	batch, l.queue, l.bytes = l.queue, nil, 0
	if len(l.lost) > 0 {
		lost, l.lost = l.lost, make(map[string]struct{})
	}
	return batch, lost, l.handler, false
}
