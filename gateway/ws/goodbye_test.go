package ws_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"paceline/gateway/session"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

const spreadMs = 300

// away is a server that has said goodbye to everybody who was there.
func away(t *testing.T, cfg ws.Config, addresses ...string) *rig {
	t.Helper()
	r := start(t, cfg)
	r.server.Goodbye(t.Context(), session.Leave{Reason: "cut_off", ReconnectAfter: 100}, spreadMs, addresses...)
	return r
}

// shut says that the door is closed and waits until those behind it are gone.
func (r *rig) shut(t *testing.T, within time.Duration) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), within)
		defer cancel()
		r.server.Shut(ctx)
	}()
	select {
	case <-over:
	case <-time.After(15 * time.Second):
		t.Fatal("Shut does not end")
	}
}

// handshake is what a plain request for a connection is answered.
func (r *rig) handshake(t *testing.T) *http.Response {
	t.Helper()
	answer, err := http.Get(strings.Replace(r.url, "ws", "http", 1))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return answer
}

// TestWhoComesToANodeThatIsGoingIsToldWhereToGo: not only those who were there. Each in its own time, shared out among the
// others, before it has said anything; what it has said already opens nothing.
func TestWhoComesToANodeThatIsGoingIsToldWhereToGo(t *testing.T) {
	r := away(t, ws.Config{}, "ws://b/live", "ws://c/live")
	to, delays := map[string]int{}, map[uint32]bool{}
	for i := range 8 {
		c := r.dial(t, wire.JSON)
		if i%2 == 0 {
			c.send(hello(r.token(t, "athlete:ann")))
			c.send(open(time.Now()))
		}
		g := c.next().GetGoodbye()
		if g.GetReason() != "cut_off" || g.GetReconnectAfterMs() < 100 || g.GetReconnectAfterMs() > 100+spreadMs {
			t.Errorf("a newcomer hears %v", g)
		}
		to[g.GetAddress()]++
		delays[g.GetReconnectAfterMs()] = true
		if code := c.closed(); code != wire.CloseGoing {
			t.Errorf("closed with %d, want %d", code, wire.CloseGoing)
		}
	}
	if to["ws://b/live"] != 4 || to["ws://c/live"] != 4 || len(delays) < 2 {
		t.Errorf("sent to %v after %v", to, delays)
	}
	// It ends later, and sees the others no more: they are where they were.
	r.server.Goodbye(t.Context(), session.Leave{Reason: "leaving"}, spreadMs)
	c := r.dial(t, wire.Proto)
	if g := c.next().GetGoodbye(); g.GetReason() != "leaving" || g.GetAddress() == "" {
		t.Errorf("a newcomer of the node's end hears %v", g)
	}
	c.closed()
	r.shut(t, 5*time.Second)
	if answer := r.handshake(t); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("behind the closed door: %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	if n := r.server.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// TestACrowdOfNewcomersHoldsNobodyUp: of those who come to a node that is going only so many are told at a time, the others
// are refused; neither the goodbye nor the end waits for them longer than it may.
func TestACrowdOfNewcomersHoldsNobodyUp(t *testing.T) {
	const most = 4
	r := away(t, ws.Config{MaxNewcomers: most}, "ws://b/live")
	for range most {
		r.dial(t, wire.Proto) // does not read, so it does not answer the close
	}
	eventually(t, func() bool { return r.server.Connections() == most })
	if answer := r.handshake(t); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	began := time.Now()
	r.server.Goodbye(t.Context(), session.Leave{Reason: "leaving"}, spreadMs) // nobody is there who was there before
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("goodbye waited %v for newcomers", took)
	}
	if n := r.server.Connections(); n != most {
		t.Errorf("%d of %d newcomers are there", n, most)
	}
	r.shut(t, 100*time.Millisecond)
	if n := r.server.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}
