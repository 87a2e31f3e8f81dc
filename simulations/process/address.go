package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Ports below those that kernels take for outgoing connections (32768 on Linux): one of those may be gone again before a
// process that was told of it listens there, or when it comes back after it was killed.
const firstPort, ports = 10_000, 22_000

// turn goes through the ports from a random one on, so that no two calls of this process give the same, and two processes
// seldom do.
var turn = func() *atomic.Uint32 {
	var t atomic.Uint32
	t.Store(rand.Uint32N(ports))
	return &t
}()

// FreeAddress is one on the loopback at which nobody listens just now, by TCP or UDP: for a process that others must be
// told of before it runs, or that must have the same address after it was killed.
func FreeAddress() (string, error) {
	var err error
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+turn.Add(1)%ports)
		if err = free(address); err == nil {
			return address, nil
		}
	}
	return "", fmt.Errorf("a free address on the loopback: %w", err)
}

func free(address string) error {
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		return errors.Join(err, tcp.Close())
	}
	return errors.Join(tcp.Close(), udp.Close())
}
