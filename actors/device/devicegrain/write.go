package devicegrain

import (
	"paceline/actors/device"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/persistence"
)

// write is one block on its way to the series.
type write struct {
	batch  *sample.Batch
	pieces []piece
}

// piece is what one frame has in a write: samples at..at+n of the block.
type piece struct {
	frame *frame
	at, n int
	last  bool // the frame is handled when the block is durable
}

// old reports a block of nothing but old frames.
func (w *write) old() bool {
	for _, p := range w.pieces {
		if !p.frame.old {
			return false
		}
	}
	return true
}

// advance takes the frame at the head of the queue one step further: refused, trimmed away, waiting for a look,
// or on its way to the series.
func (s *Shell) advance(now step.Now, l *lane, f *frame) {
	facts := s.stream(l.name)
	if last := f.batch.LastSeq(); facts.Closed && last > facts.ClosedAt {
		s.refuseClosed(now, l, f, facts.ClosedAt)
		return
	}
	if !s.compare(now, l, f, facts) {
		return
	}
	end := l.end()
	if !step.RuleTrim.Off() {
		for f.next < f.batch.Len() && f.batch.FirstSeq+uint64(f.next) <= end {
			f.next++
		}
		if f.next == f.batch.Len() {
			s.dropHead(l, f, nil)
			return
		}
	}
	if first := f.batch.FirstSeq + uint64(f.next); first > end+1 && !step.RuleGapRefused.Off() {
		if !f.looked && !step.RuleReadBeforeRefuse.Off() {
			s.lookAround(now, l, s.arrived)
			return
		}
		s.dropHead(l, f, ErrGap.With("expected %d", end+1))
		return
	}
	s.store(now, l, facts)
}

// end is the last seq that is durable or in flight.
func (l *lane) end() uint64 {
	end := l.through
	for _, w := range l.writes {
		end = max(end, w.batch.LastSeq())
	}
	return end
}

// refuseClosed rests on an event that may not be committed yet: the answer waits for it.
func (s *Shell) refuseClosed(now step.Now, l *lane, f *frame, at uint64) {
	l.queue = l.queue[1:]
	s.waiting -= f.size
	s.take(now, s.machine.Query(now, f.from, func(*device.State, uint64) (any, error) {
		return nil, device.ErrClosed.With("closed at %d", at)
	}))
}

// lookAround reads rows and journal again before anything in the queue is refused for what is missing.
func (s *Shell) lookAround(now step.Now, l *lane, arrived uint64) {
	l.busy = true
	s.look(now, l, func(now step.Now) {
		for _, w := range l.queue {
			if w.frame != nil && w.frame.arrived <= arrived {
				w.frame.looked = true
			}
		}
		s.release(now, l)
	})
}

// limit is the last seq that a block beginning at first may hold: within its bucket, its length, and outside of
// skips.
func limit(facts *device.StreamFacts, first uint64) uint64 {
	last := min((first/persistence.SeriesBucket+1)*persistence.SeriesBucket-1, first+sample.MaxBatch-1)
	for _, k := range facts.Skips {
		if k.From > first {
			return min(last, k.From-1)
		}
	}
	return last
}

// store makes one block of the frame at the head and of what follows it without a gap, and writes it.
func (s *Shell) store(now step.Now, l *lane, facts *device.StreamFacts) {
	w := s.gather(l, facts)
	device.Accept(facts, &l.tail, w.batch)
	for _, p := range w.pieces {
		for i := p.at; i < p.at+p.n; i++ {
			if m := w.batch.Mark(i); m != sample.Accepted {
				p.frame.refused = append(p.frame.refused, refusal(w.batch.FirstSeq+uint64(i), m))
			}
		}
	}
	l.writes = append(l.writes, w)
	if step.RuleAckAfterDurable.Off() {
		l.through = max(l.through, w.batch.LastSeq())
		s.handled(l, w)
	}
	s.try(now, persistence.Do{Op: persistence.PutBlockOp{Key: s.seriesKey(facts), Batch: w.batch}, Old: w.old()}, s.n.RetryFirst, func(now step.Now, _ any) {
		s.durable(now, l, w)
	})
}

func refusal(seq uint64, m sample.Refusal) *livev1.RefusedSample {
	return &livev1.RefusedSample{Seq: seq, Reason: m.String()}
}

// gather takes frames off the queue as far as they make one block.
func (s *Shell) gather(l *lane, facts *device.StreamFacts) *write {
	head := l.queue[0].frame
	first := head.batch.FirstSeq + uint64(head.next)
	last := limit(facts, first)
	if step.RuleTrim.Off() {
		last = max(last, head.batch.LastSeq()) // as it came
	}
	w := &write{}
	for next := first; len(l.queue) > 0 && l.queue[0].frame != nil && next <= last; {
		f := l.queue[0].frame
		if f.batch.FirstSeq+uint64(f.next) != next || facts.Closed && f.batch.LastSeq() > facts.ClosedAt {
			break // looked at for itself when this block is durable
		}
		n := int(min(f.batch.LastSeq(), last) - next + 1)
		if w.batch != nil && w.batch.Len()+n > sample.MaxBatch {
			break
		}
		p := piece{frame: f, n: n, last: f.next+n == f.batch.Len()}
		part := &f.batch // most often a block is one frame, and costs no copy
		if n < part.Len() {
			cut := f.batch.Slice(f.next, f.next+n)
			part = &cut
		}
		if w.batch == nil {
			w.batch = part
		} else {
			if len(w.pieces) == 1 {
				joined := *w.batch
				w.batch = &joined // the first frame keeps its own
			}
			p.at = w.batch.Len()
			w.batch.Append(part)
		}
		w.pieces = append(w.pieces, p)
		f.next += n
		next += uint64(n)
		if p.last {
			l.queue = l.queue[1:]
		}
	}
	return w
}

// durable moves the cover over the block, answers the frames that are handled, and tells the training.
func (s *Shell) durable(now step.Now, l *lane, w *write) {
	facts := s.stream(l.name)
	for i, o := range l.writes {
		if o == w {
			l.writes = append(l.writes[:i:i], l.writes[i+1:]...)
			break
		}
	}
	l.through = facts.Jump(max(l.through, w.batch.LastSeq()))
	l.recent.add(w.batch)
	if !step.RuleAckAfterDurable.Off() {
		s.handled(l, w)
	}
	s.tell(l.name, w.batch)
	s.pump(now, l)
}

func (s *Shell) handled(l *lane, w *write) {
	for _, p := range w.pieces {
		if p.last {
			s.waiting -= p.frame.size
			s.answer(l, p.frame, nil)
		}
	}
}
