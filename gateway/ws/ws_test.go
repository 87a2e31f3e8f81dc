package ws_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
	"paceline/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// grains answers like a device and a training that take everything.
type grains struct {
	reactions atomic.Int64
	mu        sync.Mutex
	through   map[string]uint64
	told      []proto.Message
	hold      chan struct{} // if set, frames are answered only when it is closed
	broken    error         // if set, what trainings answer
	traces    []string      // of what they were asked
}

func (g *grains) Start(to id.Grain, msg proto.Message, _ time.Time, done func(proto.Message, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m := msg.(type) {
	case *devicev1.Open:
		done(&devicev1.OpenDone{StreamId: m.Open.StreamId, ThroughSeq: g.through[m.Open.StreamId], Training: "ann/" + m.Open.WorkoutId}, nil)
	case *devicev1.Frame:
		last := m.Telemetry.FirstSeq + uint64(len(m.Telemetry.AtDeltaMs)) - 1
		g.through[m.Telemetry.StreamId] = last
		answer := &devicev1.FrameDone{StreamId: m.Telemetry.StreamId, ThroughSeq: last, CompetitionId: "race", Entry: 2}
		if g.hold != nil {
			hold := g.hold
			go func() { <-hold; done(answer, nil) }()
			return
		}
		done(answer, nil)
	case *trainingv1.Command:
		g.traces = append(g.traces, m.GetCall().GetTrace())
		if g.broken != nil {
			done(nil, g.broken)
			return
		}
		done(&clusterv1.Ack{Version: 1}, nil)
	case *competitionv1.Command:
		done(&competitionv1.CommandDone{Version: 7, Entry: 2}, nil)
	case *userv1.React:
		g.reactions.Add(1)
		done(&clusterv1.Ack{Stream: "user/bob", Version: 9}, nil)
	default:
		done(&clusterv1.Ack{}, nil)
	}
}

func (g *grains) Tell(_ id.Grain, msg proto.Message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, msg)
}

type views struct{}

func (views) Roster(context.Context, string) (hub.People, error) {
	return hub.People{Version: 1, Rows: []hub.Person{{Entry: 1, UserID: "ann", Name: "Ann"}}}, nil
}

func (views) Feed(context.Context, string, uint64, int) ([]*livev1.FeedItem, bool, error) {
	return nil, false, nil
}

func (views) Inbox(context.Context, string, uint64, int) ([]*livev1.Event, bool, error) {
	return nil, false, nil
}

func (views) Cheered(context.Context, string, uint32, auth.Principal) (auth.Resource, error) {
	return auth.Resource{Public: true, Person: "bob", Visible: true}, nil
}

// topics answers look-ups: as a test says, or that all but one race are public.
type topics struct {
	views
	looked *atomic.Value // func(auth.Principal) (auth.Resource, error)
}

func (s topics) Resource(_ context.Context, t wire.Topic, p auth.Principal) (auth.Resource, string, error) {
	if f, ok := s.looked.Load().(func(auth.Principal) (auth.Resource, error)); ok {
		res, err := f(p)
		return res, "ann/" + t.ID, err
	}
	return auth.Resource{Public: t.ID != "secret", Person: "ann"}, "ann/" + t.ID, nil
}

type rig struct {
	server *ws.Server
	hub    *hub.Node
	grains *grains
	keys   *auth.Keys
	url    string
	looked atomic.Value // see topics
	log    *testkit.Log
}

func start(t testing.TB, cfg ws.Config) *rig {
	t.Helper()
	keys, err := auth.NewKeys("test", true, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{grains: &grains{through: map[string]uint64{}}, keys: keys, log: &testkit.Log{}}
	clock := func() step.Now {
		now := unit.InstantMs(time.Now().UnixMilli())
		return step.Now{Wall: now, Node: now}
	}
	r.hub = hub.NewNode(hub.New(hub.Config{Node: "n1"}), hub.Deps{Clock: clock, Tell: r.grains, Views: views{}})
	n := 0
	var mu sync.Mutex
	r.server = ws.New(cfg, ws.Deps{
		Node: "n1", Clock: clock, Calls: r.grains, Hub: r.hub, Topics: topics{looked: &r.looked},
		Verify: auth.NewVerifier(keys, "127.0.0.1:0").Verify, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		NewID: func() string { mu.Lock(); defer mu.Unlock(); n++; return fmt.Sprintf("session-%d", n) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.hub.Run(ctx) })
	wg.Go(func() { r.server.Run(ctx) })
	h := httptest.NewServer(r.server)
	r.url = strings.Replace(h.URL, "http", "ws", 1) + "/live"
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		cancel()
		wg.Wait()
	})
	return r
}

