package user

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Visibility is to whom a name is shown. Stored values: append only.
type Visibility uint8

// The visibilities.
const (
	Unspecified Visibility = 0
	Public      Visibility = 1
	Entrants    Visibility = 2 // those in the same race, and officials
	Private     Visibility = 3 // officials and the person
)

// Profile is what a person says about itself.
type Profile struct {
	Handle     string // lower case
	Name       string
	Club       string
	Flag       string // ISO 3166-1 alpha-2; empty: none
	Visibility Visibility
	Minor      bool
}

// Event is one fact in a user's journal.
type Event interface{ isEvent() }

type (
	// Registered is the first event.
	Registered struct{ Profile Profile }
	// ProfileChanged replaces the profile.
	ProfileChanged struct{ Profile Profile }
	// Fenced says nothing; it moves the version.
	Fenced struct{}
	// Reacted is somebody's cheer for an entry of this person. From is never shown.
	Reacted struct {
		Competition string
		Entry       uint32
		Reaction    string
		From        string // principal
		At          unit.InstantMs
	}
)

func (Reacted) isEvent()        {}
func (Registered) isEvent()     {}
func (ProfileChanged) isEvent() {}
func (Fenced) isEvent()         {}

// Command is what a user's grain can be told. User is the grain's id.
type Command interface{ CommandMeta() step.Meta }

type (
	// Register makes the user.
	Register struct {
		step.Meta
		User    string
		Profile Profile
	}
	// ChangeProfile replaces the profile.
	ChangeProfile struct {
		step.Meta
		User    string
		Profile Profile
	}
	// Cheer is a reaction to an entry of the user; Meta says whose.
	Cheer struct {
		step.Meta
		User        string
		Competition string
		Entry       uint32
		Reaction    string
	}
)

// What the rules refuse.
var (
	ErrRegistered    = fault.New(fault.Conflict, "user.registered", "This user is registered already, with another profile.")
	ErrNotRegistered = fault.New(fault.NotFound, "user.not_registered", "There is no such user.")
	ErrNotYours      = fault.New(fault.Denied, "user.not_yours", "A profile is its person's own.")
	ErrHandle        = fault.New(fault.Invalid, "user.handle", "A handle is 3 to 30 of a-z, 0-9, dot, underscore and hyphen, and begins with a letter or digit.")
	ErrReserved      = fault.New(fault.Invalid, "user.handle_reserved", "This handle is reserved.")
	ErrName          = fault.New(fault.Invalid, "user.name", "A name has 1 to 60 printable characters.")
	ErrClub          = fault.New(fault.Invalid, "user.club", "A club's name has at most 60 printable characters.")
	ErrFlag          = fault.New(fault.Invalid, "user.flag", "A flag is two letters, A to Z.")
	ErrVisibility    = fault.New(fault.Invalid, "user.visibility", "This visibility is unknown.")
)

const maxNameRunes = 60

// reserved handles could be taken for the house's own.
var reserved = []string{"admin", "official", "operator", "paceline", "referee", "root", "support", "system"}

// State is one user.
type State struct {
	Version    uint64 // events applied
	Registered bool
	Profile    Profile
	Inbox      uint64      // version of the newest entry of the inbox; 0: none
	Cheers     []PastCheer // of the last CheerWindow, oldest first; at most CheersInWindow
	Races      []Race      // in which the user was cheered, the newest last; at most MaxRaces
}

// New is a user of whom nothing is known.
func New() *State { return &State{} }

// Decide says what follows from a command, or why it is refused. It never changes s.
func Decide(s *State, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Register:
		return decideRegister(s, c)
	case ChangeProfile:
		return decideChange(s, c)
	case Cheer:
		return decideCheer(s, c)
	}
	panic("user: a command without a rule")
}

