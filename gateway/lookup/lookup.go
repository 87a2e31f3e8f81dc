// Package lookup is what the edge reads from the views: what a decision about a topic or an RPC needs, people for
// rosters, history for feeds.
//
// It decides nothing (gateway/auth does) and keeps nothing but what Standby remembers. Views lag behind the journals: a
// competition that was created a moment ago may be asked for at its grain instead.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/wire"
	"paceline/persistence/view"
)

// Asker asks grains.
type Asker interface {
	Ask(ctx context.Context, to id.Grain, msg proto.Message) (proto.Message, error)
}

// Source reads views, and grains where a view is too young.
type Source struct {
	views  view.Reader
	grains Asker
}

// New makes a source.
func New(views view.Reader, grains Asker) *Source { return &Source{views, grains} }

// ErrNoCompetition is the answer to a competition that nobody has created.
var ErrNoCompetition = fault.New(fault.NotFound, "competition.unknown", "There is no such competition.")

// ErrAway is the answer while the store cannot be read: not now, and perhaps soon.
var ErrAway = fault.Later("view.away", "This cannot be looked up at the moment, because the store does not answer; try again.")

// away makes a store that does not answer a fault that says so; whoever asked is told to try again.
func away(err error) error {
	if errors.Is(err, view.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	return err
}

// Competition is what a decision about a competition needs to know.
func (s *Source) Competition(ctx context.Context, competition string, p auth.Principal) (auth.Resource, error) {
	r, err := s.competition(ctx, competition, p, false)
	return r, away(err)
}

// competition: of a public one the principal's own entry is looked up only if it is wanted.
func (s *Source) competition(ctx context.Context, competition string, p auth.Principal, own bool) (auth.Resource, error) {
	if err := id.Check(competition); err != nil {
		return auth.Resource{}, err
	}
	c, ok, err := s.views.Competition(ctx, competition)
	if err != nil {
		return auth.Resource{}, fmt.Errorf("look up competition %s: %w", competition, err)
	}
	if !ok {
		return s.young(ctx, competition, p)
	}
	r := auth.Resource{Public: c.Public, Organization: c.OrganizationID}
	if person := p.Person(); person != "" && (own || !c.Public) {
		entry, in, err := s.views.EntryOf(ctx, competition, person)
		if err != nil {
			return auth.Resource{}, fmt.Errorf("look up entry in %s: %w", competition, err)
		}
		r.Entrant = in && !entry.Withdrawn
		r.Bound = r.Entrant && entry.Training != ""
	}
	return r, nil
}

// young asks the grain: the views do not know the competition, perhaps not yet.
func (s *Source) young(ctx context.Context, competition string, p auth.Principal) (auth.Resource, error) {
	m, err := s.grains.Ask(ctx, id.Of(id.Competition, competition), &competitionv1.Get{UserId: p.Person()})
	if err != nil {
		return auth.Resource{}, err
	}
	state, ok := m.(*competitionv1.State)
	if !ok || state.Definition == nil {
		return auth.Resource{}, ErrNoCompetition
	}
	r := auth.Resource{Public: state.Definition.Public, Organization: state.Definition.OrganizationId}
	for _, e := range state.Entries {
		r.Entrant = r.Entrant || e.UserId != "" && e.UserId == p.Person() // not Bound: nobody rides in so young a race
	}
	return r, nil
}

// Resource is what a decision about a topic needs to know. A workout is resolved to its training.
func (s *Source) Resource(ctx context.Context, t wire.Topic, p auth.Principal) (auth.Resource, string, error) {
	r, training, err := s.resource(ctx, t, p)
	return r, training, away(err)
}

func (s *Source) resource(ctx context.Context, t wire.Topic, p auth.Principal) (auth.Resource, string, error) {
	switch t.Kind {
	case wire.Inbox:
		return auth.Resource{Person: p.Person()}, "", nil
	case wire.Positions:
		r, err := s.competition(ctx, t.ID, p, true) // audiences are for those who ride
		return r, "", err
	case wire.Board, wire.Roster, wire.Feed:
		r, err := s.competition(ctx, t.ID, p, false)
		return r, "", err
	case wire.Workout:
	}
	training, ok, err := s.views.TrainingOf(ctx, t.ID)
	if err != nil {
		return auth.Resource{}, "", fmt.Errorf("look up workout %s: %w", t.ID, err)
	}
	if !ok {
		// Started a moment ago, or never: for the person itself it is the same question.
		if p.Person() == "" {
			return auth.Resource{}, "", wire.ErrTopic
		}
		training = p.Person() + "/" + t.ID
	}
	return auth.Resource{Person: id.Grain{Kind: id.Training, ID: training}.Affinity()}, training, nil
}

// Roster implements hub.Views. Its version rises with the competition's journal and with each person's profile.
func (s *Source) Roster(ctx context.Context, competition string) (hub.People, error) {
	entries, err := s.views.Roster(ctx, competition)
	if err != nil {
		return hub.People{}, fmt.Errorf("roster of %s: %w", competition, err)
	}
	version, err := s.views.Cursor(ctx, id.Of(id.Competition, competition))
	if err != nil {
		return hub.People{}, fmt.Errorf("roster of %s: %w", competition, err)
	}
	users := make([]string, 0, len(entries))
	for _, e := range entries {
		users = append(users, e.UserID)
	}
	people, err := s.views.People(ctx, users)
	if err != nil {
		return hub.People{}, fmt.Errorf("people of %s: %w", competition, err)
	}
	roster := hub.People{Version: version, Rows: make([]hub.Person, 0, len(entries))}
	for _, e := range entries {
		p := people[e.UserID] // unknown: no name, shown as erased
		roster.Version += p.Version
		erased := p.Erased
		if erased {
			// An erased person's version is gone with the row; one more than it can have been keeps the sum rising.
			roster.Version += erasedVersion
			p = view.Person{}
		}
		roster.Rows = append(roster.Rows, hub.Person{
			Entry: e.Entry, UserID: e.UserID, Category: e.Category, Heat: e.Heat, Name: p.Name, Club: p.Club,
			Flag: p.Flag, Visibility: userv1.Visibility(p.Visibility), Minor: p.Minor, Erased: erased,
		})
	}
	return roster, nil
}

// erasedVersion is above every version of a profile.
const erasedVersion = 1 << 40

// Feed implements hub.Views.
func (s *Source) Feed(ctx context.Context, competition string, after uint64, limit int) ([]*livev1.FeedItem, bool, error) {
	entries, more, err := s.views.Feed(ctx, competition, after, limit)
	if err != nil {
		return nil, false, fmt.Errorf("feed of %s: %w", competition, err)
	}
	items := make([]*livev1.FeedItem, 0, len(entries))
	for _, e := range entries {
		item := &livev1.FeedItem{}
		if err := proto.Unmarshal(e.Bytes, item); err != nil {
			return nil, false, fmt.Errorf("feed of %s at %d: %w", competition, e.Version, err)
		}
		item.Version = e.Version
		items = append(items, item)
	}
	return items, more, nil
}

// Inbox implements hub.Views. Of somebody who is gone there is nothing.
func (s *Source) Inbox(ctx context.Context, person string, after uint64, limit int) ([]*livev1.Event, bool, error) {
	entries, more, err := s.views.Inbox(ctx, person, after, limit)
	if err != nil {
		return nil, false, fmt.Errorf("inbox of %s: %w", person, err)
	}
	items := make([]*livev1.Event, 0, len(entries))
	for _, e := range entries {
		item := &livev1.Event{}
		if err := proto.Unmarshal(e.Bytes, item); err != nil {
			return nil, false, fmt.Errorf("inbox of %s at %d: %w", person, e.Version, err)
		}
		item.Version = e.Version
		items = append(items, item)
	}
	return items, more, nil
}

// ErrNoEntry is the answer to a reaction for an entry that nobody has.
var ErrNoEntry = fault.New(fault.NotFound, "competition.no_entry", "There is no such entry.")

// Cheered is what a decision about a reaction to an entry needs: who rides it, and whether the principal may know.
func (s *Source) Cheered(ctx context.Context, competition string, entry uint32, p auth.Principal) (auth.Resource, error) {
	r, err := s.cheered(ctx, competition, entry, p)
	return r, away(err)
}

func (s *Source) cheered(ctx context.Context, competition string, entry uint32, p auth.Principal) (auth.Resource, error) {
	r, err := s.competition(ctx, competition, p, true)
	if err != nil {
		return auth.Resource{}, err
	}
	entries, err := s.views.Roster(ctx, competition)
	if err != nil {
		return auth.Resource{}, fmt.Errorf("roster of %s: %w", competition, err)
	}
	i := slices.IndexFunc(entries, func(e view.RosterEntry) bool { return e.Entry == entry })
	if i < 0 {
		return auth.Resource{}, ErrNoEntry
	}
	r.Person = entries[i].UserID
	who, known, err := s.views.Person(ctx, r.Person)
	if err != nil {
		return auth.Resource{}, fmt.Errorf("look up person: %w", err)
	}
	v := auth.Viewer{Role: p.Role, Entrant: r.Entrant}
	r.Visible = known && !who.Erased && auth.MaySee(v, userv1.Visibility(who.Visibility), who.Minor)
	return r, nil
}
