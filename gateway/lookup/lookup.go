// Package lookup is what the edge reads from the views: what a decision about a topic or an RPC needs, people for
// rosters, history for feeds.
//
// It decides nothing (gateway/auth does) and keeps nothing. Views lag behind the journals: a competition that was
// created a moment ago may be asked for at its grain instead.
package lookup

import (
	"context"
	"fmt"

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

// Competition is what a decision about a competition needs to know.
func (s *Source) Competition(ctx context.Context, competition string, p auth.Principal) (auth.Resource, error) {
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
	if person := p.Person(); person != "" && !c.Public {
		entry, in, err := s.views.EntryOf(ctx, competition, person)
		if err != nil {
			return auth.Resource{}, fmt.Errorf("look up entry in %s: %w", competition, err)
		}
		r.Entrant = in && !entry.Withdrawn
	}
	return r, nil
}

// young asks the grain: the views do not know the competition, perhaps not yet.
func (s *Source) young(ctx context.Context, competition string, p auth.Principal) (auth.Resource, error) {
	m, err := s.grains.Ask(ctx, id.Of(id.Competition, competition), &competitionv1.Get{})
	if err != nil {
		return auth.Resource{}, err
	}
	state, ok := m.(*competitionv1.State)
	if !ok || state.Definition == nil {
		return auth.Resource{}, ErrNoCompetition
	}
	r := auth.Resource{Public: state.Definition.Public, Organization: state.Definition.OrganizationId}
	for _, e := range state.Entries {
		r.Entrant = r.Entrant || e.UserId != "" && e.UserId == p.Person()
	}
	return r, nil
}

// Resource is what a decision about a topic needs to know. A workout is resolved to its training.
func (s *Source) Resource(ctx context.Context, t wire.Topic, p auth.Principal) (auth.Resource, string, error) {
	if t.Kind != wire.Workout {
		r, err := s.Competition(ctx, t.ID, p)
		return r, "", err
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
		if p.Erased {
			// An erased person's version is gone with the row; one more than it can have been keeps the sum rising.
			roster.Version += erasedVersion
			p = view.Person{}
		}
		roster.Rows = append(roster.Rows, hub.Person{
			Entry: e.Entry, UserID: e.UserID, Category: e.Category, Heat: e.Heat, Name: p.Name, Club: p.Club,
			Flag: p.Flag, Visibility: userv1.Visibility(p.Visibility), Minor: p.Minor,
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
