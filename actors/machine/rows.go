package machine

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// timerAgain is how soon a timer that the rules did not clear is offered to them again.
const timerAgain = 2 * unit.Second

// rowRetry is the pause before a row's write that failed is tried again.
const rowRetry = 4 * retryFirst

// timerReason marks the rows of timers, so that they cannot be taken for the machine's own.
const timerReason = "timer:"

// row is one wake-up row of this activation.
type row struct {
	wakeup  persistence.Wakeup
	acked   bool
	at      unit.InstantMs // of a timer, node clock
	pending bool           // a write or a deletion is under way
	// doubtful: a write without outcome; it may be there.
	doubtful bool
}

// rowBook knows this activation's rows, and which rows of others it has been shown.
type rowBook struct {
	rows      []*row                        // what covers now, one for each reason, by that
	old       []*row                        // replaced or not needed any more
	foreign   map[persistence.Wakeup]uint64 // last version of an append issued after the row was read; 0: none yet
	cursorDue uint64
}

// find is where the row for a reason is, or where it belongs.
func (b *rowBook) find(reason string) (i int, found bool) {
	return slices.BinarySearchFunc(b.rows, reason, func(r *row, reason string) int { return cmp.Compare(r.wakeup.Reason, reason) })
}

// of is the row for a reason; nil: there is none.
func (b *rowBook) of(reason string) *row {
	if i, found := b.find(reason); found {
		return b.rows[i]
	}
	return nil
}

// put takes a row in place of the one for its reason.
func (b *rowBook) put(r *row) {
	i, found := b.find(r.wakeup.Reason)
	if found {
		b.rows[i] = r
		return
	}
	b.rows = slices.Insert(b.rows, i, r)
}

// retire moves the row for a reason to the old ones.
func (b *rowBook) retire(r *row) {
	if i, found := b.find(r.wakeup.Reason); found {
		b.rows = slices.Delete(b.rows, i, i+1)
	}
	b.old = append(b.old, r)
}

// issued notes that an append ending at version was issued: it fences what others had under way before.
func (b *rowBook) issued(version uint64) {
	for w, v := range b.foreign {
		if v == 0 {
			b.foreign[w] = version
		}
	}
}

// unlikeOld moves a new row by as little as makes it another than those that are to be deleted: a deletion that is under
// way, or repeated, would take it.
func (b *rowBook) unlikeOld(w persistence.Wakeup) persistence.Wakeup {
	for slices.ContainsFunc(b.old, func(o *row) bool { return o.wakeup == w }) {
		w.Due++
	}
	return w
}

// shown is the rows of others in a fixed order: two runs of one schedule must be the same.
func (b *rowBook) shown() []persistence.Wakeup {
	return slices.SortedFunc(maps.Keys(b.foreign), func(x, y persistence.Wakeup) int {
		return cmp.Or(cmp.Compare(x.Due, y.Due), cmp.Compare(x.Reason, y.Reason), cmp.Compare(x.Activation, y.Activation))
	})
}

// ensureRows reports whether every row that the next append needs is durable, and writes what is missing.
func (m *Machine[S, C, E]) ensureRows(now step.Now) bool {
	var covered bool
	if m.spec.Open != nil && m.spec.Open(m.state) && !step.RuleOpenWakes.Off() {
		covered = m.ensureRow(now, reasonOpen, now.Wall.Add(rowAhead), 0, func(*row) bool { return true })
	} else {
		covered = m.ensureRow(now, reasonOutbox, now.Wall.Add(rowAhead), 0, func(r *row) bool {
			return r.wakeup.Due >= now.Wall.Add(rowMargin) || step.RuleRowMargin.Off()
		})
	}
	if m.spec.Timers == nil {
		return covered
	}
	for _, t := range m.spec.Timers(m.state) {
		due := max(now.WallOfNode(t.At), now.Wall.Add(rowAhead/2))
		ok := m.ensureRow(now, timerReason+t.Reason, due, t.At, func(r *row) bool { return r.at == t.At })
		covered = covered && ok
	}
	return covered
}

