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
	queue []waiting
	bytes int                 // of the queue
	lost  map[string]struct{} // topics of which an update was left out
	asks  map[uint64]func(proto.Message, error)
	next  uint64 // id of the next ask
	gone  bool

	sent, credited uint64 // parcels to it
	flight         []int  // bytes of the parcels in between, oldest first
	flightBytes    int
	probed         uint64    // number of the last probe
	sentAt         time.Time // of the last parcel with something in it
	heardAt        time.Time // the last credit, or the first parcel that waits for one

	taken, told uint64    // parcels from it: taken off the wire, and told so
	owedAt      time.Time // when the first parcel was taken that it was not told of

	awake chan struct{} // capacity 1
	ended chan struct{}
}

// waiting is an item with its size on the wire.
type waiting struct {
	item *clusterv1.Item
	size int
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

// put queues an item if it fits under part of the bound; false: it does not. What is larger than that waits alone.
func (p *peer) put(it *clusterv1.Item, most int) bool {
	size := proto.Size(it)
	p.mu.Lock()
	ok := !p.gone && (p.bytes+size <= most || p.bytes == 0)
	wake := false
	if ok {
		before := p.bytes
		p.queue = append(p.queue, waiting{it, size})
		p.bytes += size
		// Whoever collects has set the time already; only the first item and a full parcel are news.
		wake = len(p.queue) == 1 || before < p.l.cfg.ParcelBytes && p.bytes >= p.l.cfg.ParcelBytes
	}
	p.mu.Unlock()
	if wake {
		p.wake()
	}
	return ok
}

// update queues a topic's update; without room its topic is to be resynced, and until that is said its deltas would be
// of no use. A quarter of the bound is kept for asks, so that a node full of viewers still takes its athletes' frames on.
func (p *peer) update(m *clusterv1.TopicUpdate) {
	p.mu.Lock()
	_, useless := p.lost[m.GetTopic()]
	useless = useless && m.GetBase() != 0
	p.mu.Unlock()
	if !useless && p.put(&clusterv1.Item{What: &clusterv1.Item_Update{Update: m}}, p.l.cfg.PeerBytes*3/4) {
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

// answer queues an answer; without room the other side hears nothing, and asks again.
func (p *peer) answer(a *clusterv1.Answer) {
	if !p.put(&clusterv1.Item{What: &clusterv1.Item_Answer{Answer: a}}, 2*p.l.cfg.PeerBytes) {
		p.l.counts.Unanswered.Add(1)
	}
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

// holds is what waits, in bytes, and how many parcels are under way.
func (p *peer) holds() (waitingBytes, underWay int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, len(p.flight)
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
func (p *peer) arrived(m *clusterv1.Parcel, now time.Time) (lost, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.GetTaken() > p.credited && m.GetTaken() <= p.sent {
		for ; p.credited < m.GetTaken(); p.credited++ {
			p.flightBytes -= p.flight[0]
			p.flight = p.flight[1:]
		}
		p.heardAt = now
		if p.ready() {
			p.wake()
		}
	}
	if n := m.GetNumber(); n > 0 {
		again = n <= p.taken
		lost = n > p.taken+1
		if p.taken == p.told {
			p.owedAt = now
			p.wake()
		}
		p.taken = max(p.taken, n)
		if p.taken-p.told >= p.creditAt() {
			p.wake()
		}
	}
	return lost, again
}

// ready reports whether there is something to send. The lock is held.
func (p *peer) ready() bool { return len(p.queue) > 0 || len(p.lost) > 0 }

// creditAt is how many parcels may be taken before the other side is told at once.
func (p *peer) creditAt() uint64 { return max(1, uint64(p.l.cfg.Window)/4) }

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
	cfg := &p.l.cfg
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil, -1
	}
	wait := time.Hour
	underWay := p.sent - p.credited
	if underWay > 0 {
		if wait = cfg.Probe - now.Sub(p.heardAt); wait <= 0 {
			p.heardAt = now
			return p.probe(), 0
		}
	}
	if p.ready() && underWay < uint64(cfg.Window) && p.flightBytes < cfg.WindowBytes {
		collect := cfg.Collect - now.Sub(p.sentAt)
		if collect <= 0 || p.bytes >= cfg.ParcelBytes {
			if underWay == 0 {
				p.heardAt = now
			}
			p.sentAt = now
			m := p.number()
			p.fill(m)
			return m, 0
		}
		wait = min(wait, collect)
	}
	if owed := p.taken - p.told; owed > 0 {
		credit := cfg.Credit - now.Sub(p.owedAt)
		if credit <= 0 || owed >= p.creditAt() {
			return p.credit(), 0
		}
		wait = min(wait, credit)
	}
	return nil, wait
}

// credit is a parcel with nothing in it but how far the other side's were taken.
func (p *peer) credit() *clusterv1.Parcel {
	p.told = p.taken
	return &clusterv1.Parcel{From: p.l.self, To: p.member, Taken: p.taken}
}

// probe is a parcel whose number tells the other side what it has missed. It has nothing in it, and one that follows
// another has the same number: a member that takes nothing costs nothing more the longer it does so.
func (p *peer) probe() *clusterv1.Parcel {
	if p.probed != p.sent {
		m := p.number()
		p.probed = p.sent
		return m
	}
	m := p.credit()
	m.Number = p.sent
	return m
}

// number is a parcel that counts, still with nothing in it.
func (p *peer) number() *clusterv1.Parcel {
	p.sent++
	p.flight = append(p.flight, 0)
	m := p.credit()
	m.Number = p.sent
	return m
}

// fill moves from the queue what fits.
func (p *peer) fill(m *clusterv1.Parcel) {
	m.Items = make([]*clusterv1.Item, 0, len(p.lost)+len(p.queue))
	for topic := range p.lost {
		m.Items = append(m.Items, &clusterv1.Item{What: &clusterv1.Item_Resync{Resync: topic}})
	}
	clear(p.lost)
	n, bytes := 0, 0
	for ; n < len(p.queue); n++ {
		if n > 0 && bytes+p.queue[n].size > p.l.cfg.ParcelBytes {
			break
		}
		bytes += p.queue[n].size
		m.Items = append(m.Items, p.queue[n].item)
	}
	p.queue = append([]waiting(nil), p.queue[n:]...)
	p.bytes -= bytes
	p.flight[len(p.flight)-1] = bytes
	p.flightBytes += bytes
}
