package session

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/wire"
)

// request is one question to a grain until it is answered for good.
type request struct {
	to       id.Grain
	msg      proto.Message
	attempts int // that may still be made
	bytes    int // taken with Deps.Take
	pause    unit.DurationMs
	done     func(now step.Now, m proto.Message, err error) []step.Out
}

// ask sends a request. A retryable fault is not handed to done before the attempts are used up.
func (s *Session) ask(now step.Now, r request) step.Out {
	s.lastTag++
	r.pause = s.cfg.RetryAfter
	s.requests[s.lastTag] = &r
	return s.send(now, s.lastTag, &r)
}

func (s *Session) send(now step.Now, tag uint64, r *request) step.Out {
	r.attempts--
	return Request{Tag: tag, To: r.to, Msg: r.msg, Deadline: now.Wall.Add(s.cfg.RequestWithin), Bytes: r.bytes}
}

func (s *Session) onAnswered(now step.Now, a Answered) []step.Out {
	r := s.requests[a.Tag]
	if r == nil {
		return nil // answered twice
	}
	if a.Err != nil && fault.Of(a.Err).Retry && r.attempts > 0 {
		at := now.Wall.Add(r.pause)
		r.pause *= 2
		return []step.Out{step.After{Key: retryPrefix + strconv.FormatUint(a.Tag, 10), At: at}}
	}
	delete(s.requests, a.Tag)
	return r.done(now, a.Msg, a.Err)
}

func (s *Session) onRetry(now step.Now, key string) []step.Out {
	n, isRetry := strings.CutPrefix(key, retryPrefix)
	tag, err := strconv.ParseUint(n, 10, 64)
	if !isRetry || err != nil || s.requests[tag] == nil {
		return nil
	}
	return []step.Out{s.send(now, tag, s.requests[tag])}
}

// frame wraps the body of a message to the client. T is one of the oneof's wrappers.
func frame(body any) Frame {
	m := &livev1.ServerMessage{}
	switch b := body.(type) {
	case *livev1.ServerMessage_Welcome:
		m.Message = b
	case *livev1.ServerMessage_StreamOpened:
		m.Message = b
	case *livev1.ServerMessage_Ack:
		m.Message = b
	case *livev1.ServerMessage_CommandResult:
		m.Message = b
	case *livev1.ServerMessage_Throttle:
		m.Message = b
	case *livev1.ServerMessage_Error:
		m.Message = b
	case *livev1.ServerMessage_Goodbye:
		m.Message = b
	case *livev1.ServerMessage_Pong:
		m.Message = b
	}
	return Frame{m}
}

func errorOf(err error) Frame {
	return frame(&livev1.ServerMessage_Error{Error: wire.ErrorOf(err)})
}

func streamError(err error, stream string) Frame {
	e := wire.ErrorOf(err)
	e.StreamId = stream
	return frame(&livev1.ServerMessage_Error{Error: e})
}

func topicError(err error, topic string) Frame {
	e := wire.ErrorOf(err)
	e.Topic = topic
	return frame(&livev1.ServerMessage_Error{Error: e})
}
