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
	return view.RosterEntry{UserID: user, Withdrawn: user == "bob"}, user == "ann" || user == "bob", nil
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
		{"competition/secret/feed", ann, auth.Resource{Organization: "club", Entrant: true}, "", nil},
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
