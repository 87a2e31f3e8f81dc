package ws_test

import (
	"sync/atomic"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// lookedUp is what the views say.
type lookedUp struct {
	resource auth.Resource
	err      error
}

// TestARefusedClientGetsNothingMore: a client that asks again for what it watches, and may no longer, gets a refusal and
// then no delta, whatever happens in the race. While the views are only away it goes on as it was.
func TestARefusedClientGetsNothingMore(t *testing.T) {
	tests := map[string]struct {
		topic, cut string
		mine, lost auth.Resource
	}{
		"a private board":               {"competition/race/board", "", auth.Resource{Entrant: true}, auth.Resource{}},
		"positions of audience entrant": {"competition/race/positions", "audience:entrant", auth.Resource{Public: true, Bound: true}, auth.Resource{Public: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, ws.Config{})
			var now atomic.Pointer[lookedUp]
			r.looked.Store(func(p auth.Principal) (auth.Resource, error) {
				if p.Person() == "bob" {
					return tt.mine, nil
				}
				l := now.Load()
				return l.resource, l.err
			})
			now.Store(&lookedUp{resource: tt.mine})
			c := r.dial(t, wire.Proto)
			c.send(hello(r.token(t, "athlete:ann")))
			c.send(subscribe(tt.topic, tt.cut))
			c.until(func(m *livev1.ServerMessage) bool { return m.GetWelcome() != nil })
			eventually(t, func() bool { r.grains.mu.Lock(); defer r.grains.mu.Unlock(); return len(r.grains.told) > 0 })
			r.race(t, 1)
			c.until(at(1))

			now.Store(&lookedUp{err: fault.Later("views.away", "x")})
			c.send(subscribe(tt.topic, tt.cut))
			c.until(func(m *livev1.ServerMessage) bool { return m.GetError().GetCode() == "views.away" })
			r.race(t, 2)
			c.until(at(2))

			now.Store(&lookedUp{resource: tt.lost})
			c.send(subscribe(tt.topic, tt.cut))
			c.until(func(m *livev1.ServerMessage) bool { return m.GetError().GetCode() == "auth.denied" })
			// Somebody else, who may still watch the same, says when the hub has told everybody.
			witness := r.dial(t, wire.Proto)
			witness.send(hello(r.token(t, "athlete:bob")))
			witness.send(subscribe(tt.topic, tt.cut))
			witness.until(at(2))
			for v := uint64(3); v < 5; v++ {
				r.race(t, v)
				witness.until(at(v))
			}
			c.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: 77}}})
			c.until(func(m *livev1.ServerMessage) bool {
				if m.GetDelta() != nil || m.GetSnapshot() != nil {
					t.Fatalf("after the refusal came %v", m)
				}
				return m.GetPong() != nil
			})
		})
	}
}

// race brings the board to a version; the maps follow it.
func (r *rig) race(t testing.TB, version uint64) {
	t.Helper()
	r.hub.Update(boardUpdate(t, 1, version, version-1, &livev1.Board{Rows: []*livev1.BoardRow{{Entry: 1, Place: 1, ProgressMm: 1000 * int64(version)}}}))
}

// at is a frame that has come to a version.
func at(version uint64) func(*livev1.ServerMessage) bool {
	return func(m *livev1.ServerMessage) bool {
		return m.GetDelta().GetVersion() == version || m.GetSnapshot().GetVersion() == version
	}
}

// until reads to the message that is meant.
func (c *client) until(is func(*livev1.ServerMessage) bool) {
	c.t.Helper()
	for !is(c.next()) {
	}
}
