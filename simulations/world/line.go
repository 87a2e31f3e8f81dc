package world

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/session"
)

// line is one connection of a client to a gateway: ordered in each direction, until it is cut. The gateway's end is a
// session, the very one that a node runs.
type line struct {
	w       *World
	gate    *gate
	life    uint64 // of the gateway
	name    string // of the session
	conn    hub.Conn
	session *session.Session
	timers  map[string]uint64
	cut     bool

	up, down unit.InstantMs // nothing overtakes what was sent before
	hear     func(*livev1.ServerMessage)
	closed   func()
	watch    func(session.Subscribe)
}

var errLate = fault.Later("world.no_answer", "No answer in time.")

// dial opens a connection and says hello. closed is called once, whoever ends it.
func (w *World) dial(g *gate, principal string, hear func(*livev1.ServerMessage), closed func()) *line {
	w.lines++
	g.conns++
	l := &line{w: w, gate: g, life: g.life, name: fmt.Sprintf("s%05d", w.lines), conn: g.conns, timers: map[string]uint64{}, hear: hear, closed: closed}
	l.session = session.New(session.Config{}, session.Deps{ID: l.name, Node: g.name, Standing: g.hub.Standing,
		Verify: func(token string, _ time.Time) (auth.Principal, time.Time, error) {
			if token == "" {
				return auth.Principal{}, time.Time{}, nil
			}
			p, err := auth.ParsePrincipal(token)
			return p, time.Time{}, err
		}})
	g.lines = append(g.lines, l)
	l.step(session.Begin{})
	l.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{Token: principal, Client: "world", ClockMs: int64(w.now().Node)}}})
	return l
}

// send is what the client says; it arrives in order.
func (l *line) send(m *livev1.ClientMessage) {
	l.up = max(l.up, l.w.wall.Add(1+l.w.upTo(l.w.faults.NetDelay)))
	l.w.in(l.up.Sub(l.w.wall), func() {
		l.step(session.Received{Msg: proto.Clone(m).(*livev1.ClientMessage), Bytes: proto.Size(m)})
	})
}

// tell brings a frame to the client, in order.
func (l *line) tell(f func()) {
	l.down = max(l.down, l.w.wall.Add(1+l.w.upTo(l.w.faults.NetDelay)))
	l.w.in(l.down.Sub(l.w.wall), func() {
		if !l.cut {
			f()
		}
	})
}

// drop cuts the connection: neither side is told what was on its way.
func (l *line) drop() {
	if l.cut {
		return
	}
	l.cut = true
	if l.gate.life == l.life {
		l.perform(l.session.Step(l.w.now(), session.Disconnected{}))
	}
	l.w.in(1+l.w.upTo(l.w.faults.NetDelay), l.closed)
}

func (l *line) step(msg any) {
	if l.cut || l.gate.life != l.life {
		return
	}
	l.w.steps++
	l.perform(l.session.Step(l.w.now(), msg))
}

func (l *line) perform(outs []step.Out) {
	for _, o := range outs {
		switch o := o.(type) {
		case session.Frame:
			l.tell(func() { l.hear(proto.Clone(o.Msg).(*livev1.ServerMessage)) })
		case session.Newest:
			if l.w.now().Node < o.Until {
				l.tell(func() { l.hear(proto.Clone(o.Msg).(*livev1.ServerMessage)) })
			}
		case session.Request:
			l.request(o)
		case session.Lookup:
			l.w.in(1+l.w.upTo(l.w.faults.StoreDelay), func() { l.step(session.Looked{Tag: o.Tag, Resource: auth.Resource{Public: true}}) })
		case session.Subscribe:
			l.watch(o)
		case session.Follow:
			l.gate.step(hub.Follow{Conn: l.conn, Competition: o.Competition})
		case session.Gone:
			l.gate.step(hub.Gone{Conn: l.conn})
		case session.Close:
			l.w.count(fmt.Sprintf("connection closed: %d", o.Code))
			l.tell(func() { l.cut = true; l.closed() })
		case step.After:
			l.timers[o.Key]++
			n := l.timers[o.Key]
			l.w.in(o.At.Sub(l.w.wall), func() {
				if l.timers[o.Key] == n {
					l.step(step.Tick{Key: o.Key})
				}
			})
		}
	}
}

// request is what a node's carrier does: it repeats what has no answer until the deadline.
func (l *line) request(o session.Request) {
	answered := false
	answer := func(m any, err error) {
		if answered {
			return
		}
		answered = true
		reply, _ := m.(proto.Message)
		l.step(session.Answered{Tag: o.Tag, Msg: reply, Err: err})
	}
	var try func()
	try = func() {
		if answered || l.gate.life != l.life {
			return
		}
		if l.w.wall >= o.Deadline {
			answer(nil, errLate)
			return
		}
		l.w.ask(o.To, proto.Clone(o.Msg), func(m any, err error) {
			var f *fault.Fault
			if errors.As(err, &f) && f.Code == "machine.moved" {
				return // asked again, wherever the grain is then
			}
			answer(m, err)
		})
		l.w.in(1500, try)
	}
	try()
}

// notice brings what a device says to the session that it is for.
func (w *World) notice(node, session string, msg any) {
	for _, g := range w.gates {
		if g.name != node {
			continue
		}
		for _, l := range g.lines {
			if l.name == session {
				w.deliver(func() { l.step(msg) })
			}
		}
	}
}