func (r *rig) token(t testing.TB, subject string) string {
	t.Helper()
	p, err := auth.ParsePrincipal(subject)
	if err != nil {
		t.Fatal(err)
	}
	token, err := r.keys.Mint(auth.Grant{Principal: p, Now: time.Now(), Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

type client struct {
	t testing.TB
	c *websocket.Conn
	e wire.Encoding
}

func (r *rig) dial(t testing.TB, e wire.Encoding) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{Subprotocols: []string{e.String()}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &client{t, c, e}
}

func (c *client) raw(kind websocket.MessageType, b []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.c.Write(ctx, kind, b)
}

func (c *client) kind() websocket.MessageType {
	if c.e == wire.JSON {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

func (c *client) send(m *livev1.ClientMessage) {
	c.t.Helper()
	if err := c.raw(c.kind(), wire.Encode(c.e, m)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() (*livev1.ServerMessage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, b, err := c.c.Read(ctx)
	if err != nil {
		return nil, err
	}
	return wire.DecodeServer(c.e, b)
}

func (c *client) next() *livev1.ServerMessage {
	c.t.Helper()
	m, err := c.receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// closed reads until the connection ends and returns its close code.
func (c *client) closed() wire.CloseCode {
	c.t.Helper()
	for {
		if _, err := c.receive(); err != nil {
			return wire.CloseCode(websocket.CloseStatus(err))
		}
	}
}

func hello(token string) *livev1.ClientMessage {
	return &livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{Token: token, Client: "test/1"}}}
}

func open(now time.Time) *livev1.ClientMessage {
	return &livev1.ClientMessage{Message: &livev1.ClientMessage_OpenStream{OpenStream: &livev1.OpenStream{
		DeviceId: "ann/watch", StreamId: "s1", WorkoutId: "w1", Clock: livev1.ClockKind_CLOCK_KIND_GNSS,
		Channels:     []*livev1.ChannelSpec{{Channel: livev1.Channel_CHANNEL_POWER_W, Trust: livev1.Trust_TRUST_MEASURED}},
		DeviceTimeMs: now.UnixMilli()}}}
}

func telemetry(first uint64, n int) *livev1.ClientMessage {
	f := &livev1.Telemetry{StreamId: "s1", FirstSeq: first, BaseTimeMs: time.Now().UnixMilli()}
	c := &livev1.Column{Channel: livev1.Channel_CHANNEL_POWER_W}
	for range n {
		f.AtDeltaMs = append(f.AtDeltaMs, 1000)
		c.Values = append(c.Values, 200)
	}
	f.Columns = []*livev1.Column{c}
	return &livev1.ClientMessage{Message: &livev1.ClientMessage_Telemetry{Telemetry: f}}
}

func subscribe(topic, cut string) *livev1.ClientMessage {
	return &livev1.ClientMessage{Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{Topic: topic, Cut: cut}}}
}

func boardUpdate(t testing.TB, epoch, version, base uint64, b *livev1.Board) *clusterv1.TopicUpdate {
	t.Helper()
	content, err := proto.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv1.TopicUpdate{Topic: "competition/race/board", Epoch: epoch, Version: version, Base: base, Content: content}
}

func TestAWholeSession(t *testing.T) {
	for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
		t.Run(e.String(), func(t *testing.T) {
			r := start(t, ws.Config{})
			c := r.dial(t, e)
			c.send(hello(r.token(t, "athlete:ann")))
			if w := c.next().GetWelcome(); w.GetPrincipal() != "athlete:ann" || w.GetSession() == "" {
				t.Fatalf("welcome = %v", w)
			}
			c.send(open(time.Now()))
			if o := c.next().GetStreamOpened(); o.GetStreamId() != "s1" {
				t.Fatalf("stream_opened = %v", o)
			}
			c.send(telemetry(1, 10))
			if a := c.next().GetAck(); a.GetThroughSeq() != 10 {
				t.Fatalf("ack = %v, want through 10", a)
			}
			c.send(subscribe("competition/race/board", ""))
			c.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: 42}}})
			if p := c.next().GetPong(); p.GetT0Ms() != 42 || p.GetT1Ms() == 0 {
				t.Fatalf("pong = %v", p)
			}
			eventually(t, func() bool { r.grains.mu.Lock(); defer r.grains.mu.Unlock(); return len(r.grains.told) > 0 })
			r.hub.Update(boardUpdate(t, 3, 1, 0, &livev1.Board{CourseLengthMm: 5000, Rows: []*livev1.BoardRow{
				{Entry: 1, Place: 1, ProgressMm: 900}, {Entry: 2, Place: 2, ProgressMm: 800, GapMs: 1500}}}))
			s := c.next().GetSnapshot()
			if s.GetEpoch() != 3 || len(s.GetBoard().GetRows()) != 2 {
				t.Fatalf("snapshot = %v", s)
			}
			r.hub.Update(boardUpdate(t, 3, 2, 1, &livev1.Board{CourseLengthMm: 5000, Rows: []*livev1.BoardRow{
				{Entry: 2, Place: 2, ProgressMm: 850, GapMs: 1400}}}))
			d := c.next().GetDelta()
			if d.GetBase() != 1 || d.GetVersion() != 2 || len(d.GetBoard().GetRows()) != 1 {
				t.Fatalf("delta = %v", d)
			}
			c.send(telemetry(11, 1))
			a := c.next().GetAck()
			if st := a.GetStanding(); st.GetPlace() != 2 || st.GetGapAheadMs() != 1400 || st.GetToGoMm() != 4150 {
				t.Fatalf("ack's standing = %v, want place 2, 1400 ms behind, 4150 mm to go", st)
			}
		})
	}
}

func eventually(t testing.TB, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !what(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 5 s")
		}
		<-time.After(2 * time.Millisecond)
	}
}
