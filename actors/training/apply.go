package training

import "slices"

// Apply moves the state by one event. It cannot refuse.
func (s *State) Apply(e Event) {
	switch e := e.(type) {
	case Started:
		s.Phase, s.Started = PhaseLive, e
	case StreamAttached:
		s.Streams = append(slices.Clone(s.Streams), e.Stream)
		slices.SortFunc(s.Streams, func(a, b Stream) int { return compareKeys(a.Key, b.Key) })
	case Bound:
		s.bind(e)
	case Unbound:
		s.Bound, s.Course, s.Gates, s.Flags = nil, nil, nil, nil
		s.Unbound = slices.DeleteFunc(s.Unbound, func(u Unbound) bool { return u.Competition == e.Competition })
		s.Unbound = append(s.Unbound, e)
	case Paused:
		s.Breaks = append(s.Breaks, Break{From: e.At})
	case Resumed:
		if n := len(s.Breaks); n > 0 {
			s.Breaks[n-1].To = e.At
		}
	case LapMarked:
		s.Laps = append(s.Laps, e)
	case Passed:
		s.gate(e.Gate, Gate{true, e.At})
	case Revised:
		g := Gate{true, e.To}
		if e.None {
			g = Gate{}
		}
		s.gate(e.Gate, g)
	case Flagged:
		s.clear(e.Flag.Reason)
		s.Flags = append(s.Flags, e.Flag)
		slices.SortFunc(s.Flags, func(a, b Flag) int { return compareText(a.Reason, b.Reason) })
	case FlagCleared:
		s.clear(e.Reason)
	case FinishRequested:
		s.Phase, s.Finish = PhaseFinishing, &e
	case Finished:
		s.Phase, s.Basis, s.Totals, s.Incomplete = PhaseOver, e.Basis, e.Totals, e.Incomplete
	case TotalsRevised:
		s.Basis, s.Totals = e.Basis, e.Totals
	case RecordingWritten:
		s.Recording = &e
	}
}

// bind keeps the gates if it is the same race: they are then revised by what the fold finds.
func (s *State) bind(e Bound) {
	if s.Bound == nil || s.Bound.Competition != e.Competition {
		s.Gates, s.Flags = nil, nil
	}
	c, err := s.compile(e.Track)
	if err != nil {
		return // Decide has seen to it; a track that this build refuses binds nothing
	}
	if s.Course == nil || !s.Course.Track().Equal(c.Track()) {
		s.Course = c
	}
	e.Track = s.Course.Track() // its slices are shared, those of the event need not be kept
	s.Gates = s.Gates[:min(len(s.Gates), len(s.Course.Visits()))]
	s.Bound = &e
}

func (s *State) gate(i uint32, g Gate) {
	if s.Course == nil || int(i) >= len(s.Course.Visits()) {
		return
	}
	for int(i) >= len(s.Gates) {
		s.Gates = append(s.Gates, Gate{})
	}
	s.Gates[i] = g
}

func (s *State) clear(reason string) {
	s.Flags = slices.DeleteFunc(s.Flags, func(f Flag) bool { return f.Reason == reason })
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
