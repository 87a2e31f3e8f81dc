//go:build !race

package link

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
)

// end is one of several members, with the runtime's real way between them.
type end struct {
	*Link
	hub   *hub
	grain func(msg proto.Message, done func(proto.Message, error)) // what the grains of this member do

	mu    sync.Mutex
	place map[string]string // member → where it is reached from here
}

func (e *end) Here(_ id.Grain, msg proto.Message, _ call.Origin, done func(proto.Message, error)) {
	e.grain(msg, done)
}
func (e *end) TellHere(_ id.Grain, msg proto.Message, _ bool) {
	e.grain(msg, func(proto.Message, error) {})
}
func (e *end) ReleaseAll(_ string, done func())          { done() }
func (e *end) Release(_ string, _ id.Grain, done func()) { done() }
func (e *end) Address(member string) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := e.place[member]
	return a, ok
}

// ends makes members that know each other; roads[i] is in front of member i for all others, nil: none.
func ends(t *testing.T, cfg Config, roads ...*road) []*end {
	t.Helper()
	var all []*end
	for _, r := range roads {
		port, advertise := 0, ""
		if r != nil {
			port, advertise = r.behind(t)
		}
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(slog.NewTextHandler(io.Discard, nil))
		}), actor.WithDeadLetterRequestLogging(false))
		options := []remote.ConfigOption{remote.WithEndpointWriterQueueSize(4096), remote.WithEndpointWriterBatchSize(256)}
		if advertise != "" {
			options = append(options, remote.WithAdvertisedHost(advertise))
		}
		way := remote.NewRemote(system, remote.Configure("127.0.0.1", port, options...))
		way.Start()
		e := &end{hub: &hub{}, place: map[string]string{}}
		e.grain = func(msg proto.Message, done func(proto.Message, error)) { done(msg, nil) }
		e.Link = New(system, e, e, e, cfg)
		if err := e.Open(); err != nil {
			t.Fatal(err)
		}
		e.Attach(e.hub)
		all = append(all, e)
		t.Cleanup(func() {
			e.Close()
			if r != nil {
				r.Cut()
			}
			way.Shutdown(false)
		})
	}
	for _, e := range all {
		for _, other := range all {
			e.place[other.self] = other.system.Address()
		}
	}
	return all
}

// say asks the other end's echo; got counts what came back.
func (e *end) say(to *end, bytes int, got *atomic.Int64) {
	m := &clusterv1.Ack{Stream: strings.Repeat("x", bytes)}
	b, _ := proto.Marshal(m)
	e.Ask(to.self, &clusterv1.Ask{Grain: id.Of(id.User, "u").Identity(), Type: string(m.ProtoReflect().Descriptor().FullName()), Message: b, WithinMs: 60_000, DeadlineMs: 60_000},
		func(_ proto.Message, err error) {
			if err == nil {
				got.Add(1)
			}
		})
}

// road is a TCP proxy in front of a member: it can stand still, and be cut.
type road struct {
	l       net.Listener
	to      string
	mu      sync.Mutex
	held    chan struct{} // not nil: stands still until closed
	conns   map[net.Conn]struct{}
	carried atomic.Int64 // bytes
}

func newRoad(t *testing.T) *road {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &road{l: l, conns: map[net.Conn]struct{}{}}
}

// behind is the port that the member must take, and the address at which others find it.
func (r *road) behind(t *testing.T) (port int, advertise string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.to = l.Addr().String()
	port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	go func() {
		for {
			c, err := r.l.Accept()
			if err != nil {
				return
			}
			go r.carry(c)
		}
	}()
	t.Cleanup(func() { _ = r.l.Close() })
	return port, r.l.Addr().String()
}

func (r *road) carry(c net.Conn) {
	d, err := net.Dial("tcp", r.to)
	if err != nil {
		_ = c.Close()
		return
	}
	r.mu.Lock()
	r.conns[c], r.conns[d] = struct{}{}, struct{}{}
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { r.copy(d, c) })
	both.Go(func() { r.copy(c, d) })
	both.Wait()
	r.mu.Lock()
	delete(r.conns, c)
	delete(r.conns, d)
	r.mu.Unlock()
}

func (r *road) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		r.mu.Lock()
		held := r.held
		r.mu.Unlock()
		if held != nil {
			<-held
		}
		n, err := from.Read(b)
		if n > 0 {
			r.carried.Add(int64(n))
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Hold makes the road stand still: the member behind it takes nothing any more.
func (r *road) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = make(chan struct{})
	}
}

// Go lets it go on.
func (r *road) Go() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
}

// Cut ends all connections; what they carried is lost.
func (r *road) Cut() {
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.Go()
}

