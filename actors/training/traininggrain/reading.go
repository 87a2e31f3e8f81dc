package traininggrain

import (
	"errors"

	"paceline/actors/training"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// stage of a reading.
type stage uint8

const (
	loading stage = iota // the checkpoint
	facts                // the devices' journals
	rows                 // the series, below the floor the recording
	check                // the journals once more
)

// reading brings a fold up to what is stored. One is under way at a time; blocks that come meanwhile are hints.
//
//   - a look goes on from where the fold stands;
//   - a rebuild begins at seq 1 (or at a checkpoint), for the fold's params or a fact have changed;
//   - a fresh one begins at seq 1 and makes digests, for a settle or a recording.
//
// All but a look read the journals again behind the rows, until they say nothing new: rows that were gone already
// have a floor that is journalled.
type reading struct {
	fold    *training.Fold
	stage   stage
	why     string // of revisions
	fresh   bool
	keep    bool // the batches, for a recording
	settle  *settle
	lanes   []*laneRead // as in the fold's params
	hinted  map[training.StreamKey]hint
	found   *saved
	busy    bool // the checkpoint is being read
	retry   unit.DurationMs
	retryAt unit.InstantMs
}

// laneRead is one stream of a reading.
type laneRead struct {
	key     training.StreamKey
	busy    bool
	dry     bool // nothing more is there
	tries   int
	digest  *sample.Digest
	batches []sample.Batch
}

// read begins what has to be read and goes on with what is under way.
func (s *Shell) read(now step.Now) {
	p := s.machine.State().Params()
	if r := s.reading; r != nil && r.fold != nil && !r.fold.Adopt(p) {
		s.reading = nil // a recording is asked for again
		if r.settle != nil {
			r.settle.begun = false
		}
	}
	for range 4 { // one that finds nothing to read ends at once
		if s.reading == nil {
			s.begin(p)
		}
		r := s.reading
		if r == nil || now.Wall < r.retryAt {
			return
		}
		r.retryAt = 0
		s.advance(now, r)
		if s.reading == r {
			return
		}
	}
}

// begin starts the reading that is needed most.
func (s *Shell) begin(p training.Params) {
	if s.fold == nil {
		s.reading = &reading{stage: loading, why: "late"}
		s.staleFacts()
		s.lookAsked = false
		return
	}
	if !training.SameFold(s.fold.Params(), p) {
		if !s.fold.Adopt(p) {
			s.start(&reading{fold: training.NewFold(p), why: "binding"})
			return
		}
		s.folded("binding")
	}
	switch {
	case s.settle != nil && !s.settle.begun && s.stored == nil:
		s.settle.begun = true
		if step.RuleSettleFresh.Off() {
			s.settle.take(s.settleAnswer(nil))
			return
		}
		s.start(&reading{fold: training.NewFold(p), why: "settle", fresh: true, keep: s.settle.final, settle: s.settle})
	case s.recordAsked && s.stored == nil:
		s.recordAsked = false
		s.start(&reading{fold: training.NewFold(p), why: "late", fresh: true, keep: true})
	case s.behind():
		s.start(&reading{fold: s.fold, why: "late"})
	}
}

func (s *Shell) start(r *reading) {
	r.stage = facts
	r.hinted = map[training.StreamKey]hint{}
	for k, h := range s.hints {
		r.hinted[k] = *h
	}
	s.reading = r
	if r.fold != s.fold || s.lookAsked {
		s.staleFacts()
	} else {
		s.hintedFacts()
	}
	s.lookAsked = false
	r.reset()
}

// reset makes the lanes anew: nothing is read yet by this fold.
func (r *reading) reset() {
	r.lanes = nil
	for _, st := range r.fold.Params().Streams {
		l := &laneRead{key: st.Key}
		if r.fresh {
			l.digest = sample.NewDigest()
		}
		r.lanes = append(r.lanes, l)
	}
}

// behind reports whether something is said to be stored that is not folded.
func (s *Shell) behind() bool {
	if s.lookAsked {
		return true
	}
	for _, st := range s.fold.Params().Streams {
		h := s.hints[st.Key]
		if h == nil {
			continue
		}
		if h.last > s.fold.Through(st.Key) {
			return true
		}
		if known := s.fold.Facts(st.Key); h.facts > known.Version && !step.RuleFactsVersion.Off() {
			return true
		}
	}
	return false
}

// advance asks for all that the reading needs next.
func (s *Shell) advance(now step.Now, r *reading) {
	switch r.stage {
	case loading:
		s.loadCheckpoint(r)
	case facts, check:
		if s.readFacts(r) {
			s.haveFacts(now, r)
		}
	case rows:
		dry := true
		for _, l := range r.lanes {
			if !l.dry && !l.busy {
				s.readLane(r, l)
			}
			dry = dry && l.dry
		}
		switch {
		case !dry:
		case r.fresh || r.fold != s.fold:
			r.stage = check
			s.staleFacts()
			s.advance(now, r)
		default:
			s.finish(now, r)
		}
	}
}

// haveFacts gives the fold what the journals say.
func (s *Shell) haveFacts(now step.Now, r *reading) {
	if r.fold == nil {
		s.restore(r)
	}
	again, changed := false, false
	for _, l := range r.lanes {
		known, f := r.fold.Facts(l.key), s.factsOf(l.key)
		changed = changed || known.Version != f.Version
		again = r.fold.SetFacts(l.key, f) || again
	}
	if again {
		r.fold = training.NewFold(r.fold.Params())
		r.why = "facts"
		r.reset()
		for _, l := range r.lanes {
			r.fold.SetFacts(l.key, s.factsOf(l.key))
		}
	}
	if r.stage == check && !changed {
		s.finish(now, r)
		return
	}
	r.stage = rows
	for _, l := range r.lanes {
		l.dry = false
	}
	s.advance(now, r)
}

// readLane reads on in one stream: from the recording up to the floor, above it from the rows.
func (s *Shell) readLane(r *reading, l *laneRead) {
	l.busy = true
	through, floor := r.fold.Through(l.key), s.floorOf(l.key)
	if floor.Through > through && !step.RuleFloor.Off() {
		op := persistence.GetRecordingOp{Subject: s.machine.Grain().Affinity(), Workout: s.machine.Grain().ID, Digest: floor.Recording}
		s.do(op, func(now step.Now, d persistence.Done) { s.laneDone(now, r, l, d) })
		return
	}
	known := r.fold.Facts(l.key)
	q := persistence.SeriesQuery{Key: s.seriesKey(l.key), From: through + 1, MaxSamples: s.n.ReadSamples}
	if !step.RuleSkipFinal.Off() {
		q.Skips = spans(known.Skips)
	}
	s.do(persistence.ReadSeriesOp{Query: q}, func(now step.Now, d persistence.Done) { s.laneDone(now, r, l, d) })
}

func (s *Shell) laneDone(now step.Now, r *reading, l *laneRead, d persistence.Done) {
	l.busy = false
	if s.reading != r {
		return
	}
	if d.Err != nil {
		s.failed(now, r, d.Err)
		return
	}
	r.retry = 0
	switch got := d.Result.(type) {
	case persistence.SeriesRead:
		l.dry = !got.More
		for i := range got.Batches {
			if !r.feed(l, &got.Batches[i]) {
				l.dry = true // a hole: what lies behind it is not acknowledged
				break
			}
		}
	case *persistence.Recording:
		if !r.feedRecording(l, got) {
			if l.tries++; l.tries > 8 {
				s.stop("the recording that the journal names is not there")
				return
			}
			s.failed(now, r, persistence.ErrUnavailable)
			return
		}
	}
	s.advance(now, r)
}

// feedRecording folds a stream of a recording; false: it is not in there.
func (r *reading) feedRecording(l *laneRead, rec *persistence.Recording) bool {
	if rec == nil {
		return false
	}
	for i := range rec.Streams {
		st := &rec.Streams[i]
		if st.Key.Device != l.key.Device || st.Key.Stream != l.key.Stream {
			continue
		}
		for j := range st.Batches {
			if !r.feed(l, &st.Batches[j]) {
				return false
			}
		}
		return r.fold.Through(l.key) >= st.Through
	}
	return false
}

// feed folds what of the batch comes next and, in a fresh reading, notes it.
func (r *reading) feed(l *laneRead, b *sample.Batch) bool {
	before := r.fold.Through(l.key)
	if !r.fold.Feed(l.key, b) {
		return false
	}
	if b.LastSeq() <= before {
		return true
	}
	from := int(max(before+1, b.FirstSeq) - b.FirstSeq)
	if r.fresh {
		l.digest.Add(b, from, b.Len())
	}
	if r.keep {
		l.batches = append(l.batches, b.Slice(from, b.Len()))
	}
	return true
}

// finish makes the reading's fold the newest.
func (s *Shell) finish(now step.Now, r *reading) {
	s.reading = nil
	if s.fold != nil && r.fold != s.fold || r.fold.Basis().Version() != s.result.Basis.Version() {
		s.somethingNew(now)
	}
	s.fold = r.fold
	s.folded(r.why)
	for _, l := range r.lanes {
		h, was := s.hints[l.key], r.hinted[l.key]
		if h != nil && h.last == was.last && h.facts <= max(was.facts, s.fold.Facts(l.key).Version) {
			h.last = min(h.last, s.fold.Through(l.key)) // it has been looked for
			h.facts = min(h.facts, s.fold.Facts(l.key).Version)
		}
	}
	if r.settle != nil {
		r.settle.take(s.settleAnswer(r))
	}
	if r.keep {
		s.store(now, r)
	}
}

// folded takes over what the fold has found.
func (s *Shell) folded(why string) {
	s.result, s.unseen, s.why = s.fold.Result(), true, why
}

// failed repeats I/O that had no outcome after a while.
func (s *Shell) failed(now step.Now, r *reading, err error) {
	if !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
		s.stop("reading failed: " + err.Error())
		return
	}
	r.retry = min(max(2*r.retry, s.n.RetryFirst), s.n.RetryMost)
	r.retryAt = now.Wall.Add(r.retry)
}

// again is when I/O that failed is tried again.
func (s *Shell) again() unit.InstantMs {
	var at unit.InstantMs
	if s.reading != nil {
		at = s.reading.retryAt
	}
	if s.stored != nil && !s.stored.busy {
		at = earliest(at, s.stored.at)
	}
	return at
}

func (s *Shell) stop(why string) {
	s.dead = true
	s.out(step.Stop{Why: why})
}

func (s *Shell) seriesKey(k training.StreamKey) persistence.SeriesKey {
	return persistence.SeriesKey{Device: k.Device, Stream: k.Stream, Subject: s.machine.Grain().Affinity()}
}

func spans(in []training.Span) []persistence.Span {
	out := make([]persistence.Span, len(in))
	for i, k := range in {
		out[i] = persistence.Span{From: k.From, To: k.To}
	}
	return out
}
