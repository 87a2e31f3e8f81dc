package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// The subprotocols.
const (
	Proto = "paceline.v1.proto"
	JSON  = "paceline.v1.json"
)

// Config of a client. Zero values mean the default.
type Config struct {
	URL   string                                // ws://host:port/live
	Also  []string                              // addresses of other nodes, tried in turn while the one before does not answer
	Token func(context.Context) (string, error) // asked before each connection; nil: public viewing
	Name  string                                // client name and version
	JSON  bool                                  // text frames, for debugging
	Clock func() unit.InstantMs                 // the device's own clock; nil: the machine's

	BackOffMin time.Duration // first pause before a reconnect (100 ms); doubled, with jitter
	BackOffMax time.Duration // 5 s
	Buffer     int           // samples kept for each stream (86,400: a day at 1 Hz); beyond it Put refuses
	Frame      int           // samples of a frame at most (60); a smaller frame is a smaller delay
	SilentFor  time.Duration // without any frame from the node for so long, the connection is given up (40 s)
	HTTP       *http.Client
	Log        *slog.Logger // nil: silent
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = func() unit.InstantMs { return unit.InstantMs(time.Now().UnixMilli()) }
	}
	if c.Name == "" {
		c.Name = "paceline-go"
	}
	if c.BackOffMin == 0 {
		c.BackOffMin = 100 * time.Millisecond
	}
	if c.BackOffMax == 0 {
		c.BackOffMax = 5 * time.Second
	}
	if c.Buffer == 0 {
		c.Buffer = 86_400
	}
	if c.Frame == 0 {
		c.Frame = 60
	}
	if c.SilentFor == 0 {
		c.SilentFor = 40 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// ErrBufferFull: the stream holds as many unacknowledged samples as it may; keep them and try later.
var ErrBufferFull = errors.New("live: the stream's buffer is full")

// CloseError is why the node ended a connection for good.
type CloseError struct {
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("live: closed by the node: %d %s", e.Code, e.Reason)
}

// Client is one logical connection.
type Client struct {
	cfg Config

	mu       sync.Mutex
	conn     *conn // nil: not connected
	welcomed chan struct{}
	streams  []*Stream
	topics   []*Topic
	strange  map[uint32]bool // numbers of this connection that stand for no topic, or no longer
	commands map[string]*pending
	offset   unit.DurationMs // node clock minus ours
	rtt      unit.DurationMs // of the measurement behind offset
	limits   *livev1.Limits
	goodbye  *livev1.Goodbye
	connects int
	held     int // throttles that said: nothing for now
	url      string
	turn     int // of the addresses: 0 is URL, then Also
	onEvent  func(*livev1.Event)
}

type pending struct {
	msg  *livev1.ClientMessage
	done chan *livev1.CommandResult
}

// New makes a client; Run connects it.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	return &Client{cfg: cfg, url: cfg.URL, commands: map[string]*pending{}, strange: map[uint32]bool{}, welcomed: make(chan struct{})}
}

// Run keeps the client connected until ctx ends or the node says that coming back is useless.
func (c *Client) Run(ctx context.Context) error {
	backOff := c.cfg.BackOffMin
	for {
		began, welcomes := time.Now(), c.Connects()
		err := c.connect(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var end *CloseError
		if errors.As(err, &end) && terminal(end.Code) {
			return end
		}
		if time.Since(began) > 10*time.Second {
			backOff = c.cfg.BackOffMin
		}
		wait := time.Duration(float64(backOff) * (0.5 + mathrand.Float64()))
		if g := c.whereNext(c.Connects() > welcomes); g != nil {
			wait = time.Duration(float64(g.ReconnectAfterMs)*(0.5+mathrand.Float64())) * time.Millisecond
		}
		c.cfg.Log.Debug("live: connection ended", "err", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		backOff = min(2*backOff, c.cfg.BackOffMax)
	}
}

// terminal reports close codes after which coming back the same way is useless (docs/protocol.md).
func terminal(code int) bool {
	return code >= 4500 && code < 5000 || code == 1002 || code == 1003 || code >= 1007 && code <= 1010
}

// whereNext chooses the next address: the one that the node has named in its goodbye, else that of before if it has
// welcomed the client, else the next one.
func (c *Client) whereNext(welcomed bool) *livev1.Goodbye {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.goodbye
	c.goodbye = nil
	if !welcomed {
		c.turn = (c.turn + 1) % (1 + len(c.cfg.Also))
	}
	c.url = c.cfg.URL
	if c.turn > 0 {
		c.url = c.cfg.Also[c.turn-1]
	}
	if g != nil && g.Address != "" {
		c.url = g.Address
	}
	return g
}

// Ready waits for the first welcome.
func (c *Client) Ready(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.welcomed:
		return nil
	}
}

// Connects is how often the node has welcomed this client.
func (c *Client) Connects() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connects
}