func decideRegister(s *State, c Register) ([]Event, error) {
	if err := id.Check(c.User); err != nil {
		return nil, err
	}
	if err := own(c.Meta, c.User); err != nil {
		return nil, err
	}
	p, err := Clean(c.Profile)
	switch {
	case err != nil:
		return nil, err
	case s.Registered && s.Profile == p:
		return nil, nil
	case s.Registered:
		return nil, ErrRegistered
	}
	return []Event{Registered{p}}, nil
}

func decideChange(s *State, c ChangeProfile) ([]Event, error) {
	if !s.Registered {
		return nil, ErrNotRegistered
	}
	if err := own(c.Meta, c.User); err != nil {
		return nil, err
	}
	p, err := Clean(c.Profile)
	switch {
	case err != nil:
		return nil, err
	case s.Profile == p:
		return nil, nil
	}
	return []Event{ProfileChanged{p}}, nil
}

// own: an athlete changes its own profile only. What others may do the gateway has decided.
func own(m step.Meta, user string) error {
	if by, ok := strings.CutPrefix(m.By, "athlete:"); ok && by != user {
		return ErrNotYours
	}
	return nil
}

// Clean is the profile as it is kept, or why it cannot be one: trimmed, the handle in lower case, private if no
// visibility was chosen.
func Clean(p Profile) (Profile, error) {
	p.Handle = strings.ToLower(strings.TrimSpace(p.Handle))
	p.Name, p.Club = strings.TrimSpace(p.Name), strings.TrimSpace(p.Club)
	if p.Visibility == Unspecified {
		p.Visibility = Private
	}
	switch {
	case !handle(p.Handle):
		return Profile{}, ErrHandle
	case isReserved(p.Handle):
		return Profile{}, ErrReserved
	case p.Name == "" || !printable(p.Name):
		return Profile{}, ErrName
	case !printable(p.Club):
		return Profile{}, ErrClub
	case p.Flag != "" && !flag(p.Flag):
		return Profile{}, ErrFlag
	case p.Visibility > Private:
		return Profile{}, ErrVisibility
	}
	return p, nil
}

func handle(s string) bool {
	if len(s) < 3 || len(s) > 30 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

func isReserved(s string) bool {
	for _, r := range reserved {
		if s == r {
			return true
		}
	}
	return false
}

// printable: no control characters, and none that turn the direction of what stands around them.
func printable(s string) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxNameRunes {
		return false
	}
	for _, r := range s {
		if r != ' ' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func flag(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// Apply takes the next event of the journal. It is the only place that changes the state.
func (s *State) Apply(e Event) {
	s.Version++
	switch e := e.(type) {
	case Registered:
		s.Registered, s.Profile = true, e.Profile
	case ProfileChanged:
		s.Profile = e.Profile
	case Reacted:
		s.Inbox = s.Version
		s.cheered(e)
	}
}

// Effect is what must follow a committed event. A user's events have none but their publication.
type Effect interface{ isEffect() }

// React says what must follow an event that was just applied.
func React(*State, Event) []Effect { return nil }

// Answer is what a command gets.
type Answer struct{ Version uint64 }

// AnswerTo is the answer of a command whose last event is e, at version v.
func AnswerTo(_ Event, v uint64) Answer { return Answer{v} }

// AnswerUnchanged is the answer of an accepted command that changed nothing.
func AnswerUnchanged(_ *State, _ Command, v uint64) Answer { return Answer{v} }

// Check reports the first broken invariant.
func (s *State) Check() error {
	if len(s.Cheers) > CheersInWindow || len(s.Races) > MaxRaces || s.Inbox > s.Version {
		return fmt.Errorf("%d cheers, %d races, inbox at %d of %d", len(s.Cheers), len(s.Races), s.Inbox, s.Version)
	}
	if !s.Registered {
		return nil
	}
	p, err := Clean(s.Profile)
	if err != nil {
		return err
	}
	if p != s.Profile {
		return fmt.Errorf("profile %+v is not clean", s.Profile)
	}
	return nil
}
