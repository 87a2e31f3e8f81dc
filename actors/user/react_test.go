package user

import (
	"errors"
	"fmt"
	"testing"

	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
)

const begin unit.InstantMs = 1_718_462_000_000

// ada is a registered user.
func ada() *State {
	s := New()
	s.Apply(Registered{good()})
	return s
}

func cheer(by string, at unit.InstantMs, race string) Cheer {
	return Cheer{Meta: step.Meta{By: by, At: at}, User: "u1", Competition: race, Entry: 17, Reaction: "bell"}
}

// take decides and applies.
func take(t *testing.T, s *State, c Command) error {
	t.Helper()
	events, err := Decide(s, c)
	for _, e := range events {
		s.Apply(e)
	}
	if broken := s.Check(); broken != nil {
		t.Fatal(broken)
	}
	return err
}

func TestReactions(t *testing.T) {
	with := func(change func(*Cheer)) Cheer {
		c := cheer("athlete:u2", begin, "race")
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name string
		s    *State
		c    Cheer
		want error
	}{
		{"fine", ada(), with(func(*Cheer) {}), nil},
		{"nobody", New(), with(func(*Cheer) {}), ErrNotRegistered},
		{"none that there is", ada(), with(func(c *Cheer) { c.Reaction = "<b>" }), ErrReaction},
		{"none", ada(), with(func(c *Cheer) { c.Reaction = "" }), ErrReaction},
		{"for no entry", ada(), with(func(c *Cheer) { c.Entry = 0 }), ErrEntry},
		{"in no race", ada(), with(func(c *Cheer) { c.Competition = "a/b" }), fault.New(fault.Invalid, "id.malformed", "")},
		{"for oneself", ada(), with(func(c *Cheer) { c.By = "athlete:u1" }), ErrYourself},
	} {
		err := take(t, tt.s, tt.c)
		if (tt.want == nil) != (err == nil) || err != nil && fault.Of(err).Code != fault.Of(tt.want).Code {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	for _, r := range Reactions {
		if err := take(t, ada(), with(func(c *Cheer) { c.Reaction = r })); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
}

// TestReactionsAreBounded: whoever cheers, and however often, a person's journal and state stay small.
func TestReactionsAreBounded(t *testing.T) {
	s := ada()
	if err := take(t, s, cheer("athlete:a", begin, "race")); err != nil {
		t.Fatal(err)
	}
	if err := take(t, s, cheer("athlete:a", begin.Add(CheerPause-1), "race")); !errors.Is(err, ErrTooMany) || !fault.Of(err).Retry {
		t.Errorf("twice in ten seconds: %v", err)
	}
	if err := take(t, s, cheer("athlete:a", begin.Add(CheerPause), "race")); err != nil {
		t.Errorf("after ten seconds: %v", err)
	}
	s = ada()
	for i := range CheersInWindow {
		if err := take(t, s, cheer(fmt.Sprint("athlete:", i), begin, "race")); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := take(t, s, cheer("athlete:x", begin.Add(CheerWindow-1), "race")); !errors.Is(err, ErrTooMany) {
		t.Errorf("the sixty-first in a minute: %v", err)
	}
	if err := take(t, s, cheer("athlete:x", begin.Add(CheerWindow), "race")); err != nil {
		t.Errorf("the next minute: %v", err)
	}
	s = ada()
	at := begin
	for i := range CheersInRace {
		at = at.Add(CheerPause)
		if err := take(t, s, cheer("athlete:a", at, "race")); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := take(t, s, cheer("athlete:b", at.Add(unit.Day), "race")); !errors.Is(err, ErrEnoughCheer) {
		t.Errorf("more than a race allows: %v", err)
	}
	if err := take(t, s, cheer("athlete:b", at.Add(unit.Day), "another")); err != nil {
		t.Errorf("in another race: %v", err)
	}
	at = at.Add(2 * unit.Day)
	for i := range 3 * MaxRaces {
		at = at.Add(unit.Hour)
		if err := take(t, s, cheer("athlete:b", at, fmt.Sprint("race-", i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.Races) != MaxRaces || s.Races[MaxRaces-1].Competition != fmt.Sprint("race-", 3*MaxRaces-1) || len(s.Cheers) != 1 {
		t.Errorf("%d races are kept, the last is %v; %d cheers", len(s.Races), s.Races[len(s.Races)-1], len(s.Cheers))
	}
	if s.Inbox != s.Version {
		t.Errorf("the inbox is at %d of %d", s.Inbox, s.Version)
	}
}
