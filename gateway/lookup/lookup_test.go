package lookup_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/gateway/auth"
	"paceline/gateway/lookup"
	"paceline/gateway/wire"
	"paceline/persistence/view"
)

// views is a small installation.
type views struct {
	view.Reader
	people  map[string]view.Person
	through uint64
}

func (views) Competition(_ context.Context, c string) (view.Competition, bool, error) {
	switch c {
	case "open":
		return view.Competition{ID: c, Public: true, OrganizationID: "club"}, true, nil
	case "secret":
		return view.Competition{ID: c, OrganizationID: "club"}, true, nil
	}
	return view.Competition{}, false, nil
}

func (views) EntryOf(_ context.Context, _, user string) (view.RosterEntry, bool, error) {
	e := view.RosterEntry{UserID: user, Withdrawn: user == "bob", Training: user + "/w1"}
	if user == "cyd" {
		e.Training = "" // entered, and rides nothing yet
	}
	return e, user == "ann" || user == "bob" || user == "cyd", nil
}

func (v views) Person(_ context.Context, user string) (view.Person, bool, error) {
	p, ok := v.people[user]
	return p, ok, nil
}

func (views) Inbox(_ context.Context, user string, after uint64, _ int) ([]view.FeedEntry, bool, error) {
	b, err := proto.Marshal(&livev1.Event{Kind: "reaction", Entry: 2})
	if user == "broken" {
		b = []byte{0xff}
	}
	return []view.FeedEntry{{Version: after + 1, Kind: "reaction", Bytes: b}}, true, err
}

func (views) TrainingOf(_ context.Context, w string) (string, bool, error) {
	return "ann/" + w, w == "w1", nil
}

func (v views) Roster(context.Context, string) ([]view.RosterEntry, error) {
	return []view.RosterEntry{{Entry: 1, UserID: "ann", Category: "open"}, {Entry: 2, UserID: "bob", Heat: 1}}, nil
}

func (v views) Cursor(context.Context, id.Grain) (uint64, error) { return v.through, nil }

func (v views) People(context.Context, []string) (map[string]view.Person, error) {
	return v.people, nil
}

func (views) Feed(_ context.Context, c string, after uint64, _ int) ([]view.FeedEntry, bool, error) {
	b, err := proto.Marshal(&livev1.FeedItem{Kind: "gate", Entry: 2})
	if c == "broken" {
		b = []byte{0xff}
	}
	return []view.FeedEntry{{Version: after + 1, Kind: "gate", Bytes: b}}, true, err
}

type grains struct{}

func (grains) Ask(_ context.Context, to id.Grain, _ proto.Message) (proto.Message, error) {
	if to.ID == "young" {
		return &competitionv1.State{Definition: &competitionv1.Definition{OrganizationId: "club"},
			Entries: []*competitionv1.EntryState{{Entry: 1, UserId: "ann"}, {Entry: 2}}}, nil
	}
	return &competitionv1.State{}, nil
}

var (
	ann = auth.Principal{Role: auth.Athlete, ID: "ann"}
	bob = auth.Principal{Role: auth.Athlete, ID: "bob"}
	cyd = auth.Principal{Role: auth.Athlete, ID: "cyd"}
	ops = auth.Principal{Role: auth.Operator, ID: "ops"}
)

func TestResource(t *testing.T) {
	s := lookup.New(views{}, grains{})
	tests := []struct {
		topic    string
		p        auth.Principal
		want     auth.Resource
		training string
		err      error
	}{
		{"competition/open/board", auth.Principal{}, auth.Resource{Public: true, Organization: "club"}, "", nil},
		{"competition/secret/board", auth.Principal{}, auth.Resource{Organization: "club"}, "", nil},
		{"competition/secret/feed", ann, auth.Resource{Organization: "club", Entrant: true, Bound: true}, "", nil},
		{"competition/open/board", ann, auth.Resource{Public: true, Organization: "club"}, "", nil}, // nobody needs to know
		{"competition/open/positions", ann, auth.Resource{Public: true, Organization: "club", Entrant: true, Bound: true}, "", nil},
		{"competition/open/positions", cyd, auth.Resource{Public: true, Organization: "club", Entrant: true}, "", nil},
		{"competition/open/positions", bob, auth.Resource{Public: true, Organization: "club"}, "", nil}, // withdrawn
		{"competition/open/positions", auth.Principal{}, auth.Resource{Public: true, Organization: "club"}, "", nil},
		{"inbox", ann, auth.Resource{Person: "ann"}, "", nil},
		{"inbox", ops, auth.Resource{}, "", nil},
		{"competition/secret/feed", bob, auth.Resource{Organization: "club"}, "", nil}, // withdrawn
		{"competition/young/board", ann, auth.Resource{Organization: "club", Entrant: true}, "", nil},
		{"competition/young/board", auth.Principal{}, auth.Resource{Organization: "club"}, "", nil},
		{"competition/none/board", ann, auth.Resource{}, "", lookup.ErrNoCompetition},
		{"workout/w1", bob, auth.Resource{Person: "ann"}, "ann/w1", nil},
		{"workout/w9", bob, auth.Resource{Person: "bob"}, "bob/w9", nil}, // perhaps started a moment ago
		{"workout/w9", ops, auth.Resource{}, "", wire.ErrTopic},
	}
	for _, tt := range tests {
		topic, err := wire.ParseTopic(tt.topic)
		if err != nil {
			t.Fatal(err)
		}
		r, training, err := s.Resource(context.Background(), topic, tt.p)
		if r != tt.want || training != tt.training || !errors.Is(err, tt.err) {
			t.Errorf("Resource(%s, %v) = %+v %q %v, want %+v %q %v", tt.topic, tt.p, r, training, err, tt.want, tt.training, tt.err)
		}
	}
}

