package live

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

const (
	reopenAfter = 5 * time.Second // without progress while frames are under way
	defaultUnit = 32              // frames under way until the node says otherwise
)

// Stream is one stream of samples. What is Put stays until it is acknowledged.
type Stream struct {
	c       *Client
	spec    *livev1.OpenStream
	onAck   func(*livev1.Ack)
	changed chan struct{} // closed and replaced at each change

	// Guarded by Client.mu.
	buf      sample.Batch // not acknowledged, consecutive
	putSeq   uint64       // last seq that was Put
	acked    uint64
	sent     uint64   // last seq on the present connection
	flying   []uint64 // last seqs of the frames under way
	skips    []*livev1.Skip
	isOpen   bool
	opening  time.Time
	progress time.Time
	err      error // terminal
	slowTo   float64
	slowTill unit.InstantMs
	probing  bool // the node could not store: one frame at a time, until one is acknowledged
	budget   float64
	budgetAt time.Time
	offset   unit.DurationMs // last offered
	offered  bool
	refusals int

	closing   bool // nothing more will be Put, and the node is to know
	closeSent bool // on the present connection
	closed    bool // the node has acknowledged it

	onControl    func(*livev1.Control) Result
	lateControls int
}

// Stream opens a stream, now and after every reconnect. spec.DeviceTimeMs is set at each opening. onAck may be nil.
func (c *Client) Stream(spec *livev1.OpenStream, onAck func(*livev1.Ack)) *Stream {
	s := &Stream{c: c, spec: proto.Clone(spec).(*livev1.OpenStream), onAck: onAck, changed: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, s)
	s.open()
	return s
}

// Put appends samples; b.FirstSeq is set by the stream. The batch is copied.
func (s *Stream) Put(b *sample.Batch) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.buf.Len()+b.Len() > s.c.cfg.Buffer {
		return ErrBufferFull
	}
	b.FirstSeq = s.putSeq + 1
	s.putSeq += uint64(b.Len())
	s.buf.Append(b)
	s.pump(time.Now())
	return nil
}

// Skip declares that n samples after the last one Put are lost for good.
func (s *Stream) Skip(n uint64, reason string) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.skips = append(s.skips, &livev1.Skip{StreamId: s.spec.StreamId, FromSeq: s.putSeq + 1, ToSeq: s.putSeq + n, Reason: reason})
	s.putSeq += n
	s.pump(time.Now())
}

// Acked is the seq through which everything is durable.
func (s *Stream) Acked() uint64 {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.acked
}

// LastSeq is the last seq that was Put or skipped.
func (s *Stream) LastSeq() uint64 {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.putSeq
}

// Refused is how many samples the node has named as not counting.
func (s *Stream) Refused() int {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.refusals
}

// Wait waits until everything through seq is acknowledged.
func (s *Stream) Wait(ctx context.Context, seq uint64) error {
	return s.await(ctx, func() bool { return s.acked >= seq })
}

// await waits until it is so, the stream has failed, or ctx ends. so is called with the client's lock held.
func (s *Stream) await(ctx context.Context, so func() bool) error {
	for {
		s.c.mu.Lock()
		done, err, changed := so(), s.err, s.changed
		s.c.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Close waits until everything is acknowledged, says that nothing more will come, and waits until that is acknowledged
// too, over reconnects. If ctx ends first, what is pending stays so: it is said as long as the client runs, and Close may
// be called again.
func (s *Stream) Close(ctx context.Context) error {
	if err := s.Wait(ctx, s.LastSeq()); err != nil {
		return err
	}
	s.c.mu.Lock()
	s.closing = true
	s.sayClosed()
	s.c.mu.Unlock()
	return s.await(ctx, func() bool {
		if s.closed {
			s.c.forget(s, nil)
		}
		return s.closed
	})
}

// sayClosed says that nothing more will come, once on each connection; without one it is said after the next.
func (s *Stream) sayClosed() {
	if !s.closing || s.closeSent || s.closed || !s.isOpen {
		return
	}
	s.closeSent = s.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_CloseStream{CloseStream: &livev1.CloseStream{
		StreamId: s.spec.StreamId, LastSeq: s.putSeq}}})
	s.progress = time.Now()
}

func (s *Stream) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// open asks for the stream on the present connection.
func (s *Stream) open() {
	if s.closed {
		return
	}
	s.closeSent = false
	s.isOpen, s.flying, s.sent, s.opening = false, nil, 0, time.Now()
	s.spec.DeviceTimeMs = int64(s.c.cfg.Clock())
	s.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_OpenStream{OpenStream: proto.Clone(s.spec).(*livev1.OpenStream)}})
}

func (s *Stream) lost() { s.isOpen, s.flying, s.closeSent = false, nil, false }

func (s *Stream) opened(o *livev1.StreamOpened) {
	s.isOpen, s.progress = true, time.Now()
	s.flying = nil
	s.handled(o.ThroughSeq)
	s.sent = s.acked
	s.offered = false
	s.offerClock()
	s.pump(time.Now())
	s.sayClosed()
}

// handled drops what need not be kept any longer.
func (s *Stream) handled(through uint64) {
	if through <= s.acked {
		return
	}
	s.acked = through
	s.sent = max(s.sent, through) // having gone back, one may hear of what was under way then
	s.progress = time.Now()
	for s.buf.Len() > 0 && s.buf.FirstSeq <= through {
		n := min(int(through-s.buf.FirstSeq+1), s.buf.Len())
		if n == s.buf.Len() {
			s.buf = sample.Batch{}
			break
		}
		s.buf = s.buf.Slice(n, s.buf.Len())
	}
	for len(s.skips) > 0 && s.skips[0].ToSeq <= through {
		s.skips = s.skips[1:]
	}
	s.wake()
}

