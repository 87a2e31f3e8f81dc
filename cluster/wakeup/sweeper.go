package wakeup

import (
	"cmp"
	"slices"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// The numbers of architecture 5b, and what keeps reading cheap. Wall time.
const (
	tickEvery   = unit.Second
	aheadEvery  = 4 * unit.Second  // between two reads of a shard's next rows
	aheadBy     = 7 * unit.Second  // how far such a read looks: over the next one, and over a slow store
	backEvery   = 60 * unit.Second // between two reads of minutes that are over and not settled
	fireEvery   = 30 * unit.Second
	settleAfter = 10 * unit.Minute // after a minute's end
	retryAfter  = unit.Second      // after a failed read
	lostAfter   = 30 * unit.Second // a read without an outcome is forgotten
	firstLag    = 15               // minutes: where the mark of a new shard begins
	putEvery    = 5                // minutes that the mark moves before it is written
	chunk       = 64               // minutes of one read
	maxReads    = 16               // under way
	maxFires    = 500              // in one step

	tickKey = "wakeup/tick"
)

// Start is the first message.
type Start struct{}

// Own says which shards this node sweeps from now on. Two owners at once only fire twice; one that takes a shard over
// goes on from its low-water mark in the store.
type Own struct{ Shards []int }

// Counts are what a Sweeper has seen.
type Counts struct{ Reads, Failed, Fired, Again uint64 }

// Sweeper fires the wake-ups of some shards.
type Sweeper struct {
	shards []*shard
	turn   int // the shard that is looked at first, so that none waits for ever

	tag    uint64
	reads  map[uint64]*read
	counts Counts
	fires  int  // left in this step
	more   bool // there was more to ask than may be under way
}

// read is one request under way.
type read struct {
	shard    *shard
	kind     readKind
	at       unit.InstantMs
	minutes  []int64 // of a sweep
	frontier int64   // a first sweep ends before this minute
	mark     int64   // being written
}

type readKind uint8

const (
	readMark readKind = iota
	putFirstMark
	putMark
	readFirst // the first sweep, from the mark to now
	readAhead
	readBack  // all that is not settled
	readAgain // what is due again
)

// New makes a Sweeper of shards (0 to persistence.WakeupShards-1).
func New(shards []int) *Sweeper {
	s := &Sweeper{reads: make(map[uint64]*read)}
	for _, n := range shards {
		s.shards = append(s.shards, newShard(n))
	}
	return s
}

// AllShards is what a lone node owns.
func AllShards() []int {
	all := make([]int, persistence.WakeupShards)
	for i := range all {
		all[i] = i
	}
	return all
}

// Counts so far.
func (s *Sweeper) Counts() Counts { return s.counts }

// own takes shards over, and leaves others to whoever owns them now.
func (s *Sweeper) own(shards []int) {
	had := make(map[int]*shard, len(s.shards))
	for _, h := range s.shards {
		had[h.n] = h
		h.foreign = true
	}
	s.shards, s.turn = nil, 0
	for _, n := range shards {
		h := had[n]
		if h == nil {
			h = newShard(n)
		}
		h.foreign = false
		s.shards = append(s.shards, h)
	}
}

// Known reports that every shard has its low-water mark in the store: from now on wake-ups may be written.
func (s *Sweeper) Known() bool {
	for _, h := range s.shards {
		if !h.known {
			return false
		}
	}
	return true
}

// Swept reports that everything from the low-water marks to now has been read once.
func (s *Sweeper) Swept() bool {
	for _, h := range s.shards {
		if !h.swept {
			return false
		}
	}
	return true
}

// Rows is how many rows are known: due, or due within seconds.
func (s *Sweeper) Rows() int {
	n := 0
	for _, h := range s.shards {
		n += len(h.rows)
	}
	return n
}

// Step implements the step object; nobody asks it anything.
func (s *Sweeper) Step(now step.Now, msg any, _ step.Return) []step.Out {
	var outs []step.Out
	s.fires = maxFires
	switch m := msg.(type) {
	case Start:
		outs = append(outs, step.After{Key: tickKey, At: now.Wall.Add(tickEvery)})
	case Own:
		s.own(m.Shards)
	case step.Tick:
		if m.Key != tickKey {
			return nil
		}
		outs = append(outs, step.After{Key: tickKey, At: now.Wall.Add(tickEvery)})
		s.forget(now.Wall)
		for _, h := range s.shards {
			outs = s.fire(outs, h, now.Wall)
		}
	case persistence.Done:
		r := s.reads[m.Tag]
		if r == nil {
			return nil
		}
		delete(s.reads, m.Tag)
		r.shard.reading = false
		if r.shard.foreign {
			break
		}
		if m.Err != nil {
			s.counts.Failed++
			r.shard.notBefore = now.Wall.Add(retryAfter)
		} else {
			r.shard.outcome(r, m.Result)
			outs = s.fire(outs, r.shard, now.Wall)
		}
		if !s.more {
			return s.askShard(outs, r.shard, now.Wall)
		}
	default:
		return nil
	}
	return s.ask(outs, now.Wall)
}

// forget gives up reads whose outcome never came.
func (s *Sweeper) forget(now unit.InstantMs) {
	for tag, r := range s.reads {
		if now.Sub(r.at) > lostAfter {
			delete(s.reads, tag)
			r.shard.reading = false
			s.counts.Failed++
		}
	}
}

// ask begins what is to be read or written next, shard by shard, as many as may be under way.
func (s *Sweeper) ask(outs []step.Out, now unit.InstantMs) []step.Out {
	for range len(s.shards) {
		if s.more = len(s.reads) >= maxReads; s.more {
			return outs
		}
		outs = s.askShard(outs, s.shards[s.turn], now)
		s.turn = (s.turn + 1) % len(s.shards)
	}
	return outs
}

func (s *Sweeper) askShard(outs []step.Out, h *shard, now unit.InstantMs) []step.Out {
	if h.reading || now < h.notBefore {
		return outs
	}
	r, op := h.next(now)
	if r == nil {
		return outs
	}
	h.reading = true
	s.tag++
	s.reads[s.tag] = r
	s.counts.Reads++
	return append(outs, persistence.Do{Tag: s.tag, Op: op})
}

// fire sends what is due, the longest due first.
func (s *Sweeper) fire(outs []step.Out, h *shard, now unit.InstantMs) []step.Out {
	due := h.due(now)
	slices.SortFunc(due, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Grain.Kind, b.Grain.Kind), cmp.Compare(a.Grain.ID, b.Grain.ID),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Activation, b.Activation))
	})
	for _, r := range due {
		if s.fires == 0 {
			break // the rest a tick later
		}
		s.fires--
		s.counts.Fired++
		if r.fired {
			s.counts.Again++
		}
		r.fired, r.firedAt = true, now
		outs = append(outs, step.Send{To: r.Grain, Msg: &clusterv1.Wake{
			Kind: string(r.Grain.Kind), Id: r.Grain.ID, DueMs: int64(r.Due), Reason: r.Reason, Activation: r.Activation,
		}})
	}
	return outs
}