// Held is how often the node has asked to keep everything for a while, because it could not store.
func (c *Client) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// Drop ends the present connection as a failing network would; Run comes back.
func (c *Client) Drop() {
	c.mu.Lock()
	cn := c.conn
	c.mu.Unlock()
	if cn != nil {
		_ = cn.ws.CloseNow()
	}
}

// ServerNow is the node's clock, by the best measurement so far.
func (c *Client) ServerNow() unit.InstantMs {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cfg.Clock().Add(c.offset)
}

// NewID mints a command id with the node's clock.
func (c *Client) NewID() string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	return id.New(c.ServerNow(), b)
}

// OnEvent takes notifications.
func (c *Client) OnEvent(f func(*livev1.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEvent = f
}

// Do sends a command until it is answered, over reconnects; a refusal is a *fault.Fault. An empty command id is
// minted after the first welcome.
func (c *Client) Do(ctx context.Context, cmd *livev1.Command) (*livev1.CommandResult, error) {
	if err := c.Ready(ctx); err != nil {
		return nil, err
	}
	cmd = proto.Clone(cmd).(*livev1.Command)
	if cmd.CommandId == "" {
		cmd.CommandId = c.NewID()
	}
	p := &pending{msg: &livev1.ClientMessage{Message: &livev1.ClientMessage_Command{Command: cmd}}, done: make(chan *livev1.CommandResult, 1)}
	c.mu.Lock()
	c.commands[cmd.CommandId] = p
	c.sendLocked(p.msg)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.commands, cmd.CommandId)
		c.mu.Unlock()
	}()
	again := time.NewTicker(5 * time.Second)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case r := <-p.done:
			if r.Error == nil {
				return r, nil
			}
			if !r.Error.Retry {
				return r, faultOf(r.Error)
			}
			c.cfg.Log.Debug("live: command refused for now", "code", r.Error.Code, "retry", true)
		case <-again.C:
			c.mu.Lock()
			c.sendLocked(p.msg)
			c.mu.Unlock()
		}
	}
}

func faultOf(e *livev1.Error) error {
	return &fault.Fault{Kind: fault.Invalid, Code: e.Code, Message: e.Message, Retry: e.Retry, Detail: e.Detail}
}

// sendLocked hands a message to the connection, if there is one with room; what matters is sent again anyway.
func (c *Client) sendLocked(m *livev1.ClientMessage) bool {
	if c.conn == nil || !c.conn.welcomed {
		return false
	}
	return c.conn.send(m)
}

func (c *Client) encode(m *livev1.ClientMessage) ([]byte, websocket.MessageType, error) {
	if c.cfg.JSON {
		b, err := protojson.Marshal(m)
		return b, websocket.MessageText, err
	}
	b, err := proto.Marshal(m)
	return b, websocket.MessageBinary, err
}

func (c *Client) decode(b []byte) (*livev1.ServerMessage, error) {
	m := &livev1.ServerMessage{}
	if c.cfg.JSON {
		return m, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, m)
	}
	return m, proto.Unmarshal(b, m)
}

// forget removes a stream or topic that its owner has closed.
func (c *Client) forget(s *Stream, t *Topic) {
	c.streams = slices.DeleteFunc(c.streams, func(x *Stream) bool { return x == s })
	c.topics = slices.DeleteFunc(c.topics, func(x *Topic) bool { return x == t })
}