func (m *Machine[S, C, E]) ensureRow(now step.Now, reason string, due, at unit.InstantMs, fits func(*row) bool) bool {
	r := m.rows.of(reason)
	switch {
	case r != nil && r.acked && fits(r):
		return true
	case r != nil && r.pending && !r.acked:
		return false // its write is under way; looked at again then
	case m.retrying:
		return false // the store was away a moment ago
	case r != nil && !r.acked && fits(r):
		m.writeRow(r) // as it was, for it may be there
		return false
	}
	fresh := &row{at: at, wakeup: m.rows.unlikeOld(persistence.Wakeup{Grain: m.cfg.Grain, Due: due, Reason: reason, Activation: m.cfg.Activation})}
	if r != nil && (r.acked || r.doubtful) {
		m.rows.old = append(m.rows.old, r) // the new one first
	}
	m.rows.put(fresh)
	m.writeRow(fresh)
	return false
}

func (m *Machine[S, C, E]) writeRow(r *row) {
	r.pending = true
	m.do(persistence.PutWakeupOp{Wakeup: r.wakeup}, func(now step.Now, d persistence.Done) {
		r.pending = false
		if d.Err != nil {
			// ensureRows repeats it, and replaces it when its due has come too near.
			r.doubtful = r.doubtful || !errors.Is(d.Err, persistence.ErrUnavailable)
			m.retryRows(now, rowRetry)
			return
		}
		r.acked = true
		m.pump(now)
	})
}

// retryRows looks at the rows and the cursor again after a pause, once however many writes have failed.
func (m *Machine[S, C, E]) retryRows(now step.Now, pause unit.DurationMs) {
	if !m.retrying {
		m.retrying = true
		m.out(step.After{Key: tickRowRetry, At: now.Wall.Add(pause)})
	}
}

// Postpone moves the open row: with nothing unread for a while, a fired grain is fired less often. The row that is there
// stays until the new one is durable: a grain without any would never be woken.
func (m *Machine[S, C, E]) Postpone(now step.Now, due unit.InstantMs) []step.Out {
	return m.run(now, func() {
		r := m.rows.of(reasonOpen)
		if r == nil || !r.acked || m.moving || m.phase != ready || r.wakeup.Due == due {
			return
		}
		fresh := &row{wakeup: r.wakeup}
		fresh.wakeup.Due = due
		fresh.wakeup = m.rows.unlikeOld(fresh.wakeup)
		m.moving = true
		if step.RuleRowMovedFirst.Off() {
			m.deleteRow(r.wakeup, nil)
		}
		m.do(persistence.PutWakeupOp{Wakeup: fresh.wakeup}, func(now step.Now, d persistence.Done) {
			m.moving = false
			if d.Err != nil || m.rows.of(reasonOpen) != r {
				m.rows.old = append(m.rows.old, fresh) // it may be there; what fired comes again
			} else {
				fresh.acked = true
				m.rows.put(fresh)
				m.rows.old = append(m.rows.old, r)
			}
			m.tidy(now)
		})
	})
}

// Woken takes a wake-up that fired: what is outstanding is done, and the row goes when that is safe.
func (m *Machine[S, C, E]) Woken(now step.Now, w persistence.Wakeup) []step.Out {
	return m.run(now, func() { m.woken(now, w) })
}

func (m *Machine[S, C, E]) woken(now step.Now, w persistence.Wakeup) {
	switch m.phase {
	case stopped:
		return
	case loading:
		m.waiting = append(m.waiting, func(now step.Now) { m.woken(now, w) })
		return
	case ready:
	}
	mine := w.Activation == m.cfg.Activation
	_, shown := m.rows.foreign[w]
	if !mine && !shown {
		Set(&m.rows.foreign, w, 0)
	}
	if m.hooks.Due != nil {
		reason, _ := strings.CutPrefix(w.Reason, timerReason)
		m.out(m.hooks.Due(now, reason)...)
	}
	if m.phase != ready {
		return
	}
	if step.RuleForeignRowFenced.Off() && !mine || step.RuleOwnRowKept.Off() && mine {
		m.deleteRow(w, nil)
		return
	}
	if !mine && m.rows.foreign[w] == 0 {
		m.fence(now)
	}
	if mine && m.quiet() {
		m.retire(w)
	}
	m.tidy(now)
}

