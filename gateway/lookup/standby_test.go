package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"paceline/domain/fault"
	"paceline/gateway/auth"
	"paceline/gateway/lookup"
	"paceline/gateway/wire"
	"paceline/persistence/view"
)

// weather is views whose store may be away.
type weather struct {
	views
	away  bool
	asked int
}

func (w *weather) Competition(ctx context.Context, c string) (view.Competition, bool, error) {
	if w.asked++; w.away {
		return view.Competition{}, false, fmt.Errorf("%w: gone", view.ErrUnavailable)
	}
	if c != "secret" {
		return view.Competition{ID: c, Public: true, OrganizationID: "club"}, true, nil
	}
	return w.views.Competition(ctx, c)
}

func (w *weather) EntryOf(ctx context.Context, c, user string) (view.RosterEntry, bool, error) {
	if w.away {
		return view.RosterEntry{}, false, context.DeadlineExceeded
	}
	return w.views.EntryOf(ctx, c, user)
}

func topic(t *testing.T, name string) wire.Topic {
	t.Helper()
	of, err := wire.ParseTopic(name)
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestStandby: a newcomer to a board that the node holds is let in while the store is away, as far as nothing about
// himself has to be looked up; everybody else is told to try again.
func TestStandby(t *testing.T) {
	w := &weather{}
	held := map[string]bool{"open": true, "secret": true}
	behind := false
	s := lookup.NewStandby(lookup.New(w, grains{}), func(c string) bool { return held[c] }, func() bool { return behind })
	for _, c := range []string{"open", "secret", "left"} {
		if _, _, err := s.Resource(t.Context(), topic(t, "competition/"+c+"/board"), ops); err != nil {
			t.Fatal(err)
		}
	}
	nobody := auth.Principal{}
	open, secret := auth.Resource{Public: true, Organization: "club"}, auth.Resource{Organization: "club"}
	for _, behind = range []bool{false, true} { // before it is known that the store is away, and after
		w.away, w.asked = true, 0
		for _, tt := range []struct {
			topic string
			p     auth.Principal
			want  auth.Resource
			ok    bool
		}{
			{"competition/open/board", nobody, open, true},
			{"competition/open/board", ann, open, true},
			{"competition/open/roster", ann, open, true},
			{"competition/open/feed", nobody, open, true},
			{"competition/open/positions", nobody, open, true},
			{"competition/open/positions", ann, auth.Resource{}, false}, // does she ride?
			{"competition/secret/board", ops, secret, true},
			{"competition/secret/board", nobody, secret, true}, // and auth says no
			{"competition/secret/board", ann, auth.Resource{}, false},
			{"competition/left/board", nobody, auth.Resource{}, false},  // known, and no board is here
			{"competition/never/board", nobody, auth.Resource{}, false}, // neither
		} {
			r, _, err := s.Resource(t.Context(), topic(t, tt.topic), tt.p)
			if tt.ok && (err != nil || r != tt.want) {
				t.Errorf("behind %v, %s for %v: %+v, %v, want %+v", behind, tt.topic, tt.p, r, err, tt.want)
			}
			if !tt.ok && (!errors.Is(err, lookup.ErrAway) || !fault.Of(err).Retry) {
				t.Errorf("behind %v, %s for %v: %+v, %v, want view.away, and to try again", behind, tt.topic, tt.p, r, err)
			}
		}
		if behind && w.asked != 4 {
			t.Errorf("the store was asked %d times while it is known to be away, want 4: only for what is not remembered", w.asked)
		}
	}
}

// TestStandbyIsBounded: of one competition more than it may remember, another one is forgotten.
func TestStandbyIsBounded(t *testing.T) {
	w := &weather{}
	behind := false
	s := lookup.NewStandby(lookup.New(w, grains{}), func(string) bool { return true }, func() bool { return behind })
	ask := func(i int) error {
		_, _, err := s.Resource(t.Context(), topic(t, fmt.Sprintf("competition/race-%d/board", i)), auth.Principal{})
		return err
	}
	const many, bound = 5000, 4096
	for i := range many {
		if err := ask(i); err != nil {
			t.Fatal(err)
		}
	}
	behind, w.away = true, true
	known := 0
	for i := range many {
		if ask(i) == nil {
			known++
		}
	}
	if known != bound {
		t.Errorf("%d of %d competitions are remembered, want %d", known, many, bound)
	}
	if err := ask(many - 1); err != nil {
		t.Errorf("the newest is forgotten: %v", err)
	}
}
