package ws_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/session"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

func TestHostileFrames(t *testing.T) {
	long := make([]byte, wire.MaxFrameBytes+1)
	tests := []struct {
		name string
		e    wire.Encoding
		do   func(c *client)
		want wire.CloseCode
	}{
		{"oversized", wire.Proto, func(c *client) { _ = c.raw(websocket.MessageBinary, long) }, wire.CloseTooLarge},
		{"oversized in pieces", wire.Proto, func(c *client) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			w, err := c.c.Writer(ctx, websocket.MessageBinary)
			for range 40 {
				if err == nil {
					_, err = w.Write(long[:4096])
				}
			}
		}, wire.CloseTooLarge},
		{"not UTF-8", wire.JSON, func(c *client) {
			for range wire.MaxStrikes {
				_ = c.raw(websocket.MessageText, []byte("{\"hello\":{\"client\":\"\xff\"}}"))
			}
		}, wire.CloseMalformed},
		{"text on a binary connection", wire.Proto, func(c *client) {
			for range wire.MaxStrikes {
				_ = c.raw(websocket.MessageText, []byte(`{"hello":{}}`))
			}
		}, wire.CloseMalformed},
		{"binary on a text connection", wire.JSON, func(c *client) {
			for range wire.MaxStrikes {
				_ = c.raw(websocket.MessageBinary, wire.Encode(wire.Proto, hello("")))
			}
		}, wire.CloseMalformed},
		{"truncated", wire.Proto, func(c *client) {
			whole := wire.Encode(wire.Proto, telemetry(1, 100))
			for range wire.MaxStrikes {
				_ = c.raw(websocket.MessageBinary, whole[:len(whole)-7])
			}
		}, wire.CloseMalformed},
		{"telemetry before hello", wire.Proto, func(c *client) { c.send(telemetry(1, 1)) }, wire.CloseOrder},
		{"a forged token", wire.Proto, func(c *client) { c.send(hello("a.b.c")) }, wire.CloseUnauthentic},
	}
	r := start(t, ws.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := r.dial(t, tt.e)
			tt.do(c)
			if code := c.closed(); code != tt.want {
				t.Errorf("closed with %d, want %d", code, tt.want)
			}
		})
	}
	eventually(t, func() bool { return r.server.Connections() == 0 })
}

// TestRandomBytes: whatever comes, the node answers with codes or closes, and serves the next client.
func TestRandomBytes(t *testing.T) {
	r := start(t, ws.Config{})
	random := rand.New(rand.NewPCG(7, 7))
	for range 30 {
		c := r.dial(t, wire.Encoding(random.IntN(2)))
		if random.IntN(2) == 0 {
			c.send(hello(""))
		}
		for range 20 {
			b := make([]byte, random.IntN(2000))
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			if c.raw(c.kind(), b) != nil {
				break
			}
		}
		_ = c.c.CloseNow()
	}
	c := r.dial(t, wire.Proto)
	c.send(hello(""))
	if c.next().GetWelcome() == nil {
		t.Error("no welcome after the noise")
	}
}

func TestHandshake(t *testing.T) {
	r := start(t, ws.Config{Origins: []string{"race.example"}})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t.Run("no subprotocol", func(t *testing.T) {
		c, _, err := websocket.Dial(ctx, r.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Read(ctx)
		if code := wire.CloseCode(websocket.CloseStatus(err)); code != wire.CloseSubprotocol {
			t.Errorf("closed with %d, want %d", code, wire.CloseSubprotocol)
		}
		_ = c.CloseNow()
	})
	for origin, want := range map[string]int{
		"https://race.example": http.StatusSwitchingProtocols, "https://evil.example": http.StatusForbidden, "null": http.StatusForbidden,
	} {
		c, answer, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{Subprotocols: wire.Subprotocols(), HTTPHeader: http.Header{"Origin": {origin}}})
		if answer == nil || answer.StatusCode != want {
			t.Errorf("a page of %s: %v, want %d (%v)", origin, answer, want, err)
		}
		if err == nil {
			_ = c.CloseNow()
		}
	}
	t.Run("no WebSocket", func(t *testing.T) {
		answer, err := http.Get(strings.Replace(r.url, "ws", "http", 1))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("status = %d, want 426", answer.StatusCode)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Run("full", func(t *testing.T) {
		r := start(t, ws.Config{MaxConnections: 1})
		r.dial(t, wire.Proto)
		_, answer, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{Subprotocols: wire.Subprotocols()})
		if err == nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
			t.Errorf("the second of one: %v, %v", answer, err)
		}
	})
}