// retire moves a row of our own that fired, and that nothing needs, to the old ones.
func (m *Machine[S, C, E]) retire(w persistence.Wakeup) {
	r := m.rows.of(w.Reason)
	if r == nil || r.wakeup != w {
		if !slices.ContainsFunc(m.rows.old, func(o *row) bool { return o.wakeup == w }) {
			m.rows.old = append(m.rows.old, &row{wakeup: w, acked: true})
		}
		return
	}
	if !m.wanted(w.Reason, r) {
		m.rows.retire(r)
	}
}

// wanted reports whether the state still asks for the row.
func (m *Machine[S, C, E]) wanted(reason string, r *row) bool {
	switch {
	case reason == reasonOutbox:
		return false // quiet: nothing is unpublished
	case reason == reasonOpen:
		return m.spec.Open(m.state)
	default:
		return slices.ContainsFunc(m.spec.Timers(m.state), func(t Timer) bool {
			return timerReason+t.Reason == reason && t.At == r.at
		})
	}
}

// quiet: no append in flight or of unknown outcome, nothing decided, everything published and noted.
func (m *Machine[S, C, E]) quiet() bool {
	return m.phase == ready && m.flight == nil && len(m.pending) == 0 && m.cursor >= m.committed
}

// tidy deletes the rows that nothing needs.
func (m *Machine[S, C, E]) tidy(now step.Now) {
	if m.phase != ready {
		return
	}
	if m.cursor < m.rows.cursorDue && m.cursorWrite == 0 && !m.retrying {
		m.moveCursor(now, m.rows.cursorDue)
	}
	for _, w := range m.rows.shown() {
		v := m.rows.foreign[w]
		if v != 0 && v <= m.committed && v <= m.cursor {
			m.deleteRow(w, func() {
				if delete(m.rows.foreign, w); len(m.rows.foreign) == 0 {
					m.rows.foreign = nil
				}
			})
			m.rows.foreign[w] = ^uint64(0) // under way
		}
	}
	if !m.quiet() {
		return
	}
	for _, r := range slices.Clone(m.rows.rows) {
		if reason := r.wakeup.Reason; reason != reasonOutbox && r.acked && !m.wanted(reason, r) {
			m.rows.retire(r)
		}
	}
	for _, r := range m.rows.old {
		if r.pending {
			continue
		}
		r.pending = true
		m.deleteRow(r.wakeup, func() {
			m.rows.old = slices.DeleteFunc(m.rows.old, func(o *row) bool { return o == r })
		})
	}
}

// deleteRow asks for the deletion; a failed one is asked for again when the row fires again.
func (m *Machine[S, C, E]) deleteRow(w persistence.Wakeup, done func()) {
	m.do(persistence.DeleteWakeupOp{Wakeup: w}, func(now step.Now, d persistence.Done) {
		if d.Err != nil {
			for _, r := range m.rows.old {
				if r.wakeup == w {
					r.pending = false
				}
			}
			if v, ok := m.rows.foreign[w]; ok && v == ^uint64(0) {
				m.rows.foreign[w] = m.committed
			}
			return
		}
		if done != nil {
			done()
		}
		if m.resting {
			m.rest(now)
		}
	})
}

// Rest lets the activation go if nothing is outstanding: rows of its own that nothing needs are deleted first.
// It reports false if the grain has work.
func (m *Machine[S, C, E]) Rest(now step.Now) (outs []step.Out, resting bool) {
	outs = m.run(now, func() { resting = m.rest(now) })
	return outs, resting
}

func (m *Machine[S, C, E]) rest(now step.Now) bool {
	m.resting = false
	if !m.quiet() || len(m.held) > 0 || m.cursorWrite != 0 || len(m.rows.foreign) > 0 ||
		m.hooks.Busy != nil && m.hooks.Busy() {
		return false
	}
	if r := m.rows.of(reasonOutbox); r != nil && r.acked {
		m.rows.retire(r)
	}
	m.tidy(now)
	if len(m.rows.old) > 0 {
		m.resting = true
		return true
	}
	m.phase = stopped
	m.out(step.Stop{Why: "rest"})
	return true
}
