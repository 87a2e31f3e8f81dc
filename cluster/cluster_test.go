//go:build !race

// Whole-cluster tests run without -race: Proto.Actor's member list reads its members without its lock, and its
// server sets gRPC's process-wide logger (doc.go).

package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/internal/testkit"
)

// counter is a grain that counts what it is sent, and is asked about it.
type counter struct {
	g     id.Grain
	site  *site
	n     uint64
	flush int // messages of its own between being asked to end and ending
	slow  time.Duration
	asked bool // to end
}

type flushed struct{}

// site is what outlives activations: as a journal does.
type site struct {
	mu       sync.Mutex
	counts   map[string]uint64
	live     map[string]int // activations that have not ended
	overlaps int
	drained  int
	awake    bool // refuses to end when swept
}

func (c *counter) Receive(ctx actor.Context) {
	s := c.site
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.mu.Lock()
		c.n = s.counts[c.g.ID]
		if s.live[c.g.ID]++; s.live[c.g.ID] > 1 {
			s.overlaps++
		}
		s.mu.Unlock()
	case *clusterv1.Ack:
		c.n += m.Version
		s.mu.Lock()
		s.counts[c.g.ID] = c.n
		s.mu.Unlock()
		if ctx.Sender() != nil {
			ctx.Respond(&clusterv1.Ack{Version: c.n})
		}
	case *clusterv1.Wake:
		panic("bad wake-up")
	case step.Sweep:
		s.mu.Lock()
		stay := s.awake && !m.Drain
		s.mu.Unlock()
		if stay {
			return
		}
		if c.asked {
			return
		}
		c.asked = true
		if c.slow > 0 {
			root, self := ctx.ActorSystem().Root, ctx.Self()
			time.AfterFunc(c.slow, func() { root.Send(self, flushed{}) })
			return
		}
		ctx.Send(ctx.Self(), flushed{}) // something of its own is still to be done
	case flushed:
		if c.flush--; c.flush > 0 {
			ctx.Send(ctx.Self(), flushed{})
			return
		}
		s.mu.Lock()
		s.live[c.g.ID]--
		s.drained++
		s.mu.Unlock()
		ctx.Stop(ctx.Self())
	}
}

func started(t *testing.T, cfg Config) (*Cluster, *site) {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &site{counts: map[string]uint64{}, live: map[string]int{}}
	c, err := Start(t.Context(), cfg, func(*Cluster) []Kind {
		return []Kind{{Name: id.User, New: func(g id.Grain) actor.Actor { return &counter{g: g, site: s, flush: 3} }}}
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return c, s
}

func add(t *testing.T, c *Cluster, user string, n uint64) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m, err := c.Caller().Ask(ctx, id.Of(id.User, user), &clusterv1.Ack{Version: n})
	if err != nil {
		t.Fatalf("Ask(%s): %v", user, err)
	}
	return m.(*clusterv1.Ack).Version
}

func TestManyGrainsAnswer(t *testing.T) {
	c, s := started(t, Default())
	var all sync.WaitGroup
	for w := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 500 {
				add(t, c, fmt.Sprintf("u%d", (w*37+i)%300), 1)
			}
		}()
	}
	all.Wait()
	var sum uint64
	for _, n := range s.counts {
		sum += n
	}
	if sum != 4000 || s.overlaps != 0 {
		t.Fatalf("sum %d, overlaps %d; want 4000 and 0", sum, s.overlaps)
	}
	if n := c.Placement().Counts().Activated.Load(); n != 300 {
		t.Fatalf("activated %d, want 300", n)
	}
}

// TestPassivationLosesNothing: grains end all the time while they are used; every request is answered, no one-way
// message is lost, nothing is active twice.
func TestPassivationLosesNothing(t *testing.T) {
	cfg := Default()
	cfg.Placement.SweepEvery, cfg.Placement.IdleAfter, cfg.Placement.Linger = 2*time.Millisecond, 0, 20*time.Millisecond
	c, s := started(t, cfg)
	var all sync.WaitGroup
	for w := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 500 {
				user := fmt.Sprintf("u%d", (w+i)%10)
				add(t, c, user, 1)
				c.Caller().Tell(id.Of(id.User, user), &clusterv1.Ack{Version: 1})
			}
		}()
	}
	all.Wait()
	until(t, "every message counts once", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		var sum uint64
		for _, n := range s.counts {
			sum += n
		}
		return sum == 4000
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overlaps != 0 {
		t.Fatalf("%d overlapping activations", s.overlaps)
	}
	if c.Placement().Counts().Released.Load() == 0 {
		t.Fatal("nothing was passivated: the test shows nothing")
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, 5*time.Second, what, ok)
}

