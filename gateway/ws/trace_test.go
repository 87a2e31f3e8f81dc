package ws_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// TestTracesOfAConnection: what is asked on it has the trace that the handshake names, else one of its own; our own
// mistake is in the log with it, a refusal is not.
func TestTracesOfAConnection(t *testing.T) {
	const named = "4bf92f3577b34da6a3ce929d0e0e4736"
	r := start(t, ws.Config{})
	ask := func(parent string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		socket, _, err := websocket.Dial(ctx, r.url, &websocket.DialOptions{Subprotocols: []string{wire.Proto.String()}, HTTPHeader: http.Header{"Traceparent": {parent}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = socket.CloseNow() })
		c := &client{t, socket, wire.Proto}
		c.send(hello(r.token(t, "athlete:ann")))
		if c.next().GetWelcome() == nil {
			t.Fatal("no welcome")
		}
		for i := range 2 {
			c.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Command{Command: &livev1.Command{CommandId: fmt.Sprint("c", i), WorkoutId: "w1",
				Command: &livev1.Command_Lap{Lap: &livev1.Lap{}}}}})
			if c.next().GetCommandResult() == nil {
				t.Fatal("no result")
			}
		}
	}
	traces := func() []string {
		r.grains.mu.Lock()
		defer r.grains.mu.Unlock()
		all := r.grains.traces
		r.grains.traces = nil
		return all
	}
	broken := func(err error) {
		r.grains.mu.Lock()
		defer r.grains.mu.Unlock()
		r.grains.broken = err
	}

	broken(fault.New(fault.Conflict, "training.phase", "Not now."))
	ask("00-" + named + "-00f067aa0ba902b7-01")
	if got := traces(); len(got) != 2 || got[0] != named || got[1] != named {
		t.Errorf("named in the handshake: %v", got)
	}
	if log := r.log.String(); log != "" {
		t.Errorf("logged %s", log)
	}
	broken(fmt.Errorf("disk on fire"))
	ask("")
	got := traces()
	if len(got) != 2 || len(got[0]) != len(named) || len(got[1]) != len(named) || got[0] == got[1] {
		t.Fatalf("not named: %v", got)
	}
	for _, trace := range got {
		if log := r.log.String(); !strings.Contains(log, "trace="+trace) || !strings.Contains(log, "disk on fire") {
			t.Errorf("%s is not in the log: %s", trace, log)
		}
	}
}
