package competition

import (
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/step"
)

// Apply moves the state by one event. It cannot refuse; nothing else changes a state.
func (s *State) Apply(ev Event) {
	s.Version++
	if _, ok := FeedOf(ev); ok {
		s.FeedVersion = s.Version
	}
	if s.Publishing != nil && changesResult(ev) && !step.RuleResultOneState.Off() {
		s.Publishing.restart()
	}
	if a, ok := ev.(EntryAdded); ok {
		s.addEntry(a)
		return
	}
	if n := EntryOf(ev); n != 0 {
		e := s.byNumber[n]
		if e == nil {
			return
		}
		s.tally.add(s.tallyOf(e), -1)
		s.applyEntry(e, ev)
		s.tally.add(s.tallyOf(e), 1)
		return
	}
	s.applyRace(ev)
}

func (s *State) addEntry(a EntryAdded) {
	e := &Entry{Number: a.Entry, User: a.User, Category: a.Category, Heat: a.Heat, Wave: a.Wave, Offset: a.Offset, Ran: leaderboard.Entered}
	i, _ := slices.BinarySearchFunc(s.entries, a.Entry, func(e *Entry, n uint32) int { return int(e.Number) - int(n) })
	s.entries = slices.Insert(s.entries, i, e)
	s.byNumber[e.Number], s.byUser[e.User] = e, e
	s.tally.add(s.tallyOf(e), 1)
	if s.Phase == PhaseDraft {
		s.Phase = PhaseOpen
	}
}

func (s *State) applyRace(ev Event) {
	switch ev := ev.(type) {
	case Opened:
		s.Member = ev.Member
	case Created:
		s.Phase, s.Definition = PhaseDraft, ev.Definition
		s.Course, _ = course.New(ev.Definition.Track) // Decide made sure
	case StartListLocked:
		s.Phase, s.RulesVersion, s.LockedCount = PhaseLocked, ev.RulesVersion, len(s.entries)
	case RaceStarted:
		s.applyStarted(ev)
	case SettleBegun:
		s.Settle = Settle{Number: ev.Number, Final: ev.Final, Why: ev.Why, Open: true, Begun: s.Version}
		if !ev.Final {
			s.Phase = PhaseSettling
		}
		s.recount()
	case ResultPart:
		s.applyPart(ev)
	case ResultPublished:
		s.applyResult(ev)
	case Cancelled:
		s.Phase, s.Settle.Open, s.Publishing = PhaseCancelled, false, nil
		s.recount()
	}
}

// applyResult takes a result over. One that does not close what is there is none: it is published again.
func (s *State) applyResult(ev ResultPublished) {
	whole, ok := s.whole(ev)
	s.Publishing = nil
	if !ok {
		return
	}
	s.Result, s.Settle.Open = &whole, false
	s.Phase = PhaseOfficial
	if ev.Status == ResultProvisional {
		s.Phase = PhaseProvisional
	}
	s.recount()
}

func (s *State) applyStarted(ev RaceStarted) {
	if s.Phase == PhaseCountdown {
		s.Phase = PhaseRunning
	} else {
		s.Phase = PhaseCountdown
	}
	s.GunAt, s.CutoffAt = ev.GunAt, ev.CutoffAt
	for _, e := range s.entries {
		if e.Training != "" {
			e.BindingVersion = s.Version
			if e.Ran == leaderboard.Entered {
				e.Ran = leaderboard.Racing
			}
		}
	}
	s.recount()
}

func (s *State) applyEntry(e *Entry, ev Event) {
	switch ev := ev.(type) {
	case EntryWithdrawn:
		e.Withdrawn = true
	case EntryReady:
		e.Ready = true
	case EntryBound:
		s.applyBound(e, ev)
	case GateTaken:
		e.setGate(GateTime{ev.Gate, ev.At})
		s.running()
	case GateRevised:
		if ev.None {
			e.dropGate(ev.Gate)
		} else {
			e.setGate(GateTime{ev.Gate, ev.To})
		}
	case ReportNoted:
		e.Basis, e.TrainingFinished = ev.Basis, ev.Finished
		s.running()
	case StatusChanged:
		e.Ran = ev.Status
	case ReviewChanged:
		if ev.Review {
			e.Review, e.Cleared = with(e.Review, ev.Reason), without(e.Cleared, ev.Reason)
		} else {
			e.Review = without(e.Review, ev.Reason)
		}
	case PenaltyAdded:
		e.Penalty += ev.Penalty
	case Decided:
		s.applyDecided(e, ev)
	case SettleAnswered:
		e.Answered, e.Input, e.Late, e.LateChanges, e.LateBasis = ev.Number, ev.Input, false, false, nil
	case LateInput:
		e.Late, e.LateChanges, e.LateBasis = true, e.LateChanges || ev.ChangesResult, ev.Basis
	}
}

// running ends a countdown with the first fact of the race.
func (s *State) running() {
	if s.Phase == PhaseCountdown {
		s.Phase = PhaseRunning
	}
}

// applyBound takes a training, and forgets what another one said.
func (s *State) applyBound(e *Entry, ev EntryBound) {
	e.Training, e.Primary, e.BindingVersion = ev.Training, ev.Primary, s.Version
	e.Gates, e.Basis, e.TrainingFinished, e.Review = nil, nil, false, nil
	e.Ran = leaderboard.Entered
	if s.GunAt != 0 {
		e.Ran = leaderboard.Racing
	}
}

func (s *State) applyDecided(e *Entry, ev Decided) {
	e.Late, e.LateChanges = false, false
	switch ev.Decision {
	case DecisionDSQ:
		e.Ruling = leaderboard.DSQ
	case DecisionDNF:
		e.Ruling = leaderboard.DNF
	case DecisionDNS:
		e.Ruling = leaderboard.DNS
	case DecisionReinstate:
		e.Ruling, e.Withdrawn = 0, false
		e.Ran = s.ranByGates(e)
	case DecisionClear:
		for _, r := range e.Review {
			e.Cleared = with(e.Cleared, r)
		}
		e.Review = nil
	}
}

// ranByGates is what an entry's gates alone say.
func (s *State) ranByGates(e *Entry) leaderboard.Status {
	if _, ok := findGate(e.Gates, uint32(s.Course.Finish())); ok {
		return leaderboard.Finished
	}
	if e.Training == "" || s.GunAt == 0 {
		return leaderboard.Entered
	}
	return leaderboard.Racing
}

func (e *Entry) setGate(g GateTime) {
	i, ok := findGate(e.Gates, g.Gate)
	if ok {
		e.Gates[i] = g
		return
	}
	e.Gates = slices.Insert(e.Gates, i, g)
}

func (e *Entry) dropGate(gate uint32) {
	if i, ok := findGate(e.Gates, gate); ok {
		e.Gates = slices.Delete(e.Gates, i, i+1)
	}
}

// with is a sorted set with one more; the old slice stays as it is.
func with(set []string, s string) []string {
	i, ok := slices.BinarySearch(set, s)
	if ok {
		return set
	}
	return slices.Insert(slices.Clone(set), i, s)
}

// without is a sorted set with one less.
func without(set []string, s string) []string {
	i, ok := slices.BinarySearch(set, s)
	if !ok {
		return set
	}
	return slices.Delete(slices.Clone(set), i, i+1)
}
