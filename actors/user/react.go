package user

import (
	"slices"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// Reactions are those that there are. Stored and shown: append only.
var Reactions = []string{"applause", "bell", "fire", "heart", "strength", "wave"}

// A journal is kept for ever and an inbox is for a person: both are bounded, whoever cheers.
const (
	// CheerWindow is over what reactions are counted, on the node's clock.
	CheerWindow = unit.Minute
	// CheersInWindow is how many a person takes in it.
	CheersInWindow = 60
	// CheerPause is between two of one principal.
	CheerPause = 10 * unit.Second
	// CheersInRace is how many a person takes in one race.
	CheersInRace = 1000
	// MaxRaces is of how many races that is counted: of older ones it begins anew.
	MaxRaces = 32
)

// PastCheer is a reaction of the last CheerWindow.
type PastCheer struct {
	At   unit.InstantMs
	From string
}

// Race is how often the user was cheered in a race.
type Race struct {
	Competition string
	Cheers      uint32
}

// What the rules of reactions refuse.
var (
	ErrReaction    = fault.New(fault.Invalid, "reaction.unknown", "There is no such reaction.")
	ErrYourself    = fault.New(fault.Denied, "reaction.yourself", "Somebody else has to cheer for you.")
	ErrEntry       = fault.New(fault.Invalid, "reaction.entry", "The reaction does not say which entry it is for.")
	ErrTooMany     = &fault.Fault{Kind: fault.Exhausted, Code: "reaction.too_many", Message: "That is enough cheering for a moment; try again later.", Retry: true}
	ErrEnoughCheer = fault.New(fault.Exhausted, "reaction.enough", "This athlete has been cheered as often as a race allows.")
)

func decideCheer(s *State, c Cheer) ([]Event, error) {
	if err := id.Check(c.Competition); err != nil {
		return nil, err
	}
	switch {
	case !s.Registered:
		return nil, ErrNotRegistered
	case !slices.Contains(Reactions, c.Reaction):
		return nil, ErrReaction
	case c.Entry == 0:
		return nil, ErrEntry
	case c.By == "athlete:"+c.User:
		return nil, ErrYourself
	}
	window := 0
	for _, x := range s.Cheers {
		if c.At.Sub(x.At) >= CheerWindow {
			continue
		}
		window++
		if x.From == c.By && c.At.Sub(x.At) < CheerPause {
			return nil, ErrTooMany.With("one in %d s", CheerPause/unit.Second)
		}
	}
	if window >= CheersInWindow {
		return nil, ErrTooMany.With("%d in %d s", CheersInWindow, CheerWindow/unit.Second)
	}
	if i := s.race(c.Competition); i >= 0 && s.Races[i].Cheers >= CheersInRace {
		return nil, ErrEnoughCheer
	}
	return []Event{Reacted{Competition: c.Competition, Entry: c.Entry, Reaction: c.Reaction, From: c.By, At: c.At}}, nil
}

func (s *State) race(competition string) int {
	return slices.IndexFunc(s.Races, func(r Race) bool { return r.Competition == competition })
}

// cheered counts. Slices are replaced, not changed: a state may have been copied.
func (s *State) cheered(e Reacted) {
	recent := make([]PastCheer, 0, len(s.Cheers)+1)
	for _, x := range s.Cheers {
		if e.At.Sub(x.At) < CheerWindow {
			recent = append(recent, x)
		}
	}
	recent = append(recent, PastCheer{e.At, e.From})
	s.Cheers = recent[max(0, len(recent)-CheersInWindow):]

	r := Race{Competition: e.Competition}
	races := make([]Race, 0, len(s.Races)+1)
	for _, x := range s.Races {
		if x.Competition == e.Competition {
			r = x
			continue
		}
		races = append(races, x)
	}
	r.Cheers++
	races = append(races, r)
	s.Races = races[max(0, len(races)-MaxRaces):]
}
