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
	dueEvery    = unit.DurationMs(50) // between two looks at what is due: rows that are known are fired at their time
	aheadEvery  = 4 * unit.Second     // between two reads of a shard's next rows
	aheadBy     = 7 * unit.Second     // how far such a read looks: over the next one, and over a slow store
	backEvery   = 60 * unit.Second    // between two reads of minutes that are over and not settled
	fireEvery   = 30 * unit.Second
	changeEvery = unit.Second      // as fireEvery, just after a change of owners
	settleAfter = 10 * unit.Minute // after a minute's end
	retryAfter  = unit.Second      // after a failed read
	lostAfter   = 30 * unit.Second // a read without an outcome is forgotten
	firstLag    = 15               // minutes: where the mark of a new shard begins
	putEvery    = 5                // minutes that the mark moves before it is written
	chunk       = 64               // minutes of one read
	maxReads    = 16               // under way
	maxFires    = 500              // in one step, and by time alone in one second

	tickKey = "wakeup/tick"
	dueKey  = "wakeup/due"
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

	tickAt, dueAt unit.InstantMs // the next ticks; 0: none is under way
	left          int            // fires by time alone until tickAt
	ownedAt       unit.InstantMs // the last change of owners; 0: there was none
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

// own takes shards over, and leaves others to whoever owns them now. Owners have changed, so what was fired a moment ago
// may have gone to a node that is dead: it is fired again if it is still there.
func (s *Sweeper) own(shards []int, now unit.InstantMs) {
	s.ownedAt = now
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
		h.fireAgainAt(now)
		s.shards = append(s.shards, h)
	}
}

// pause between two fires of a row. Nodes do not learn of a change in the same instant, so what is sent just after one may
// be lost like what was sent just before: the pause is as long as the change is ago.
func (s *Sweeper) pause(now unit.InstantMs) unit.DurationMs {
	if s.ownedAt == 0 {
		return fireEvery
	}
	return min(max(now.Sub(s.ownedAt), changeEvery), fireEvery)
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
		outs = s.tick(outs, now.Wall)
	case Own:
		s.own(m.Shards, now.Wall)
	case step.Tick:
		switch m.Key {
		case tickKey:
			outs = s.tick(outs, now.Wall)
			s.forget(now.Wall)
			outs = s.fireAll(outs, now.Wall, true)
		case dueKey:
			if now.Wall < s.dueAt || s.dueAt == 0 {
				return nil // one that was put off
			}
			s.dueAt = 0
			return s.arm(s.fireAll(outs, now.Wall, false), now.Wall) // reading is the other tick's
		default:
			return nil
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
			return s.arm(s.askShard(outs, r.shard, now.Wall), now.Wall)
		}
	default:
		return nil
	}
	return s.arm(s.ask(outs, now.Wall), now.Wall)
}

// tick asks for the next one. A look that never came, because the clock was set, is asked for anew.
func (s *Sweeper) tick(outs []step.Out, now unit.InstantMs) []step.Out {
	s.tickAt, s.dueAt, s.left = now.Add(tickEvery), 0, maxFires
	return append(outs, step.After{Key: tickKey, At: s.tickAt})
}

// arm asks for a look at the time of the row that is due next, if that comes before the tick.
func (s *Sweeper) arm(outs []step.Out, now unit.InstantMs) []step.Out {
	if s.left == 0 {
		return outs // the rest a tick later
	}
	at := s.tickAt
	for _, h := range s.shards {
		if h.nextDue != 0 {
			at = min(at, max(h.nextDue, now.Add(dueEvery)))
		}
	}
	if at >= s.tickAt || s.dueAt != 0 && s.dueAt <= at {
		return outs
	}
	s.dueAt = at
	return append(outs, step.After{Key: dueKey, At: at})
}

// fireAll sends what has come due by time alone; what an earlier step had no room for only with a tick.
func (s *Sweeper) fireAll(outs []step.Out, now unit.InstantMs, tick bool) []step.Out {
	s.fires = s.left
	for _, h := range s.shards {
		if tick || h.nextDue != 0 && h.nextDue <= now {
			outs = s.fire(outs, h, now)
		}
	}
	s.left = s.fires
	return outs
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
		r.fired, r.again = true, now.Add(s.pause(now))
		outs = append(outs, step.Send{To: r.Grain, Msg: &clusterv1.Wake{
			Kind: string(r.Grain.Kind), Id: r.Grain.ID, DueMs: int64(r.Due), Reason: r.Reason, Activation: r.Activation,
		}})
	}
	h.foresee()
	return outs
}
