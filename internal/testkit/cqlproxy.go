package testkit

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Opcodes of CQL frames that run statements.
const (
	CQLExecute = 0x0a
	CQLBatch   = 0x0d
)

// Deed is what a CQLProxy does with one request.
type Deed int

// The deeds.
const (
	Pass    Deed = iota
	Swallow      // the server gets it, its answer never comes back
	Sever        // the server gets it, and where its answer would go the connection is cut
	Lose         // it never reaches the server, and the connection is cut
	Hold         // it waits in Release; its answer never comes back
)

// CQLProxy stands between a CQL client and a server and lets happen to single requests, or to all of them, what networks
// and servers do to them.
type CQLProxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	decide  func(opcode byte, frame []byte) Deed
	latency time.Duration
	gone    bool
	frozen  chan struct{} // closed by Thaw; nil: nothing is frozen
	conns   map[net.Conn]bool
	held    []func()
	seen    map[byte]int
}

// NewCQLProxy listens beside the server, on its address: a driver learns that from the server itself, not the port. It
// ends with the test.
func NewCQLProxy(t testing.TB, target string) *CQLProxy {
	t.Helper()
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host, target = target, net.JoinHostPort(target, cqlPort)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &CQLProxy{listener: l, target: target, conns: make(map[net.Conn]bool), seen: make(map[byte]int)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.Leave()
		p.Thaw()
		wg.Wait()
	})
	return p
}

// Addr is where a driver finds it.
func (p *CQLProxy) Addr() string { return p.listener.Addr().String() }

// Next decides about the next n requests with an opcode; the others pass.
func (p *CQLProxy) Next(opcode byte, n int, what Deed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = func(op byte, _ []byte) Deed {
		if op != opcode || n == 0 {
			return Pass
		}
		n--
		return what
	}
}

// Matching decides about the next n requests that hold a text; the others pass. done is how many there were.
func (p *CQLProxy) Matching(text string, n int, what Deed) (done func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := n
	p.decide = func(_ byte, frame []byte) Deed {
		if left == 0 || !bytes.Contains(frame, []byte(text)) {
			return Pass
		}
		left--
		return what
	}
	return func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return n - left
	}
}

// All decides about all requests that run statements.
func (p *CQLProxy) All(what Deed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = func(op byte, _ []byte) Deed {
		if op == CQLExecute || op == CQLBatch {
			return what
		}
		return Pass
	}
}

// Latency holds every answer back for so long, each for itself.
func (p *CQLProxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Freeze lets nothing through in either direction until Thaw, and then all of it: a server that is stopped, or a network
// that has lost its way for a while. Connections stay, new ones are taken and not answered.
func (p *CQLProxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen == nil {
		p.frozen = make(chan struct{})
	}
}

// Thaw ends Freeze.
func (p *CQLProxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// flows waits while everything is frozen.
func (p *CQLProxy) flows() {
	for {
		p.mu.Lock()
		frozen := p.frozen
		p.mu.Unlock()
		if frozen == nil {
			return
		}
		<-frozen
	}
}

// Leave cuts all connections and takes no new ones until Back.
func (p *CQLProxy) Leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	for c := range p.conns {
		_ = c.Close()
	}
}

// Back ends Leave.
func (p *CQLProxy) Back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = false
}

// Release lets what was held reach the server now.
func (p *CQLProxy) Release() {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	for _, f := range held {
		f()
	}
}

// Count is how many requests with an opcode have come.
func (p *CQLProxy) Count(opcode byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[opcode]
}

// keep notes a connection, so that it can be cut; false: nobody is let in.
func (p *CQLProxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *CQLProxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *CQLProxy) serve(client net.Conn) {
	defer p.drop(client)
	if !p.keep(client) {
		return
	}
	p.flows()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(server) {
		return
	}
	w := &cqlWay{p: p, client: client, server: server, fate: make(map[uint16]Deed)}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = client.Close() }()
		w.answers(&wg)
	})
	w.requests()
	_ = client.Close()
	_ = server.Close()
	wg.Wait()
}

// cqlWay is one connection through a proxy.
type cqlWay struct {
	p              *CQLProxy
	client, server net.Conn

	mu   sync.Mutex
	fate map[uint16]Deed // of answers, by stream
}

func (w *cqlWay) answers(wg *sync.WaitGroup) {
	for {
		frame, stream, _, err := ReadCQLFrame(w.server)
		if err != nil {
			return
		}
		w.mu.Lock()
		what := w.fate[stream]
		delete(w.fate, stream)
		w.mu.Unlock()
		switch what {
		case Sever:
			return
		case Swallow, Hold:
			continue
		case Pass, Lose:
		}
		w.p.mu.Lock()
		wait := w.p.latency
		w.p.mu.Unlock()
		wg.Go(func() { // answers do not wait for each other
			<-time.After(wait)
			w.p.flows()
			w.mu.Lock()
			defer w.mu.Unlock()
			_, _ = w.client.Write(frame)
		})
	}
}

func (w *cqlWay) requests() {
	for {
		frame, stream, opcode, err := ReadCQLFrame(w.client)
		if err != nil {
			return
		}
		w.p.flows()
		what := w.p.deed(opcode, frame, func() { _, _ = w.server.Write(frame) })
		if what == Lose {
			return
		}
		w.mu.Lock()
		w.fate[stream] = what
		w.mu.Unlock()
		if what == Hold {
			continue
		}
		if _, err := w.server.Write(frame); err != nil {
			return
		}
	}
}

// deed decides about one request; one that is held is sent by send.
func (p *CQLProxy) deed(opcode byte, frame []byte, send func()) Deed {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[opcode]++
	what := Pass
	if p.decide != nil {
		what = p.decide(opcode, frame)
	}
	if what == Hold {
		p.held = append(p.held, send)
	}
	return what
}

// ReadCQLFrame reads one frame of version 3 or 4 of the protocol: 9 bytes of header, then the body.
func ReadCQLFrame(r io.Reader) (frame []byte, stream uint16, opcode byte, err error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, 0, err
	}
	frame = append(head, make([]byte, binary.BigEndian.Uint32(head[5:]))...)
	_, err = io.ReadFull(r, frame[9:])
	return frame, binary.BigEndian.Uint16(head[2:]), head[4], err
}
