package competition

import "paceline/domain/unit"

const maxPenalty = unit.Day

func decideRule(s *State, c Rule) ([]Event, error) {
	e := s.byNumber[c.Number]
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case s.Phase == PhaseCancelled:
		return nil, ErrOver
	case len(c.Reason) > maxReasonBytes:
		return nil, ErrReason
	}
	switch c.Decision {
	case DecisionClear:
		if !e.UnderReview() && !e.Late {
			return nil, nil
		}
	case DecisionDSQ, DecisionDNF, DecisionDNS, DecisionReinstate:
	default:
		return nil, ErrDecision.With("%q", c.Decision)
	}
	return one(Decided{e.Number, c.Decision, c.Reason})
}

func decidePenalize(s *State, c Penalize) ([]Event, error) {
	e := s.byNumber[c.Number]
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case s.Phase == PhaseCancelled:
		return nil, ErrOver
	case c.Penalty == 0 || c.Penalty > maxPenalty || c.Penalty < -maxPenalty ||
		e.Penalty+c.Penalty > maxPenalty || e.Penalty+c.Penalty < -maxPenalty:
		return nil, ErrPenalty.With("%d ms", c.Penalty)
	case len(c.Reason) > maxReasonBytes:
		return nil, ErrReason
	}
	return one(PenaltyAdded{e.Number, c.Penalty, c.Reason})
}

func decideProvisional(s *State, c PublishProvisional) ([]Event, error) {
	switch phase := s.PhaseAt(c.At); {
	case s.Settle.Open || s.Publishing != nil:
		return nil, ErrSettling
	case phase < PhaseRunning:
		return nil, ErrNotRunning
	case phase == PhaseRunning:
		return append(s.unboundDNS(), SettleBegun{Number: s.Settle.Number + 1}), nil
	case phase == PhaseProvisional:
		return s.publishNext(nil, c.PartBytes, Publication{Status: ResultProvisional, At: c.At}), nil
	}
	return nil, ErrOver
}

func decideOfficial(s *State, c MakeOfficial) ([]Event, error) {
	switch {
	case s.Settle.Open || s.Publishing != nil:
		return nil, ErrSettling
	case s.Phase == PhaseOfficial:
		return nil, nil
	case s.Phase != PhaseProvisional:
		return nil, ErrNoResult
	case !c.FinalAllowed:
		return nil, ErrTooEarly
	}
	return s.settleFinally(Proceed{Meta: c.Meta})
}

func decideCorrect(s *State, c Correct) ([]Event, error) {
	switch {
	case s.Phase != PhaseOfficial:
		return nil, ErrNotOfficial
	case s.Settle.Open:
		return nil, ErrSettling
	case len(c.Reason) > maxReasonBytes:
		return nil, ErrReason
	}
	return one(SettleBegun{Number: s.Settle.Number + 1, Final: true, Why: c.Reason})
}
