package competition

import "paceline/domain/unit"

// Decide says what a command does to a race, or why not. It never changes s.
func Decide(s *State, c Command) ([]Event, error) {
	if c, ok := c.(Create); ok {
		return decideCreate(s, c)
	}
	if s.Phase == PhaseNone {
		return nil, ErrNotFound
	}
	switch c := c.(type) {
	case AddEntry:
		return decideAddEntry(s, c)
	case Withdraw:
		return withdraw(s, s.entryFor(c.Number, c.By), c.At, c.Reason)
	case Leave:
		return withdraw(s, s.byUser[c.User], c.At, "")
	case Lock:
		return decideLock(s, c)
	case Join:
		return decideJoin(s, c)
	case Ready:
		return decideReady(s, c)
	case Start:
		return decideStart(s, c)
	case Rule:
		return decideRule(s, c)
	case Penalize:
		return decidePenalize(s, c)
	case PublishProvisional:
		return decideProvisional(s, c)
	case MakeOfficial:
		return decideOfficial(s, c)
	case Correct:
		return decideCorrect(s, c)
	case Cancel:
		return decideCancel(s, c)
	case TakeReport:
		return decideReport(s, c)
	case TakeAnswer:
		return decideAnswer(s, c)
	case GiveUpSettle:
		return decideGiveUp(s, c)
	case Proceed:
		return decideProceed(s, c)
	case Fence:
		return one(Fenced{})
	}
	return nil, ErrCommand
}

// Answer is what a command gets, a pure function of its last event and that one's version.
type Answer struct {
	Version uint64
	Entry   uint32
	GunAt   unit.InstantMs
}

// AnswerTo is the answer to the command whose last event is e.
func AnswerTo(e Event, version uint64) Answer {
	a := Answer{Version: version, Entry: EntryOf(e)}
	if e, ok := e.(RaceStarted); ok {
		a.GunAt = e.GunAt
	}
	return a
}

// Unchanged is the answer to an accepted command that changed nothing.
func Unchanged(s *State, c Command, version uint64) Answer {
	a := Answer{Version: version}
	switch c := c.(type) {
	case Join:
		if e := s.byUser[c.User]; e != nil {
			a.Entry = e.Number
		}
	case Ready:
		if e := s.byUser[c.User]; e != nil {
			a.Entry = e.Number
		}
	case Leave:
		if e := s.byUser[c.User]; e != nil {
			a.Entry = e.Number
		}
	case Withdraw:
		if e := s.entryFor(c.Number, c.By); e != nil {
			a.Entry = e.Number
		}
	}
	return a
}

// one is a decision of one event.
func one(e Event) ([]Event, error) { return []Event{e}, nil }
