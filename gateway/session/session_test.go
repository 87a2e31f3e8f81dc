package session_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

const begin = unit.InstantMs(1_718_462_760_000)

// rig steps one session and keeps what comes out.
type rig struct {
	t      testing.TB
	s      *session.Session
	now    step.Now
	asked  []session.Request
	sent   []*livev1.ServerMessage
	newest []session.Newest
	outs   []step.Out
	timer  map[string]unit.InstantMs
	code   wire.CloseCode
	room   *int // bytes of the node's memory that are left; nil: enough
	traces int  // that were made
}

var errBad = fault.New(fault.Unauthentic, "auth.token", "no")

func start(t testing.TB, cfg session.Config) *rig {
	t.Helper()
	r := &rig{t: t, now: step.Now{Wall: begin, Node: begin}, timer: map[string]unit.InstantMs{}}
	r.s = session.New(cfg, session.Deps{
		ID: "session-1", Node: "n1",
		Verify: func(token string, now time.Time) (auth.Principal, time.Time, error) {
			switch token {
			case "bad":
				return auth.Principal{}, time.Time{}, errBad
			case "old":
				return auth.Principal{}, time.Time{}, auth.ErrExpired
			case "":
				return auth.Principal{}, time.Time{}, nil
			}
			p, err := auth.ParsePrincipal(token)
			return p, now.Add(time.Hour), err
		},
		Take: func(n int) bool {
			if r.room == nil || *r.room < n {
				return r.room == nil
			}
			*r.room -= n
			return true
		},
		Trace: func() string {
			r.traces++
			return fmt.Sprint("trace-", r.traces)
		},
		Standing: func(c string, entry uint32) *livev1.Standing {
			return &livev1.Standing{CompetitionId: c, Entry: entry, Place: 3}
		},
	})
	r.step(session.Begin{})
	return r
}

// as says hello.
func as(t testing.TB, cfg session.Config, token string) *rig {
	t.Helper()
	r := start(t, cfg)
	r.say(&livev1.Hello{Token: token, ClockMs: 5})
	if w := r.last().GetWelcome(); w == nil {
		t.Fatalf("hello was answered with %v", r.last())
	}
	return r
}

func (r *rig) step(msg any) {
	r.t.Helper()
	for _, out := range r.s.Step(r.now, msg) {
		r.outs = append(r.outs, out)
		switch o := out.(type) {
		case session.Frame:
			r.sent = append(r.sent, o.Msg)
		case session.Newest:
			r.newest = append(r.newest, o)
		case session.Request:
			r.asked = append(r.asked, o)
		case step.After:
			r.timer[o.Key] = o.At
		case session.Close:
			r.code = o.Code
		}
	}
}

// say sends a client's message the way a connection does: encoded, decoded, then stepped.
func (r *rig) say(body proto.Message) {
	r.t.Helper()
	m := &livev1.ClientMessage{}
	switch b := body.(type) {
	case *livev1.Hello:
		m.Message = &livev1.ClientMessage_Hello{Hello: b}
	case *livev1.OpenStream:
		m.Message = &livev1.ClientMessage_OpenStream{OpenStream: b}
	case *livev1.CloseStream:
		m.Message = &livev1.ClientMessage_CloseStream{CloseStream: b}
	case *livev1.Telemetry:
		m.Message = &livev1.ClientMessage_Telemetry{Telemetry: b}
	case *livev1.Skip:
		m.Message = &livev1.ClientMessage_Skip{Skip: b}
	case *livev1.Command:
		m.Message = &livev1.ClientMessage_Command{Command: b}
	case *livev1.Subscribe:
		m.Message = &livev1.ClientMessage_Subscribe{Subscribe: b}
	case *livev1.Unsubscribe:
		m.Message = &livev1.ClientMessage_Unsubscribe{Unsubscribe: b}
	case *livev1.Ping:
		m.Message = &livev1.ClientMessage_Ping{Ping: b}
	case *livev1.ControlResult:
		m.Message = &livev1.ClientMessage_ControlResult{ControlResult: b}
	}
	frame := wire.Encode(wire.Proto, m)
	got, err := wire.Decode(wire.Proto, frame)
	if err != nil {
		r.step(session.Malformed{Msg: got, Err: err})
		return
	}
	r.step(session.Received{Msg: got, Bytes: len(frame)})
}

