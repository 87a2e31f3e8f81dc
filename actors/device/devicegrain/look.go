package devicegrain

import (
	"paceline/actors/device"
	"paceline/actors/machine"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/persistence"
)

// look reads what another activation may have written: the rows beyond our cover, then the journal. The first
// time it finds out where the stream stands at all. The caller has the lane for itself.
func (s *Shell) look(now step.Now, l *lane, then func(now step.Now)) {
	if l.known && step.RuleReadBeforeRefuse.Off() {
		then(now)
		return
	}
	facts := s.stream(l.name)
	floor := facts.Floor.Through
	if l.known {
		floor = l.through
	}
	op := persistence.RecoverSeriesOp{Key: s.seriesKey(facts), Floor: floor, Skips: spans(facts.Skips)}
	s.until(now, op, func(now step.Now, result any) {
		s.belowFloor(now, l, facts.Floor, result.(persistence.SeriesEnd), func(now step.Now, tail []sample.Batch, end persistence.SeriesEnd) {
			s.adopt(l, tail, end)
			s.lookAtJournal(now, then)
		})
	})
}

func spans(in []device.Span) []persistence.Span {
	out := make([]persistence.Span, len(in))
	for i, k := range in {
		out[i] = persistence.Span{From: k.From, To: k.To}
	}
	return out
}

// belowFloor completes the tail of a stream whose rows below the floor are gone: they are in the recording.
func (s *Shell) belowFloor(now step.Now, l *lane, floor device.Floor, end persistence.SeriesEnd,
	then func(step.Now, []sample.Batch, persistence.SeriesEnd)) {
	n := 0
	for i := range end.Tail {
		n += end.Tail[i].Len()
	}
	if l.known || floor.Through == 0 || n >= recentSamples {
		then(now, end.Tail, end)
		return
	}
	o := s.stream(l.name).Opening
	op := persistence.GetRecordingOp{Subject: o.Person, Workout: o.Training, Digest: floor.Recording}
	s.until(now, op, func(now step.Now, result any) {
		r := s.recorded(result.(*persistence.Recording), l.name)
		if r == nil {
			s.stop(now, "the recording that the journal names is not there", persistence.ErrCorrupt)
			return
		}
		then(now, append(last(r.Batches, floor.Through, recentSamples-n), end.Tail...), end)
	})
}

// recorded finds a stream of this device in a recording.
func (s *Shell) recorded(r *persistence.Recording, stream string) *persistence.RecordedStream {
	if r == nil {
		return nil
	}
	for i := range r.Streams {
		if k := r.Streams[i].Key; k.Device == s.machine.Grain().ID && k.Stream == stream {
			return &r.Streams[i]
		}
	}
	return nil
}

// last is the n last samples at or below through.
func last(batches []sample.Batch, through uint64, n int) []sample.Batch {
	var out []sample.Batch
	for i := len(batches) - 1; i >= 0 && n > 0; i-- {
		b := &batches[i]
		if b.FirstSeq > through {
			continue
		}
		to := int(min(b.LastSeq(), through) - b.FirstSeq + 1)
		from := max(0, to-n)
		n -= to - from
		out = append([]sample.Batch{b.Slice(from, to)}, out...)
	}
	return out
}

// adopt takes what was read as durable.
func (s *Shell) adopt(l *lane, tail []sample.Batch, end persistence.SeriesEnd) {
	through := end.Through
	if step.RuleUnbrokenCover.Off() {
		for _, k := range end.Blocks {
			through = max(through, k.Last)
		}
	}
	if l.known && through <= l.through {
		return
	}
	advanced := l.known
	for i := range tail {
		l.recent.add(&tail[i])
		l.tail.Add(&tail[i])
	}
	l.known, l.through = true, max(l.through, through)
	if advanced {
		s.tell(l.name, nil) // another activation wrote it: nobody may have told
	}
}

// lookAtJournal goes on if nobody else has written to the journal. If somebody has, another activation lives and
// knows facts that this one does not: this one stops.
func (s *Shell) lookAtJournal(now step.Now, then func(now step.Now)) {
	s.until(now, persistence.HeadOp{Grain: s.machine.Grain()}, func(now step.Now, result any) {
		head := result.(persistence.Head).Version
		switch {
		case head <= s.machine.Committed():
			then(now)
		case s.machine.Version() == s.machine.Committed():
			s.stop(now, "another activation has written to the journal", machine.ErrStopped)
		default: // it may be our own append, whose outcome is on its way
			s.later(now, s.n.RetryFirst, func(now step.Now) { s.lookAtJournal(now, then) })
		}
	})
}

// compare looks for seqs that came before with other values. It reports whether the frame may go on now; if not,
// it was refused or a read is under way. What lies below the floor and beyond what is remembered is taken for
// the same: its rows are gone, and it does not count again.
func (s *Shell) compare(now step.Now, l *lane, f *frame, facts *device.StreamFacts) bool {
	from := max(f.batch.FirstSeq+uint64(f.next), f.checked+1)
	to := min(f.batch.LastSeq(), l.through)
	if from > to || step.RuleConflict.Off() {
		return true
	}
	var unseen device.Span
	for seq := from; seq <= to; seq++ {
		was, ok := l.recent.find(seq)
		if !ok {
			if _, skipped := facts.SkipAt(seq); !skipped && seq > facts.Floor.Through {
				if unseen.From == 0 {
					unseen.From = seq
				}
				unseen.To = seq
			}
			continue
		}
		if was.print != printOf(&f.batch, int(seq-f.batch.FirstSeq)) {
			s.dropHead(l, f, ErrConflict.With("seq %d", seq))
			return false
		}
		if was.mark != sample.Accepted {
			f.refused = append(f.refused, refusal(seq, was.mark))
		}
	}
	f.checked = to
	if unseen.From == 0 {
		return true
	}
	l.busy = true
	query := persistence.SeriesQuery{Key: s.seriesKey(facts), From: unseen.From, To: unseen.To, Skips: spans(facts.Skips)}
	s.until(now, persistence.ReadSeriesOp{Query: query}, func(now step.Now, result any) {
		if seq := conflict(&f.batch, result.(persistence.SeriesRead).Batches); seq != 0 {
			s.dropHead(l, f, ErrConflict.With("seq %d", seq))
		}
		s.release(now, l)
	})
	return false
}

// conflict is the first seq at which b differs from what is stored; 0: none.
func conflict(b *sample.Batch, stored []sample.Batch) uint64 {
	for i := range stored {
		o := &stored[i]
		for seq := max(o.FirstSeq, b.FirstSeq); seq <= min(o.LastSeq(), b.LastSeq()); seq++ {
			if !b.Same(int(seq-b.FirstSeq), o, int(seq-o.FirstSeq)) {
				return seq
			}
		}
	}
	return 0
}
