package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
)

// queued frames of a connection; beyond it a send is refused and made up for by the stream's or command's repeat.
const sendQueue = 128

// conn is one WebSocket. It ends once; the client outlives it.
type conn struct {
	c        *Client
	ws       *websocket.Conn
	out      chan *livev1.ClientMessage
	welcomed bool // guarded by Client.mu
	heard    time.Time
	heardMu  sync.Mutex
}

func (cn *conn) send(m *livev1.ClientMessage) bool {
	select {
	case cn.out <- m:
		return true
	default:
		return false
	}
}

// connect runs one connection to its end.
func (c *Client) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token := ""
	if c.cfg.Token != nil {
		t, err := c.cfg.Token(ctx)
		if err != nil {
			return fmt.Errorf("live: token: %w", err)
		}
		token = t
	}
	sub := Proto
	if c.cfg.JSON {
		sub = JSON
	}
	dialCtx, dialed := context.WithTimeout(ctx, 10*time.Second)
	ws, _, err := websocket.Dial(dialCtx, c.url, &websocket.DialOptions{Subprotocols: []string{sub}, HTTPClient: c.cfg.HTTP,
		CompressionMode: websocket.CompressionDisabled})
	dialed()
	if err != nil {
		return fmt.Errorf("live: dial %s: %w", c.url, err)
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(8 << 20)
	cn := &conn{c: c, ws: ws, out: make(chan *livev1.ClientMessage, sendQueue), heard: time.Now()}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer func() { _ = ws.CloseNow() }()
		cn.writeLoop(ctx)
	})
	wg.Go(func() { cn.tend(ctx) })
	c.mu.Lock()
	c.conn = cn
	c.mu.Unlock()
	defer c.lost(cn)
	cn.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{
		Token: token, Client: c.cfg.Name, ClockMs: int64(c.cfg.Clock())}}})
	return cn.readLoop(ctx)
}

func (c *Client) lost(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == cn {
		c.conn = nil
	}
	for _, s := range c.streams {
		s.lost()
	}
}

func (cn *conn) writeLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-cn.out:
			b, kind, err := cn.c.encode(m)
			if err != nil {
				cn.c.cfg.Log.Error("live: encode", "err", err)
				continue
			}
			writeCtx, done := context.WithTimeout(ctx, 10*time.Second)
			err = cn.ws.Write(writeCtx, kind, b)
			done()
			if err != nil {
				return
			}
		}
	}
}

// tend pings, notices a silent node, and lets streams look at their acknowledgements.
func (cn *conn) tend(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	c := cn.c
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		cn.heardMu.Lock()
		silent := time.Since(cn.heard)
		cn.heardMu.Unlock()
		if silent > c.cfg.SilentFor {
			_ = cn.ws.CloseNow()
			return
		}
		c.mu.Lock()
		if c.conn == cn && cn.welcomed {
			if n < 8 || n%10 == 0 {
				c.pingLocked("")
			}
			for _, s := range c.streams {
				s.tend(time.Now())
			}
			for _, t := range c.topics {
				t.tend(time.Now())
			}
		}
		c.mu.Unlock()
	}
}

func (c *Client) pingLocked(stream string) {
	c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{
		T0Ms: int64(c.cfg.Clock()), StreamId: stream, OffsetMs: int64(c.offset), RttMs: uint32(max(c.rtt, 1))}}})
}

func (cn *conn) readLoop(ctx context.Context) error {
	for {
		_, b, err := cn.ws.Read(ctx)
		if err != nil {
			var ce websocket.CloseError
			if errors.As(err, &ce) {
				return &CloseError{Code: int(ce.Code), Reason: ce.Reason}
			}
			return err
		}
		cn.heardMu.Lock()
		cn.heard = time.Now()
		cn.heardMu.Unlock()
		m, err := cn.c.decode(b)
		if err != nil {
			return fmt.Errorf("live: a frame that cannot be read: %w", err)
		}
		cn.c.handle(cn, m)
	}
}

