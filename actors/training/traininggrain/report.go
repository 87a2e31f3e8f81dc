package traininggrain

import (
	"fmt"

	"paceline/actors/training"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// sentReport is a report on its way: an echo of its basis says that its news is journalled.
type sentReport struct {
	basis   basis.Basis
	binding uint64
	news    string
}

// sentKept is how many reports wait for an echo; an older one's echo is missed and the report repeated.
const sentKept = 16

// signature is what a report tells that must arrive, and the state it was made of.
type signature struct {
	version, facts uint64
	closed         bool
	made           bool
	text           string
}

// tells is everything in a report that must reach the competition's journal: all but progress.
func (s *Shell) tells() string {
	st := s.machine.State()
	if st.Bound == nil {
		return ""
	}
	var known uint64
	for _, b := range s.result.Basis {
		known += b.FactsVersion
	}
	now := signature{version: s.machine.Version(), facts: known, closed: s.allClosed(), made: true}
	if was := s.signed; was.made && was.version == now.version && was.facts == now.facts && was.closed == now.closed {
		return was.text
	}
	now.text = fmt.Sprintf("%s/%d/%d %v %v %d %v %d", st.Bound.Competition, st.Bound.Entry, st.Bound.Version,
		st.Passages(), st.Flags, st.Phase, now.closed, now.facts)
	s.signed = now
	return now.text
}

func (s *Shell) allClosed() bool {
	if s.fold == nil {
		return false
	}
	streams := s.fold.Params().Streams
	for i := range streams {
		if !s.closed(streams[i].Key) {
			return false
		}
	}
	return len(streams) > 0
}

// news reports whether the competition has not echoed all that it must know.
func (s *Shell) news() bool { return s.machine.State().Bound != nil && s.tells() != s.echoed }

// report sends the newest state: at once if there is news or a request, no more often than ReportEvery, and again
// until news is echoed. It returns when it wants to be asked again.
func (s *Shell) report(now step.Now) unit.InstantMs {
	st := s.machine.State()
	if st.Bound == nil || !s.reportable(st) {
		return 0
	}
	if s.reading != nil && basis.Older(s.result.Basis, s.upTo) {
		return 0 // it would be dropped
	}
	tells := s.tells()
	changed := !basis.Equal(s.reported, s.result.Basis)
	told := len(s.sent) > 0 && s.sent[len(s.sent)-1].news == tells
	var at unit.InstantMs
	switch {
	case s.reportNow, changed, tells != s.echoed && !told:
		at = s.reportAt.Add(s.n.ReportEvery)
	case tells != s.echoed && !step.RuleReportUntilEcho.Off():
		at = s.reportAt.Add(s.n.RepeatReport)
	default:
		return 0
	}
	if now.Wall < at {
		return at
	}
	s.reportAt, s.reportNow, s.reported = now.Wall, false, s.result.Basis
	s.sent = append(s.sent, sentReport{s.result.Basis, st.Bound.Version, tells})
	if len(s.sent) > sentKept {
		s.sent = s.sent[len(s.sent)-sentKept:]
	}
	s.out(step.Send{To: s.competition(), Msg: s.makeReport(st)})
	if tells != s.echoed && !step.RuleReportUntilEcho.Off() {
		return now.Wall.Add(s.n.RepeatReport)
	}
	return 0
}

// reportable: what the fold has found is journalled and committed, for the binding that holds.
func (s *Shell) reportable(st *training.State) bool {
	return s.fold != nil && !s.unseen && training.SameFold(s.fold.Params(), st.Params()) &&
		s.machine.Version() == s.machine.Committed()
}

func (s *Shell) makeReport(st *training.State) *competitionv1.Report {
	r := s.result
	m := &competitionv1.Report{
		CompetitionId: st.Bound.Competition, Entry: st.Bound.Entry, Training: s.machine.Grain().ID, BindingVersion: st.Bound.Version,
		Basis: track.CompetitionBasis(r.Basis), RulesVersion: training.RulesVersion,
		ProgressMm: int64(r.ProgressMm), ProgressAtMs: int64(r.At), OffCourse: r.OffCourse,
		Finished: st.Phase == training.PhaseOver, FinishRequested: st.Phase >= training.PhaseFinishing,
		StreamsClosed: s.allClosed(), Epoch: s.epoch,
	}
	for _, g := range r.Gates {
		m.Gates = append(m.Gates, &competitionv1.GateTime{Gate: g.Gate, AtUs: int64(g.At)})
	}
	for _, f := range r.Flags {
		m.Flags = append(m.Flags, f.Reason)
	}
	if r.PositionAt != 0 {
		m.LatE7, m.LonE7 = int32(r.Position.Lat), int32(r.Position.Lon)
	}
	return m
}

// onEcho: everything in the report with this basis is in the competition's journal.
func (s *Shell) onEcho(m *trainingv1.ReportEcho) {
	st := s.machine.State()
	if st.Bound == nil || st.Bound.Competition != m.CompetitionId {
		return
	}
	b := track.BasisFrom(m.Basis)
	for i := len(s.sent) - 1; i >= 0; i-- {
		if r := &s.sent[i]; r.binding == m.BindingVersion && basis.Equal(r.basis, b) {
			s.echoed = r.news
			return
		}
	}
}

// onReportRequest: a new epoch, or the competition holds a newer report than we sent: read up to it.
func (s *Shell) onReportRequest(m *trainingv1.ReportRequest) {
	st := s.machine.State()
	if st.Bound == nil || st.Bound.Competition != m.CompetitionId {
		return
	}
	if m.Epoch != s.epoch {
		s.epoch = m.Epoch
		s.echoed = "" // whoever asks may know nothing of us
	}
	s.reportNow, s.upTo = true, track.BasisFrom(m.Basis)
	for _, b := range s.upTo {
		k := training.StreamKey{Device: b.Device, Stream: b.Stream}
		if s.attached(k) {
			h := s.hint(k)
			h.last, h.facts = max(h.last, b.FoldedThrough), max(h.facts, b.FactsVersion)
		}
	}
}