// TestAMemberThatTakesNothing: what one member costs is bounded, however long it takes nothing and however much is meant
// for it; the others notice nothing of it; and it hears everything that was accepted once it is back, in order, and of
// the rest that it is to be asked for.
func TestAMemberThatTakesNothing(t *testing.T) {
	cfg := Default()
	cfg.PeerBytes, cfg.WindowBytes, cfg.ParcelBytes, cfg.Probe = 256<<10, 256<<10, 16<<10, 50*time.Millisecond
	stuck := newRoad(t)
	all := ends(t, cfg, nil, stuck, nil)
	a, b, c := all[0], all[1], all[2]
	var early, late, other atomic.Int64
	a.say(b, 10, &early)
	until(t, "b answers", func() bool { return early.Load() == 1 })

	stuck.Hold()
	var version uint64
	for range 2000 {
		a.say(b, 1000, &late)
		version++
		a.ToNode(b.self, &clusterv1.TopicUpdate{Topic: "board", Version: version, Base: version - 1, Content: make([]byte, 1000)})
	}
	n := a.Counts()
	if n.Refused.Load() == 0 || n.Dropped.Load() == 0 {
		t.Fatalf("%d asks refused, %d updates left out: 4 MB were taken for a member that takes nothing", n.Refused.Load(), n.Dropped.Load())
	}
	for range 200 {
		a.say(c, 1000, &other)
	}
	until(t, "c answers as if nothing were", func() bool { return other.Load() == 200 })

	// Ten probes later it costs no more.
	probes := n.Parcels.Load() + 10
	until(t, "probes go out", func() bool { return n.Parcels.Load() >= probes })
	if held, most := a.held(b.self), cfg.PeerMost(); held > most {
		t.Fatalf("%d bytes are held for b, want at most %d", held, most)
	}

	stuck.Go()
	accepted := 2000 - n.Refused.Load()
	until(t, "everything that was accepted is answered", func() bool { return late.Load() == accepted })
	until(t, "b is told to ask for the topic", func() bool {
		b.hub.mu.Lock()
		defer b.hub.mu.Unlock()
		return len(b.hub.resync) > 0
	})
	until(t, "every update that was accepted arrives", func() bool { return int64(b.hub.n.Load()) == 2000-n.Dropped.Load() })
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	last := uint64(0)
	for _, m := range b.hub.got {
		v := m.(*clusterv1.TopicUpdate).GetVersion()
		if v <= last {
			t.Fatalf("version %d came after %d: what was accepted has an order", v, last)
		}
		last = v
	}
}

// held is what one member costs now.
func (l *Link) held(member string) int {
	p := l.peer(member)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes + p.flightBytes
}

// TestLostParcels: parcels that are lost with their connection are noticed, also when nothing follows them, and asked
// for: the hub is told, once, and what comes next goes through.
func TestLostParcels(t *testing.T) {
	cfg := Default()
	cfg.Probe = 100 * time.Millisecond
	r := newRoad(t)
	all := ends(t, cfg, nil, r)
	a, b := all[0], all[1]
	var got atomic.Int64
	a.say(b, 10, &got)
	until(t, "b answers", func() bool { return got.Load() == 1 })
	r.Hold()
	for range 20 {
		a.ToNode(b.self, &clusterv1.TopicUpdate{Topic: "board", Version: 2, Base: 1, Content: make([]byte, 100_000)})
	}
	until(t, "they are under way", func() bool {
		p := a.peer(b.self)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.sent-p.credited > 10
	})
	r.Cut()
	until(t, "b knows that something is missing", func() bool {
		b.hub.mu.Lock()
		defer b.hub.mu.Unlock()
		return len(b.hub.resync) > 0
	})
	if b.Counts().Holes.Load() == 0 {
		t.Error("no hole was seen")
	}
	a.ToNode(b.self, &clusterv1.TopicUpdate{Topic: "board", Version: 9})
	until(t, "what follows arrives, and what was lost is not under way any more", func() bool {
		b.hub.mu.Lock()
		defer b.hub.mu.Unlock()
		n := len(b.hub.got)
		return n > 0 && b.hub.got[n-1].(*clusterv1.TopicUpdate).GetVersion() == 9 && a.held(b.self) == 0
	})
	a.say(b, 10, &got)
	until(t, "b answers again", func() bool { return got.Load() == 2 })
}

// TestACrowdTravelsTogether: of many messages within milliseconds few parcels are made, both ways.
func TestACrowdTravelsTogether(t *testing.T) {
	all := ends(t, Default(), nil, nil)
	a, b := all[0], all[1]
	var got atomic.Int64
	a.say(b, 10, &got)
	until(t, "b answers", func() bool { return got.Load() == 1 })
	up, down := a.Counts().Parcels.Load(), b.Counts().Parcels.Load()
	began := time.Now()
	for range 1000 {
		a.say(b, 100, &got)
	}
	until(t, "all are answered", func() bool { return got.Load() == 1001 })
	most := int64(20 + time.Since(began)/Default().Collect)
	if n := a.Counts().Parcels.Load() - up; n > most {
		t.Errorf("1000 asks went in %d parcels", n)
	}
	if n := b.Counts().Parcels.Load() - down; n > most {
		t.Errorf("1000 answers went in %d parcels", n)
	}
}

// TestWhoWaitsForAMemberThatGoesIsToldSo: at once, however long its attempt may still take; and so is who comes after.
func TestWhoWaitsForAMemberThatGoesIsToldSo(t *testing.T) {
	all := ends(t, Default(), nil, nil)
	one, two := all[0], all[1]
	heard := make(chan struct{}, 1)
	two.grain = func(proto.Message, func(proto.Message, error)) { heard <- struct{}{} }
	told := make(chan error, 2)
	ask := func() {
		a, err := call.Pack(id.Of(id.User, "u"), &clusterv1.Ack{})
		if err != nil {
			t.Fatal(err)
		}
		a.WithinMs, a.DeadlineMs = 60_000, 60_000
		one.Ask(two.self, a, func(_ proto.Message, err error) { told <- err })
	}
	hear := func() {
		t.Helper()
		select {
		case err := <-told:
			if !errors.Is(err, call.ErrMoved) {
				t.Errorf("told %v, want ErrMoved", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("told nothing")
		}
	}
	ask()
	<-heard
	one.mu.Lock()
	delete(one.place, two.self)
	one.mu.Unlock()
	one.MembersChanged()
	hear()
	ask()
	hear()
}