func (c *Client) handle(cn *conn, m *livev1.ServerMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := m.Message.(type) {
	case *livev1.ServerMessage_Welcome:
		c.welcome(cn, m.Welcome)
	case *livev1.ServerMessage_Pong:
		c.pong(m.Pong)
	case *livev1.ServerMessage_CommandResult:
		if p := c.commands[m.CommandResult.CommandId]; p != nil {
			select {
			case p.done <- m.CommandResult:
			default:
			}
		}
	case *livev1.ServerMessage_StreamOpened:
		c.withStream(m.StreamOpened.StreamId, func(s *Stream) { s.opened(m.StreamOpened) })
	case *livev1.ServerMessage_Ack:
		c.withStream(m.Ack.StreamId, func(s *Stream) { s.acknowledged(m.Ack) })
	case *livev1.ServerMessage_Snapshot:
		c.snapshot(m.Snapshot)
	case *livev1.ServerMessage_Delta:
		c.delta(m.Delta)
	case *livev1.ServerMessage_Error:
		c.refused(m.Error)
	case *livev1.ServerMessage_Throttle:
		if m.Throttle.MaxSamplesPerS == 0 && m.Throttle.Reason != "" {
			c.held++
		}
		for _, s := range c.streams {
			s.throttle(m.Throttle, c.cfg.Clock().Add(c.offset))
		}
	case *livev1.ServerMessage_Goodbye:
		c.goodbye = m.Goodbye
	case *livev1.ServerMessage_Control:
		c.withStream(m.Control.StreamId, func(s *Stream) { s.controlled(m.Control, c.cfg.Clock().Add(c.offset)) })
	case *livev1.ServerMessage_Event:
		c.event(m.Event)
		if c.onEvent != nil {
			c.onEvent(m.Event)
		}
	}
}

// welcome makes up for everything that the connection before has lost.
func (c *Client) welcome(cn *conn, w *livev1.Welcome) {
	c.limits = w.Limits
	if c.connects == 0 {
		c.offset = unit.InstantMs(w.ServerTimeMs).Sub(c.cfg.Clock())
		c.rtt = c.cfg.Clock().Sub(unit.InstantMs(w.ClientTimeMs))
	}
	c.connects++
	cn.welcomed = true
	if c.connects == 1 {
		close(c.welcomed)
	}
	for _, s := range c.streams {
		s.open()
	}
	clear(c.strange)
	for _, t := range c.topics {
		t.sub = 0 // the numbers of the connection before mean nothing here
		t.subscribe()
	}
	for _, p := range c.commands {
		c.sendLocked(p.msg)
	}
}

// pong is the four-timestamp exchange: the smallest round trip so far decides, and ages so that drift is seen.
func (c *Client) pong(p *livev1.Pong) {
	t3 := int64(c.cfg.Clock())
	rtt := unit.DurationMs((t3 - p.T0Ms) - (p.T2Ms - p.T1Ms))
	c.rtt += 1 + c.rtt/8
	if rtt >= 0 && rtt <= c.rtt {
		c.rtt = rtt
		c.offset = unit.DurationMs(((p.T1Ms - p.T0Ms) + (p.T2Ms - t3)) / 2)
		for _, s := range c.streams {
			s.offerClock()
		}
	}
}

func (c *Client) refused(e *livev1.Error) {
	c.cfg.Log.Debug("live: refused", "code", e.Code, "retry", e.Retry, "detail", e.Detail, "stream", e.StreamId, "topic", e.Topic)
	switch {
	case e.StreamId != "":
		c.withStream(e.StreamId, func(s *Stream) { s.refused(e) })
	case e.Topic != "":
		for _, t := range c.topics {
			if t.Name == e.Topic {
				t.refused(e, time.Now())
			}
		}
	}
}

func (c *Client) withStream(name string, f func(*Stream)) {
	for _, s := range c.streams {
		if s.spec.StreamId == name {
			f(s)
		}
	}
}
