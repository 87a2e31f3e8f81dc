package ws_test

import (
	"fmt"
	"runtime"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/session"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// TestTenThousandSubscriptionsAreNoGoroutines: a subscription is a slot, not a goroutine. By default a connection has
// 64 of them; here ten connections are let have 1,000 each, and all get their frames.
func TestTenThousandSubscriptionsAreNoGoroutines(t *testing.T) {
	const each = 1000
	r := start(t, ws.Config{Session: session.Config{MaxSubscriptions: each, MessagesPerS: 100_000, BurstMessages: 100_000}, QueueFrames: 4 * each})
	var clients []*client
	for range 10 {
		c := r.dial(t, wire.Proto)
		c.send(hello(""))
		if c.next().GetWelcome() == nil {
			t.Fatal("no welcome")
		}
		clients = append(clients, c)
	}
	// The first subscription makes the node interested in the race; only then is there a board.
	clients[0].send(subscribe("competition/race/board", "around:1"))
	eventually(t, func() bool { r.grains.mu.Lock(); defer r.grains.mu.Unlock(); return len(r.grains.told) > 0 })
	r.hub.Update(boardUpdate(t, 1, 1, 0, &livev1.Board{Rows: []*livev1.BoardRow{{Entry: 1, Place: 1}}}))
	if clients[0].next().GetSnapshot() == nil {
		t.Fatal("no snapshot")
	}
	before := runtime.NumGoroutine()
	for i, c := range clients {
		for n := range each {
			if i+n == 0 {
				continue // has it
			}
			c.send(subscribe("competition/race/board", fmt.Sprintf("around:%d", i*each+n+1)))
			s, err := c.receive()
			if err != nil || s.GetSnapshot() == nil {
				t.Fatalf("connection %d, subscription %d: %v, %v, want a snapshot", i, n, s, err)
			}
		}
	}
	runtime.Gosched()
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after 10,000 subscriptions", before, now)
	}
	clients[0].send(subscribe("competition/race/board", "around:999999"))
	if e := clients[0].next().GetError(); e.GetCode() != session.ErrSubscriptions.Code {
		t.Errorf("one more than allowed: %v, want %s", e, session.ErrSubscriptions.Code)
	}
}
