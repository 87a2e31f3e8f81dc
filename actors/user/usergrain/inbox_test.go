package usergrain

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"paceline/actors/user"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence/memory"
)

func react(by string) *userv1.React {
	return &userv1.React{Call: &clusterv1.Call{By: by}, CompetitionId: "race", Entry: 17, Reaction: "bell"}
}

// TestInbox: a reaction is journalled once, and the nodes where the person is are told of it once it is.
func TestInbox(t *testing.T) {
	rows := memory.New()
	d := newDesk(t, rows, "a1")
	d.ask(&userv1.Register{Call: &clusterv1.Call{By: "athlete:u1"}, Profile: &userv1.Profile{Handle: "Ada", Name: "Ada"}})
	if a := d.ask(&clusterv1.Interest{Topic: "inbox/u2", Node: "n1"}); !errors.Is(a.err, ErrTopic) {
		t.Errorf("somebody else's inbox: %v", a)
	}
	for _, node := range []string{"n2", "n1", "n2"} {
		if a := d.ask(&clusterv1.Interest{Topic: "inbox/u1", Node: node}); a.err != nil {
			t.Fatal(a)
		}
	}
	first := react("athlete:u2")
	first.Call.CommandId = id.New(1_718_462_000_000, [10]byte{1})
	for range 2 { // the same command again has the same answer
		if a := d.ask(first); a.err != nil || a.msg.(*clusterv1.Ack).Version != 2 || a.msg.(*clusterv1.Ack).Stream != "user/u1" {
			t.Fatalf("React = %v", a)
		}
	}
	want := &livev1.Event{Kind: "reaction", Text: "bell", AtMs: 1_718_462_000_000, Version: 2, CompetitionId: "race", Entry: 17}
	d.wantUpdates(t, 0, want, "n1", "n2")
	if a := d.ask(react("athlete:u2")); !errors.Is(a.err, user.ErrTooMany) {
		t.Errorf("React again at once = %v", a)
	}
	d.wantUpdates(t, 0, nil)

	// Something that is no entry of the inbox lies between: the next update still names the entry before it.
	d.ask(&userv1.ChangeProfile{Call: &clusterv1.Call{By: "athlete:u1"}, Profile: &userv1.Profile{Handle: "Ada", Name: "Ada L"}})
	d.ask(&clusterv1.Interest{Topic: "inbox/u1", Node: "n1", Stop: true})
	d.ask(react("athlete:u3"))
	want.Version = 4
	d.wantUpdates(t, 2, want, "n2")

	// Another activation goes on where this one was, and tells nobody who has not asked it.
	e := newDesk(t, rows, "a2")
	e.at(e.now.Wall.Add(5 * unit.Second))
	e.ask(&clusterv1.Interest{Topic: "inbox/u1", Node: "n1"})
	e.ask(react("athlete:u4"))
	want.Version, want.AtMs = 5, int64(e.now.Node)
	e.wantUpdates(t, 4, want, "n1")
	e.at(e.now.Wall.Add(16 * unit.Second))
	e.ask(react("athlete:u5"))
	e.wantUpdates(t, 0, nil) // nobody has renewed

	// Whoever has a connection keeps the activation.
	for range 5 {
		e.at(e.now.Wall.Add(unit.Minute))
		e.ask(&clusterv1.Interest{Topic: "inbox/u1", Node: "n1"})
		e.step(step.Sweep{}, nil)
	}
	if e.stopped != "" {
		t.Errorf("rests while somebody watches: %q", e.stopped)
	}
}

// wantUpdates takes the updates that were sent.
func (d *desk) wantUpdates(t *testing.T, base uint64, event *livev1.Event, nodes ...string) {
	t.Helper()
	sent := d.told
	d.told = nil
	if len(sent) != len(nodes) {
		t.Fatalf("%d updates, want %d", len(sent), len(nodes))
	}
	for i, o := range sent {
		u := o.Msg.(*clusterv1.TopicUpdate)
		got := &livev1.Event{}
		if err := proto.Unmarshal(u.Content, got); err != nil || !proto.Equal(got, event) {
			t.Errorf("update %d: %v, %v, want %v", i, got, err, event)
		}
		if o.Node != nodes[i] || u.Topic != "inbox/u1" || u.Epoch != 1 || u.Version != event.Version || u.Base != base {
			t.Errorf("update %d: to %s: %v, want version %d on %d to %s", i, o.Node, u, event.Version, base, nodes[i])
		}
	}
}
