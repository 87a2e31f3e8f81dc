package live

import (
	"fmt"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// TestInbox: an event is a new entry of the inbox, taken once; the subscription is resumed after it.
func TestInbox(t *testing.T) {
	k := startTalk(t)
	var seen []string
	k.c.Subscribe("inbox", "", func(u Update) {
		switch {
		case u.Event != nil:
			seen = append(seen, fmt.Sprint("E", u.Event.Version))
		case u.Snapshot != nil:
			for _, i := range u.Snapshot.GetInbox().GetItems() {
				seen = append(seen, fmt.Sprint("S", i.Version))
			}
		}
	}, nil)
	event := func(v uint64) {
		k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Event{Event: &livev1.Event{Kind: "reaction", Version: v}}})
	}
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: "inbox", Epoch: 1, Version: 5, Sub: 3,
		Content: &livev1.Snapshot_Inbox{Inbox: &livev1.Inbox{Items: []*livev1.Event{{Version: 2}, {Version: 5}}}}}}})
	for _, v := range []uint64{6, 9, 9, 6} {
		event(v)
	}
	if got := fmt.Sprint(seen); got != "[S2 S5 E6 E9]" {
		t.Errorf("seen %v", got)
	}
	if e, v := k.c.topics[0].epoch, k.c.topics[0].version; e != 1 || v != 9 {
		t.Errorf("resumes at {%d %d}, want {1 9}", e, v)
	}
}
