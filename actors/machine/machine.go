package machine

import (
	"strings"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

type phase uint8

const (
	loading phase = iota
	ready
	stopped
)

// Machine is one activation of one grain. It is a step object and not safe for concurrent use.
type Machine[S any, C Command, E any] struct {
	spec  *Spec[S, C, E]
	hooks Hooks[E]
	cfg   Config

	phase     phase
	opening   bool // Opened is decided
	retrying  bool // rows and cursor, after a pause
	moving    bool // a new place for the open row is being written
	resting   bool // once the rows that nothing needs are deleted
	state     *S
	version   uint64 // of state: may hold uncommitted events
	committed uint64
	answers   answers
	forgot    unit.InstantMs // newest minting of an id that is not in answers any more
	snapshot  uint64         // version of the newest snapshot
	epoch     uint64         // version of this activation's Opened; 0: none yet
	openedBy  string         // the member of the newest Opened
	cursor    uint64         // of the event stream, durable

	rows rowBook
	tags uint64

	*underWay[E] // nil at rest, between two calls
}

// New makes an activation; spec is shared by all of its kind. Nothing happens before Start.
func New[S any, C Command, E any](spec *Spec[S, C, E], hooks Hooks[E], cfg Config) *Machine[S, C, E] {
	if cfg.SnapshotEvery == 0 {
		cfg.SnapshotEvery = snapshotEvery
	}
	return &Machine[S, C, E]{spec: spec, hooks: hooks, cfg: cfg, state: spec.New()}
}

// State is the newest state; it may contain events whose append is not committed. Read only.
func (m *Machine[S, C, E]) State() *S { return m.state }

// Version is the version of State.
func (m *Machine[S, C, E]) Version() uint64 { return m.version }

// Committed is the version through which the journal is known to reach.
func (m *Machine[S, C, E]) Committed() uint64 { return m.committed }

// Appending is when, by both clocks, the append under way was first tried, if one is.
func (m *Machine[S, C, E]) Appending() (at step.Now, ok bool) {
	if m.underWay == nil || m.flight == nil {
		return step.Now{}, false
	}
	return m.flight.began, true
}

// Ready reports that the state is recovered and the activation has not stopped.
func (m *Machine[S, C, E]) Ready() bool { return m.phase == ready }

// Stopped reports that the activation is over.
func (m *Machine[S, C, E]) Stopped() bool { return m.phase == stopped }

// Epoch is the version of this activation's Opened once that is committed. A kind that needs no epoch now
// answers with the head's version.
func (m *Machine[S, C, E]) Epoch() (uint64, bool) {
	if m.epoch != 0 && m.epoch <= m.committed {
		return m.epoch, true
	}
	if m.phase == ready && (m.spec.NeedsEpoch == nil || !m.spec.NeedsEpoch(m.state)) {
		return m.committed, true
	}
	return 0, false
}

// Grain is whose machine this is.
func (m *Machine[S, C, E]) Grain() id.Grain { return m.cfg.Grain }

// Start begins recovery.
func (m *Machine[S, C, E]) Start(now step.Now) []step.Out {
	return m.run(now, func() { m.startLoad(now) })
}

// Submit decides a command on the newest state. from gets exactly one reply; nil: nobody waits.
func (m *Machine[S, C, E]) Submit(now step.Now, c C, from step.Return) []step.Out {
	return m.run(now, func() { m.submit(now, c, from) })
}

// Query answers from the newest state once every append that it could have seen is committed.
func (m *Machine[S, C, E]) Query(now step.Now, from step.Return, f func(s *S, version uint64) (any, error)) []step.Out {
	return m.run(now, func() { m.query(now, from, f) })
}

// Step takes what is the machine's own: outcomes of its I/O and its ticks. handled is false for anything else.
func (m *Machine[S, C, E]) Step(now step.Now, msg any) (outs []step.Out, handled bool) {
	switch msg := msg.(type) {
	case persistence.Done:
		if msg.Tag&machineTag == 0 {
			return nil, false
		}
		return m.run(now, func() {
			if h := m.handler[msg.Tag]; h != nil && (m.phase != stopped || msg.Tag == m.asking) {
				delete(m.handler, msg.Tag)
				h(now, msg)
			}
		}), true
	case step.Tick:
		if !strings.HasPrefix(msg.Key, tickPrefix) {
			return nil, false
		}
		return m.run(now, func() { m.tick(now, msg.Key) }), true
	}
	return nil, false
}

// run collects what the outermost call produces; hooks may call the machine again.
func (m *Machine[S, C, E]) run(_ step.Now, f func()) []step.Out {
	if m.underWay == nil {
		m.underWay = &underWay[E]{}
	}
	m.depth++
	f()
	m.depth--
	if m.depth > 0 {
		return nil
	}
	outs := m.outs
	m.outs = nil
	if m.phase != loading && m.nothing() {
		m.underWay = nil
	}
	return outs
}

func (m *Machine[S, C, E]) out(o ...step.Out) { m.outs = append(m.outs, o...) }

// do asks for I/O; h gets the outcome unless the activation has stopped.
func (m *Machine[S, C, E]) do(op persistence.Op, h func(now step.Now, d persistence.Done)) {
	m.tags++
	tag := machineTag | m.tags
	Set(&m.handler, tag, h)
	m.out(persistence.Do{Tag: tag, Op: op})
}

func (m *Machine[S, C, E]) tick(now step.Now, key string) {
	if m.phase == stopped {
		return
	}
	switch key {
	case tickLoadRetry:
		m.startLoad(now)
	case tickAppendRetry:
		m.retryAppend(now)
	case tickPublishRetry:
		m.publish(now)
	case tickRowRetry:
		m.retrying = false
		m.pump(now)
		m.tidy(now)
	case tickOpenEpoch:
		m.openEpoch(now)
	case tickTimer:
		m.fireTimers(now)
	}
}

func (m *Machine[S, C, E]) reply(to step.Return, msg any, err error) {
	if to != nil {
		m.out(step.Reply{To: to, Msg: msg, Err: err})
	}
}

// hold keeps an answer until the journal reaches everything the answer could have seen.
func (m *Machine[S, C, E]) hold(to step.Return, msg any, err error) {
	if to == nil {
		return
	}
	m.held = append(m.held, held{m.version, step.Reply{To: to, Msg: msg, Err: err}})
	m.release()
}

func (m *Machine[S, C, E]) release() {
	n := 0
	for n < len(m.held) && (m.held[n].needs <= m.committed || step.RuleReplyAfterCommit.Off()) {
		if r := m.held[n].reply; terminal(r.Err) && !step.RuleRefusalLooks.Off() {
			m.refusals = append(m.refusals, r)
		} else {
			m.out(r)
		}
		n++
	}
	m.held = m.held[n:]
	m.confirmRefusals()
}

// terminal reports a refusal after which the caller does not try again.
func terminal(err error) bool { return err != nil && !fault.Of(err).Retry }

// confirmRefusals looks at the head before a refusal leaves: an activation that another has overtaken refuses by a
// state that is not the grain's any more, and nobody would ask again. One look serves all refusals before it.
func (m *Machine[S, C, E]) confirmRefusals() {
	if m.confirming || len(m.refusals) == 0 || m.phase != ready {
		return
	}
	m.confirming = true
	n := len(m.refusals)
	m.do(persistence.HeadOp{Grain: m.cfg.Grain}, func(now step.Now, d persistence.Done) {
		m.confirming = false
		head, _ := d.Result.(persistence.Head)
		ours := d.Err == nil && (head.Version <= m.committed || m.flight != nil && head.AppendID == m.flight.append.AppendID)
		if d.Err == nil && !ours {
			m.fenced(now, "another activation has written to the journal")
			return
		}
		for _, r := range m.refusals[:n] {
			if !ours {
				r.Err = ErrStopped
			}
			m.out(r)
		}
		m.refusals = m.refusals[n:]
		m.confirmRefusals()
	})
}

// queued is how many callers wait.
func (m *Machine[S, C, E]) queued() int { return len(m.held) + len(m.waiting) + len(m.refusals) }

func (m *Machine[S, C, E]) query(now step.Now, from step.Return, f func(*S, uint64) (any, error)) {
	switch {
	case m.phase == stopped:
		m.reply(from, nil, ErrStopped)
	case m.queued() >= maxQueued:
		m.reply(from, nil, ErrBusy)
	case m.phase == loading:
		m.waiting = append(m.waiting, func(now step.Now) { m.query(now, from, f) })
	default:
		msg, err := f(m.state, m.version)
		m.hold(from, msg, err)
	}
}

func (m *Machine[S, C, E]) submit(now step.Now, c C, from step.Return) {
	switch {
	case m.phase == stopped:
		m.reply(from, nil, ErrStopped)
		return
	case now.Full && !strings.HasPrefix(c.CommandMeta().By, "grain:"): // what a grain found by itself waits for the store
		m.reply(from, nil, ErrFull)
		return
	case m.queued() >= maxQueued, len(m.unpublished)+len(m.pending) >= maxUnpublished, m.owed >= maxOwedBytes:
		m.reply(from, nil, ErrBusy)
		return
	case m.phase == loading:
		m.waiting = append(m.waiting, func(now step.Now) { m.submit(now, c, from) })
		return
	}
	meta := c.CommandMeta()
	if meta.CommandID != "" && !step.RuleCommandOnce.Off() {
		if a := m.answers.of(meta.CommandID); a != nil {
			e, err := m.spec.Decode(a.kind, a.format, a.payload)
			if err != nil {
				m.hold(from, nil, err)
				return
			}
			m.hold(from, m.spec.Answer(e, a.version), nil)
			return
		}
		if err := m.checkAge(meta); err != nil {
			m.hold(from, nil, err)
			return
		}
	}
	events, err := m.spec.Decide(m.state, c)
	if err != nil {
		m.hold(from, nil, err)
		return
	}
	if len(events) == 0 {
		var msg any
		if m.spec.AnswerUnchanged != nil {
			msg = m.spec.AnswerUnchanged(m.state, c, m.version)
		}
		m.hold(from, msg, nil)
		return
	}
	if err := m.accept(meta, events); err != nil {
		m.hold(from, nil, err)
		return
	}
	m.hold(from, m.spec.Answer(events[len(events)-1], m.version), nil)
	m.pump(now)
}

// checkAge refuses an unknown id that is so old that its answer may have been forgotten.
func (m *Machine[S, C, E]) checkAge(meta step.Meta) error {
	if !m.spec.CommandsExpire {
		return nil
	}
	minted, ok := id.MintedAt(meta.CommandID)
	switch {
	case !ok:
		return id.ErrMalformed.With("command_id must be a UUIDv7")
	case minted < meta.At.Add(-commandOldest), minted <= m.forgot:
		return ErrExpired
	case minted > meta.At.Add(commandAhead):
		return ErrFromFuture
	}
	return nil
}

// accept encodes, then applies: a command that cannot be stored leaves the state as it was.
func (m *Machine[S, C, E]) accept(meta step.Meta, events []E) error {
	if m.spec.Opened != nil && !m.opening {
		events = append([]E{m.spec.Opened(m.cfg.Member)}, events...)
	}
	items := make([]item[E], len(events))
	size := 0
	for i, e := range events {
		kind, format, payload, err := m.spec.Encode(e)
		if err != nil {
			return err
		}
		size += len(payload)
		items[i] = item[E]{event: e, last: i == len(events)-1, record: persistence.Record{
			Version: m.version + uint64(i) + 1, Kind: kind, Format: format, Payload: payload,
			Meta: persistence.Meta{At: meta.At, By: meta.By, CommandID: meta.CommandID, Trace: meta.Trace},
		}}
	}
	if size > persistence.MaxAppendBytes {
		return ErrTooLarge.With("%d bytes, at most %d", size, persistence.MaxAppendBytes)
	}
	if m.spec.Opened != nil && !m.opening {
		m.opening = true
		m.epoch = m.version + 1
	}
	for i := range items {
		m.apply(items[i].event, items[i].record)
		if m.spec.React != nil {
			items[i].effects = m.spec.React(m.state, items[i].event)
		}
	}
	m.pending = append(m.pending, items...)
	m.owed += size
	return nil
}

// apply moves the state by one event, and remembers what its command got.
func (m *Machine[S, C, E]) apply(e E, r persistence.Record) {
	m.spec.Apply(m.state, e)
	m.version = r.Version
	m.noteOpened(e)
	if r.Meta.CommandID == "" {
		return
	}
	m.answers.note(answered{id: r.Meta.CommandID, version: r.Version, at: r.Meta.At, kind: r.Kind, format: r.Format, payload: r.Payload})
	if !m.spec.CommandsExpire {
		return
	}
	for _, old := range m.answers.forget(r.Meta.At.Add(-commandKept)) {
		if minted, ok := id.MintedAt(old.id); ok {
			m.forgot = max(m.forgot, minted) // journal time may have jumped: the id need not be old
		}
	}
}

// fail answers everything that waits and stops: the state is worthless.
func (m *Machine[S, C, E]) fail(now step.Now, why string, err error) {
	if m.drop(now, err) {
		m.out(step.Stop{Why: why})
	}
}

// drop answers everything that waits; false: that has been done before.
func (m *Machine[S, C, E]) drop(now step.Now, err error) bool {
	if m.phase == stopped {
		return false
	}
	waiting := m.waiting
	m.phase, m.waiting = stopped, nil
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		f = ErrStopped
	}
	for _, h := range m.held {
		m.reply(h.reply.To, nil, f)
	}
	for _, r := range m.refusals {
		m.reply(r.To, nil, f)
	}
	m.refusals = nil
	m.held, m.pending, m.flight = nil, nil, nil
	for _, again := range waiting {
		again(now)
	}
	return true
}
