package wakeup

import (
	"slices"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// row is a wake-up that is known.
type row struct {
	persistence.Wakeup
	readAt unit.InstantMs // when the read that saw it last was begun
	fired  bool
	again  unit.InstantMs // it was fired; from then on again, once a later read has seen it
}

// shard is one of the 256.
type shard struct {
	n         int
	foreign   bool           // another node's now
	reading   bool           // one request at a time
	notBefore unit.InstantMs // after a failure

	known    bool  // the mark is in the store
	mark     int64 // what is in the store
	frontier int64 // minutes below it were read at least once; those in open are not settled
	swept    bool
	open     []int64 // ascending

	aheadAt, backAt unit.InstantMs // when such reads were begun last
	nextDue         unit.InstantMs // of the rows that were not fired yet; 0: none
	rows            map[persistence.Wakeup]*row
}

func newShard(n int) *shard {
	return &shard{n: n, rows: make(map[persistence.Wakeup]*row)}
}

// next is what this shard needs now; nil: nothing. In order of urgency.
func (h *shard) next(now unit.InstantMs) (*read, persistence.Op) {
	r := &read{shard: h, at: now}
	minute := persistence.MinuteOf(now)
	if h.known && h.mark > minute {
		h.known, h.mark = false, -1 // it was written by a clock that has been set back since
	}
	switch {
	case !h.known && h.mark == 0:
		r.kind = readMark
		return r, persistence.LowWaterOp{Shard: h.n}
	case !h.known:
		r.kind, r.mark = putFirstMark, minute-firstLag
		return r, persistence.PutLowWaterOp{Shard: h.n, Minute: r.mark}
	case now.Sub(h.aheadAt) >= aheadEvery:
		r.kind = readAhead
		for m := minute; m <= persistence.MinuteOf(now.Add(aheadBy)); m++ {
			r.minutes = append(r.minutes, m)
		}
	case len(h.again(now)) > 0:
		r.kind, r.minutes = readAgain, h.again(now)
	case h.frontier < minute:
		r.kind = readFirst
		r.frontier = min(minute, h.frontier+chunk)
		for m := h.frontier; m < r.frontier; m++ {
			r.minutes = append(r.minutes, m)
		}
	case h.low()-h.mark >= putEvery:
		r.kind, r.mark = putMark, h.low()
		return r, persistence.PutLowWaterOp{Shard: h.n, Minute: r.mark}
	case now.Sub(h.backAt) >= backEvery && len(h.open) > 0:
		r.kind, r.minutes = readBack, slices.Clone(h.open)
	default:
		h.swept = true
		return nil, nil
	}
	return r, persistence.ReadWakeupsOp{Shard: h.n, Minutes: r.minutes}
}

// again are the minutes of rows that are to be fired again, if they are still there.
func (h *shard) again(now unit.InstantMs) []int64 {
	var minutes []int64
	for _, r := range h.rows {
		if r.fired && now >= r.again && r.readAt < r.again {
			minutes = append(minutes, persistence.MinuteOf(r.Due))
		}
	}
	slices.Sort(minutes)
	minutes = slices.Compact(minutes)
	return minutes[:min(len(minutes), chunk)]
}

// due are the rows to be fired now.
func (h *shard) due(now unit.InstantMs) []*row {
	var due []*row
	for _, r := range h.rows {
		if now < r.Due {
			continue
		}
		if !r.fired || now >= r.again && r.readAt >= r.again && !step.RuleFiresAgain.Off() {
			due = append(due, r)
		}
	}
	return due
}

// foresee notes when the next row comes due that was not fired yet.
func (h *shard) foresee() {
	h.nextDue = 0
	for _, r := range h.rows {
		if !r.fired && (h.nextDue == 0 || r.Due < h.nextDue) {
			h.nextDue = r.Due
		}
	}
}

// fireAgainAt brings forward when rows that were fired are fired again.
func (h *shard) fireAgainAt(at unit.InstantMs) {
	for _, r := range h.rows {
		if r.fired {
			r.again = min(r.again, at)
		}
	}
}

// low is the first minute that is not settled.
func (h *shard) low() int64 {
	if len(h.open) > 0 && !step.RuleLowWaterLags.Off() {
		return min(h.open[0], h.frontier)
	}
	return h.frontier
}

func (h *shard) outcome(r *read, result any) {
	switch r.kind {
	case readMark:
		if mark, _ := result.(int64); mark > 0 {
			h.known, h.mark, h.frontier = true, mark, mark
		} else {
			h.mark = -1 // none was ever written: write one before anything else
		}
		return
	case putFirstMark:
		h.known, h.mark, h.frontier = true, r.mark, r.mark
		return
	case putMark:
		h.mark = r.mark
		return
	case readFirst:
		h.frontier = r.frontier
	case readAhead:
		h.aheadAt = r.at
	case readBack:
		h.backAt = r.at
	case readAgain:
	}
	found, _ := result.([]persistence.Wakeup)
	h.learn(r, found)
}

// learn takes over what a read has found, minute by minute.
func (h *shard) learn(r *read, found []persistence.Wakeup) {
	filled := make(map[int64]bool)
	for _, w := range found {
		filled[persistence.MinuteOf(w.Due)] = true
		known := h.rows[w]
		if known == nil {
			known = &row{Wakeup: w}
			h.rows[w] = known
		}
		known.readAt = max(known.readAt, r.at)
	}
	for w, known := range h.rows {
		if known.readAt < r.at && slices.Contains(r.minutes, persistence.MinuteOf(w.Due)) {
			delete(h.rows, w) // its grain has deleted it
		}
	}
	for _, m := range r.minutes {
		if m >= h.frontier {
			continue // still to be swept
		}
		settled := !filled[m] && r.at >= unit.InstantMs((m+1)*int64(unit.Minute)).Add(settleAfter)
		i, open := slices.BinarySearch(h.open, m)
		switch {
		case settled && open:
			h.open = slices.Delete(h.open, i, i+1)
		case !settled && !open:
			h.open = slices.Insert(h.open, i, m)
		}
	}
}
