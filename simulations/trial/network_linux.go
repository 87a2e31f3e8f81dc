package trial

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// network lets each node of a fleet run in a network namespace of its own, with one cable to a switch that stands in
// another one, so that nodes can be cut off from each other as in a split: nothing answers, nothing is refused. What
// they share with the world outside, clients and store, goes another way, which is never cut: connections to the
// loopback on one side are carried to the same address on the other.
//
// The namespaces have no names: each lasts as long as a process or this one's descriptor is in it, so nothing is left
// behind, also when this process is killed.
type network struct {
	middle *space
	nodes  []*space

	mu     sync.Mutex
	closed bool
	open   []net.Listener
}

// errNoNetwork: this machine or user cannot have namespaces.
var errNoNetwork = errors.New("network namespaces cannot be made here (root is needed, and ip of iproute2)")

// newNetwork connects so many nodes.
func newNetwork(nodes int) (*network, error) {
	n := &network{}
	var err error
	if n.middle, err = newSpace(); err != nil {
		return nil, err
	}
	if err := n.middle.ip("link add sw type bridge", "link set sw up"); err != nil {
		return nil, errors.Join(err, n.close())
	}
	for i := range nodes {
		s, err := newSpace()
		if err != nil {
			return nil, errors.Join(err, n.close())
		}
		n.nodes = append(n.nodes, s)
		if err := errors.Join(
			n.middle.ip(fmt.Sprintf("link add port%d type veth peer name cable netns %s", i, s.path()), fmt.Sprintf("link set port%d master sw up", i)),
			s.ip("link set lo up", fmt.Sprintf("addr add %s/24 dev cable", n.host(i)), "link set cable up")); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// host is the address of a node's cable.
func (n *network) host(i int) string { return fmt.Sprintf("10.77.0.%d", i+1) }

// cut takes a node's cable out of the switch; heal puts it back.
func (n *network) cut(i int) error  { return n.middle.ip(fmt.Sprintf("link set port%d nomaster", i)) }
func (n *network) heal(i int) error { return n.middle.ip(fmt.Sprintf("link set port%d master sw", i)) }

// out carries what comes to the address in the node's namespace to the same address here; in does the opposite.
func (n *network) out(i int, address string) error {
	l, err := inside(n.nodes[i], func() (net.Listener, error) { return net.Listen("tcp", address) })
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	return n.carry(l, func() (net.Conn, error) { return net.Dial("tcp", address) })
}

func (n *network) in(i int, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	return n.carry(l, func() (net.Conn, error) {
		return inside(n.nodes[i], func() (net.Conn, error) { return net.Dial("tcp", address) })
	})
}

func (n *network) carry(l net.Listener, dial func() (net.Conn, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, l)
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer func() { _ = from.Close() }()
				to, err := dial()
				if err != nil {
					return
				}
				defer func() { _ = to.Close() }()
				go func() {
					_, _ = io.Copy(to, from)
					_ = to.Close()
				}()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
	return nil
}

func (n *network) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	if n.closed {
		return nil
	}
	n.closed = true
	for _, l := range n.open {
		errs = append(errs, l.Close())
	}
	for _, s := range append(n.nodes, n.middle) {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// space is a thread in a network namespace of its own, which does there what is asked of it.
type space struct {
	do chan func()
	fd int
}

func newSpace() (*space, error) {
	s := &space{do: make(chan func())}
	began := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and is nobody else's
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.fd, err = unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		began <- err
		for f := range s.do {
			f()
		}
	}()
	if err := <-began; err != nil {
		close(s.do)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			return nil, errNoNetwork
		}
		return nil, fmt.Errorf("trial: a network namespace: %w", err)
	}
	return s, nil
}

func (s *space) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.fd) }

// enter takes the calling thread, which must be locked, into the namespace.
func (s *space) enter() error {
	if err := unix.Setns(s.fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("trial: enter a network namespace: %w", err)
	}
	return nil
}

// inside does something in the namespace: sockets belong to the one that they were made in.
func inside[T any](s *space, f func() (T, error)) (T, error) {
	var v T
	var err error
	done := make(chan struct{})
	s.do <- func() {
		v, err = f()
		close(done)
	}
	<-done
	return v, err
}

// ip runs ip with each of the argument lines there.
func (s *space) ip(lines ...string) error {
	for _, line := range lines {
		said, err := inside(s, func() ([]byte, error) { return exec.Command("ip", strings.Fields(line)...).CombinedOutput() })
		if errors.Is(err, exec.ErrNotFound) {
			return errNoNetwork
		}
		if err != nil {
			return fmt.Errorf("trial: ip %s: %w: %s", line, err, said)
		}
	}
	return nil
}

func (s *space) close() error {
	close(s.do)
	return unix.Close(s.fd)
}

// space is the namespace of a node.
func (n *network) space(i int) *space { return n.nodes[i] }
