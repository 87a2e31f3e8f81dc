package level

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"paceline/persistence/memory"
)

func TestServes(t *testing.T) {
	b := Build{Oldest: 2, Reads: 4, Writes: 3}
	for l, want := range map[uint32]error{1: ErrOlder, 2: nil, 3: nil, 4: nil, 5: ErrNewer} {
		if err := b.Serves(l); !errors.Is(err, want) {
			t.Errorf("at level %d: %v, want %v", l, err, want)
		}
	}
	if err := This.Serves(This.Reads); err != nil || This.Writes > This.Reads || This.Oldest > This.Writes {
		t.Errorf("this release cannot be: %+v, %v", This, err)
	}
}

// TestTarget: who stands against a raise, and how far it goes by itself.
func TestTarget(t *testing.T) {
	all := func(reads ...uint32) (m []Member) {
		for i, r := range reads {
			m = append(m, Member{Name: string(rune('a' + i)), Reads: r, Seen: true})
		}
		return m
	}
	hidden := append(all(3, 3), Member{Name: "z", Reads: 2})
	for name, tc := range map[string]struct {
		at, to  uint32
		members []Member
		want    uint32
		err     error
		says    string
	}{
		"as far as it goes":           {1, 0, all(3, 4), 3, nil, ""},
		"as far as the oldest":        {1, 0, all(3, 2, 4), 2, nil, ""},
		"a release before levels":     {1, 0, all(3, 0), 1, nil, ""},
		"never back by itself":        {3, 0, all(3, 2), 3, nil, ""},
		"what all can read":           {1, 2, all(3, 2), 2, nil, ""},
		"the same again":              {2, 2, all(3, 2), 2, nil, ""},
		"back":                        {3, 2, all(3, 3), 3, ErrBack, "it is 3, 2 was asked for"},
		"what is not written":         {1, 4, all(4, 4), 1, ErrUnknown, "it writes up to 3"},
		"one cannot":                  {1, 3, all(3, 2, 0), 1, ErrMembers, "b reads up to 2, c reads up to 1"},
		"one that lives, and unseen":  {1, 3, hidden, 1, ErrMembers, "z reads up to 2 and is not seen"},
		"and by itself no farther":    {1, 0, hidden, 2, nil, ""},
		"nobody else":                 {1, 0, nil, 3, nil, ""},
		"nobody else, and no farther": {1, 4, nil, 1, ErrUnknown, ""},
	} {
		got, err := Build{Oldest: 1, Reads: 4, Writes: 3}.Target(tc.at, tc.to, tc.members)
		if got != tc.want || !errors.Is(err, tc.err) || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %d, %v; want %d, %v", name, got, err, tc.want, tc.err)
		}
	}
}

// TestStore: the first one begins, a raise holds once, and nothing goes back.
func TestStore(t *testing.T) {
	ctx, s := t.Context(), In(memory.New())
	must := func(l uint32, err error) uint32 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if a, b := must(s.Read(ctx)), must(s.Look(ctx)); a != 0 || b != 0 {
		t.Fatalf("an empty store is at %d and %d", a, b)
	}
	if a, b := must(s.Begin(ctx, 2)), must(s.Begin(ctx, 1)); a != 2 || b != 2 {
		t.Errorf("begun at %d, and by a second one at %d; want 2 and 2", a, b)
	}
	if l := must(s.Raise(ctx, 2, 1)); l != 2 {
		t.Errorf("lowered to %d", l)
	}
	var both sync.WaitGroup
	for _, to := range []uint32{3, 4} {
		both.Go(func() { _, _ = s.Raise(ctx, 2, to) })
	}
	both.Wait()
	l := must(s.Read(ctx))
	if l != 3 && l != 4 {
		t.Fatalf("after two raises at once the level is %d", l)
	}
	if again := must(s.Raise(ctx, 2, 7)); again != l {
		t.Errorf("a raise from a level that is over made %d of %d", again, l)
	}
	if seen := must(s.Look(ctx)); seen != l {
		t.Errorf("who follows sees %d, the level is %d", seen, l)
	}
}

func TestCurrentNeverGoesBack(t *testing.T) {
	var c Current
	if c.Allows(Before) {
		t.Error("something is allowed before the level is known")
	}
	if !c.Follow(3) || c.Follow(2) || c.Follow(3) || c.At() != 3 || !c.Allows(3) || c.Allows(4) {
		t.Errorf("at %d after 3, 2, 3", c.At())
	}
}
