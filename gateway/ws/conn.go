package ws

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	"paceline/cluster/call"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/hub"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

// errBusy answers a subscription while too many wait for the views.
var errBusy = fault.Later("session.busy", "This node is busy; try again.")

// conn is one connection.
type conn struct {
	server   *Server
	socket   *websocket.Conn
	raw      net.Conn // under socket
	encoding wire.Encoding
	id       hub.Conn
	name     string // of the session
	first    any    // what the session begins with: session.Begin, or the goodbye if the node is going
	group    *sync.WaitGroup
	outbox   outbox

	writingSince atomic.Int64 // UnixNano of a write under way; 0: none

	// mu guards the session and what Step's outcomes touch: both loops step.
	mu      sync.Mutex
	session *session.Session
	slots   map[subKey]*hub.Slot
	timers  map[string]unit.InstantMs // wall clock
	alarm   *time.Timer
	ended   bool
}

type subKey struct{ topic, cut string }

// watch tells the connection about one slot.
type watch struct {
	conn *conn
	key  subKey
	tag  uint64 // of the session's Subscribe
}

func (w *watch) Ready(s *hub.Slot) { w.conn.outbox.ready(s) }

func (w *watch) Refused(_ *hub.Slot, err error) {
	w.conn.outbox.post(session.HubRefused{Topic: w.key.topic, Cut: w.key.cut, Tag: w.tag, Err: err})
}

// serve runs the connection until it ends. ctx is never done: closing the socket ends both loops, and a context
// that can be done costs a timer for each read and write.
func (c *conn) serve(ctx context.Context) {
	c.step(c.first)
	written := make(chan struct{})
	go func() { // serve waits for it
		c.writeLoop(ctx)
		_ = c.socket.CloseNow()
		close(written)
	}()
	c.readLoop(ctx, written)
	c.drop()
	<-written
	c.step(session.Disconnected{})
	c.end()
}

// drop ends the socket without a word, also in the middle of a write or of a closing handshake.
func (c *conn) drop() {
	c.outbox.kill()
	_ = c.raw.Close()
	_ = c.socket.CloseNow()
}

// captured keeps hold of the connection under a WebSocket: closing that is the only thing that ends at once.
type captured struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (w *captured) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.conn = conn
	return conn, buffers, err
}

func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.server.deps.Hub.Post(hub.Gone{Conn: c.id})
}

// readLoop always reads, also for clients that only watch: pings and closes arrive on the read path.
func (c *conn) readLoop(ctx context.Context, written <-chan struct{}) {
	c.socket.SetReadLimit(-1) // read counts itself, to answer with a code of ours
	for {
		kind, r, err := c.socket.Reader(ctx)
		if err != nil {
			return
		}
		buffer := buffers.Get().(*[]byte)
		frame, err := read(r, buffer)
		switch {
		case errors.Is(err, wire.ErrTooLarge):
			c.step(session.Malformed{Err: err})
			buffers.Put(buffer)
			<-written // the rest of the frame is not read; the write loop closes
			return
		case err != nil:
			buffers.Put(buffer)
			return
		}
		c.step(c.decode(kind, frame))
		buffers.Put(buffer)
	}
}

func (c *conn) decode(kind websocket.MessageType, frame []byte) any {
	if (kind == websocket.MessageText) != (c.encoding == wire.JSON) {
		return session.Malformed{Err: wire.ErrMalformed.With("binary and text do not fit the subprotocol")}
	}
	m, err := wire.Decode(c.encoding, frame)
	if err != nil {
		return session.Malformed{Msg: m, Err: err}
	}
	return session.Received{Msg: m, Bytes: len(frame)}
}

// buffers lends a frame's bytes to decode, which copies what it keeps. Idle connections hold none.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

