package machine

import (
	"errors"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// pump issues the next append, once its wake-up's row is there.
func (m *Machine[S, C, E]) pump(now step.Now) {
	if m.phase != ready || m.flight != nil || len(m.pending) == 0 {
		return
	}
	if !m.ensureRows(now) && !step.RuleWakeupFirst.Off() {
		return
	}
	n, size := 0, 0
	for i, it := range m.pending {
		size += len(it.record.Payload)
		if size > persistence.MaxAppendBytes {
			break
		}
		if it.last {
			n = i + 1
		}
	}
	items := m.pending[:n:n]
	m.pending = m.pending[n:]
	a := persistence.Append{Grain: m.cfg.Grain, Expected: items[0].record.Version - 1, AppendID: m.cfg.NewID(now)}
	for _, it := range items {
		a.Records = append(a.Records, it.record)
	}
	m.rows.issued(items[n-1].record.Version)
	m.flight = &flight[E]{append: a, items: items, retryMs: retryFirst, since: now.Wall, began: now}
	m.tryAppend()
}

func (m *Machine[S, C, E]) tryAppend() {
	m.do(persistence.AppendOp{Append: m.flight.append}, m.appendDone)
}

func (m *Machine[S, C, E]) appendDone(now step.Now, d persistence.Done) {
	switch {
	case d.Err == nil:
		r := d.Result.(persistence.AppendDone)
		switch {
		case r.Applied:
			m.commit(now)
		case r.Head.AppendID == m.flight.append.AppendID && !step.RuleAppendID.Off():
			m.commit(now) // our own earlier copy was applied
		case step.RuleFence.Off():
			m.commit(now)
		default:
			m.fenced(now, "fenced")
		}
	case errors.Is(d.Err, persistence.ErrUnavailable):
		m.backOff(now) // not written: the same append again
	case errors.Is(d.Err, persistence.ErrUnknown):
		if step.RuleUnknownLooks.Off() {
			m.commit(now)
			return
		}
		m.flight.looking = true
		m.backOff(now)
	default:
		m.fail(now, "append failed: "+d.Err.Error(), d.Err)
	}
}

func (m *Machine[S, C, E]) backOff(now step.Now) {
	f := m.flight
	if !f.looking && now.Wall.Sub(f.since) > giveUpAfter {
		m.fail(now, "store unavailable", ErrStopped)
		return
	}
	m.out(step.After{Key: tickAppendRetry, At: now.Wall.Add(f.retryMs)})
	f.retryMs = min(2*f.retryMs, retryMost)
}

func (m *Machine[S, C, E]) retryAppend(now step.Now) {
	if m.flight == nil {
		return
	}
	if !m.flight.looking {
		m.tryAppend()
		return
	}
	m.do(persistence.HeadOp{Grain: m.cfg.Grain}, func(now step.Now, d persistence.Done) {
		if d.Err != nil {
			m.backOff(now)
			return
		}
		head := d.Result.(persistence.Head)
		switch {
		case head.AppendID == m.flight.append.AppendID:
			m.commit(now)
		case head.Version == m.flight.append.Expected:
			m.flight.looking = false
			m.flight.since = now.Wall
			m.tryAppend()
		default:
			m.fenced(now, "fenced")
		}
	})
}

func (m *Machine[S, C, E]) commit(now step.Now) {
	f := m.flight
	m.flight = nil
	m.committed = f.items[len(f.items)-1].record.Version
	for _, it := range f.items {
		m.unpublished = append(m.unpublished, it.record)
	}
	m.release()
	if m.hooks.Committed != nil {
		for _, it := range f.items {
			m.out(m.hooks.Committed(now, it.event, it.record.Version, it.effects)...)
		}
	}
	m.publish(now)
	m.armTimers(now)
	m.pump(now)
	m.takeSnapshot()
	m.tidy(now)
}

// takeSnapshot keeps the state as it is now, with what is decided and not yet committed, and writes it once all of it
// is: a grain that is never without an append under way has snapshots too. A lost one costs time, never truth.
func (m *Machine[S, C, E]) takeSnapshot() {
	if m.spec.EncodeState == nil {
		return
	}
	every := m.cfg.SnapshotEvery
	if m.spec.SnapshotAfter != nil {
		every = max(every, m.spec.SnapshotAfter(m.state))
	}
	if m.saving == nil && m.version >= m.snapshot+every {
		b, err := m.encodeSnapshot()
		if err != nil {
			return
		}
		m.saving = &persistence.Snapshot{Version: m.version, Bytes: b}
	}
	if m.saving == nil || m.saving.Version > m.committed {
		return
	}
	s := *m.saving
	m.saving, m.snapshot = nil, s.Version
	m.do(persistence.PutSnapshotOp{Grain: m.cfg.Grain, Name: snapshotName, Snapshot: s}, func(step.Now, persistence.Done) {})
}

// publish hands committed events to the event stream, in order, one call at a time.
func (m *Machine[S, C, E]) publish(now step.Now) {
	if m.publishing || len(m.unpublished) == 0 || m.phase != ready {
		return
	}
	m.publishing = true
	n, size := 0, 0
	for n < min(len(m.unpublished), publishEvents) && (n == 0 || size+len(m.unpublished[n].Payload) <= publishBytes) {
		size += len(m.unpublished[n].Payload)
		n++
	}
	records := m.unpublished[:n:n]
	last := records[n-1].Version
	if step.RuleCursorAfterSync.Off() {
		m.moveCursor(now, last)
	}
	m.do(persistence.PublishOp{Grain: m.cfg.Grain, Records: records}, func(now step.Now, d persistence.Done) {
		m.publishing = false
		synced := uint64(0)
		if d.Err == nil {
			synced = d.Result.(uint64)
		}
		for len(m.unpublished) > 0 && m.unpublished[0].Version <= synced {
			m.owed = max(0, m.owed-len(m.unpublished[0].Payload)) // those of before this activation are not in it
			m.unpublished = m.unpublished[1:]
		}
		if synced > m.cursor {
			m.moveCursor(now, synced)
		}
		if synced < last {
			m.publishWait = min(max(2*m.publishWait, retryFirst), retryMost)
			m.out(step.After{Key: tickPublishRetry, At: now.Wall.Add(m.publishWait)})
			return
		}
		m.publishWait = 0
		m.publish(now)
	})
}

// moveCursor makes the publication durable; a newer position waits for the write of the one before.
func (m *Machine[S, C, E]) moveCursor(now step.Now, through uint64) {
	if m.cursorWrite != 0 {
		m.cursorWrite = max(m.cursorWrite, through)
		return
	}
	m.cursorWrite = through
	m.do(persistence.PutCursorOp{Grain: m.cfg.Grain, Consumer: outboxConsumer, Through: through},
		func(now step.Now, d persistence.Done) {
			next := m.cursorWrite
			m.cursorWrite = 0
			if d.Err == nil {
				m.cursor = max(m.cursor, through)
			}
			switch {
			case next > through:
				m.moveCursor(now, next)
			case d.Err != nil:
				// The position may lag: the next publication moves it. With nothing to publish, try again.
				m.rows.cursorDue = through
				m.retryRows(now, retryMost)
			}
			m.tidy(now)
		})
}

// openEpoch opens the epoch alone, if no command has done so meanwhile.
func (m *Machine[S, C, E]) openEpoch(now step.Now) {
	if m.phase != ready || m.opening || m.spec.Opened == nil || !m.spec.NeedsEpoch(m.state) {
		return
	}
	if err := m.accept(step.Meta{At: now.Node, By: "grain:" + m.cfg.Grain.String()}, nil); err != nil {
		m.fail(now, "cannot open: "+err.Error(), err)
		return
	}
	m.pump(now)
}

// fence appends an event that says nothing, so that a dead activation's late append can no longer apply.
func (m *Machine[S, C, E]) fence(now step.Now) {
	if len(m.pending) > 0 {
		return // to be issued anyway
	}
	if err := m.accept(step.Meta{At: now.Node, By: "grain:" + m.cfg.Grain.String()}, []E{m.spec.Fenced()}); err != nil {
		m.fail(now, "cannot fence: "+err.Error(), err)
		return
	}
	m.pump(now)
}

func (m *Machine[S, C, E]) armTimers(now step.Now) {
	if m.spec.Timers == nil {
		return
	}
	var next unit.InstantMs
	for _, t := range m.spec.Timers(m.state) {
		at := now.WallOfNode(t.At)
		if at <= now.Wall {
			at = now.Wall.Add(timerAgain)
		}
		if next == 0 || at < next {
			next = at
		}
	}
	if next != 0 {
		m.out(step.After{Key: tickTimer, At: next})
	}
}

func (m *Machine[S, C, E]) fireTimers(now step.Now) {
	if m.phase != ready || m.spec.Timers == nil {
		return
	}
	for _, t := range m.spec.Timers(m.state) {
		if t.At <= now.Node && m.hooks.Due != nil {
			m.out(m.hooks.Due(now, t.Reason)...)
		}
	}
	m.armTimers(now)
}
