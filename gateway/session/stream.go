package session

import (
	"maps"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
)

// stream is one stream that this connection has opened, or is opening.
type stream struct {
	spec     *livev1.OpenStream
	before   *livev1.OpenStream // what was open when it was opened again; in force if that is refused
	device   id.Grain
	person   string // whose workout it is; known when open
	training string // "<person>/<workout>"
	open     bool
	openedAt unit.InstantMs // node clock, of the open_stream that is in force
	through  uint64         // acknowledged
	last     uint64         // what close_stream said
	closed   bool           // close_stream was acknowledged

	competition string
	entry       uint32

	flow  flow
	clock clock
	given []given // settings of its equipment, the newest last
}

// Faults of streams that the session finds by itself.
var (
	ErrClock         = fault.New(fault.Invalid, "clock.implausible", "The device's clock is more than a day off.")
	ErrStreams       = fault.New(fault.Exhausted, "stream.too_many", "This connection has too many open streams.")
	ErrStreamUnknown = fault.New(fault.Conflict, "stream.not_open", "This connection has not opened the stream.")
	ErrStreamOpening = &fault.Fault{Kind: fault.Conflict, Code: "stream.opening", Message: "The stream is not open yet.", Retry: true}
	ErrReplaced      = fault.New(fault.Conflict, "stream.replaced", "Another connection has opened the stream.")
)

// call is who asks. Each message has a trace of its own, and keeps it when it is sent again.
func (s *Session) call() *clusterv1.Call {
	call := &clusterv1.Call{By: s.principal.String()}
	if s.deps.Trace != nil {
		call.Trace = s.deps.Trace()
	}
	return call
}

func (s *Session) onOpen(now step.Now, o *livev1.OpenStream) []step.Out {
	err := auth.Check(s.principal, auth.OpenStream, auth.Resource{Device: o.DeviceId, Person: o.PersonId})
	if err != nil {
		return []step.Out{streamError(err, o.StreamId)}
	}
	if off := now.Node.Sub(unit.InstantMs(o.DeviceTimeMs)); off > s.cfg.ClockOff || off < -s.cfg.ClockOff {
		return []step.Out{streamError(ErrClock.With("%d ms off", off), o.StreamId)}
	}
	if err := s.mayAsk(); err != nil {
		return []step.Out{streamError(err, o.StreamId)}
	}
	st := s.streams[o.StreamId]
	if st == nil && len(s.streams) >= s.cfg.MaxStreams {
		maps.DeleteFunc(s.streams, func(_ string, st *stream) bool { return st.closed && st.through >= st.last })
	}
	switch {
	case st == nil && len(s.streams) >= s.cfg.MaxStreams:
		return []step.Out{streamError(ErrStreams.With("at most %d", s.cfg.MaxStreams), o.StreamId)}
	case st == nil:
		st = &stream{}
		s.streams[o.StreamId] = st
	case st.spec.DeviceId != o.DeviceId:
		return []step.Out{streamError(ErrReplaced.With("open on another device"), o.StreamId)}
	}
	if st.open {
		st.before = st.spec
	}
	st.spec, st.device, st.open = o, id.Grain{Kind: id.Device, ID: o.DeviceId}, false
	st.openedAt = now.Node
	st.clock = clock{kind: o.Clock}
	return []step.Out{s.askOpen(now, st, false)}
}

// askOpen asks the grain. again: for the client, which has opened before and does not know that the grain has forgotten it.
func (s *Session) askOpen(now step.Now, st *stream, again bool) step.Out {
	return s.ask(now, request{
		to: st.device, attempts: s.cfg.Attempts,
		msg: &devicev1.Open{Call: s.call(), Open: st.spec, Node: s.deps.Node, Session: s.deps.ID, NodeTimeMs: int64(st.openedAt), Again: &again},
		done: func(_ step.Now, m proto.Message, err error) []step.Out {
			return s.onOpened(st, m, err)
		},
	})
}

func (s *Session) onOpened(st *stream, m proto.Message, err error) []step.Out {
	name := st.spec.StreamId
	done, ok := m.(*devicev1.OpenDone)
	if err == nil && !ok {
		err = errAnswer(m)
	}
	switch {
	case err != nil && st.before != nil: // an error ends nothing but the message it answers
		st.spec, st.before, st.open = st.before, nil, true
		st.clock = clock{kind: st.spec.Clock}
		return []step.Out{streamError(err, name)}
	case err != nil:
		if s.streams[name] == st {
			delete(s.streams, name)
		}
		return []step.Out{streamError(err, name)}
	}
	st.open, st.before, st.training = true, nil, done.Training
	st.person = id.Grain{Kind: id.Training, ID: done.Training}.Affinity()
	st.through = max(st.through, done.ThroughSeq)
	st.flow.restart()
	outs := []step.Out{frame(&livev1.ServerMessage_StreamOpened{
		StreamOpened: &livev1.StreamOpened{StreamId: name, ThroughSeq: done.ThroughSeq}})}
	return append(outs, s.bind(st, done.CompetitionId, done.Entry)...)
}

// bind notes the race in which the stream's workout rides; the node then follows its board.
func (s *Session) bind(st *stream, competition string, entry uint32) []step.Out {
	if competition == "" {
		return nil
	}
	st.competition, st.entry = competition, entry
	if s.followed[competition] {
		return nil
	}
	s.followed[competition] = true
	return []step.Out{Follow{competition}}
}

// ours finds a stream that this connection has open.
func (s *Session) ours(op auth.Operation, name string) (*stream, error) {
	if err := auth.Check(s.principal, op, auth.Resource{}); err != nil {
		return nil, err
	}
	st := s.streams[name]
	if st == nil {
		return nil, ErrStreamUnknown
	}
	if !st.open {
		return nil, ErrStreamOpening
	}
	return st, nil
}

func (s *Session) onClose(now step.Now, c *livev1.CloseStream) []step.Out {
	st, err := s.ours(auth.CloseStream, c.StreamId)
	if err == nil {
		err = s.mayAsk()
	}
	if err != nil {
		return []step.Out{streamError(err, c.StreamId)}
	}
	return []step.Out{s.ask(now, request{
		to: st.device, attempts: s.cfg.Attempts,
		msg: &devicev1.Close{Call: s.call(), StreamId: c.StreamId, LastSeq: c.LastSeq},
		done: func(_ step.Now, m proto.Message, err error) []step.Out {
			if err != nil {
				return []step.Out{streamError(err, c.StreamId)}
			}
			st.closed, st.last = true, c.LastSeq
			return []step.Out{s.ack(st, m)}
		},
	})}
}

func (s *Session) onSkip(now step.Now, k *livev1.Skip) []step.Out {
	st, err := s.ours(auth.SkipSamples, k.StreamId)
	if err == nil {
		err = s.mayAsk()
	}
	if err != nil {
		return []step.Out{streamError(err, k.StreamId)}
	}
	return []step.Out{s.ask(now, request{
		to: st.device, attempts: s.cfg.Attempts,
		msg: &devicev1.SkipSeqs{Call: s.call(), Skip: k, Session: s.deps.ID},
		done: func(_ step.Now, m proto.Message, err error) []step.Out {
			if err != nil {
				return []step.Out{streamError(err, k.StreamId)}
			}
			return []step.Out{s.ack(st, m)}
		},
	})}
}

// errAnswer is our own mistake: a grain answered with a message that does not belong to the question.
func errAnswer(m proto.Message) error {
	return fault.New(fault.Internal, "internal", "Something went wrong on our side.").With("answer %T", m)
}
