package ws

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/session"
	"paceline/gateway/trace"
	"paceline/gateway/wire"
)

// Starter sends requests to grains. done is called exactly once, from any goroutine, perhaps before Start returns.
type Starter interface {
	Start(to id.Grain, msg proto.Message, deadline time.Time, done func(proto.Message, error))
}

// Topics says what a decision about a topic needs. Training is set for a workout: "<person>/<id>".
type Topics interface {
	Resource(ctx context.Context, t wire.Topic, p auth.Principal) (r auth.Resource, training string, err error)
	// Cheered is what a decision about a reaction to an entry needs.
	Cheered(ctx context.Context, competition string, entry uint32, p auth.Principal) (auth.Resource, error)
}

// Config of a Server. Zero values mean the default.
type Config struct {
	Session        session.Config
	MaxConnections int           // beyond it a handshake is answered with 503
	MaxNewcomers   int           // who come to a node that is going and are told where to at the same time; beyond it 503
	WriteWithin    time.Duration // a client that does not read for so long is dropped; longer keeps its memory longer
	Origins        []string      // host patterns of pages that may connect, besides the node's own host
	QueueFrames    int           // frames waiting for one client
	QueueBytes     int           // bytes of them
	UnderBytes     int64         // of telemetry frames on their way to what is durable, all connections together
}

// Default is the configuration of a node.
func Default() Config {
	return Config{
		Session: session.Default(), MaxConnections: 50_000, MaxNewcomers: 1024, WriteWithin: 10 * time.Second, QueueFrames: 256, QueueBytes: 1 << 20, UnderBytes: 64 << 20,
	}
}

// Deps is what a Server needs.
type Deps struct {
	Node   string // member id
	Clock  func() step.Now
	Calls  Starter
	Hub    *hub.Node
	Topics Topics
	Verify func(token string, now time.Time) (auth.Principal, time.Time, error)
	NewID  func() string // of a session
	Log    *slog.Logger
}

const (
	lookups     = 4    // goroutines that read views for decisions about topics
	lookupQueue = 1024 // lookups waiting; beyond it a subscription is refused with a retryable error
	lookupTime  = 5 * time.Second
	sweepEvery  = time.Second
)

// Server accepts connections on one path.
type Server struct {
	cfg  Config
	deps Deps

	lastConn atomic.Uint64
	count    atomic.Int64
	under    atomic.Int64 // bytes of telemetry frames under way
	noRoom   atomic.Int64 // frames that were dropped because of them
	lookups  chan lookup

	mu        sync.Mutex
	conns     map[*conn]struct{}
	sessions  map[string]*conn
	farewell  *farewell      // set once the node goes away
	shut      bool           // nobody comes in any more
	newcomers int            // handshakes and connections that began after the farewell
	served    sync.WaitGroup // connections from before the farewell
	told      sync.WaitGroup // connections of after it
}

type lookup struct {
	conn *conn
	ask  session.Lookup
}

// New makes a server. Run must be running for subscriptions to be decided and stuck clients to be dropped.
func New(cfg Config, deps Deps) *Server {
	d := Default()
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = d.MaxConnections
	}
	if cfg.MaxNewcomers == 0 {
		cfg.MaxNewcomers = d.MaxNewcomers
	}
	if cfg.WriteWithin == 0 {
		cfg.WriteWithin = d.WriteWithin
	}
	if cfg.QueueFrames == 0 {
		cfg.QueueFrames = d.QueueFrames
	}
	if cfg.QueueBytes == 0 {
		cfg.QueueBytes = d.QueueBytes
	}
	if cfg.UnderBytes == 0 {
		cfg.UnderBytes = d.UnderBytes
	}
	return &Server{
		cfg: cfg, deps: deps, lookups: make(chan lookup, lookupQueue),
		conns: map[*conn]struct{}{}, sessions: map[string]*conn{},
	}
}

// Connections is how many are open.
func (s *Server) Connections() int { return int(s.count.Load()) }

// Under is how many bytes of telemetry frames are under way, and how many frames found no room.
func (s *Server) Under() (bytes, refused int64) { return s.under.Load(), s.noRoom.Load() }