// read reads one frame, at most the limit and one byte.
func read(r io.Reader, buffer *[]byte) ([]byte, error) {
	b := (*buffer)[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
			*buffer = b
		}
		n, err := r.Read(b[len(b):min(cap(b), wire.MaxFrameBytes+1)])
		b = b[:len(b)+n]
		if len(b) > wire.MaxFrameBytes {
			return nil, wire.ErrTooLarge.With("more than %d bytes", wire.MaxFrameBytes)
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// step steps the session with one message and performs what comes out.
func (c *conn) step(msg any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepLocked(msg)
}

func (c *conn) stepLocked(msg any) {
	if c.ended {
		return
	}
	for _, out := range c.session.Step(c.server.deps.Clock(), msg) {
		c.perform(out)
	}
}

func (c *conn) perform(out step.Out) {
	switch o := out.(type) {
	case session.Frame:
		c.outbox.send(wire.Encode(c.encoding, o.Msg))
	case session.Newest:
		c.outbox.replace(newest{o.Key, wire.Encode(c.encoding, o.Msg), o.Until})
	case session.Request:
		// The answer may come before Start returns, on this goroutine: it is only handed on.
		c.server.deps.Calls.Start(o.To, o.Msg, o.Deadline.Time(), func(m proto.Message, err error) {
			c.server.under.Add(int64(-o.Bytes))
			if err != nil {
				c.failed(o, err)
			}
			c.outbox.post(session.Answered{Tag: o.Tag, Msg: m, Err: err})
		})
	case step.After:
		c.after(o)
	case session.Lookup:
		select {
		case c.server.lookups <- lookup{c, o}:
		default:
			c.outbox.post(session.Looked{Tag: o.Tag, Err: errBusy})
		}
	case session.Subscribe:
		c.subscribe(o)
	case session.Unsubscribe:
		key := subKey{o.Topic.String(), o.Cut.String()}
		if s := c.slots[key]; s != nil {
			s.End()
			delete(c.slots, key)
		}
		c.server.deps.Hub.Post(hub.Unsubscribe{Conn: c.id, Topic: o.Topic, Cut: o.Cut})
	case session.Follow:
		c.server.deps.Hub.Post(hub.Follow{Conn: c.id, Competition: o.Competition})
	case session.Gone:
		c.server.deps.Hub.Post(hub.Gone{Conn: c.id})
	case session.Close:
		c.outbox.close(o.Code)
	}
}

// failed says in the log what is our own mistake; the client sees one neutral sentence. Of telemetry, which has no trace,
// the grain says it: a mistake in there would come with every frame.
func (c *conn) failed(r session.Request, err error) {
	if trace := call.TraceOf(r.Msg); trace != "" && fault.Of(err).Kind == fault.Internal {
		c.server.deps.Log.Error("a live request has failed", "grain", r.To.String(), "trace", trace, "error", err)
	}
}

func (c *conn) subscribe(o session.Subscribe) {
	key := subKey{o.Topic.String(), o.Cut.String()}
	if old := c.slots[key]; old != nil {
		old.End() // subscribed again: nothing of the old one may come after the new one's first frame
	}
	slot := hub.NewSlot(o.Epoch, o.Version, &watch{c, key, o.Tag})
	c.slots[key] = slot
	c.server.deps.Hub.Post(hub.Subscribe{Conn: c.id, Topic: o.Topic, Cut: o.Cut, Viewer: o.Viewer, Training: o.Training, Slot: slot})
}

// after sets a timer; one alarm serves all of them. c.mu is held.
func (c *conn) after(a step.After) {
	c.timers[a.Key] = a.At
	c.arm()
}

func (c *conn) arm() {
	var next unit.InstantMs
	for _, at := range c.timers {
		if next == 0 || at < next {
			next = at
		}
	}
	if next == 0 || c.ended {
		return
	}
	wait := time.Duration(next.Sub(c.server.deps.Clock().Wall)) * time.Millisecond
	if c.alarm == nil {
		c.alarm = time.AfterFunc(max(wait, 0), func() { c.outbox.post(alarm{}) })
		return
	}
	c.alarm.Reset(max(wait, 0))
}

// alarm is posted when the earliest timer is due.
type alarm struct{}

// ring turns due timers into ticks. c.mu is held.
func (c *conn) ring() {
	now := c.server.deps.Clock().Wall
	for key, at := range c.timers {
		if at <= now {
			delete(c.timers, key)
			c.stepLocked(step.Tick{Key: key})
		}
	}
	c.arm()
}

// writeLoop steps the session with what comes from elsewhere, and writes.
func (c *conn) writeLoop(ctx context.Context) {
	var w work
	for {
		w = c.outbox.take(w)
		if w.dead {
			return
		}
		if len(w.inbox) > 0 {
			c.mu.Lock()
			for i, msg := range w.inbox {
				if _, ok := msg.(alarm); ok {
					c.ring()
				} else {
					c.stepLocked(msg)
				}
				w.inbox[i] = nil
			}
			c.mu.Unlock()
		}
		for i, f := range w.frames {
			if !c.write(ctx, f) {
				return
			}
			w.frames[i] = nil
		}
		current := c.outbox.takeNewest() // not before: while the frames were written newer ones may have come
		for _, n := range current {
			if w.closing == 0 && c.server.deps.Clock().Node < n.until && !c.write(ctx, n.frame) {
				return
			}
		}
		for i, s := range w.slots {
			if w.closing == 0 && !c.writeSlot(ctx, s) {
				return
			}
			w.slots[i] = nil
		}
		if w.closing != 0 {
			c.writingSince.Store(time.Now().UnixNano()) // a client that does not answer the close is dropped as well
			closeSocket(c.socket, w.closing)
			return
		}
		if len(w.inbox)+len(w.frames)+len(current)+len(w.slots) == 0 {
			<-c.outbox.wake
		}
	}
}

func (c *conn) writeSlot(ctx context.Context, s *hub.Slot) bool {
	for {
		t := s.Take(c.encoding)
		if t.Behind != nil {
			c.server.deps.Hub.Post(*t.Behind)
		}
		if t.Bytes != nil && !c.write(ctx, t.Bytes) {
			return false
		}
		if !t.More {
			return true
		}
	}
}

func (c *conn) write(ctx context.Context, frame []byte) bool {
	kind := websocket.MessageBinary
	if c.encoding == wire.JSON {
		kind = websocket.MessageText
	}
	c.writingSince.Store(time.Now().UnixNano())
	err := c.socket.Write(ctx, kind, frame)
	c.writingSince.Store(0)
	return err == nil
}

// closeSocket says why and waits a few seconds for the client to agree.
func closeSocket(socket *websocket.Conn, code wire.CloseCode) {
	_ = socket.Close(websocket.StatusCode(code), code.String())
}
