package hub_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
)

// subscribeInbox is a connection of somebody who has {1, version} of the inbox.
func (r *rig) subscribeInbox(conn hub.Conn, person string, version uint64) *viewer {
	v := newViewer(r.t, 0, 0)
	if version > 0 {
		v = newViewer(r.t, 1, version)
	}
	r.step(hub.Subscribe{Conn: conn, Topic: wire.Topic{Kind: wire.Inbox, ID: person}, Viewer: auth.Principal{Role: auth.Athlete, ID: person}, Slot: v.slot})
	return v
}

func (r *rig) unsubscribeInbox(conn hub.Conn, person string) {
	r.step(hub.Unsubscribe{Conn: conn, Topic: wire.Topic{Kind: wire.Inbox, ID: person}})
}

// serveInbox answers the reads that wait from what the view has.
func (r *rig) serveInbox(person string, versions ...uint64) {
	r.t.Helper()
	for len(r.reads) > 0 {
		reads := r.reads
		r.reads = nil
		for _, read := range reads {
			ask := read.(hub.ReadFeed)
			if ask.Topic.ID != person || ask.Topic.Kind != wire.Inbox {
				r.t.Fatalf("read of %v", ask.Topic)
			}
			answer := hub.FeedRead{Ask: ask}
			for _, v := range versions {
				if v > ask.After {
					answer.Events = append(answer.Events, told(v))
				}
			}
			r.step(answer)
		}
	}
}

func told(version uint64) *livev1.Event {
	return &livev1.Event{Kind: "reaction", Text: "bell", Version: version}
}

func tells(t testing.TB, person string, version, base uint64) *clusterv1.TopicUpdate {
	t.Helper()
	content, err := proto.Marshal(told(version))
	if err != nil {
		t.Fatal(err)
	}
	return &clusterv1.TopicUpdate{Topic: "inbox/" + person, Epoch: 1, Version: version, Base: base, Content: content}
}

// TestInbox: what comes while somebody is connected comes as an event, what was missed as a snapshot; every entry once.
func TestInbox(t *testing.T) {
	r := start(t)
	v := r.subscribeInbox(1, "ann", 0)
	if i := r.interests(); len(i) != 1 || i[0].Topic != "inbox/ann" {
		t.Fatalf("interests = %v", i)
	}
	r.serveInbox("ann")
	if v.take(); v.snapshots != 1 || v.epoch != 1 || v.version != 0 {
		t.Errorf("%d snapshots, at {%d %d}: want to be told that there is nothing yet", v.snapshots, v.epoch, v.version)
	}
	r.step(tells(t, "bob", 2, 0))
	if n := v.take(); n != 0 {
		t.Fatalf("%d frames of somebody else's inbox", n)
	}
	r.step(tells(t, "ann", 2, 0))
	r.step(tells(t, "ann", 2, 0))
	if v.take(); !slices.Equal(v.items, []uint64{2}) || v.events != 1 || len(r.reads) != 0 {
		t.Errorf("items %v, %d events, %d reads: want the first entry as an event", v.items, v.events, len(r.reads))
	}
	r.step(tells(t, "ann", 7, 2))
	v.take()
	r.step(tells(t, "ann", 8, 7))
	r.step(tells(t, "ann", 9, 8))
	if v.take(); !slices.Equal(v.items, []uint64{2, 7, 8, 9}) || v.events != 2 || v.snapshots != 2 {
		t.Errorf("items %v, %d events, %d snapshots: want 7 as an event, 8 and 9 together", v.items, v.events, v.snapshots)
	}
	// An update was lost: what follows is a hint to read, and is asked for until it is there.
	r.step(tells(t, "ann", 12, 11))
	if len(r.reads) != 1 {
		t.Fatalf("%d reads, want one", len(r.reads))
	}
	r.serveInbox("ann", 2, 7, 8, 9) // the view is behind
	r.pass(unit.Second)
	if len(r.reads) != 1 {
		t.Fatalf("%d reads after a second, want one", len(r.reads))
	}
	r.serveInbox("ann", 2, 7, 8, 9, 11, 12)
	if v.take(); !slices.Equal(v.items, []uint64{2, 7, 8, 9, 11, 12}) {
		t.Errorf("items %v", v.items)
	}
	// Without news it is looked for twice a minute: there are as many inboxes as people.
	for range 60 {
		r.pass(unit.Second)
	}
	if n := len(r.reads); n < 1 || n > 3 {
		t.Errorf("%d reads in a minute, want about two", n)
	}
	r.serveInbox("ann")
	// Somebody who has seen some of it.
	resumed := r.subscribeInbox(2, "ann", 8)
	r.serveInbox("ann")
	if resumed.take(); !slices.Equal(resumed.items, []uint64{9, 11, 12}) {
		t.Errorf("resumed after 8: %v", resumed.items)
	}
	r.interests()
	r.unsubscribeInbox(1, "ann")
	r.step(hub.Gone{Conn: 2})
	if i := r.interests(); len(i) != 1 || !i[0].Stop || i[0].Topic != "inbox/ann" {
		t.Errorf("interests = %v, want the end of one", i)
	}
}

// TestInboxHistory: who was away for longer than the node remembers gets it from the view.
func TestInboxHistory(t *testing.T) {
	r := start(t)
	r.subscribeInbox(1, "ann", 0)
	var all []uint64
	for v := uint64(1); v <= 3000; v++ {
		all = append(all, v)
	}
	r.serveInbox("ann", all...)
	late := r.subscribeInbox(2, "ann", 10)
	r.serveInbox("ann", all...)
	for range 20 {
		late.take()
		for _, b := range late.behind {
			r.step(b)
		}
		late.behind = nil
		r.serveInbox("ann", all...)
	}
	if !slices.Equal(late.items, all[10:]) {
		t.Errorf("%d items from %v, want all after 10", len(late.items), late.items[:min(3, len(late.items))])
	}
}
