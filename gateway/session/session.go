package session

import (
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/wire"
)

// Deps is what a session reads. Every function answers at once, from memory.
type Deps struct {
	ID   string // of the session, unique in the cluster
	Node string // member id: where notices for the session go
	// Verify reads a token; the time is wall clock.
	Verify func(token string, now time.Time) (auth.Principal, time.Time, error)
	// Standing is the newest place that this node's replica knows; nil: none.
	Standing func(competition string, entry uint32) *livev1.Standing
	// Take takes bytes of the node's memory for frames under way, or says that there are none left; nil: there always are.
	// Whoever carries the Request gives them back.
	Take func(bytes int) bool
	// Trace names what the client asks for next: its journal entries and our logs have the name. Nil: it has none.
	Trace func() string
}

type phase uint8

const (
	waiting phase = iota // for hello
	welcomed
	closed
)

// Session is the state of one connection.
type Session struct {
	cfg  Config
	deps Deps

	phase     phase
	principal auth.Principal
	heardAt   unit.InstantMs // wall clock of the last frame
	strikes   int
	dropped   int    // telemetry frames dropped since the last one that went on
	bucket    bucket // samples, node clock
	messages  bucket // of any kind, wall clock
	reactions bucket // wall clock

	streams     map[string]*stream
	unacked     int // frames under way, all streams
	unackedSize int // bytes of them
	pressure    pressure

	topics     map[topicKey]*watching // watched, or being looked up
	followed   map[string]bool        // competitions
	redeciding bool                   // the timer is set
	commands   map[string]bool        // ids under way

	requests map[uint64]*request
	lookups  map[uint64]*looking
	lastTag  uint64
	controls uint64 // sent
}

type topicKey struct{ topic, cut string }

// New begins a session. The first Step should be Begin.
func New(cfg Config, deps Deps) *Session {
	cfg = cfg.withDefaults()
	if cfg.BurstSamples < sample.MaxBatch {
		cfg.BurstSamples = sample.MaxBatch // else a full frame could never pass
	}
	return &Session{
		cfg: cfg, deps: deps,
		bucket:    bucket{perS: int64(cfg.MaxSamplesPerS), burst: int64(cfg.BurstSamples)},
		messages:  bucket{perS: int64(cfg.MessagesPerS), burst: int64(cfg.BurstMessages)},
		streams:   map[string]*stream{},
		topics:    map[topicKey]*watching{},
		followed:  map[string]bool{},
		commands:  map[string]bool{},
		requests:  map[uint64]*request{},
		lookups:   map[uint64]*looking{},
		reactions: bucket{perS: 1, burst: int64(cfg.BurstReactions)},
	}
}

// Faults of a session.
var (
	ErrHelloFirst    = fault.New(fault.Conflict, "session.hello_first", "The first message must be hello.")
	ErrHelloTwice    = fault.New(fault.Conflict, "session.hello_twice", "Hello is said once.")
	ErrSubscriptions = fault.New(fault.Exhausted, "session.subscriptions", "This connection watches too much already.")
	ErrCommands      = fault.New(fault.Exhausted, "session.commands", "Too many commands are under way.")
	ErrFlood         = fault.New(fault.Exhausted, "session.flood", "Too many messages a second.")
)

// timer keys; a retry's key is retryPrefix and the tag.
const (
	keyHello     = "hello"
	keyHeartbeat = "heartbeat"
	keyToken     = "token"
	keySlow      = "slow"
	keyRedecide  = "redecide"
	retryPrefix  = "retry:"
)

// Begin is the first message: the socket is open.
type Begin struct{}

// Principal is who is there.
func (s *Session) Principal() auth.Principal { return s.principal }

