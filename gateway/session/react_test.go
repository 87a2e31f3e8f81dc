package session_test

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

func react(id string, entry uint32) *livev1.Command {
	return &livev1.Command{CommandId: id, Command: &livev1.Command_React{React: &livev1.React{CompetitionId: "race", Entry: entry, Reaction: "bell"}}}
}

func (r *rig) lookup() session.Lookup {
	r.t.Helper()
	l, ok := r.outs[len(r.outs)-1].(session.Lookup)
	if !ok {
		r.t.Fatalf("last out = %v, want a lookup", r.outs[len(r.outs)-1])
	}
	return l
}

func (r *rig) wantResult(id, code string) {
	r.t.Helper()
	if c := r.last().GetCommandResult(); c.GetCommandId() != id || c.GetError().GetCode() != code {
		r.t.Fatalf("last = %v, want the result of %s with error %q", r.last(), id, code)
	}
}

func TestReact(t *testing.T) {
	bob := auth.Resource{Public: true, Person: "bob", Visible: true}
	t.Run("goes to whom it is for", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(react("c1", 17))
		l := r.lookup()
		if l.Entry != 17 || l.Topic.ID != "race" || l.Principal.ID != "ann" {
			t.Fatalf("lookup = %+v", l)
		}
		r.say(react("c1", 17)) // again, while the first is under way
		r.step(session.Looked{Tag: l.Tag, Resource: bob})
		if len(r.asked) != 1 {
			t.Fatalf("%d questions, want one", len(r.asked))
		}
		q := r.question()
		m := q.Msg.(*userv1.React)
		if q.To.String() != "user/bob" || m.CompetitionId != "race" || m.Entry != 17 || m.Reaction != "bell" || m.Call.By != "athlete:ann" || m.Call.CommandId != "c1" {
			t.Errorf("asked %v: %v", q.To, m)
		}
		r.answer(q, &clusterv1.Ack{Stream: "user/bob", Version: 9}, nil)
		r.wantResult("c1", "")
		// Not answered in time, or the connection was cut: the same again asks the same grain, which knows it.
		r.say(react("c1", 17))
		r.step(session.Looked{Tag: r.lookup().Tag, Resource: bob})
		r.answer(r.question(), nil, fault.New(fault.Exhausted, "reaction.too_many", "x"))
		r.wantResult("c1", "reaction.too_many")
	})
	for name, tt := range map[string]struct {
		as     string
		looked session.Looked
		want   string
	}{
		"nobody":                       {"", session.Looked{Resource: bob}, "auth.token_needed"},
		"an operator":                  {"operator:ops", session.Looked{Resource: bob}, "auth.denied"},
		"a device":                     {"device:ann/watch", session.Looked{Resource: bob}, "auth.denied"},
		"a private race":               {"athlete:ann", session.Looked{Resource: auth.Resource{Person: "bob", Visible: true}}, "auth.denied"},
		"somebody who is not seen":     {"athlete:ann", session.Looked{Resource: auth.Resource{Public: true, Person: "bob"}}, "auth.denied"},
		"oneself":                      {"athlete:bob", session.Looked{Resource: bob}, "auth.denied"},
		"an entry that is none":        {"athlete:ann", session.Looked{Err: fault.New(fault.NotFound, "competition.no_entry", "x")}, "competition.no_entry"},
		"while the views are too busy": {"athlete:ann", session.Looked{Err: fault.Later("session.busy", "x")}, "session.busy"},
	} {
		t.Run(name, func(t *testing.T) {
			r := as(t, session.Config{MaxCommands: 1}, tt.as)
			for _, id := range []string{"c1", "c2"} { // the second finds room
				r.say(react(id, 17))
				tt.looked.Tag = r.lookup().Tag
				r.step(tt.looked)
				r.wantResult(id, tt.want)
			}
			if len(r.asked) != 0 {
				t.Error("a grain was asked")
			}
		})
	}
	t.Run("without a pause", func(t *testing.T) {
		r := as(t, session.Config{BurstReactions: 2}, "athlete:ann")
		for _, id := range []string{"c1", "c2"} {
			r.say(react(id, 17))
			r.step(session.Looked{Tag: r.lookup().Tag})
		}
		r.say(react("c3", 17))
		r.wantResult("c3", "reaction.too_many")
		if !r.last().GetCommandResult().GetError().GetRetry() {
			t.Error("it is not said that it may be tried again")
		}
		r.now.Wall = r.now.Wall.Add(unit.Second)
		r.say(react("c3", 17))
		r.lookup()
	})
}

