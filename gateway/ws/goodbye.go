package ws

import (
	"context"
	"math/rand/v2"
	"sync"

	"paceline/domain/unit"
	"paceline/gateway/session"
)

// farewell is what clients are told once the node goes away.
type farewell struct {
	leave     session.Leave
	spread    unit.DurationMs
	addresses []string
	turn      int // of the addresses
}

// to is what the next one is told, so long after the first.
func (f *farewell) to(after unit.DurationMs) session.Leave {
	l := f.leave
	l.ReconnectAfter += after
	if len(f.addresses) > 0 {
		l.Address = f.addresses[f.turn%len(f.addresses)]
		f.turn++
	}
	return l
}

// newcomer is what somebody is told who comes when the others were told already. Nobody knows how many more will come, so
// the delay is drawn.
func (f *farewell) newcomer() session.Leave {
	return f.to(unit.DurationMs(rand.Int64N(int64(f.spread) + 1)))
}

// admit says whether a handshake may begin. Whoever comes to a node that is going does not know where else to go: a load
// balancer may have sent it, or an address that it was told before. So it is let in to be told, a few at a time.
func (s *Server) admit() (newcomer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return false, false
	case s.farewell == nil:
		return false, true
	case s.newcomers >= s.cfg.MaxNewcomers:
		return false, false
	}
	s.newcomers++
	return true, true
}

// gone ends what admit has begun; c is nil if no connection has become of it.
func (s *Server) gone(c *conn, newcomer bool) {
	s.count.Add(-1)
	if newcomer {
		s.mu.Lock()
		s.newcomers--
		s.mu.Unlock()
	}
	if c != nil {
		c.group.Done()
	}
}

// Goodbye says goodbye to all clients and waits until they are gone, or until ctx ends and they are dropped. Those who come
// afterwards hear the same and are not waited for. Spread is the longest delay after which a client comes back; each gets
// its own. The clients are shared out among the addresses of other nodes; without any, now or in a goodbye before, they come
// back to their own.
func (s *Server) Goodbye(ctx context.Context, l session.Leave, spread unit.DurationMs, addresses ...string) {
	s.mu.Lock()
	if len(addresses) == 0 && s.farewell != nil {
		addresses = s.farewell.addresses
	}
	f := &farewell{leave: l, spread: spread, addresses: addresses}
	s.farewell = f
	conns := s.of(&s.served)
	for i, c := range conns {
		c.outbox.post(f.to(spread * unit.DurationMs(i) / unit.DurationMs(len(conns))))
	}
	s.mu.Unlock()
	end(ctx, &s.served, conns)
}

// Shut lets nobody in any more, and waits until the newcomers have been told and are gone, or until ctx ends and they are
// dropped.
func (s *Server) Shut(ctx context.Context) {
	s.mu.Lock()
	s.shut = true
	conns := s.of(&s.told)
	s.mu.Unlock()
	end(ctx, &s.told, conns)
}

// of lists the connections that are counted there. s.mu is held.
func (s *Server) of(group *sync.WaitGroup) []*conn {
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		if c.group == group {
			conns = append(conns, c)
		}
	}
	return conns
}

// end waits for connections that are going, and drops them when ctx ends.
func end(ctx context.Context, group *sync.WaitGroup, conns []*conn) {
	gone := make(chan struct{})
	go func() {
		group.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	for _, c := range conns {
		c.drop()
	}
	<-gone
}
