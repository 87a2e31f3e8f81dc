package competition

import (
	"cmp"
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// outcome is what a report says about the result, in one form.
type outcome struct {
	gates    []GateTime
	flags    []string
	finished bool // the training
}

// outcomeOf brings a report into order: gates that do not count are left out, each gate and flag once.
func (s *State) outcomeOf(e *Entry, r Report) outcome {
	o := outcome{gates: counted(len(s.Course.Visits()), r.Gates, s.GunOf(e), s.CutoffAt), flags: slices.Clone(r.Flags), finished: r.Finished}
	o.flags = slices.DeleteFunc(o.flags, func(f string) bool { return f == "" || len(f) > maxFlagBytes || ours(f) })
	slices.Sort(o.flags)
	o.flags = slices.Compact(o.flags)
	if len(o.flags) > maxFlags {
		o.flags = o.flags[:maxFlags]
	}
	return o
}

// counted are the gates that count, by gate: from the entry's own gun through the cut-off. Of two times of one gate
// the earlier counts.
func counted(visits int, gates []GateTime, gunAt, cutoffAt unit.InstantMs) []GateTime {
	if gunAt == 0 {
		return nil
	}
	all := make([]GateTime, 0, len(gates))
	for _, g := range gates {
		if int64(g.Gate) < int64(visits) && g.At >= gunAt.Us() && g.At <= cutoffAt.Us() {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b GateTime) int { return cmp.Or(cmp.Compare(a.Gate, b.Gate), cmp.Compare(a.At, b.At)) })
	if len(all) == 0 {
		return nil
	}
	return slices.CompactFunc(all, func(a, b GateTime) bool { return a.Gate == b.Gate })
}

// decideReport journals what is new in a report; nothing if all of it is known.
func decideReport(s *State, c TakeReport) ([]Event, error) {
	r := c.Report
	e := s.byNumber[r.Entry]
	switch {
	case e == nil:
		return nil, ErrNoEntry
	case r.Training != e.Training || r.BindingVersion < e.BindingVersion:
		return nil, ErrOldBinding
	case s.GunAt == 0 || s.Phase == PhaseCancelled:
		return nil, nil
	}
	o := s.outcomeOf(e, r)
	if e.Answered > 0 && e.Answered == s.Settle.Number {
		return decideLate(s, e, r, o)
	}
	if basis.Older(r.Basis, e.Basis) && !step.RuleOlderReportDropped.Off() {
		return nil, nil
	}
	facts := s.facts(e, o, "reported")
	if len(facts) == 0 && o.finished == e.TrainingFinished {
		return nil, nil
	}
	return append(facts, ReportNoted{e.Number, r.Basis, r.Finished}), nil
}

// facts are the events that bring an entry from what is journalled to an outcome, in a fixed order.
func (s *State) facts(e *Entry, o outcome, why string) []Event {
	var evs []Event
	i := 0
	for _, g := range o.gates {
		for ; i < len(e.Gates) && e.Gates[i].Gate < g.Gate; i++ {
			evs = append(evs, GateRevised{Entry: e.Number, Gate: e.Gates[i].Gate, From: e.Gates[i].At, None: true, Why: why})
		}
		switch {
		case i == len(e.Gates) || e.Gates[i].Gate > g.Gate:
			evs = append(evs, GateTaken{e.Number, g.Gate, g.At})
		default:
			if e.Gates[i].At != g.At {
				evs = append(evs, GateRevised{Entry: e.Number, Gate: g.Gate, From: e.Gates[i].At, To: g.At, Why: why})
			}
			i++
		}
	}
	for ; i < len(e.Gates); i++ {
		evs = append(evs, GateRevised{Entry: e.Number, Gate: e.Gates[i].Gate, From: e.Gates[i].At, None: true, Why: why})
	}
	if status := s.ranAfter(e, o); status != e.Ran {
		evs = append(evs, StatusChanged{e.Number, status, why})
	}
	return append(evs, reviews(e, o)...)
}

// ranAfter is the status that an outcome gives: a finish makes one of a DNF, but nobody who withdrew finishes.
func (s *State) ranAfter(e *Entry, o outcome) leaderboard.Status {
	_, finish := findGate(o.gates, uint32(s.Course.Finish()))
	switch {
	case e.Withdrawn:
		return e.Ran
	case finish:
		return leaderboard.Finished
	case e.Ran == leaderboard.Finished:
		return leaderboard.Racing
	}
	return e.Ran
}

// reviews are the changes of an entry's flags. What officials have cleared is not raised again.
func reviews(e *Entry, o outcome) []Event {
	var evs []Event
	for _, f := range o.flags {
		if !slices.Contains(e.Review, f) && !slices.Contains(e.Cleared, f) {
			evs = append(evs, ReviewChanged{e.Number, true, f})
		}
	}
	for _, f := range e.Review {
		if !ours(f) && !slices.Contains(o.flags, f) {
			evs = append(evs, ReviewChanged{e.Number, false, f})
		}
	}
	return evs
}

// decideLate keeps and tells what comes beyond the input that is named: the first of it, and the first that changes
// the result.
func decideLate(s *State, e *Entry, r Report, o outcome) ([]Event, error) {
	if step.RuleLateInput.Off() {
		return nil, nil
	}
	changes := !slices.Equal(o.gates, e.Gates) || slices.ContainsFunc(o.flags, func(f string) bool {
		return !slices.Contains(e.Review, f) && !slices.Contains(e.Cleared, f)
	})
	stream, beyond := beyondInput(e.Input, r.Basis, changes)
	known := len(e.LateBasis) > 0 && !basis.Older(e.LateBasis, r.Basis)
	if !beyond || known || e.Late && (e.LateChanges || !changes) {
		return nil, nil
	}
	evs := []Event{LateInput{e.Number, stream, r.Basis, changes}}
	switch e.Status() {
	case leaderboard.DNF, leaderboard.DNS, leaderboard.DSQ: // shown as disputed until decided
	default:
		if changes && !slices.Contains(e.Review, ReasonLateInput) {
			evs = append(evs, ReviewChanged{e.Number, true, ReasonLateInput})
		}
	}
	return evs, nil
}

// beyondInput finds the first stream in which a basis lies beyond an input. A fact that changes nothing (such as
// that the stream is recorded) is no input.
func beyondInput(in Input, b basis.Basis, changes bool) (string, bool) {
	for _, x := range b {
		named := InputStream{}
		for _, n := range in.Streams {
			if n.Device == x.Device && n.Stream == x.Stream {
				named = n
			}
		}
		if x.FoldedThrough > named.Through || changes && x.FactsVersion > named.FactsVersion {
			return x.Stream, true
		}
	}
	return "", false
}
