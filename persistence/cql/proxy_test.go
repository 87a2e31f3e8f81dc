package cql

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Opcodes of CQL frames.
const (
	opExecute = 0x0a
	opBatch   = 0x0d
)

// deed is what the proxy does with one request.
type deed int

const (
	pass    deed = iota
	swallow      // the server gets it, its answer never comes back
	sever        // the server gets it, and where its answer would go the connection is cut
	lose         // it never reaches the server, and the connection is cut
	hold         // it waits in release; its answer never comes back
)

// proxy stands between the driver and a server and lets happen to single requests what networks do to them.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	decide  func(opcode byte) deed
	latency time.Duration
	gone    bool
	conns   map[net.Conn]bool
	held    []func()
	seen    map[byte]int
}

// newProxy listens beside the server, on its address: the driver learns that from the server itself, not the port.
func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: make(map[net.Conn]bool), seen: make(map[byte]int)}
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
		p.cut()
		wg.Wait()
	})
	return p
}

func (p *proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// next decides about the next n requests with an opcode; the others pass.
func (p *proxy) next(opcode byte, n int, what deed) {
	p.set(func() {
		p.decide = func(op byte) deed {
			if op != opcode || n == 0 {
				return pass
			}
			n--
			return what
		}
	})
}

// all decides about all requests that run statements.
func (p *proxy) all(what deed) {
	p.set(func() {
		p.decide = func(op byte) deed {
			if op == opExecute || op == opBatch {
				return what
			}
			return pass
		}
	})
}

// leave cuts all connections and takes no new ones until back.
func (p *proxy) leave() {
	p.set(func() { p.gone = true })
	p.cut()
}

func (p *proxy) back() { p.set(func() { p.gone = false }) }

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// release lets what was held reach the server now.
func (p *proxy) release() {
	p.mu.Lock()
	held := p.held
	p.held = nil
	p.mu.Unlock()
	for _, f := range held {
		f()
	}
}

func (p *proxy) count(opcode byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[opcode]
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	if !p.keep(client) {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer func() { _ = server.Close() }()
	var mu sync.Mutex
	fate := make(map[uint16]deed) // by stream
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = client.Close() }()
		for {
			frame, stream, _, err := readFrame(server)
			if err != nil {
				return
			}
			mu.Lock()
			what := fate[stream]
			delete(fate, stream)
			mu.Unlock()
			if what == sever {
				return
			}
			if what == swallow || what == hold {
				continue
			}
			p.mu.Lock()
			wait := p.latency
			p.mu.Unlock()
			wg.Go(func() { // answers do not wait for each other
				<-time.After(wait)
				mu.Lock()
				defer mu.Unlock()
				_, _ = client.Write(frame)
			})
		}
	})
	for {
		frame, stream, opcode, err := readFrame(client)
		if err != nil {
			break
		}
		what := pass
		p.mu.Lock()
		p.seen[opcode]++
		if p.decide != nil {
			what = p.decide(opcode)
		}
		if what == hold {
			p.held = append(p.held, func() { _, _ = server.Write(frame) })
		}
		p.mu.Unlock()
		if what == lose {
			break
		}
		mu.Lock()
		fate[stream] = what
		mu.Unlock()
		if what == hold {
			continue
		}
		if _, err := server.Write(frame); err != nil {
			break
		}
	}
	_ = client.Close()
	_ = server.Close()
	wg.Wait()
}

// readFrame reads one frame of version 3 or 4 of the protocol: 9 bytes of header, then the body.
func readFrame(r io.Reader) (frame []byte, stream uint16, opcode byte, err error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, 0, err
	}
	frame = append(head, make([]byte, binary.BigEndian.Uint32(head[5:]))...)
	_, err = io.ReadFull(r, frame[9:])
	return frame, binary.BigEndian.Uint16(head[2:]), head[4], err
}
