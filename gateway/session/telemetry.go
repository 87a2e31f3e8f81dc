package session

import (
	"google.golang.org/protobuf/proto"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// ErrWindow says that more than the announced window is unacknowledged.
var ErrWindow = &fault.Fault{Kind: fault.Exhausted, Code: "stream.window", Retry: true,
	Message: "Too much is unacknowledged: wait for acks, then go on after the acknowledged seq."}

// flow keeps the order of a stream's frames. After one was dropped nothing above it may go on, or the device
// would see a gap for each; the client goes back to what is not acknowledged and sends on from there.
type flow struct {
	dropping bool
	from     uint64 // the first seq that was dropped
	episode  uint64 // counts drops and openings; failures of frames of an earlier one are old news
}

func (f *flow) restart() {
	f.dropping = false
	f.episode++
}

func (f *flow) drop(from uint64) {
	f.dropping, f.from = true, from
	f.episode++
}

// passes reports whether a frame that begins at first may go on: the one that was dropped, one before it, or the next
// one after what is durable. What was dropped may have been a repetition of a frame that was under way.
func (f *flow) passes(first, through uint64) bool {
	if f.dropping && first > f.from && first > through+1 {
		return false
	}
	f.dropping = false
	return true
}

func (s *Session) onTelemetry(now step.Now, t *livev1.Telemetry, size int) []step.Out {
	st, err := s.ours(auth.SendTelemetry, t.StreamId)
	if err != nil {
		return s.droppedFrame(streamError(err, t.StreamId))
	}
	if !st.flow.passes(t.FirstSeq, st.through) {
		return s.droppedFrame() // already told
	}
	if s.pressure.holds() {
		st.flow.drop(t.FirstSeq)
		return s.droppedFrame(s.hold(now, ErrSlow))
	}
	if s.unacked >= s.cfg.UnackedFrames || s.unackedSize+size > s.cfg.UnackedBytes {
		st.flow.drop(t.FirstSeq)
		return s.droppedFrame(streamError(ErrWindow, t.StreamId))
	}
	if ok, until := s.bucket.take(now.Node, len(t.AtDeltaMs)); !ok {
		st.flow.drop(t.FirstSeq)
		return s.droppedFrame(throttle(float64(s.cfg.MaxSamplesPerS), until, nil))
	}
	if s.deps.Take != nil && !s.deps.Take(size) {
		st.flow.drop(t.FirstSeq)
		return s.droppedFrame(s.hold(now, ErrNodeBusy))
	}
	s.dropped = 0
	s.unacked++
	s.unackedSize += size
	episode := st.flow.episode
	u := s.pressure.begin(now)
	// One attempt: the carrier repeats lost messages until the deadline; after that the client's own resend is
	// the repetition, in order.
	return append(s.watchFrames(now), s.ask(now, request{
		to: st.device, attempts: 1, bytes: size,
		msg: &devicev1.Frame{Telemetry: t, Session: s.deps.ID},
		done: func(now step.Now, m proto.Message, err error) []step.Out {
			s.unacked--
			s.unackedSize -= size
			if err != nil {
				s.pressure.end(u)
				return s.onFrameFailed(now, st, failed{t.FirstSeq, episode, fault.Of(err)})
			}
			return append([]step.Out{s.ack(st, m)}, s.stored(now, u)...)
		},
	}))
}

// droppedFrame counts a frame that was not taken. A client that goes on and on regardless is cut off.
func (s *Session) droppedFrame(outs ...step.Out) []step.Out {
	s.dropped++
	if s.dropped > s.cfg.FloodFrames {
		return s.end(wire.CloseFlood, ErrWindow)
	}
	return outs
}

type failed struct {
	first   uint64
	episode uint64
	fault   *fault.Fault
}

func (s *Session) onFrameFailed(now step.Now, st *stream, f failed) []step.Out {
	name := st.spec.StreamId
	if s.streams[name] != st {
		return nil
	}
	e := streamError(f.fault, name)
	switch {
	case f.fault.Code == ErrReplaced.Code:
		return s.end(wire.CloseReplaced, f.fault)
	case f.episode != st.flow.episode:
		return nil // the client has already been sent back further, or has opened the stream anew
	case f.fault.Code == "stream.gap":
		expected := wire.ExpectedSeq(f.fault)
		if expected == 0 {
			expected = st.through + 1
		}
		st.flow.drop(expected)
		e.Msg.GetError().ExpectedSeq = expected
		e.Msg.GetError().Retry = true
	case f.fault.Code == ErrStreamUnknown.Code:
		// The grain that knew this session is gone; the stream is opened again for the client, which then goes on
		// after the seq that stream_opened names.
		st.flow.drop(f.first)
		st.open = false
		return []step.Out{s.askOpen(now, st, true)}
	case f.fault.Retry: // what is behind us does not keep up; the client goes on after the acknowledged seq, later
		st.flow.drop(f.first)
		s.pressure.slow = true
		return []step.Out{s.hold(now, f.fault)}
	default:
		e.Msg.GetError().Seq = f.first
	}
	return []step.Out{e}
}

// ack tells what is durable, with the newest place that this node knows: it rides along, the ack never waits.
func (s *Session) ack(st *stream, m proto.Message) step.Out {
	a := &livev1.Ack{StreamId: st.spec.StreamId}
	if done, ok := m.(*devicev1.FrameDone); ok {
		st.through = max(st.through, done.ThroughSeq)
		a.Refused = done.Refused
		if done.CompetitionId != "" {
			st.competition, st.entry = done.CompetitionId, done.Entry
		}
	}
	a.ThroughSeq = st.through
	if st.competition != "" && s.deps.Standing != nil {
		a.Standing = s.deps.Standing(st.competition, st.entry)
	}
	return frame(&livev1.ServerMessage_Ack{Ack: a})
}
