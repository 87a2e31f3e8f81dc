package link

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
	"paceline/internal/testkit"
)

// alone is a router of one member, called "me".
type alone struct{ address string }

func (a alone) Here(_ id.Grain, _ proto.Message, _ call.Origin, done func(proto.Message, error)) {
	done(nil, call.ErrMoved)
}
func (a alone) TellHere(id.Grain, proto.Message, bool)    {}
func (a alone) ReleaseAll(_ string, done func())          { done() }
func (a alone) Release(_ string, _ id.Grain, done func()) { done() }
func (a alone) Address(member string) (string, bool)      { return a.address, member == "me" }

func open(t *testing.T, queue int) *Link {
	t.Helper()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	cfg := Default()
	if queue > 0 {
		cfg.HubQueue = queue
	}
	l := New(system, alone{system.Address()}, alone{}, alone{}, cfg)
	l.self = "me"
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		system.Shutdown()
	})
	return l
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, 5*time.Second, what, ok)
}

type hub struct {
	mu     sync.Mutex
	got    []proto.Message
	resync []string
	hold   chan struct{}
	n      atomic.Int32
}

func (h *hub) Deliver(m proto.Message) {
	if h.hold != nil {
		<-h.hold
	}
	h.mu.Lock()
	h.got = append(h.got, m)
	h.mu.Unlock()
	h.n.Add(1)
}

func (h *hub) Resync(topic string) {
	h.mu.Lock()
	h.resync = append(h.resync, topic)
	h.mu.Unlock()
}

func TestLinkDelivers(t *testing.T) {
	l := open(t, 0)
	h := &hub{}
	l.ToNode("me", &clusterv1.TopicUpdate{Topic: "a", Version: 1}) // before anybody listens
	l.Attach(h)
	for v := uint64(2); v <= 100; v++ {
		l.ToNode("me", &clusterv1.TopicUpdate{Topic: "a", Version: v})
	}
	l.ToNode("me", &clusterv1.SessionNotice{Session: "s"})
	l.ToNode("nobody", &clusterv1.SessionNotice{Session: "s"})
	until(t, "101 messages", func() bool { return h.n.Load() == 101 })
	for i, m := range h.got[:100] {
		if v := m.(*clusterv1.TopicUpdate).Version; v != uint64(i+1) {
			t.Fatalf("message %d is version %d: out of order", i, v)
		}
	}
}

func TestLinkIsBounded(t *testing.T) {
	l := open(t, 40)
	h := &hub{hold: make(chan struct{})}
	l.Attach(h)
	for v := range uint64(200) {
		l.ToNode("me", &clusterv1.TopicUpdate{Topic: "a", Version: v})
	}
	l.ToNode("me", &clusterv1.SessionNotice{Session: "s"})
	until(t, "201 messages seen", func() bool {
		n := l.Counts()
		return n.Received.Load()+n.Dropped.Load() == 201
	})
	close(h.hold)
	until(t, "the topic is marked and the notice has come", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.resync) == 0 || len(h.got) == 0 {
			return false
		}
		_, notice := h.got[len(h.got)-1].(*clusterv1.SessionNotice)
		return notice
	})
	if n := h.n.Load(); n > 80 {
		t.Fatalf("%d delivered through a queue of 40", n)
	}
}
