package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"paceline/cluster/gossip"
)

// unready is what /readyz answers a node that wants nobody sent here.
func unready(t *testing.T, s serving, code string) {
	t.Helper()
	r, err := http.Get(s.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(string(body), code+": ") {
		t.Errorf("/readyz: %s %q, want 503 and %s", r.Status, body, code)
	}
}

// isSentTo is what a client that comes now hears before it has said anything.
func isSentTo(t *testing.T, s serving, reason string, address any, spread time.Duration) {
	t.Helper()
	c := talkTo(t, s)
	g := c.hear("goodbye")
	if after, _ := g["reconnect_after_ms"].(float64); g["reason"] != reason || g["address"] != address || after > float64(spread.Milliseconds()) {
		t.Errorf("a newcomer hears %v", g)
	}
	if _, _, err := c.conn.Read(t.Context()); websocket.CloseStatus(err) != 4000 {
		t.Errorf("a newcomer is closed with %v", err)
	}
}

// TestWhoComesToANodeThatHasSteppedDown: a load balancer sends nobody there, and whoever comes nevertheless is sent to the
// others, as those were who had been there, until the process ends; also by its end, when it sees the others no more.
func TestWhoComesToANodeThatHasSteppedDown(t *testing.T) {
	const goodbyeWithin, spread = 3 * time.Second, 2 * time.Second
	s := serve(t, "--data-dir", t.TempDir()+"/data", "--goodbye-within", goodbyeWithin.String(), "--goodbye-delay", spread.String())
	there := talkTo(t, s)
	there.say(`{"hello":{"client":"there"}}`, "welcome")
	s.node.stepDown([]gossip.Member{{Public: "https://other.example/"}})
	if g := there.hear("goodbye"); g["reason"] != "cut_off" || g["address"] != "wss://other.example/live" {
		t.Errorf("who was there hears %v", g)
	}
	unready(t, s, "node.cut_off")
	isSentTo(t, s, "cut_off", "wss://other.example/live", spread)
	began := time.Now()
	if code := s.stop(); code != 0 {
		t.Errorf("ended with %d: %s", code, s.out)
	}
	if took := time.Since(began); took > goodbyeWithin+5*time.Second {
		t.Errorf("ended after %v", took)
	}
}

// TestWhoComesToANodeThatSteppedDownBeforeItsDoorWasOpen: it has told nobody then, and tells everybody who comes.
func TestWhoComesToANodeThatSteppedDownBeforeItsDoorWasOpen(t *testing.T) {
	s := serve(t, "--data-dir", t.TempDir()+"/data")
	s.node.door.Store(nil)
	others := []gossip.Member{{Public: "http://other.example"}}
	s.node.instead.Store(&others) // what stepDown does, to its end: on a goroutine it may come after the door
	s.node.goodbye(t.Context(), "cut_off", others)
	s.node.open(t.Context())
	isSentTo(t, s, "cut_off", "ws://other.example/live", 0)
}

// TestWhoComesToANodeThatIsLeaving: while somebody is still waited for whoever comes hears where to go: here it is the only
// node, so to the same.
func TestWhoComesToANodeThatIsLeaving(t *testing.T) {
	const goodbyeWithin, spread = 3 * time.Second, 2 * time.Second
	s := serve(t, "--data-dir", t.TempDir()+"/data", "--goodbye-within", goodbyeWithin.String(), "--goodbye-delay", spread.String())
	talkTo(t, s).say(`{"hello":{"client":"deaf"}}`, "welcome") // does not read, so it does not answer the close
	there := talkTo(t, s)
	there.say(`{"hello":{"client":"there"}}`, "welcome")
	began, left := time.Now(), make(chan int, 1)
	go func() { left <- s.stop() }()
	there.hear("goodbye")
	unready(t, s, "node.leaving")
	isSentTo(t, s, "leaving", nil, spread)
	if code := <-left; code != 0 {
		t.Errorf("left with %d: %s", code, s.out)
	}
	if took := time.Since(began); took > goodbyeWithin+10*time.Second {
		t.Errorf("left after %v", took)
	}
}