// Step handles one message.
func (s *Session) Step(now step.Now, msg any) []step.Out {
	if s.phase == closed {
		return nil
	}
	switch m := msg.(type) {
	case Begin:
		s.heardAt = now.Wall
		return []step.Out{step.After{Key: keyHello, At: now.Wall.Add(s.cfg.HelloWithin)}}
	case Received:
		if !s.heard(now) {
			return s.end(wire.CloseFlood, ErrFlood)
		}
		return s.onMessage(now, m)
	case Malformed:
		if !s.heard(now) {
			return s.end(wire.CloseFlood, ErrFlood)
		}
		return s.onMalformed(m)
	case Answered:
		return s.onAnswered(now, m)
	case Looked:
		return s.onLooked(now, m)
	case HubRefused:
		return s.onHubRefused(m)
	case *clusterv1.SessionNotice:
		return s.onNotice(now, m)
	case step.Tick:
		return s.onTick(now, m.Key)
	case Leave:
		return s.onLeave(m)
	case Disconnected:
		s.phase = closed
		return []step.Out{Gone{}}
	}
	return nil
}

// heard notes that something came, and whether it comes too fast.
func (s *Session) heard(now step.Now) bool {
	s.heardAt = now.Wall
	ok, _ := s.messages.take(now.Wall, 1)
	return ok
}

func (s *Session) onMessage(now step.Now, r Received) []step.Out {
	if hello, ok := r.Msg.Message.(*livev1.ClientMessage_Hello); ok {
		return s.onHello(now, hello.Hello)
	}
	if s.phase == waiting {
		return s.end(wire.CloseOrder, ErrHelloFirst)
	}
	switch m := r.Msg.Message.(type) {
	case *livev1.ClientMessage_Telemetry:
		return s.onTelemetry(now, m.Telemetry, r.Bytes)
	case *livev1.ClientMessage_OpenStream:
		return s.onOpen(now, m.OpenStream)
	case *livev1.ClientMessage_CloseStream:
		return s.onClose(now, m.CloseStream)
	case *livev1.ClientMessage_Skip:
		return s.onSkip(now, m.Skip)
	case *livev1.ClientMessage_Command:
		return s.onCommand(now, m.Command)
	case *livev1.ClientMessage_Subscribe:
		return s.onSubscribe(m.Subscribe)
	case *livev1.ClientMessage_Unsubscribe:
		return s.onUnsubscribe(m.Unsubscribe)
	case *livev1.ClientMessage_Ping:
		return s.onPing(now, m.Ping)
	case *livev1.ClientMessage_ControlResult:
		return s.onControlResult(now, m.ControlResult)
	}
	return []step.Out{errorOf(wire.ErrUnknownMessage)}
}

func (s *Session) onHello(now step.Now, h *livev1.Hello) []step.Out {
	if s.phase != waiting {
		return s.end(wire.CloseOrder, ErrHelloTwice)
	}
	p, until, err := s.deps.Verify(h.Token, now.Wall.Time())
	if err == nil {
		err = auth.Check(p, auth.Hello, auth.Resource{})
	}
	if err != nil {
		if fault.Of(err).Code == auth.ErrExpired.Code {
			return s.end(wire.CloseTokenEnded, err)
		}
		return s.end(wire.CloseUnauthentic, err)
	}
	s.phase, s.principal = welcomed, p
	outs := []step.Out{
		frame(&livev1.ServerMessage_Welcome{Welcome: &livev1.Welcome{
			Session: s.deps.ID, ServerTimeMs: int64(now.Node), ClientTimeMs: h.ClockMs, Principal: p.String(),
			Limits: &livev1.Limits{
				MaxFrameBytes: wire.MaxFrameBytes, MaxSamplesPerS: s.cfg.MaxSamplesPerS,
				UnackedWindowFrames: uint32(s.cfg.UnackedFrames), HeartbeatS: uint32(s.cfg.Heartbeat / unit.Second),
				MaxSubscriptions: uint32(s.cfg.MaxSubscriptions),
			},
		}}),
		step.After{Key: keyHeartbeat, At: now.Wall.Add(s.cfg.Heartbeat)},
	}
	if !until.IsZero() {
		outs = append(outs, step.After{Key: keyToken, At: unit.InstantMs(until.UnixMilli())})
	}
	return outs
}