func (r *rig) last() *livev1.ServerMessage {
	r.t.Helper()
	if len(r.sent) == 0 {
		r.t.Fatal("nothing was sent")
	}
	return r.sent[len(r.sent)-1]
}

// question takes the oldest request that was not answered yet.
func (r *rig) question() session.Request {
	r.t.Helper()
	if len(r.asked) == 0 {
		r.t.Fatal("nothing was asked")
	}
	q := r.asked[0]
	r.asked = r.asked[1:]
	return q
}

func (r *rig) answer(q session.Request, m proto.Message, err error) {
	r.t.Helper()
	r.step(session.Answered{Tag: q.Tag, Msg: m, Err: err})
}

func (r *rig) open(stream string) {
	r.t.Helper()
	r.say(opening(stream))
	q := r.question()
	r.answer(q, &devicev1.OpenDone{StreamId: stream, Training: "ann/w1"}, nil)
	if r.last().GetStreamOpened().GetStreamId() != stream {
		r.t.Fatalf("open_stream was answered with %v", r.last())
	}
}

func opening(stream string) *livev1.OpenStream {
	return &livev1.OpenStream{DeviceId: "ann/watch", StreamId: stream, WorkoutId: "w1", Clock: livev1.ClockKind_CLOCK_KIND_FREE,
		Channels:     []*livev1.ChannelSpec{{Channel: livev1.Channel_CHANNEL_POWER_W, Trust: livev1.Trust_TRUST_MEASURED}},
		DeviceTimeMs: int64(begin)}
}

func samples(stream string, first uint64, n int) *livev1.Telemetry {
	f := &livev1.Telemetry{StreamId: stream, FirstSeq: first, BaseTimeMs: int64(begin)}
	c := &livev1.Column{Channel: livev1.Channel_CHANNEL_POWER_W}
	for range n {
		f.AtDeltaMs = append(f.AtDeltaMs, 1000)
		c.Values = append(c.Values, 200)
	}
	f.Columns = []*livev1.Column{c}
	return f
}

func done(stream string, through uint64) *devicev1.FrameDone {
	return &devicev1.FrameDone{StreamId: stream, ThroughSeq: through}
}

func (r *rig) wantError(code string) *livev1.Error {
	r.t.Helper()
	e := r.last().GetError()
	if e.GetCode() != code {
		r.t.Fatalf("last = %v, want error %s", r.last(), code)
	}
	return e
}

func (r *rig) wantClosed(code wire.CloseCode) {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("closed with %d, want %d", r.code, code)
	}
	before := len(r.outs)
	r.say(&livev1.Ping{T0Ms: 1})
	if len(r.outs) != before {
		r.t.Error("a closed session still answers")
	}
}

func TestHello(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *rig)
		want wire.CloseCode
	}{
		{"anything before it", func(r *rig) { r.say(&livev1.Ping{}) }, wire.CloseOrder},
		{"twice", func(r *rig) { r.say(&livev1.Hello{}); r.say(&livev1.Hello{}) }, wire.CloseOrder},
		{"late", func(r *rig) { r.now.Wall = r.timer["hello"]; r.step(step.Tick{Key: "hello"}) }, wire.CloseIdle},
		{"nonsense before it", func(r *rig) { r.step(session.Malformed{Err: wire.ErrUnknownMessage}) }, wire.CloseOrder},
		{"a forged token", func(r *rig) { r.say(&livev1.Hello{Token: "bad"}) }, wire.CloseUnauthentic},
		{"an old token", func(r *rig) { r.say(&livev1.Hello{Token: "old"}) }, wire.CloseTokenEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, session.Config{})
			tt.do(r)
			r.wantClosed(tt.want)
		})
	}
	t.Run("with a field that is too long", func(t *testing.T) {
		r := start(t, session.Config{})
		r.step(session.Malformed{Msg: &livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{}}}, Err: wire.ErrTooLong})
		r.wantError("wire.too_long")
		r.say(&livev1.Hello{})
		if r.code != 0 || r.last().GetWelcome() == nil {
			t.Errorf("closed with %d, last %v: a better hello is welcome", r.code, r.last())
		}
	})
	r := as(t, session.Config{}, "athlete:ann")
	w := r.last().GetWelcome()
	if w.Principal != "athlete:ann" || w.ServerTimeMs != int64(begin) || w.ClientTimeMs != 5 || w.Limits.UnackedWindowFrames != 32 {
		t.Errorf("welcome = %v", w)
	}
	r.step(step.Tick{Key: "hello"}) // the timer that is still set does nothing now
	if r.code != 0 {
		t.Errorf("closed with %d after a good hello", r.code)
	}
}

