package machine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// holesMost is how often a version may be missing, some ten seconds in all, until the journal counts as damaged. Whoever
// asks next makes an activation that looks again.
const holesMost = 8

// loader is recovery under way.
type loader struct {
	after  uint64 // next page begins behind it
	at     uint64 // version of the snapshot
	holes  int    // reads that met one
	waitMs unit.DurationMs
}

func (m *Machine[S, C, E]) startLoad(now step.Now) {
	m.do(persistence.LoadOp{Grain: m.cfg.Grain, Name: snapshotName, Consumer: outboxConsumer},
		func(now step.Now, d persistence.Done) {
			if d.Err != nil {
				m.loadAgain(now, d.Err)
				return
			}
			l := d.Result.(persistence.Loaded)
			m.cursor = l.Cursor
			m.resetState()
			if l.Found && m.spec.DecodeState != nil {
				if err := m.decodeSnapshot(l.Snapshot); err != nil {
					m.resetState() // a cache that this build cannot read
				}
			}
			m.load.after, m.load.at = min(m.version, m.cursor), m.version
			m.loadPage(now)
		})
}

func (m *Machine[S, C, E]) resetState() {
	m.state, m.version, m.committed, m.snapshot = m.spec.New(), 0, 0, 0
	m.answers, m.forgot, m.unpublished, m.openedBy = answers{}, 0, nil, ""
}

func (m *Machine[S, C, E]) loadAgain(now step.Now, err error) {
	if !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
		m.fail(now, "recovery failed: "+err.Error(), err)
		return
	}
	if errors.Is(err, persistence.ErrHole) {
		if m.load.holes++; m.load.holes > holesMost {
			m.fail(now, "recovery failed: "+err.Error(), fmt.Errorf("%w: %w", persistence.ErrCorrupt, err))
			return
		}
	}
	m.load.waitMs = min(max(2*m.load.waitMs, retryFirst), retryMost)
	m.out(step.After{Key: tickLoadRetry, At: now.Wall.Add(m.load.waitMs)})
}

func (m *Machine[S, C, E]) loadPage(now step.Now) {
	m.do(persistence.ReadJournalOp{Grain: m.cfg.Grain, After: m.load.after, Limit: journalPageEvents},
		func(now step.Now, d persistence.Done) {
			if d.Err != nil {
				m.loadAgain(now, d.Err)
				return
			}
			page := d.Result.(persistence.JournalRead)
			for _, r := range page.Records {
				m.load.after = r.Version
				if r.Version > m.version {
					e, err := m.spec.Decode(r.Kind, r.Format, r.Payload)
					if err != nil {
						m.fail(now, "journal: "+err.Error(), err)
						return
					}
					m.apply(e, r)
				}
				if r.Version > m.cursor {
					m.unpublished = append(m.unpublished, r)
				}
			}
			switch {
			case page.More:
				m.loadPage(now)
			case page.Head < m.load.at:
				// The snapshot is ahead of the journal: a restore has left it behind, it is of another past. So may the cursor be.
				m.resetState()
				m.load.after, m.load.at, m.cursor = 0, 0, 0
				m.loadPage(now)
			default:
				m.cursor = min(m.cursor, page.Head)
				m.loaded(now)
			}
		})
}

func (m *Machine[S, C, E]) loaded(now step.Now) {
	m.committed = m.version
	m.phase = ready
	if m.spec.Opened != nil && m.spec.NeedsEpoch != nil && m.spec.NeedsEpoch(m.state) {
		wait := openAfterMin + unit.DurationMs(m.cfg.Random()%openAfterSpread)
		m.out(step.After{Key: tickOpenEpoch, At: now.Wall.Add(wait)})
	}
	if m.hooks.Ready != nil {
		m.out(m.hooks.Ready(now)...)
	}
	m.publish(now)
	m.armTimers(now)
	m.takeSnapshot() // the next activation need not read so much
	waiting := m.waiting
	m.waiting = nil
	for _, f := range waiting {
		f(now)
	}
	m.tidy(now)
}

// SnapshotFormat is the first byte of a snapshot: of what is around the state, which has a format of its own.
const SnapshotFormat = 2

var errSnapshot = errors.New("machine: snapshot of an unknown form")

// encodeSnapshot is: format, forgot, how many answers, each (id, version, at, kind, format, payload), state.
func (m *Machine[S, C, E]) encodeSnapshot() ([]byte, error) {
	state, err := m.spec.EncodeState(m.state)
	if err != nil {
		return nil, err
	}
	b := binary.AppendVarint([]byte{SnapshotFormat}, int64(m.forgot))
	b = binary.AppendUvarint(b, uint64(len(m.answers.inOrder)))
	for _, a := range m.answers.inOrder {
		b = appendBytes(b, []byte(a.id))
		b = binary.AppendUvarint(b, a.version)
		b = binary.AppendVarint(b, int64(a.at))
		b = binary.AppendUvarint(b, uint64(a.kind))
		b = binary.AppendUvarint(b, uint64(a.format))
		b = appendBytes(b, a.payload)
	}
	return append(b, state...), nil
}

func appendBytes(b, v []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// reader takes a snapshot apart; after the first mistake everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (m *Machine[S, C, E]) decodeSnapshot(s persistence.Snapshot) error {
	if len(s.Bytes) == 0 || s.Bytes[0] != SnapshotFormat {
		return errSnapshot
	}
	r := &reader{b: s.Bytes[1:]}
	m.forgot = unit.InstantMs(r.varint())
	n := r.uvarint()
	for i := uint64(0); i < n && !r.bad; i++ {
		a := answered{id: string(r.bytes())}
		a.version = r.uvarint()
		a.at = unit.InstantMs(r.varint())
		a.kind = uint32(r.uvarint())
		a.format = uint32(r.uvarint())
		a.payload = r.bytes()
		m.answers.note(a)
	}
	if r.bad {
		return errSnapshot
	}
	state, err := m.spec.DecodeState(r.b)
	if err != nil {
		return err
	}
	m.state, m.version, m.snapshot = state, s.Version, s.Version
	return nil
}