func TestRosterVersionRises(t *testing.T) {
	v := views{through: 10, people: map[string]view.Person{
		"ann": {UserID: "ann", Name: "Ann", Visibility: view.Public, Version: 3}, "bob": {UserID: "bob", Name: "Bob", Minor: true, Version: 1}}}
	read := func() (version uint64, names [2]string) {
		p, err := lookup.New(v, grains{}).Roster(context.Background(), "open")
		if err != nil || len(p.Rows) != 2 {
			t.Fatalf("Roster = %v, %v", p, err)
		}
		return p.Version, [2]string{p.Rows[0].Name, p.Rows[1].Name}
	}
	before, names := read()
	if names != [2]string{"Ann", "Bob"} {
		t.Errorf("names = %v", names)
	}
	p, err := lookup.New(v, grains{}).Roster(context.Background(), "open")
	if err != nil || p.Rows[0].Visibility != userv1.Visibility_VISIBILITY_PUBLIC || !p.Rows[1].Minor || p.Rows[1].Heat != 1 || p.Rows[0].Category != "open" {
		t.Errorf("rows = %+v, %v", p.Rows, err)
	}
	for name, change := range map[string]func(){
		"an entry":    func() { v.through++ },
		"a profile":   func() { v.people["ann"] = view.Person{UserID: "ann", Name: "Anna", Version: 4} },
		"an erasure":  func() { v.people["bob"] = view.Person{UserID: "bob", Erased: true} },
		"the last is": func() { v.through++ },
	} {
		change()
		after, _ := read()
		if after <= before {
			t.Errorf("%s: version %d after %d", name, after, before)
		}
		before = after
	}
	if _, names := read(); names != [2]string{"Anna", ""} {
		t.Errorf("names = %v, want the erased one without", names)
	}
}

// TestCheered: whom a reaction to an entry is for, and whether it may be.
func TestCheered(t *testing.T) {
	v := views{people: map[string]view.Person{
		"ann": {UserID: "ann", Name: "Ann", Visibility: view.Public}, "bob": {UserID: "bob", Name: "Bob", Visibility: view.Entrants}}}
	cheered := func(competition string, entry uint32, p auth.Principal) auth.Resource {
		t.Helper()
		r, err := lookup.New(v, grains{}).Cheered(context.Background(), competition, entry, p)
		if err != nil {
			t.Fatalf("Cheered(%s, %d, %v): %v", competition, entry, p, err)
		}
		return r
	}
	stranger := auth.Principal{Role: auth.Athlete, ID: "eve"}
	base := auth.Resource{Public: true, Organization: "club"}
	with := func(person string, entrant, bound, visible bool) auth.Resource {
		r := base
		r.Person, r.Entrant, r.Bound, r.Visible = person, entrant, bound, visible
		return r
	}
	for _, tt := range []struct {
		entry uint32
		p     auth.Principal
		want  auth.Resource
	}{
		{1, stranger, with("ann", false, false, true)},
		{2, stranger, with("bob", false, false, false)},
		{2, ann, with("bob", true, true, true)},
		{2, bob, with("bob", false, false, false)}, // withdrawn: no entrant any more
	} {
		if got := cheered("open", tt.entry, tt.p); got != tt.want {
			t.Errorf("Cheered(%d, %v) = %+v, want %+v", tt.entry, tt.p, got, tt.want)
		}
	}
	v.people["ann"] = view.Person{UserID: "ann", Erased: true, Visibility: view.Public}
	if cheered("open", 1, stranger).Visible {
		t.Error("the erased are seen")
	}
	delete(v.people, "ann")
	if cheered("open", 1, stranger).Visible {
		t.Error("somebody of whom nothing is known is seen")
	}
	if _, err := lookup.New(v, grains{}).Cheered(context.Background(), "open", 9, stranger); !errors.Is(err, lookup.ErrNoEntry) {
		t.Errorf("an entry that is none: %v", err)
	}
}

func TestInbox(t *testing.T) {
	s := lookup.New(views{}, grains{})
	items, more, err := s.Inbox(context.Background(), "ann", 7, 10)
	if err != nil || !more || len(items) != 1 || items[0].Version != 8 || items[0].Entry != 2 {
		t.Errorf("Inbox = %v, %v, %v", items, more, err)
	}
	if _, _, err := s.Inbox(context.Background(), "broken", 7, 10); err == nil {
		t.Error("broken bytes are an entry")
	}
}

func TestFeed(t *testing.T) {
	s := lookup.New(views{}, grains{})
	items, more, err := s.Feed(context.Background(), "open", 7, 10)
	if err != nil || !more || len(items) != 1 || items[0].Version != 8 || items[0].Entry != 2 {
		t.Errorf("Feed = %v, %v, %v", items, more, err)
	}
	if _, _, err := s.Feed(context.Background(), "broken", 7, 10); err == nil {
		t.Error("broken bytes are an item")
	}
}
