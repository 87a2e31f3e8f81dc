package lookup

import (
	"context"
	"errors"
	"sync"

	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// maxRemembered is of how many competitions Standby remembers who may watch. Of one more, another one is forgotten: its
// next newcomer is looked up, or told to try again.
const maxRemembered = 4096

// Standby is a Source for topics that goes on while the store is away: of a competition whose board this node holds it
// remembers whether it is public and whose it is, so that a newcomer gets the board as it last was. Who has an entry in a
// competition is not remembered: whoever may watch only because of that is told to try again.
type Standby struct {
	*Source
	holds  func(competition string) bool
	behind func() bool

	mu    sync.Mutex
	races map[string]auth.Resource // by competition: Public and Organization
}

// NewStandby needs to know whose boards the node holds, and whether its store does not keep up.
func NewStandby(s *Source, holds func(competition string) bool, behind func() bool) *Standby {
	return &Standby{Source: s, holds: holds, behind: behind, races: map[string]auth.Resource{}}
}

// Resource is Source's. While the store is known to be away it is not waited for, where what is remembered is enough.
func (s *Standby) Resource(ctx context.Context, t wire.Topic, p auth.Principal) (auth.Resource, string, error) {
	if s.behind() {
		if r, ok := s.remembered(t, p); ok {
			return r, "", nil
		}
	}
	r, training, err := s.Source.Resource(ctx, t, p)
	if err == nil && ofRace(t) {
		s.remember(t.ID, r)
	}
	if errors.Is(err, ErrAway) {
		if known, ok := s.remembered(t, p); ok {
			return known, "", nil
		}
	}
	return r, training, err
}

// ofRace reports a topic about which the competition decides.
func ofRace(t wire.Topic) bool {
	switch t.Kind {
	case wire.Board, wire.Roster, wire.Feed, wire.Positions:
		return true
	case wire.Workout, wire.Inbox:
	}
	return false
}

func (s *Standby) remember(competition string, r auth.Resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.races[competition]; !known && len(s.races) >= maxRemembered {
		for other := range s.races {
			delete(s.races, other)
			break
		}
	}
	s.races[competition] = auth.Resource{Public: r.Public, Organization: r.Organization}
}

// remembered is the answer without the store, where Source would not ask for the principal's own entry.
func (s *Standby) remembered(t wire.Topic, p auth.Principal) (auth.Resource, bool) {
	if !ofRace(t) || !s.holds(t.ID) {
		return auth.Resource{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.races[t.ID]
	return r, ok && (p.Person() == "" || r.Public && t.Kind != wire.Positions)
}
