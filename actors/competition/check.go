package competition

import (
	"fmt"
	"slices"

	"paceline/actors/leaderboard"
)

// Check verifies the invariants of a state and says what is broken. For tests and fuzzing.
func (s *State) Check() error {
	if len(s.byNumber) != len(s.entries) || len(s.byUser) != len(s.entries) {
		return fmt.Errorf("%d entries, %d by number, %d by user", len(s.entries), len(s.byNumber), len(s.byUser))
	}
	var t tally
	for i, e := range s.entries {
		if i > 0 && s.entries[i-1].Number >= e.Number {
			return fmt.Errorf("entry %d stands before %d", s.entries[i-1].Number, e.Number)
		}
		if err := s.checkEntry(e); err != nil {
			return fmt.Errorf("entry %d: %w", e.Number, err)
		}
		t.add(s.tallyOf(e), 1)
	}
	switch {
	case t != s.tally:
		return fmt.Errorf("tally %+v, counted %+v", s.tally, t)
	case s.Phase != PhaseNone && s.Course == nil:
		return fmt.Errorf("phase %s without a course", s.Phase)
	case s.Phase >= PhaseLocked && s.Phase < PhaseCancelled && s.RulesVersion == 0:
		return fmt.Errorf("phase %s without rules", s.Phase)
	case s.Started() != (s.GunAt != 0 && s.Phase < PhaseOfficial) && s.Phase != PhaseCancelled:
		return fmt.Errorf("phase %s with the gun at %d", s.Phase, s.GunAt)
	case s.Phase >= PhaseProvisional && s.Phase < PhaseCancelled && s.Result == nil:
		return fmt.Errorf("phase %s without a result", s.Phase)
	case s.Phase == PhaseSettling && !s.Settle.Open:
		return fmt.Errorf("settling without a settle")
	}
	return nil
}

func (s *State) checkEntry(e *Entry) error {
	switch {
	case s.byNumber[e.Number] != e || s.byUser[e.User] != e:
		return fmt.Errorf("not found by number and user")
	case e.Answered > s.Settle.Number:
		return fmt.Errorf("answered settle %d of %d", e.Answered, s.Settle.Number)
	case !slices.IsSorted(e.Review) || !slices.IsSorted(e.Cleared):
		return fmt.Errorf("reasons out of order")
	case e.LateChanges && !e.Late:
		return fmt.Errorf("late changes without late input")
	}
	for i, g := range e.Gates {
		if i > 0 && e.Gates[i-1].Gate >= g.Gate || int(g.Gate) > s.Course.Finish() {
			return fmt.Errorf("gate %d out of order", g.Gate)
		}
		if g.At < s.GunOf(e).Us() || g.At > s.CutoffAt.Us() {
			return fmt.Errorf("gate %d outside gun and cut-off", g.Gate)
		}
	}
	_, finish := findGate(e.Gates, uint32(max(0, s.finish())))
	if e.Ran == leaderboard.Finished && !finish {
		return fmt.Errorf("finished without a finish")
	}
	return nil
}

func (s *State) finish() int {
	if s.Course == nil {
		return -1
	}
	return s.Course.Finish()
}