// onMalformed: a frame that could not be read is a strike; one that says something impossible only an error.
func (s *Session) onMalformed(m Malformed) []step.Out {
	if !wire.Strike(m.Err) {
		if _, hello := m.Msg.GetMessage().(*livev1.ClientMessage_Hello); s.phase == waiting && !hello {
			return s.end(wire.CloseOrder, ErrHelloFirst)
		}
		return []step.Out{s.refusal(m)}
	}
	if fault.Of(m.Err).Code == wire.ErrTooLarge.Code {
		return s.end(wire.CloseTooLarge, m.Err) // its rest is not read, so nothing after it can be
	}
	s.strikes++
	if s.strikes < wire.MaxStrikes {
		return []step.Out{errorOf(m.Err)}
	}
	return s.end(wire.CloseMalformed, m.Err)
}

// refusal names what the refused message was about, as far as it can be known.
func (s *Session) refusal(m Malformed) step.Out {
	e := wire.ErrorOf(m.Err)
	switch v := m.Msg.GetMessage().(type) {
	case *livev1.ClientMessage_Telemetry:
		e.StreamId, e.Seq = v.Telemetry.GetStreamId(), v.Telemetry.GetFirstSeq()
	case *livev1.ClientMessage_OpenStream:
		e.StreamId = v.OpenStream.GetStreamId()
	case *livev1.ClientMessage_Skip:
		e.StreamId = v.Skip.GetStreamId()
	case *livev1.ClientMessage_Subscribe:
		e.Topic = v.Subscribe.GetTopic()
	case *livev1.ClientMessage_Command:
		return frame(&livev1.ServerMessage_CommandResult{CommandResult: &livev1.CommandResult{CommandId: v.Command.GetCommandId(), Error: e}})
	}
	if len(e.StreamId) > wire.MaxIDBytes {
		e.StreamId = ""
	}
	return frame(&livev1.ServerMessage_Error{Error: e})
}

func (s *Session) onTick(now step.Now, key string) []step.Out {
	switch key {
	case keyHello:
		if s.phase == waiting { // a slow network, or a busy machine: nobody's mistake, so that the client comes again
			return s.end(wire.CloseIdle, nil)
		}
	case keyToken:
		return s.end(wire.CloseTokenEnded, auth.ErrExpired)
	case keyHeartbeat:
		if now.Wall.Sub(s.heardAt) > 3*s.cfg.Heartbeat {
			return s.end(wire.CloseIdle, nil)
		}
		return []step.Out{step.After{Key: keyHeartbeat, At: now.Wall.Add(s.cfg.Heartbeat)}}
	case keySlow:
		return s.onSlowTick(now)
	case keyRedecide:
		return s.redecide(now)
	default:
		return s.onRetry(now, key)
	}
	return nil
}

func (s *Session) onLeave(l Leave) []step.Out {
	s.phase = closed
	return []step.Out{
		frame(&livev1.ServerMessage_Goodbye{Goodbye: &livev1.Goodbye{
			Reason: l.Reason, Address: l.Address, ReconnectAfterMs: uint32(l.ReconnectAfter)}}),
		Gone{}, Close{wire.CloseGoing},
	}
}

// onNotice: another connection has a stream of ours, its workout rides in a race now, or its equipment is to be set.
func (s *Session) onNotice(now step.Now, n *clusterv1.SessionNotice) []step.Out {
	switch w := n.What.(type) {
	case *clusterv1.SessionNotice_Replaced:
		if s.streams[w.Replaced.GetStreamId()] == nil {
			return nil // long closed here
		}
		return s.end(wire.CloseReplaced, ErrReplaced)
	case *clusterv1.SessionNotice_Binding:
		if st := s.streams[w.Binding.GetStreamId()]; st != nil {
			return s.bind(st, w.Binding.CompetitionId, w.Binding.Entry)
		}
	case *clusterv1.SessionNotice_Control:
		return s.onControl(now, w.Control)
	}
	return nil
}

// end closes the connection, with an error before it if there is one to tell.
func (s *Session) end(code wire.CloseCode, why error) []step.Out {
	s.phase = closed
	var outs []step.Out
	if why != nil {
		outs = append(outs, errorOf(why))
	}
	return append(outs, Gone{}, Close{code})
}
