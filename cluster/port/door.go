package port

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"paceline/cluster/crowd"
)

// What a stranger can cost. Who has a certificate is trusted, but a member's mistake is bounded too.
const (
	// maxShaking connections that have not shown a certificate; one more pushes the oldest out.
	maxShaking = 64
	// shakeWithin is how long a connection may take until it has said what every gRPC client says first.
	shakeWithin = 5 * time.Second
	// maxConnections of members, which have one each, for a moment two; more are hung up on.
	maxConnections = 256
	// maxCalls on one connection at once; members make one.
	maxCalls = 4
	// maxHeader bytes of a call's headers.
	maxHeader = 16 << 10
)

// errFull hangs up.
var errFull = errors.New("too many connections")

// Server are the options of the server that the filter guards; creds say who may connect.
func (f *Filter) Server(creds credentials.TransportCredentials) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.StreamInterceptor(f.stream), grpc.UnaryInterceptor(f.unary),
		grpc.Creds(&door{TransportCredentials: creds, counts: &f.counts, shaking: crowd.New(maxShaking), open: new(atomic.Int64)}),
		grpc.ConnectionTimeout(shakeWithin), grpc.MaxConcurrentStreams(maxCalls), grpc.MaxHeaderListSize(maxHeader),
	}
}

// door counts connections, where each of them begins.
type door struct {
	credentials.TransportCredentials
	counts  *Counts
	shaking *crowd.Crowd
	open    *atomic.Int64
}

// ServerHandshake implements credentials.TransportCredentials.
func (d *door) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	leave, pushed := d.shaking.Enter(raw)
	defer leave()
	if pushed {
		d.counts.Crowded.Add(1)
	}
	c, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		d.counts.Strangers.Add(1)
		return nil, nil, err
	}
	if d.open.Add(1) > maxConnections {
		d.open.Add(-1)
		d.counts.Crowded.Add(1)
		_ = c.Close()
		return nil, nil, errFull
	}
	return &conn{Conn: c, leave: sync.OnceFunc(func() { d.open.Add(-1) })}, info, nil
}

// Clone implements credentials.TransportCredentials: what is counted is counted together.
func (d *door) Clone() credentials.TransportCredentials {
	c := *d
	c.TransportCredentials = d.TransportCredentials.Clone()
	return &c
}

// ClientHandshake implements credentials.TransportCredentials: a door is for those who come in.
func (d *door) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("port: these credentials are a server's")
}

// conn is one that came in.
type conn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