// TestClientThatNeverReads: board after board goes to a client that reads nothing. It is dropped, memory stays
// flat, and a client beside it gets everything meanwhile.
func TestClientThatNeverReads(t *testing.T) {
	r := start(t, ws.Config{WriteWithin: 300 * time.Millisecond})
	deaf, fair := r.dial(t, wire.Proto), r.dial(t, wire.Proto)
	for _, c := range []*client{deaf, fair} {
		c.send(hello(""))
		c.send(subscribe("competition/race/board", ""))
	}
	if fair.next().GetWelcome() == nil {
		t.Fatal("no welcome")
	}
	eventually(t, func() bool { r.grains.mu.Lock(); defer r.grains.mu.Unlock(); return len(r.grains.told) > 0 })
	b := &livev1.Board{State: livev1.RaceState_RACE_STATE_RUNNING}
	for e := range uint32(4000) {
		b.Rows = append(b.Rows, &livev1.BoardRow{Entry: e + 1, Place: e + 1, ProgressMm: 123456789, LatE7: 535612000, LonE7: 97612000})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	deadline := time.Now().Add(20 * time.Second)
	for epoch := uint64(1); r.server.Connections() == 2; epoch++ {
		if time.Now().After(deadline) {
			t.Fatal("the client that never reads is still there")
		}
		r.hub.Update(boardUpdate(t, epoch, epoch, 0, b)) // a new epoch each time: snapshots for all
		if s := fair.next().GetSnapshot(); s == nil || len(s.GetBoard().GetRows()) != 4000 {
			t.Fatal("the fair client does not get the board")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

// TestAnswersAreNotReplaceable: a client that asks and asks but does not read is closed, not kept for ever.
func TestAnswersAreNotReplaceable(t *testing.T) {
	r := start(t, ws.Config{QueueFrames: 16, WriteWithin: 300 * time.Millisecond})
	c := r.dial(t, wire.Proto)
	c.send(hello(""))
	ping := wire.Encode(wire.Proto, &livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: 1 << 60}}})
	deadline := time.Now().Add(20 * time.Second)
	for r.server.Connections() == 1 {
		if time.Now().After(deadline) {
			t.Fatal("it is still there")
		}
		for range 1000 {
			if c.raw(websocket.MessageBinary, ping) != nil {
				break
			}
		}
		<-time.After(time.Millisecond)
	}
}

func TestTwoConnectionsWithOneStream(t *testing.T) {
	r := start(t, ws.Config{})
	c := r.dial(t, wire.Proto)
	c.send(hello(r.token(t, "athlete:ann")))
	name := c.next().GetWelcome().GetSession()
	c.send(open(time.Now()))
	if c.next().GetStreamOpened() == nil {
		t.Fatal("not opened")
	}
	r.server.Notice(&clusterv1.SessionNotice{Session: "session-of-another-node", What: &clusterv1.SessionNotice_Replaced{Replaced: &clusterv1.StreamReplaced{StreamId: "s1"}}})
	r.server.Notice(&clusterv1.SessionNotice{Session: name, What: &clusterv1.SessionNotice_Replaced{Replaced: &clusterv1.StreamReplaced{StreamId: "s1"}}})
	if code := c.closed(); code != wire.CloseReplaced {
		t.Errorf("closed with %d, want %d", code, wire.CloseReplaced)
	}
}

func TestGoodbye(t *testing.T) {
	r := start(t, ws.Config{})
	var clients []*client
	for range 3 {
		c := r.dial(t, wire.Proto)
		c.send(hello(""))
		c.next()
		clients = append(clients, c)
	}
	deaf := r.dial(t, wire.Proto) // does not answer the close
	_ = deaf
	over := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.server.Goodbye(ctx, session.Leave{Reason: "restart", Address: "ws://other/live", ReconnectAfter: 100}, 300)
		close(over)
	}()
	delays := map[uint32]bool{}
	for _, c := range clients {
		g := c.next().GetGoodbye()
		if g.GetReason() != "restart" || g.Address != "ws://other/live" || g.ReconnectAfterMs < 100 || g.ReconnectAfterMs > 400 {
			t.Errorf("goodbye = %v", g)
		}
		delays[g.GetReconnectAfterMs()] = true
		if code := c.closed(); code != wire.CloseGoing {
			t.Errorf("closed with %d, want %d", code, wire.CloseGoing)
		}
	}
	if len(delays) != 3 {
		t.Errorf("all come back at once: %v", delays)
	}
	select {
	case <-over:
	case <-time.After(15 * time.Second):
		t.Fatal("Goodbye does not end")
	}
	if r.server.Connections() != 0 {
		t.Errorf("%d connections are left", r.server.Connections())
	}
	// Who comes now is told the same.
	late := r.dial(t, wire.Proto)
	if g := late.next().GetGoodbye(); g.GetReason() != "restart" || g.GetAddress() != "ws://other/live" || g.GetReconnectAfterMs() < 100 || g.GetReconnectAfterMs() > 400 {
		t.Errorf("a newcomer hears %v", g)
	}
	if code := late.closed(); code != wire.CloseGoing {
		t.Errorf("a newcomer is closed with %d, want %d", code, wire.CloseGoing)
	}
}

// TestIdleConnectionsEnd: a client that says nothing after hello is closed by the clock, not by hand.
func TestIdleConnectionsEnd(t *testing.T) {
	r := start(t, ws.Config{Session: session.Config{Heartbeat: 40, HelloWithin: 60}})
	silent, quiet := r.dial(t, wire.Proto), r.dial(t, wire.Proto)
	quiet.send(hello(""))
	if code := silent.closed(); code != wire.CloseIdle {
		t.Errorf("without hello: closed with %d, want %d", code, wire.CloseIdle)
	}
	if code := quiet.closed(); code != wire.CloseIdle {
		t.Errorf("without a ping: closed with %d, want %d", code, wire.CloseIdle)
	}
}

// TestManyGoroutines: a subscription is no goroutine.
func TestManySubscriptionsAreNoGoroutines(t *testing.T) {
	r := start(t, ws.Config{Session: session.Config{MaxSubscriptions: 1000}})
	c := r.dial(t, wire.Proto)
	c.send(hello(""))
	c.next()
	before := runtime.NumGoroutine()
	for e := range 900 {
		c.send(subscribe("competition/race/board", "around:"+string([]byte{byte('1' + e/100), byte('0' + e/10%10), byte('0' + e%10)})))
	}
	r.hub.Update(boardUpdate(t, 1, 1, 0, &livev1.Board{Rows: []*livev1.BoardRow{{Entry: 1, Place: 1}}}))
	c.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: 9}}})
	for c.next().GetPong() == nil {
	}
	if now := runtime.NumGoroutine(); now > before+5 {
		t.Errorf("%d goroutines before, %d after 900 subscriptions", before, now)
	}
}
