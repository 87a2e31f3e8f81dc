package gossip

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"

	"paceline/cluster/crowd"
)

// What strangers can cost. Packets cost what one of them takes while it is looked at; a stream may be held for some
// seconds (memberlist's deadlines) and is read into memory before its key is known, so they have bounds.
const (
	// maxStreams are served at once; one more pushes the oldest out. Members use one of each other every Exchange, for a
	// moment.
	maxStreams = 64
	// maxStreamBytes are read of one: what a thousand members know of each other.
	maxStreamBytes = 1 << 20
)

// errTooLong ends a stream.
var errTooLong = errors.New("more bytes than members would send")

// door is memberlist's own transport, with bounds for who comes in.
type door struct {
	*memberlist.NetTransport
	counts *Counts
	taken  chan net.Conn
	open   *crowd.Crowd
	closed chan struct{}
	ended  sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*door)(nil)

// openDoor listens. One sentence says that the port is taken, because that is what happens.
func openDoor(host string, port int, l *lines, counts *Counts) (*door, error) {
	tries := 1
	if port == 0 { // a free TCP port may not be a free UDP port
		tries = 10
	}
	var inner *memberlist.NetTransport
	var err error
	for range tries {
		inner, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{host}, BindPort: port, Logger: l.logger()})
		if err == nil || !taken(err) {
			break
		}
	}
	switch {
	case err != nil && taken(err):
		return nil, fmt.Errorf("cannot gossip on %s: another process uses this port, UDP or TCP (choose another with --gossip-listen)", net.JoinHostPort(host, fmt.Sprint(port)))
	case err != nil:
		return nil, fmt.Errorf("cannot gossip on %s: %w", net.JoinHostPort(host, fmt.Sprint(port)), err)
	}
	d := &door{NetTransport: inner, counts: counts, taken: make(chan net.Conn), open: crowd.New(maxStreams), closed: make(chan struct{})}
	d.ended.Add(1)
	go d.admit()
	return d, nil
}

// taken: the transport keeps the text of the system's error only.
func taken(err error) bool { return strings.Contains(err.Error(), "address already in use") }

// StreamCh implements memberlist.Transport.
func (d *door) StreamCh() <-chan net.Conn { return d.taken }

// Shutdown implements memberlist.Transport. The listeners end first: they wait until what they have taken is taken
// from them.
func (d *door) Shutdown() error {
	err := d.NetTransport.Shutdown()
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
	d.ended.Wait()
	return err
}

func (d *door) admit() {
	defer d.ended.Done()
	for {
		var c net.Conn
		select {
		case c = <-d.NetTransport.StreamCh():
		case <-d.closed:
			return
		}
		leave, pushed := d.open.Enter(c)
		if pushed {
			d.counts.Full.Add(1)
		}
		s := &stream{Conn: c, left: maxStreamBytes, leave: leave}
		select {
		case d.taken <- s:
		case <-d.closed:
			_ = s.Close()
			return
		}
	}
}

// stream is one that came in.
type stream struct {
	net.Conn
	left  int
	leave func()
}

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, errTooLong
	}
	n, err := s.Conn.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// Close implements net.Conn.
func (s *stream) Close() error {
	defer s.leave()
	return s.Conn.Close()
}
