package traininggrain

import (
	"errors"

	"paceline/actors/training"
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// observe brings what the fold has found into the journal.
func (s *Shell) observe(now step.Now) {
	st := s.machine.State()
	if !s.unseen || !training.SameFold(s.fold.Params(), st.Params()) {
		return
	}
	if st.Bound == nil {
		s.unseen = false
		return
	}
	c := training.Observe{Meta: s.meta(now), Competition: st.Bound.Competition, Binding: st.Bound.Version,
		Gates: s.result.Gates, Flags: s.result.Flags, Why: s.why}
	events, err := training.Decide(st, c)
	if err != nil {
		return // stale: the fold is being made anew
	}
	if len(events) > 0 {
		before := s.machine.Version()
		s.submit(now, c, nil)
		if s.machine.Version() == before {
			return // too much is waiting: again with the next message
		}
	}
	s.unseen = false
}

// idle reports that nothing is under way that could change what is journalled.
func (s *Shell) idle() bool {
	return s.fold != nil && s.reading == nil && !s.unseen && len(s.asked) == 0
}

// conclude closes the workout when all named samples are folded or the grace is over, and revises its totals after
// later ones.
func (s *Shell) conclude(now step.Now) {
	st := s.machine.State()
	ends, finishing := st.GraceEnds()
	if !s.idle() || s.behind() {
		return
	}
	c := training.Conclude{Meta: s.meta(now), Basis: s.result.Basis, Totals: s.result.Totals}
	switch {
	case finishing && (s.fold.Reached(st.Finish.Streams) || step.RuleFinishWaits.Off()):
	case finishing && now.Node >= ends:
		if !s.lastLook {
			s.lastLook, s.lookAsked = true, true
			s.read(now)
			return
		}
		c.Incomplete = true
	case st.Phase == training.PhaseOver && !basis.Equal(st.Basis, s.result.Basis) && s.isCalm(now):
		if events, err := training.Decide(st, c); err != nil || len(events) == 0 {
			return
		}
	default:
		return
	}
	s.submit(now, c, nil)
}

// isCalm: no late sample has come for a while.
func (s *Shell) isCalm(now step.Now) bool { return now.Wall.Sub(s.heard) >= s.n.CalmAfter }

// calm is when late samples will have been calm for long enough.
func (s *Shell) calm(now step.Now) unit.InstantMs {
	st := s.machine.State()
	if st.Phase != training.PhaseOver || !s.idle() || s.isCalm(now) {
		return 0
	}
	if s.unrecorded() || !basis.Equal(st.Basis, s.result.Basis) {
		return s.heard.Add(s.n.CalmAfter)
	}
	return 0
}

// storing is a recording on its way.
type storing struct {
	recording persistence.Recording
	settle    *settle
	busy      bool
	retry     unit.DurationMs
	at        unit.InstantMs
}

// unrecorded reports whether the fold holds what no recording does.
func (s *Shell) unrecorded() bool {
	if s.fold == nil {
		return false
	}
	for _, st := range s.fold.Params().Streams {
		through := s.fold.Through(st.Key)
		if through > 0 && through > s.recordedThrough(st.Key) {
			return true
		}
	}
	return false
}

func (s *Shell) recordedThrough(k training.StreamKey) uint64 {
	if rec := s.machine.State().Recording; rec != nil {
		for _, r := range rec.Streams {
			if r.Key == k {
				return r.Through
			}
		}
	}
	return 0
}

// record asks for the recording of a closed workout, and sees to one that is on its way.
func (s *Shell) record(now step.Now) {
	st := s.machine.State()
	if w := s.stored; w != nil {
		if !w.busy && now.Wall >= w.at {
			s.putRecording(w)
		}
		return
	}
	if st.Phase == training.PhaseOver && s.idle() && s.unrecorded() && (st.Recording == nil || s.isCalm(now)) {
		s.recordAsked = true
		s.read(now)
	}
}

// store writes what a fresh reading has kept.
func (s *Shell) store(now step.Now, r *reading) {
	w := &storing{settle: r.settle, recording: persistence.Recording{Workout: s.machine.Grain().ID}}
	for _, l := range r.lanes {
		through := r.fold.Through(l.key)
		if through == 0 {
			continue
		}
		known := r.fold.Facts(l.key)
		rs := persistence.RecordedStream{Key: s.seriesKey(l.key), Through: through, Digest: l.digest.Sum(), Batches: l.batches}
		for _, k := range known.Skips {
			if k.From <= through {
				rs.Skips = append(rs.Skips, persistence.Span{From: k.From, To: min(k.To, through)})
			}
		}
		w.recording.Streams = append(w.recording.Streams, rs)
	}
	if len(w.recording.Streams) == 0 {
		return
	}
	s.stored = w
	s.putRecording(w)
}

func (s *Shell) putRecording(w *storing) {
	w.busy = true
	op := persistence.PutRecordingOp{Subject: s.machine.Grain().Affinity(), Recording: w.recording}
	s.do(op, func(now step.Now, d persistence.Done) {
		w.busy = false
		if errors.Is(d.Err, persistence.ErrUnavailable) || errors.Is(d.Err, persistence.ErrUnknown) {
			w.retry = min(max(2*w.retry, s.n.RetryFirst), s.n.RetryMost)
			w.at = now.Wall.Add(w.retry)
			return
		}
		if d.Err != nil {
			s.stop("recording failed: " + d.Err.Error())
			return
		}
		written := training.RecordingWritten{Recording: d.Result.([32]byte)}
		for _, st := range w.recording.Streams {
			written.Streams = append(written.Streams, training.RecordedStream{
				Key: training.StreamKey{Device: st.Key.Device, Stream: st.Key.Stream}, Through: st.Through, Digest: st.Digest})
		}
		s.submit(now, training.NoteRecording{Meta: s.meta(now), Written: written}, func(now step.Now, err error) {
			if s.stored == w {
				s.stored = nil
			}
			if err == nil && w.settle != nil && w.settle.answer != nil {
				w.settle.answer.Recording = written.Recording[:]
			}
		})
	})
}