func (s *Stream) acknowledged(a *livev1.Ack) {
	s.probing = s.probing && a.ThroughSeq <= s.acked
	for len(s.flying) > 0 && s.flying[0] <= a.ThroughSeq {
		s.flying = s.flying[1:]
	}
	s.handled(a.ThroughSeq)
	s.refusals += len(a.Refused)
	if s.closeSent && a.ThroughSeq >= s.putSeq {
		s.closed = true
		s.wake()
	}
	if s.onAck != nil {
		s.onAck(a)
	}
	s.pump(time.Now())
}

// refused decides by the code what a refusal means for the stream.
func (s *Stream) refused(e *livev1.Error) {
	switch {
	case e.Code == "stream.gap":
		s.flying = nil
		s.sent = max(s.acked, e.ExpectedSeq-min(e.ExpectedSeq, 1))
		s.pump(time.Now())
	case e.Code == "stream.not_open" || e.Retry:
		s.isOpen, s.flying, s.closeSent = false, nil, false
		s.opening = time.Now().Add(-reopenAfter + time.Second) // again in a second
	default:
		s.err = &fault.Fault{Kind: fault.Invalid, Code: e.Code, Message: e.Message, Detail: e.Detail}
		s.wake()
	}
}

func (s *Stream) throttle(t *livev1.Throttle, now unit.InstantMs) {
	s.slowTo, s.slowTill = t.MaxSamplesPerS, unit.InstantMs(t.UntilMs)
	if s.slowTill <= now { // lifted
		s.probing = false
		s.pump(time.Now())
		return
	}
	s.probing = t.MaxSamplesPerS == 0
	// What was dropped is not acknowledged: go back to it once the node takes more.
	s.flying, s.sent = nil, s.acked
	s.budget, s.budgetAt = 0, time.Now()
}

// tend is called once a second.
func (s *Stream) tend(now time.Time) {
	if s.err != nil || s.closed {
		return
	}
	patience := reopenAfter
	if s.probing { // the node has said that it will take longer
		patience = 3 * reopenAfter
	}
	switch {
	case !s.isOpen && now.Sub(s.opening) > reopenAfter,
		s.isOpen && (len(s.flying) > 0 || s.closeSent) && now.Sub(s.progress) > patience:
		s.open()
	default:
		s.pump(now)
		s.sayClosed() // there was no room for it
	}
}

// pump sends what may be sent.
func (s *Stream) pump(now time.Time) {
	window := defaultUnit
	if l := s.c.limits; l != nil && l.UnackedWindowFrames > 0 {
		window = int(l.UnackedWindowFrames)
	}
	if s.probing {
		window = 1
	}
	for s.isOpen && s.err == nil && len(s.flying) < window {
		if s.skipNext() {
			return // its answer opens the way
		}
		n := s.next(now)
		if n == 0 {
			return
		}
		from := int(s.sent + 1 - s.buf.FirstSeq)
		part := s.buf.Slice(from, from+n)
		t := &livev1.Telemetry{}
		telemetry.FromBatch(t, s.spec.StreamId, &part)
		t.Backfill = s.putSeq-part.LastSeq() > 30
		if !s.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Telemetry{Telemetry: t}}) {
			return
		}
		if len(s.flying) == 0 {
			s.progress = now
		}
		s.sent = part.LastSeq()
		s.flying = append(s.flying, s.sent)
	}
}

// skipNext declares a hole that is next in order.
func (s *Stream) skipNext() bool {
	if len(s.skips) == 0 || s.sent+1 != s.skips[0].FromSeq {
		return false
	}
	if s.acked < s.sent {
		return true // everything before it first
	}
	if s.c.sendLocked(&livev1.ClientMessage{Message: &livev1.ClientMessage_Skip{Skip: s.skips[0]}}) {
		s.sent = s.skips[0].ToSeq
		s.flying = append(s.flying, s.sent)
		s.progress = time.Now()
	}
	return true
}

// next is how many samples the next frame has: consecutive, not beyond a skip, within a throttle.
func (s *Stream) next(now time.Time) int {
	if s.buf.Len() == 0 || s.sent+1 < s.buf.FirstSeq || s.sent >= s.buf.LastSeq() {
		return 0
	}
	n := min(int(s.buf.LastSeq()-s.sent), s.c.cfg.Frame, sample.MaxBatch)
	if len(s.skips) > 0 && s.skips[0].FromSeq > s.sent {
		n = min(n, int(s.skips[0].FromSeq-1-s.sent))
	}
	if s.c.cfg.Clock().Add(s.c.offset) < s.slowTill {
		s.budget = min(s.budget+s.slowTo*now.Sub(s.budgetAt).Seconds(), s.slowTo)
		s.budgetAt = now
		n = min(n, int(s.budget))
		s.budget -= float64(n)
	}
	return n
}

// offerClock tells the node how far a free-running clock is off; a clock set by satellites or NTP needs none.
func (s *Stream) offerClock() {
	if s.spec.Clock != livev1.ClockKind_CLOCK_KIND_FREE || !s.isOpen || s.c.connects == 0 {
		return
	}
	d := s.c.offset - s.offset
	if s.offered && max(d, -d) < 250 {
		return
	}
	s.offered, s.offset = true, s.c.offset
	s.c.pingLocked(s.spec.StreamId)
}