func TestASweptGrainMayStay(t *testing.T) {
	cfg := Default()
	cfg.Placement.SweepEvery, cfg.Placement.IdleAfter = time.Millisecond, 0
	c, s := started(t, cfg)
	s.mu.Lock()
	s.awake = true
	s.mu.Unlock()
	add(t, c, "ann", 1)
	for range 50 {
		add(t, c, "ann", 1)
	}
	if n := c.Placement().Counts().Released.Load(); n != 0 {
		t.Fatalf("released %d, want 0: the grain said no", n)
	}
}

// TestAPanicIsContained: the one who asked is answered, the others notice nothing, the grain is there again.
func TestAPanicIsContained(t *testing.T) {
	c, _ := started(t, Default())
	add(t, c, "ann", 1)
	add(t, c, "ben", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Caller().Ask(ctx, id.Of(id.User, "ann"), &clusterv1.Wake{}); err == nil {
		t.Fatal("a panic was answered with success")
	}
	if n := add(t, c, "ann", 1); n != 2 {
		t.Fatalf("ann = %d, want 2", n)
	}
	if n := add(t, c, "ben", 1); n != 2 {
		t.Fatalf("ben = %d, want 2", n)
	}
	if n := c.Placement().Counts().Panicked.Load(); n == 0 {
		t.Fatal("no panic was counted")
	}
}

func TestDrainEndsAllGrains(t *testing.T) {
	c, s := started(t, Default())
	for i := range 50 {
		add(t, c, fmt.Sprintf("u%d", i), 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.Placement().Drain(ctx); err != nil {
		t.Fatalf("Drain: %v", err)
	}
	if s.drained != 50 {
		t.Fatalf("%d grains flushed, want 50", s.drained)
	}
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := c.Caller().Ask(short, id.Of(id.User, "u1"), &clusterv1.Ack{Version: 1}); err == nil {
		t.Fatal("a drained member activated a grain")
	}
}

type hub struct{ n atomic.Int32 }

func (h *hub) Deliver(proto.Message) { h.n.Add(1) }
func (h *hub) Resync(string)         {}

// TestLinkReachesItsOwnNode: the same way as to any other.
func TestLinkReachesItsOwnNode(t *testing.T) {
	c, _ := started(t, Default())
	h := &hub{}
	c.Link().ToNode(c.Member(), &clusterv1.TopicUpdate{Topic: "a", Version: 1}) // before anybody listens
	c.Link().Attach(h)
	c.Link().ToNode(c.Member(), &clusterv1.SessionNotice{Session: "s"})
	c.Link().ToNode("nobody", &clusterv1.SessionNotice{Session: "s"})
	until(t, "two messages", func() bool { return h.n.Load() == 2 })
	if n := c.Link().Counts().Unknown.Load(); n != 1 {
		t.Fatalf("Unknown = %d, want 1", n)
	}
}

// TestPortRefusesPeers: one message on Proto.Actor's port can crash a process; a lone member lets nobody in.
func TestPortRefusesPeers(t *testing.T) {
	c, _ := started(t, Default())
	conn, err := grpc.NewClient(c.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err = remote.NewRemotingClient(conn).ListProcesses(ctx, &remote.ListProcessesRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("ListProcesses() = %v, want denied", err)
	}
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err == nil {
		_ = stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: &remote.MessageBatch{
			TypeNames: []string{"no.such.Type"}, Targets: []*actor.PID{{Id: "activator"}},
			Envelopes: []*remote.MessageEnvelope{{TypeId: 0, Target: 0, MessageData: []byte{1}}},
		}}})
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("Receive() = %v, want denied", err)
	}
	add(t, c, "ann", 1)
}

func TestATakenPortIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := Default()
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	if _, err := Start(t.Context(), cfg, func(*Cluster) []Kind { return nil }); err == nil {
		t.Fatal("Start() = nil, want an error")
	}
}

// TestWhatHasEndedIsForgotten: nothing keeps an activation that has ended, or every grain that was ever used would
// take memory until the node ends.
func TestWhatHasEndedIsForgotten(t *testing.T) {
	cfg := Default()
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg.Placement.SweepEvery, cfg.Placement.IdleAfter, cfg.Placement.Linger = 2*time.Millisecond, 0, time.Millisecond
	s := &site{counts: map[string]uint64{}, live: map[string]int{}}
	var collected atomic.Int64
	c, err := Start(t.Context(), cfg, func(*Cluster) []Kind {
		return []Kind{{Name: id.User, New: func(g id.Grain) actor.Actor {
			n := &counter{g: g, site: s, flush: 1}
			runtime.AddCleanup(n, func(one int64) { collected.Add(one) }, 1)
			return n
		}}}
	})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	defer func() { _ = c.Stop(context.WithoutCancel(t.Context())) }()
	const grains = 200
	for i := range grains {
		add(t, c, fmt.Sprintf("u%d", i), 1)
	}
	until(t, "all but a few are collected", func() bool {
		runtime.GC()
		return collected.Load() >= grains*9/10
	})
}