func TestTokenEndsTheSession(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	if got, want := r.timer["token"], begin.Add(unit.Hour); got != want {
		t.Fatalf("token timer at %d, want %d", got, want)
	}
	r.step(step.Tick{Key: "token"})
	r.wantError("auth.token_expired")
	r.wantClosed(wire.CloseTokenEnded)
}

func TestStrikes(t *testing.T) {
	r := as(t, session.Config{}, "")
	for i := range wire.MaxStrikes {
		if r.code != 0 {
			t.Fatalf("closed after %d strikes", i)
		}
		r.step(session.Malformed{Err: wire.ErrUnknownMessage}) // no strike
		r.step(session.Malformed{Err: wire.ErrMalformed})
		r.wantError("wire.malformed")
	}
	r.wantClosed(wire.CloseMalformed)

	r = as(t, session.Config{}, "")
	r.step(session.Malformed{Err: wire.ErrTooLarge})
	r.wantClosed(wire.CloseTooLarge)
}

func TestHeartbeat(t *testing.T) {
	r := as(t, session.Config{}, "")
	for range 3 {
		r.now.Wall = r.timer["heartbeat"]
		r.step(step.Tick{Key: "heartbeat"})
	}
	if r.code != 0 {
		t.Fatal("closed within three heartbeats")
	}
	r.say(&livev1.Ping{})
	for range 3 {
		r.now.Wall = r.timer["heartbeat"]
		r.step(step.Tick{Key: "heartbeat"})
	}
	if r.code != 0 {
		t.Fatal("closed although a ping came")
	}
	r.now.Wall = r.timer["heartbeat"]
	r.step(step.Tick{Key: "heartbeat"})
	r.wantClosed(wire.CloseIdle)
}

func TestMessagesHaveARate(t *testing.T) {
	r := as(t, session.Config{MessagesPerS: 10, BurstMessages: 20}, "")
	for range 19 { // hello was the first
		r.say(&livev1.Ping{})
	}
	r.now.Wall = r.now.Wall.Add(unit.Second)
	for range 10 {
		r.say(&livev1.Ping{})
	}
	if r.code != 0 {
		t.Fatal("closed within the rate")
	}
	r.say(&livev1.Ping{})
	r.wantError("session.flood")
	r.wantClosed(wire.CloseFlood)
}

func TestLookupsAreBounded(t *testing.T) {
	r := as(t, session.Config{MaxSubscriptions: 5}, "")
	for range 10 {
		r.say(&livev1.Subscribe{Topic: "competition/race/board"})
	}
	r.say(&livev1.Subscribe{Topic: "competition/race/board"})
	r.wantError("session.subscriptions")
}

func TestLeave(t *testing.T) {
	r := as(t, session.Config{}, "")
	r.step(session.Leave{Reason: "restart", Address: "ws://other/live", ReconnectAfter: 700})
	g := r.last().GetGoodbye()
	if g.GetReason() != "restart" || g.Address != "ws://other/live" || g.ReconnectAfterMs != 700 {
		t.Errorf("goodbye = %v", g)
	}
	r.wantClosed(wire.CloseGoing)
}

func TestDisconnectedEndsWhatTheHubDoes(t *testing.T) {
	r := as(t, session.Config{}, "")
	r.step(session.Disconnected{})
	if _, ok := r.outs[len(r.outs)-1].(session.Gone); !ok {
		t.Errorf("last out = %v, want gone", r.outs[len(r.outs)-1])
	}
}

func TestAGrainThatAnswersNonsense(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.say(opening("s1"))
	r.answer(r.question(), &clusterv1.Ack{}, nil)
	if e := r.wantError("internal"); e.Detail != "" {
		t.Errorf("error = %v", e)
	}
}