// TestWhatNotEverybodyMayWatchIsDecidedAgain: an entrant who has withdrawn watches no entrants' map any more.
func TestWhatNotEverybodyMayWatchIsDecidedAgain(t *testing.T) {
	const topic, cut = "competition/race/positions", "audience:entrant"
	rides := auth.Resource{Public: true, Entrant: true, Bound: true}
	r := as(t, session.Config{}, "athlete:ann")
	again := func() session.Lookup {
		t.Helper()
		r.now.Wall = r.timer["redecide"]
		r.step(step.Tick{Key: "redecide"})
		return r.lookup()
	}
	r.say(&livev1.Subscribe{Topic: topic, Cut: cut})
	r.step(session.Looked{Tag: r.lookup().Tag, Resource: rides})
	r.say(&livev1.Subscribe{Topic: "competition/race/board"})
	r.step(session.Looked{Tag: r.lookup().Tag, Resource: rides})
	if d := r.timer["redecide"].Sub(begin); d != 30*unit.Second {
		t.Fatalf("decided again after %d ms, want 30 s", d)
	}
	n := len(r.outs)
	l := again()
	if len(r.outs) != n+2 || l.Topic.Kind != wire.Positions {
		t.Fatalf("outs = %v, want a timer and one lookup: the board is for everybody", r.outs[n:])
	}
	r.step(session.Looked{Tag: l.Tag, Resource: rides})
	r.step(session.Looked{Tag: again().Tag, Err: fault.Later("session.busy", "x")})
	if _, ok := r.outs[len(r.outs)-1].(session.Lookup); !ok {
		t.Fatalf("last out = %v: nothing may come of a look-up that failed", r.outs[len(r.outs)-1])
	}
	r.step(session.Looked{Tag: again().Tag, Resource: auth.Resource{Public: true}})
	if e := r.wantError("auth.denied"); e.Topic != topic {
		t.Errorf("error = %v", e)
	}
	if u, ok := r.outs[len(r.outs)-1].(session.Unsubscribe); !ok || u.Topic.Kind != wire.Positions || u.Cut.Audience != wire.Entrant {
		t.Errorf("last out = %v, want the end of the subscription", r.outs[len(r.outs)-1])
	}
	n = len(r.outs)
	r.step(step.Tick{Key: "redecide"})
	if len(r.outs) != n {
		t.Errorf("outs = %v, want none: nothing is left to decide", r.outs[n:])
	}
}

// TestInboxIsOnesOwn: whose it is, the token says.
func TestInboxIsOnesOwn(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.say(&livev1.Subscribe{Topic: "inbox", Epoch: 1, Version: 7})
	r.step(session.Looked{Tag: r.lookup().Tag, Resource: auth.Resource{Person: "ann"}})
	var got *session.Subscribe
	for _, o := range r.outs {
		if s, ok := o.(session.Subscribe); ok {
			got = &s
		}
	}
	if got == nil || got.Topic != (wire.Topic{Kind: wire.Inbox, ID: "ann"}) || got.Epoch != 1 || got.Version != 7 {
		t.Fatalf("outs = %v", r.outs)
	}
	r.say(&livev1.Unsubscribe{Topic: "inbox"})
	if u, ok := r.outs[len(r.outs)-1].(session.Unsubscribe); !ok || u.Topic != got.Topic {
		t.Errorf("last out = %v, want the end of ann's inbox", r.outs[len(r.outs)-1])
	}
	for as, code := range map[string]string{"": "auth.token_needed", "operator:ops": "auth.denied", "device:ann/watch": "auth.denied"} {
		r := start(t, session.Config{})
		r.say(&livev1.Hello{Token: as})
		r.say(&livev1.Subscribe{Topic: "inbox"})
		r.step(session.Looked{Tag: r.lookup().Tag, Resource: auth.Resource{Person: "ann"}})
		r.wantError(code)
	}
}
