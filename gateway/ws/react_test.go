package ws_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
	"paceline/gateway/ws"
)

// TestReactionsOverASocket: in both encodings a burst is taken and what is beyond it refused, to be tried again; and
// what a person is told comes as an event.
func TestReactionsOverASocket(t *testing.T) {
	for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
		t.Run(e.String(), func(t *testing.T) {
			r := start(t, ws.Config{})
			c := r.dial(t, e)
			c.send(hello(r.token(t, "athlete:ann")))
			if c.next().GetWelcome() == nil {
				t.Fatal("no welcome")
			}
			const all = 15
			for i := range all {
				c.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Command{Command: &livev1.Command{CommandId: fmt.Sprint("c", i),
					Command: &livev1.Command_React{React: &livev1.React{CompetitionId: "race", Entry: 2, Reaction: "bell"}}}}})
			}
			done, refused := 0, 0
			for range all {
				switch m := c.next().GetCommandResult(); {
				case m.GetError() == nil && m.GetVersion() == 9:
					done++
				case m.GetError().GetCode() == "reaction.too_many" && m.Error.Retry:
					refused++
				default:
					t.Fatalf("answer = %v", m)
				}
			}
			if done < 10 || refused == 0 {
				t.Errorf("%d taken and %d refused of %d", done, refused, all)
			}
			if r.grains.reactions.Load() != int64(done) {
				t.Errorf("%d reached whom they were for, %d were taken", r.grains.reactions.Load(), done)
			}

			c.send(subscribe("inbox", ""))
			if s := c.next().GetSnapshot(); s.GetTopic() != "inbox" || s.Epoch != 1 || s.Version != 0 || s.GetInbox() == nil {
				t.Fatalf("snapshot = %v", s)
			}
			want := &livev1.Event{Kind: "reaction", Text: "wave", Version: 4, CompetitionId: "race", Entry: 1}
			content, err := proto.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			r.hub.Update(&clusterv1.TopicUpdate{Topic: "inbox/ann", Epoch: 1, Version: 4, Content: content})
			if got := c.next().GetEvent(); !proto.Equal(got, want) {
				t.Errorf("event = %v, want %v", got, want)
			}
		})
	}
}
