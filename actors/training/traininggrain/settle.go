package traininggrain

import (
	"paceline/actors/machine"
	"paceline/actors/training"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// settle is what the competition asks before it publishes.
type settle struct {
	competition string
	number      uint64
	final       bool
	binding     uint64
	begun       bool // a reading that began after the request
	answer      *competitionv1.SettleAnswer
	answered    bool
}

// take keeps the answer until what it rests on is committed.
func (q *settle) take(a *competitionv1.SettleAnswer) {
	a.Number = q.number
	q.answer = a
}

// onSettle begins a fresh reading. The request is repeated until the answer arrives; a repeat of the one that is
// answered gets the same answer, for that was read after the request too.
func (s *Shell) onSettle(m *trainingv1.Settle) {
	st := s.machine.State()
	if st.Bound == nil || st.Bound.Competition != m.CompetitionId || m.BindingVersion > st.Bound.Version {
		return // its Bind comes first
	}
	if q := s.settle; q != nil && q.competition == m.CompetitionId && q.number == m.Number && q.final == m.Final && q.binding == st.Bound.Version {
		q.answered = false
		return
	}
	s.settle = &settle{competition: m.CompetitionId, number: m.Number, final: m.Final, binding: st.Bound.Version}
}

// settleAnswer is made right after a reading, of what it has found. (Without one only to show what that breaks.)
func (s *Shell) settleAnswer(r *reading) *competitionv1.SettleAnswer {
	st := s.machine.State()
	a := &competitionv1.SettleAnswer{}
	if st.Bound == nil {
		return a
	}
	a.CompetitionId, a.Report = st.Bound.Competition, s.makeReport(st)
	for _, b := range s.result.Basis {
		in := &competitionv1.InputStream{Device: b.Device, StreamId: b.Stream, ThroughSeq: b.FoldedThrough, FactsVersion: b.FactsVersion}
		if r != nil {
			for _, l := range r.lanes {
				if l.key == (training.StreamKey{Device: b.Device, Stream: b.Stream}) {
					sum := l.digest.Sum()
					in.Digest = sum[:]
				}
			}
		}
		a.Streams = append(a.Streams, in)
	}
	return a
}

// answer sends the answer of a settle once all that it says is committed.
func (s *Shell) answer(now step.Now) unit.InstantMs {
	q := s.settle
	if q == nil || q.answer == nil || q.answered {
		return 0
	}
	st := s.machine.State()
	if st.Bound == nil || st.Bound.Competition != q.competition || st.Bound.Version != q.binding {
		s.settle = nil // asked anew under the new binding
		return 0
	}
	if s.stored != nil || !s.reportable(st) {
		return 0
	}
	if q.final && len(q.answer.Recording) == 0 && hasSamples(q.answer) && !step.RuleSettleFresh.Off() {
		q.begun, q.answer = false, nil // the recording could not be noted: once more
		return now.Wall.Add(s.n.RetryFirst)
	}
	q.answered = true
	s.out(step.Send{To: s.competition(), Msg: q.answer})
	return 0
}

func hasSamples(a *competitionv1.SettleAnswer) bool {
	for _, in := range a.Streams {
		if in.ThroughSeq > 0 {
			return true
		}
	}
	return false
}

// tellRecorded tells the devices of the newest recording until they have journalled it as the floor.
func (s *Shell) tellRecorded(now step.Now) unit.InstantMs {
	rec := s.machine.State().Recording
	if rec == nil || s.machine.Version() != s.machine.Committed() || s.allRecorded() {
		return 0
	}
	if s.toldAt == 0 {
		s.tellings = 0
	} else if step.RuleRecordedUntilEcho.Off() {
		return 0
	}
	// A device that will never take it costs less and less.
	at := s.toldAt.Add(s.n.RepeatRecorded << min(max(s.tellings-15, 0), 5))
	if s.toldAt != 0 && now.Wall < at {
		return at
	}
	s.toldAt = now.Wall
	s.tellings++
	for _, r := range rec.Streams {
		if s.recorded[r.Key] {
			continue
		}
		s.out(step.Send{To: deviceGrain(r.Key.Device), Msg: &devicev1.Recorded{Training: s.machine.Grain().ID, StreamId: r.Key.Stream,
			ThroughSeq: r.Through, Digest: r.Digest[:], Recording: rec.Recording[:]}})
	}
	if step.RuleRecordedUntilEcho.Off() {
		return 0
	}
	return now.Wall.Add(s.n.RepeatRecorded)
}

// allRecorded: every stream's device has journalled the newest recording as its floor.
func (s *Shell) allRecorded() bool {
	rec := s.machine.State().Recording
	if rec == nil {
		return true
	}
	for _, r := range rec.Streams {
		if !s.recorded[r.Key] {
			return false
		}
	}
	return true
}

func (s *Shell) onRecordedEcho(m *trainingv1.RecordedEcho) {
	k := training.StreamKey{Device: m.Device, Stream: m.StreamId}
	if s.machine.State().Recording != nil && m.ThroughSeq >= s.recordedThrough(k) {
		machine.Set(&s.recorded, k, true)
	}
}
