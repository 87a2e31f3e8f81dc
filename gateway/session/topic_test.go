package session_test

import (
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

var errViewsBusy = fault.Later("session.busy", "x")

// watched is what may be watched by some only, and what such a principal is told apart by.
var watched = map[string]struct {
	topic, cut, as string
	mine           auth.Resource
	training       string
	of             string // the hub's id of the topic
}{
	"a private board":                {"competition/race/board", "top:3", "athlete:ann", auth.Resource{Entrant: true}, "", "race"},
	"positions of audience entrant":  {"competition/race/positions", "audience:entrant", "athlete:ann", auth.Resource{Public: true, Bound: true}, "", "race"},
	"positions of audience official": {"competition/race/positions", "audience:official,top:3", "operator:ops", auth.Resource{}, "", "race"},
	"a workout":                      {"workout/w1", "", "athlete:ann", auth.Resource{Person: "ann"}, "ann/w1", "w1"},
	"the inbox":                      {"inbox", "", "athlete:ann", auth.Resource{Person: "ann"}, "", "ann"},
}

// notMine is what the views say once the right is lost.
var notMine = auth.Resource{Person: "bob", Organization: "elsewhere"}

// since are the outs of type T from the nth on.
func since[T any](r *rig, n int) []T {
	var found []T
	for _, o := range r.outs[n:] {
		if x, ok := o.(T); ok {
			found = append(found, x)
		}
	}
	return found
}

// watch subscribes and is served.
func (r *rig) watch(topic, cut string, res auth.Resource, training string) session.Subscribe {
	r.t.Helper()
	n := len(r.outs)
	r.say(&livev1.Subscribe{Topic: topic, Cut: cut})
	r.step(session.Looked{Tag: r.lookup().Tag, Resource: res, Training: training})
	served := since[session.Subscribe](r, n)
	if len(served) != 1 {
		r.t.Fatalf("outs = %v, want one subscription", r.outs[n:])
	}
	return served[0]
}

// redecide rings the timer and returns the look-ups that follow.
func (r *rig) redecide() []session.Lookup {
	r.t.Helper()
	n := len(r.outs)
	r.now.Wall = r.timer["redecide"]
	r.step(step.Tick{Key: "redecide"})
	return since[session.Lookup](r, n)
}

// TestARefusalEndsWhatIsWatched: whoever asks again for what it watches, and may no longer, has not got it any more.
func TestARefusalEndsWhatIsWatched(t *testing.T) {
	for name, w := range watched {
		t.Run(name, func(t *testing.T) {
			r := as(t, session.Config{}, w.as)
			r.watch(w.topic, w.cut, w.mine, w.training)
			n := len(r.outs)
			r.say(&livev1.Subscribe{Topic: w.topic, Cut: w.cut, Epoch: 4, Version: 9})
			r.step(session.Looked{Tag: r.lookup().Tag, Resource: notMine})
			r.wantError("auth.denied")
			ended := since[session.Unsubscribe](r, n)
			if len(ended) != 1 || ended[0].Topic.String() != w.topic || ended[0].Cut.String() != w.cut || ended[0].Topic.ID != w.of {
				t.Fatalf("outs = %+v, want the end of the subscription", r.outs[n:])
			}
			if again := r.redecide(); len(again) != 0 {
				t.Errorf("%v is decided again: nothing is watched", again)
			}
			n = len(r.outs)
			r.say(&livev1.Unsubscribe{Topic: w.topic, Cut: w.cut})
			if len(r.outs) != n {
				t.Errorf("outs = %v, want none: nothing is watched", r.outs[n:])
			}
			r.watch(w.topic, w.cut, w.mine, w.training) // the right may come back
		})
	}
}

// TestARefusalOfWhatIsNotWatchedEndsNothing: the hub never hears of it.
func TestARefusalOfWhatIsNotWatchedEndsNothing(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.say(&livev1.Subscribe{Topic: "competition/race/board"})
	r.step(session.Looked{Tag: r.lookup().Tag, Resource: notMine})
	r.wantError("auth.denied")
	if ended := since[session.Unsubscribe](r, 0); len(ended) != 0 {
		t.Errorf("%v was ended", ended)
	}
}

// TestBusyViewsEndNothing: asked for again while the views are away, a topic goes on as it was, and is decided again.
func TestBusyViewsEndNothing(t *testing.T) {
	for name, w := range watched {
		t.Run(name, func(t *testing.T) {
			r := as(t, session.Config{MaxSubscriptions: 1}, w.as)
			r.watch(w.topic, w.cut, w.mine, w.training)
			n := len(r.outs)
			r.say(&livev1.Subscribe{Topic: w.topic, Cut: w.cut})
			r.step(session.Looked{Tag: r.lookup().Tag, Err: errViewsBusy})
			if e := r.wantError("session.busy"); !e.Retry || e.Topic != w.topic {
				t.Errorf("error = %v", e)
			}
			if ended := since[session.Unsubscribe](r, n); len(ended) != 0 {
				t.Errorf("%v was ended", ended)
			}
			r.say(&livev1.Subscribe{Topic: "competition/other/board"})
			r.wantError("session.subscriptions") // its place is still taken
			again := r.redecide()
			if len(again) != 1 || again[0].Topic.String() != w.topic {
				t.Fatalf("decided again: %v, want %s", again, w.topic)
			}
			n = len(r.outs)
			r.step(session.Looked{Tag: again[0].Tag, Resource: notMine})
			r.wantError("auth.denied")
			if ended := since[session.Unsubscribe](r, n); len(ended) != 1 || ended[0].Topic.ID != w.of {
				t.Errorf("outs = %v, want the end of the subscription", r.outs[n:])
			}
			r.watch(w.topic, w.cut, w.mine, w.training) // there is room again
		})
	}
}

// TestBusyViewsFreeThePlaceOfWhatIsNotWatched: what was never served takes nobody's place.
func TestBusyViewsFreeThePlaceOfWhatIsNotWatched(t *testing.T) {
	r := as(t, session.Config{MaxSubscriptions: 1}, "athlete:ann")
	r.say(&livev1.Subscribe{Topic: "competition/race/board"})
	r.step(session.Looked{Tag: r.lookup().Tag, Err: errViewsBusy})
	r.wantError("session.busy")
	r.watch("competition/other/board", "", auth.Resource{Public: true}, "")
}

// TestLookUpsOvertake: the views answer in any order; what was asked last decides.
func TestLookUpsOvertake(t *testing.T) {
	const topic, cut = "competition/race/positions", "audience:entrant"
	rides := auth.Resource{Public: true, Bound: true}
	ask := func(r *rig) uint64 {
		r.say(&livev1.Subscribe{Topic: topic, Cut: cut})
		return r.lookup().Tag
	}
	t.Run("a yes that is older than the no", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		first, second := ask(r), ask(r)
		r.step(session.Looked{Tag: second, Resource: notMine})
		r.wantError("auth.denied")
		r.step(session.Looked{Tag: first, Resource: rides})
		if got := since[session.Subscribe](r, 0); len(got) != 0 {
			t.Errorf("%v is served after it was refused", got)
		}
	})
	t.Run("a no that is older than the yes", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		first, second := ask(r), ask(r)
		r.step(session.Looked{Tag: second, Resource: rides})
		r.step(session.Looked{Tag: first, Resource: notMine})
		if ended := since[session.Unsubscribe](r, 0); len(ended) != 0 {
			t.Errorf("%v was ended by an older answer", ended)
		}
		if again := r.redecide(); len(again) != 1 {
			t.Errorf("decided again: %v, want one", again)
		}
	})
	t.Run("busy, then a yes", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		first, second := ask(r), ask(r)
		r.step(session.Looked{Tag: first, Err: errViewsBusy})
		r.step(session.Looked{Tag: second, Resource: rides})
		if got := since[session.Subscribe](r, 0); len(got) != 1 {
			t.Errorf("outs = %v, want the second to be served", r.outs)
		}
	})
	t.Run("decided again while it is asked for again", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.watch(topic, cut, rides, "")
		again := r.redecide()
		last := ask(r)
		n := len(r.outs)
		r.step(session.Looked{Tag: again[0].Tag, Resource: notMine})
		if ended := since[session.Unsubscribe](r, n); len(ended) != 1 {
			t.Fatalf("outs = %v, want the end of the subscription", r.outs[n:])
		}
		r.step(session.Looked{Tag: last, Resource: rides})
		if got := since[session.Subscribe](r, n); len(got) != 1 {
			t.Errorf("outs = %v, want it served: that was asked last", r.outs[n:])
		}
	})
	t.Run("of a subscription before this one", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		first := ask(r)
		r.say(&livev1.Unsubscribe{Topic: topic, Cut: cut})
		second := ask(r)
		r.step(session.Looked{Tag: first, Resource: rides})
		if got := since[session.Subscribe](r, 0); len(got) != 0 {
			t.Errorf("%v is served: it has been given up", got)
		}
		r.step(session.Looked{Tag: second, Resource: rides})
		if got := since[session.Subscribe](r, 0); len(got) != 1 {
			t.Errorf("outs = %v, want the second to be served", r.outs)
		}
	})
}

// TestTheHubRefusesWhatIsNoLongerAsked: its answer about a subscription that a newer one has replaced says nothing.
func TestTheHubRefusesWhatIsNoLongerAsked(t *testing.T) {
	const topic, cut = "competition/race/positions", "audience:entrant,category:none"
	rides := auth.Resource{Public: true, Bound: true}
	r := as(t, session.Config{}, "athlete:ann")
	first := r.watch(topic, cut, rides, "")
	second := r.watch(topic, cut, rides, "")
	n := len(r.outs)
	r.step(session.HubRefused{Topic: topic, Cut: cut, Tag: first.Tag, Err: wire.ErrCut})
	if again := r.redecide(); len(again) != 1 {
		t.Fatalf("decided again: %v, want one", again)
	}
	if got := since[session.Frame](r, n); len(got) != 0 {
		t.Errorf("said: %v", got)
	}
	r.step(session.HubRefused{Topic: topic, Cut: cut, Tag: second.Tag, Err: wire.ErrCut})
	r.wantError("topic.cut_unknown")
	if again := r.redecide(); len(again) != 0 {
		t.Errorf("decided again: %v, want nothing", again)
	}
}
