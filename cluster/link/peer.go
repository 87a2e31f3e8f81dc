package link

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
)

// peer is what goes to one run of another member, and what is known of what comes from it.
type peer struct {
	l      *Link
	member string
	pid    *actor.PID // of its link

	mu    sync.Mutex
	queue []*clusterv1.Item
	bytes int
	lost  map[string]struct{} // topics of which an update was left out
	asks  map[uint64]func(proto.Message, error)
	next  uint64 // id of the next ask
	gone  bool

	sent, credited uint64 // parcels to it
	sentAt         time.Time
	heardAt        time.Time // the last credit, or the first parcel that waits for one
	taken, told    uint64    // parcels from it: taken off the wire, and told so

	awake chan struct{} // capacity 1
	ended chan struct{}
}

func newPeer(l *Link, member, address string) *peer {
	p := &peer{
		l: l, member: member, pid: actor.NewPID(address, Name),
		lost: make(map[string]struct{}), asks: make(map[uint64]func(proto.Message, error)),
		awake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *peer) wake() {
	select {
	case p.awake <- struct{}{}:
	default:
	}
}

// put queues an item if it fits under part of the bound; false: it does not.
func (p *peer) put(it *clusterv1.Item, most int) bool {
	size := proto.Size(it)
	p.mu.Lock()
	ok := !p.gone && p.bytes+size <= most
	if ok {
		p.queue = append(p.queue, it)
		p.bytes += size
	}
	p.mu.Unlock()
	if ok {
		p.wake()
	}
	return ok
}

// update queues a topic's update; without room its topic is to be resynced. A quarter of the bound is kept for asks,
// so that a node full of viewers still takes its athletes' frames on.
func (p *peer) update(m *clusterv1.TopicUpdate) {
	if p.put(&clusterv1.Item{What: &clusterv1.Item_Update{Update: m}}, p.l.cfg.PeerBytes*3/4) {
		return
	}
	p.l.counts.Dropped.Add(1)
	p.mu.Lock()
	if !p.gone {
		p.lost[m.GetTopic()] = struct{}{}
	}
	p.mu.Unlock()
	p.wake()
}

// ask queues a request and remembers who waits for the answer.
func (p *peer) ask(a *clusterv1.Ask, done func(proto.Message, error)) (forget func()) {
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		done(nil, call.ErrMoved)
		return func() {}
	}
	p.next++
	a.Id = p.next
	p.asks[a.Id] = done
	p.mu.Unlock()
	forget = func() { p.answered(a.Id) }
	if !p.put(&clusterv1.Item{What: &clusterv1.Item_Ask{Ask: a}}, p.l.cfg.PeerBytes) {
		p.l.counts.Refused.Add(1)
		if done := p.answered(a.Id); done != nil {
			done(nil, call.ErrBusy)
		}
	}
	return forget
}

// answered forgets a request; nil: nobody waits for it any more.
func (p *peer) answered(id uint64) func(proto.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.asks[id]
	delete(p.asks, id)
	return done
}

// leave ends the peer: what is under way is lost, and who waits is told to look for another member.
func (p *peer) leave() {
	p.mu.Lock()
	if p.gone {
		p.mu.Unlock()
		return
	}
	p.gone = true
	asks := p.asks
	p.asks, p.queue, p.bytes, p.lost = nil, nil, 0, nil
	p.mu.Unlock()
	p.wake()
	<-p.ended
	for _, done := range asks {
		done(nil, call.ErrMoved)
	}
}

// arrived notes a parcel of this peer. lost says that parcels before it never came; again, that this one is an old one.
func (p *peer) arrived(m *clusterv1.Parcel) (lost, again bool) {
	p.mu.Lock()
	if m.GetTaken() > p.credited && m.GetTaken() <= p.sent {
		p.credited = m.GetTaken()
		p.heardAt = time.Now()
	}
	if n := m.GetNumber(); n > 0 {
		again = n <= p.taken
		lost = n > p.taken+1
		p.taken = max(p.taken, n)
	}
	p.mu.Unlock()
	p.wake()
	return lost, again
}

func (p *peer) run() {
	defer close(p.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m, wait := p.parcel(time.Now())
		if m != nil {
			p.l.counts.Parcels.Add(1)
			p.l.system.Root.Send(p.pid, m)
			continue
		}
		if wait < 0 {
			return
		}
		timer.Reset(wait)
		select {
		case <-p.awake:
		case <-timer.C:
		}
	}
}

// parcel is what may be sent now; nil: nothing before so long, or before being woken. Negative: never again.
func (p *peer) parcel(now time.Time) (*clusterv1.Parcel, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil, -1
	}
	underWay := p.sent - p.credited
	silent := p.l.cfg.Probe
	if underWay > 0 {
		silent = p.l.cfg.Probe - now.Sub(p.heardAt)
	}
	probe := underWay > 0 && silent <= 0
	collect := p.l.cfg.Collect - now.Sub(p.sentAt)
	ready := len(p.queue) > 0 || len(p.lost) > 0
	switch {
	case probe: // one more than allowed: its number tells the other side what it has missed
		p.heardAt = now
	case underWay >= uint64(p.l.cfg.Window):
		if p.taken > p.told && collect <= 0 {
			return p.credit(now), 0
		}
		return nil, max(time.Millisecond, min(silent, p.owing(collect, silent)))
	case ready && underWay > 0 && collect > 0 && p.bytes < p.l.cfg.ParcelBytes:
		return nil, collect
	case ready:
	case p.taken > p.told && collect > 0:
		return nil, collect
	case p.taken > p.told:
		return p.credit(now), 0
	default:
		return nil, max(time.Millisecond, silent)
	}
	if underWay == 0 {
		p.heardAt = now
	}
	p.sent++
	m := p.credit(now)
	m.Number = p.sent
	p.fill(m)
	return m, 0
}

// owing is how long credit that is owed to the other side may wait.
func (p *peer) owing(collect, silent time.Duration) time.Duration {
	if p.taken > p.told {
		return collect
	}
	return silent
}

// credit is a parcel with nothing in it but how far the other side's were taken.
func (p *peer) credit(now time.Time) *clusterv1.Parcel {
	p.sentAt, p.told = now, p.taken
	return &clusterv1.Parcel{From: p.l.self, To: p.member, Taken: p.taken}
}

// fill moves from the queue what fits.
func (p *peer) fill(m *clusterv1.Parcel) {
	for topic := range p.lost {
		m.Items = append(m.Items, &clusterv1.Item{What: &clusterv1.Item_Resync{Resync: topic}})
	}
	clear(p.lost)
	n, bytes := 0, 0
	for ; n < len(p.queue); n++ {
		size := proto.Size(p.queue[n])
		if n > 0 && bytes+size > p.l.cfg.ParcelBytes {
			break
		}
		bytes += size
	}
	m.Items = append(m.Items, p.queue[:n]...)
	p.queue = append([]*clusterv1.Item(nil), p.queue[n:]...)
	p.bytes -= bytes
}
