package ws_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/auth"
	"paceline/gateway/session"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// TestLookupsOfTheNodeAreBounded: with all who read the views at work and their queue full, a subscription is told at once to
// try again; the others are decided when the views answer.
func TestLookupsOfTheNodeAreBounded(t *testing.T) {
	const readers, bound = 4, 1024
	r := start(t, ws.Config{Session: session.Config{MaxSubscriptions: 2 * bound, MessagesPerS: 100_000, BurstMessages: 100_000}, QueueFrames: 4 * bound})
	var working atomic.Int32
	hold := make(chan struct{})
	r.looked.Store(func(auth.Principal) (auth.Resource, error) {
		working.Add(1)
		<-hold
		return auth.Resource{}, nil // not public: each is refused, which is an answer to count
	})
	c := r.dial(t, wire.Proto)
	c.send(hello(""))
	if c.next().GetWelcome() == nil {
		t.Fatal("no welcome")
	}
	topic := func(i int) string { return fmt.Sprintf("competition/race-%d/board", i) }
	for i := range readers {
		c.send(subscribe(topic(i), ""))
	}
	eventually(t, func() bool { return working.Load() == readers })
	for i := readers; i <= readers+bound; i++ {
		c.send(subscribe(topic(i), ""))
	}
	if e := c.next().GetError(); e.GetCode() != "session.busy" || !e.GetRetry() || e.GetTopic() != topic(readers+bound) {
		t.Errorf("the first answer is %v, want session.busy, to be tried again, for %s", e, topic(readers+bound))
	}
	close(hold)
	for i := range readers + bound {
		var e *livev1.Error
		if e = c.next().GetError(); e.GetCode() == "session.busy" {
			t.Fatalf("answer %d is %v too: not so many found room as may", i, e)
		}
	}
}