// take takes room for a frame until its request has its outcome, also if its connection ends before.
func (s *Server) take(bytes int) bool {
	if s.under.Add(int64(bytes)) > s.cfg.UnderBytes {
		s.under.Add(int64(-bytes))
		s.noRoom.Add(1)
		return false
	}
	return true
}

// ServeHTTP accepts a connection and serves it until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	newcomer, ok := s.admit()
	if !ok {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "this node is leaving", http.StatusServiceUnavailable)
		return
	}
	var c *conn
	defer func() { s.gone(c, newcomer) }()
	if s.count.Add(1) > int64(s.cfg.MaxConnections) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "this node has no room", http.StatusServiceUnavailable)
		return
	}
	under := &captured{ResponseWriter: w}
	socket, err := websocket.Accept(under, r, &websocket.AcceptOptions{
		Subprotocols: wire.Subprotocols(), OriginPatterns: s.cfg.Origins, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return // Accept has answered
	}
	encoding, ok := wire.EncodingOf(socket.Subprotocol())
	if !ok {
		closeSocket(socket, wire.CloseSubprotocol)
		return
	}
	if c = s.open(socket, under.conn, encoding, tracing(r.Header)); c == nil {
		_ = socket.CloseNow()
		return
	}
	defer s.forget(c)
	c.serve(context.WithoutCancel(r.Context()))
}

// tracing names what is asked on a connection: all of it as the handshake did, else each message anew.
func tracing(h http.Header) func() string {
	if t, ok := trace.From(h); ok {
		return func() string { return t }
	}
	return trace.New
}

// open makes a connection; nil: the door has been shut meanwhile.
func (s *Server) open(socket *websocket.Conn, raw net.Conn, e wire.Encoding, traces func() string) *conn {
	c := &conn{
		server: s, socket: socket, raw: raw, encoding: e, id: hub.Conn(s.lastConn.Add(1)), name: s.deps.NewID(),
		timers: map[string]unit.InstantMs{}, slots: map[subKey]*hub.Slot{}, first: session.Begin{}, group: &s.served,
	}
	c.outbox.init(s.cfg.QueueFrames, s.cfg.QueueBytes)
	c.session = session.New(s.cfg.Session, session.Deps{
		ID: c.name, Node: s.deps.Node, Verify: s.deps.Verify, Standing: s.deps.Hub.Hub().Standing, Take: s.take, Trace: traces,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return nil
	}
	if s.farewell != nil { // also if its handshake began before
		c.first, c.group = s.farewell.newcomer(), &s.told
	}
	c.group.Add(1)
	s.conns[c] = struct{}{}
	s.sessions[c.name] = c
	return c
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	delete(s.sessions, c.name)
	s.mu.Unlock()
}

// Notice hands a notice to the session that it names, if it is still here.
func (s *Server) Notice(n *clusterv1.SessionNotice) {
	s.mu.Lock()
	c := s.sessions[n.GetSession()]
	s.mu.Unlock()
	if c != nil {
		c.outbox.post(n)
	}
}

// Run drops stuck clients and reads views, until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range lookups {
		wg.Go(func() { s.look(ctx) })
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			s.sweep(time.Now())
		}
	}
	wg.Wait()
}

// sweep drops the clients that have let a write wait too long. A deadline on each write would cost a timer each.
func (s *Server) sweep(now time.Time) {
	s.mu.Lock()
	var stuck []*conn
	for c := range s.conns {
		if since := c.writingSince.Load(); since != 0 && now.UnixNano()-since > int64(s.cfg.WriteWithin) {
			stuck = append(stuck, c)
		}
	}
	s.mu.Unlock()
	for _, c := range stuck {
		s.deps.Log.Info("client does not read", "session", c.name)
		c.drop()
	}
}

func (s *Server) look(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-s.lookups:
			limited, cancel := context.WithTimeout(ctx, lookupTime)
			looked := session.Looked{Tag: l.ask.Tag}
			if l.ask.Entry != 0 {
				looked.Resource, looked.Err = s.deps.Topics.Cheered(limited, l.ask.Topic.ID, l.ask.Entry, l.ask.Principal)
			} else {
				looked.Resource, looked.Training, looked.Err = s.deps.Topics.Resource(limited, l.ask.Topic, l.ask.Principal)
			}
			cancel()
			l.conn.outbox.post(looked)
		}
	}
}
