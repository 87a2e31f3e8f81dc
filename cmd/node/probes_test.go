package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/persistence"
)

func discarded() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestStuck: each reason to end the process, and that a busy machine is none.
func TestStuck(t *testing.T) {
	now := time.Now()
	fine, late := now.Add(-stuckAfter), now.Add(-stuckAfter-time.Second)
	for name, tc := range map[string]struct {
		sweeper, members time.Time
		placement        error
		want             string
	}{
		"all turn":              {fine, fine, nil, ""},
		"no wake-ups are fired": {late, fine, nil, "node.sweeper_stuck"},
		"members stand still":   {fine, late, nil, "node.members_stuck"},
		"no grain is activated": {fine, fine, context.DeadlineExceeded, "node.placement_stuck"},
	} {
		code := ""
		if err := stuck(now, tc.sweeper, tc.members, tc.placement); err != nil {
			code = fault.Of(err).Code
		}
		if code != tc.want {
			t.Errorf("%s: %q, want %q", name, code, tc.want)
		}
	}
}

// TestReady: each reason to send clients elsewhere that does not need a store in trouble (TheStoreIsAway and
// TheDiskIsFull have those), the weightiest first.
func TestReady(t *testing.T) {
	n := &node{sweeper: &sweeping{}}
	code := func() string {
		if err := n.ready(); err != nil {
			return fault.Of(err).Code
		}
		return ""
	}
	if c := code(); c != "node.starting" {
		t.Errorf("before the door is open: %q", c)
	}
	s := serve(t, "--data-dir", t.TempDir()+"/data")
	if body := get(t, s.url+"/livez"); body != "ok\n" {
		t.Errorf("/livez: %q", body)
	}
	n.down.Store(true)
	if c := code(); c != "node.cut_off" {
		t.Errorf("cut off: %q", c)
	}
	n.leaving.Store(true)
	if c := code(); c != "node.leaving" {
		t.Errorf("asked to end: %q", c)
	}
	if n.alive() != nil {
		t.Error("a node that leaves is ended by its supervisor")
	}
}

// takes is an event stream that takes up to a version.
type takes struct {
	through uint64
	err     error
}

func (s *takes) Publish(context.Context, id.Grain, []persistence.Record) (uint64, error) {
	return s.through, s.err
}

// TestOutboxLag: since when events of which grains are not taken, and that one which tries no more is forgotten.
func TestOutboxLag(t *testing.T) {
	under, now := &takes{}, time.Now()
	p := watchPublishing(under)
	p.now = func() time.Time { return now }
	a, b := id.Of(id.User, "a"), id.Of(id.User, "b")
	publish := func(g id.Grain, through uint64, err error) {
		under.through, under.err = through, err
		_, _ = p.Publish(t.Context(), g, []persistence.Record{{Version: 4}, {Version: 5}})
	}
	want := func(grains int, lag time.Duration) {
		t.Helper()
		if g, l := p.lag(); g != grains || l != lag {
			t.Errorf("%d grains, %v; want %d, %v", g, l, grains, lag)
		}
	}
	publish(a, 5, nil)
	want(0, 0)
	publish(a, 0, errors.New("away"))
	now = now.Add(3 * time.Second)
	publish(b, 4, nil)
	want(2, 3*time.Second)
	now = now.Add(time.Second)
	publish(a, 4, nil)
	want(2, 4*time.Second)
	publish(a, 5, nil)
	want(1, time.Second)
	now = now.Add(lagForgotten)
	want(0, 0)
}
