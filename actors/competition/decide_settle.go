package competition

import (
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/step"
)

// decideAnswer takes a training's answer: made from a fresh read, it replaces what the race holds, whatever its basis.
func decideAnswer(s *State, c TakeAnswer) ([]Event, error) {
	r := c.Report
	e := s.byNumber[r.Entry]
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case !s.Settle.Open || c.Number != s.Settle.Number || e.Answered == c.Number:
		return nil, nil
	case r.Training != e.Training || r.BindingVersion < e.BindingVersion:
		return nil, ErrOldBinding
	}
	o := s.outcomeOf(e, r)
	if step.RuleSettleReplaces.Off() && basis.Older(r.Basis, e.Basis) {
		o.gates = slices.Clone(e.Gates)
	}
	in := Input{Entry: e.Number, Training: e.Training, Streams: c.Streams, Recording: c.Recording, Gates: o.gates, Flags: o.flags, BindingVersion: r.BindingVersion}
	slices.SortFunc(in.Streams, func(a, b InputStream) int { return compareStreams(a, b) })
	var evs []Event
	if size := in.bytes() + rowBytesOf(e.Category, len(o.gates)); size > s.resultBytesOfEntry() {
		in = Input{Entry: e.Number, Training: e.Training, Unanswered: true, Gates: slices.Clone(e.Gates), Flags: []string{ReasonTooLarge}, BindingVersion: r.BindingVersion}
		if !slices.Contains(e.Review, ReasonTooLarge) {
			evs = append(evs, ReviewChanged{e.Number, true, ReasonTooLarge})
		}
		return append(evs, SettleAnswered{c.Number, in}), nil
	}
	evs = s.facts(e, o, "settled")
	for _, reason := range e.Review {
		if ours(reason) {
			evs = append(evs, ReviewChanged{e.Number, false, reason})
		}
	}
	return append(evs, ReportNoted{e.Number, r.Basis, r.Finished}, SettleAnswered{c.Number, in}), nil
}

// giveUpAtOnce and unboundAtOnce bound what one command emits.
const (
	giveUpAtOnce  = 128
	unboundAtOnce = 2048
)

// decideGiveUp makes the settle complete without those that have not answered: under review, never DNF.
func decideGiveUp(s *State, c GiveUpSettle) ([]Event, error) {
	if !s.Settle.Open || c.Number != s.Settle.Number {
		return nil, nil
	}
	var evs []Event
	n, size := 0, 0
	for _, e := range s.entries {
		if !s.Awaited(e) {
			continue
		}
		in := s.unanswered(e)
		n, size = n+1, size+in.bytes()+rowBytesOf(e.Category, len(in.Gates))
		if n > giveUpAtOnce || size > MaxResultBytes && n > 1 {
			break // the grain asks again
		}
		if !slices.Contains(e.Review, ReasonUnanswered) && !slices.Contains(e.Cleared, ReasonUnanswered) {
			evs = append(evs, ReviewChanged{e.Number, true, ReasonUnanswered})
		}
		evs = append(evs, SettleAnswered{c.Number, in})
	}
	return evs, nil
}

// unanswered is the input of an entry that did not answer: what was journalled of its reports.
func (s *State) unanswered(e *Entry) Input {
	in := Input{Entry: e.Number, Training: e.Training, Unanswered: true, Gates: slices.Clone(e.Gates), BindingVersion: e.BindingVersion}
	for _, f := range e.Review {
		if !ours(f) {
			in.Flags = append(in.Flags, f)
		}
	}
	if in.bytes()+rowBytesOf(e.Category, len(in.Gates)) > s.resultBytesOfEntry() {
		in.Flags = []string{ReasonTooLarge}
	}
	return in
}

// action is what state and time ask for.
type action uint8

const (
	nothing action = iota
	fireGun        // only where the gun would not be the announced instant
	dropUnbound
	beginSettle
	publish
	beginFinal
)

// due says what is to be done next.
func (s *State) due(c Proceed) action {
	switch phase := s.PhaseAt(c.At); {
	case s.Publishing != nil:
		return publish
	case s.Settle.Open:
		if s.tally.awaiting == 0 {
			return publish
		}
	case phase == PhaseRunning && s.Phase == PhaseCountdown && step.RuleGunAnnounced.Off():
		return fireGun
	case phase == PhaseRunning && c.At >= s.CutoffAt && s.tally.unbound > 0:
		return dropUnbound
	case phase == PhaseRunning && (s.tally.going == 0 || c.At >= s.CutoffAt.Add(s.Definition.Grace) && !step.RuleCutoffEnds.Off()):
		return beginSettle
	case phase == PhaseProvisional && s.autoOfficial(c):
		return beginFinal
	}
	return nothing
}

func (s *State) autoOfficial(c Proceed) bool {
	after := s.Definition.AutoOfficialAfter
	return c.FinalAllowed && after >= 0 && c.At >= s.Result.At.Add(after)
}

// Due reports whether Proceed would do something.
func Due(s *State, c Proceed) bool { return s.due(c) != nothing }

// decideProceed does the next thing; the grain asks again until nothing is due.
func decideProceed(s *State, c Proceed) ([]Event, error) {
	switch s.due(c) {
	case fireGun:
		return one(started(s, c.At))
	case dropUnbound:
		return s.unboundDNS(), nil
	case beginSettle:
		return one(SettleBegun{Number: s.Settle.Number + 1})
	case publish:
		return s.publish(c)
	case beginFinal:
		return s.settleFinally(c)
	case nothing:
	}
	return nil, nil
}

// unboundDNS gives up on entries that never had a training, as many of them as one command may.
func (s *State) unboundDNS() []Event {
	var evs []Event
	if s.tally.unbound == 0 {
		return nil
	}
	for _, e := range s.entries {
		if s.tallyOf(e).unbound > 0 {
			evs = append(evs, StatusChanged{e.Number, leaderboard.DNS, "unbound"})
		}
		if len(evs) == unboundAtOnce {
			break // the grain asks again; to a result they are DNS anyway
		}
	}
	return evs
}

// settleFinally settles before official once more, for samples may have been acknowledged since.
func (s *State) settleFinally(c Proceed) ([]Event, error) {
	if step.RuleSettleAgain.Off() {
		return s.publishNext(c.Draft, c.PartBytes, Publication{Status: ResultOfficial, At: c.At}), nil
	}
	return one(SettleBegun{Number: s.Settle.Number + 1, Final: true})
}

// publish takes the next step of the result that is due.
func (s *State) publish(c Proceed) ([]Event, error) {
	want := Publication{Status: ResultOfficial, At: c.At}
	switch {
	case s.Publishing != nil:
		want.Status, want.Why = s.Publishing.Status, s.Publishing.Why
	case !s.Settle.Final:
		want.Status = ResultProvisional
	case s.Phase == PhaseOfficial:
		want.Status, want.Why = ResultCorrected, s.Settle.Why
	}
	return s.publishNext(c.Draft, c.PartBytes, want), nil
}
