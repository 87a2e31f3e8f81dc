package machine

import "paceline/domain/unit"

// answered is what a command got: the last event it caused, from which Answer makes the reply again.
type answered struct {
	id           string
	version      uint64
	at           unit.InstantMs // journal time
	kind, format uint32
	payload      []byte
}

// answers are those that are remembered.
type answers struct {
	inOrder []*answered          // by journal time
	byID    map[string]*answered // nil while they are few: most grains have few, and a map is larger than all of them
}

// fewAnswers are looked through one by one.
const fewAnswers = 8

// of is what a command got; nil: it is not known.
func (a *answers) of(id string) *answered {
	if a.byID != nil {
		return a.byID[id]
	}
	for _, one := range a.inOrder {
		if one.id == id {
			return one
		}
	}
	return nil
}

// note remembers, or replaces what a command got before its last event.
func (a *answers) note(n answered) {
	if known := a.of(n.id); known != nil {
		*known = n
		return
	}
	a.inOrder = append(a.inOrder, &n)
	switch {
	case a.byID != nil:
		a.byID[n.id] = &n
	case len(a.inOrder) > fewAnswers:
		a.byID = make(map[string]*answered, 2*fewAnswers)
		for _, one := range a.inOrder {
			a.byID[one.id] = one
		}
	}
}

// forget lets go of those from before an instant, and says which they were.
func (a *answers) forget(before unit.InstantMs) []*answered {
	n := 0
	for n < len(a.inOrder) && a.inOrder[n].at < before {
		delete(a.byID, a.inOrder[n].id)
		n++
	}
	old := a.inOrder[:n]
	if a.inOrder = a.inOrder[n:]; len(a.inOrder) == 0 {
		*a = answers{} // the array would keep those that were in it
	}
	return old
}
