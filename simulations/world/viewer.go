package world

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"paceline/api/board"
	"paceline/api/gen/paceline/cluster/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/hub"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

// gate is a gateway's hub at work.
type gate struct {
	w      *World
	name   string
	hub    *hub.Hub
	life   uint64 // rises with each restart
	timers map[string]uint64
	conns  hub.Conn
	lines  []*line
}

// openGates starts two gateways.
func (w *World) openGates() {
	for i := range 2 {
		g := &gate{w: w, name: fmt.Sprintf("g%d", i)}
		g.start()
		w.gates = append(w.gates, g)
	}
}

func (g *gate) start() {
	g.life++
	g.timers = map[string]uint64{}
	g.hub = hub.New(hub.Config{Node: g.name})
}

// kill ends the process: what it had goes with it, its clients come again elsewhere, with what they have.
func (g *gate) kill() {
	g.start()
	lines := g.lines
	g.lines = nil
	for _, l := range lines {
		l.drop()
	}
}

// forgetLines lets go of connections that are over.
func (g *gate) forgetLines() {
	g.lines = slices.DeleteFunc(g.lines, func(l *line) bool { return l.cut })
}

func (w *World) other(g *gate) *gate {
	if w.gates[0] == g {
		return w.gates[1]
	}
	return w.gates[0]
}

func (g *gate) step(msg any) {
	life := g.life
	for _, o := range g.hub.Step(g.w.now(), msg) {
		switch o := o.(type) {
		case hub.Publish:
			for _, s := range o.To {
				s.Offer(o.Frame)
			}
		case step.Send:
			g.w.send(o.To, o.Msg)
		case step.After:
			g.timers[o.Key]++
			n := g.timers[o.Key]
			g.w.in(unit.DurationMs(o.At-g.w.wall), func() {
				if g.life == life && g.timers[o.Key] == n {
					g.step(step.Tick{Key: o.Key})
				}
			})
		case hub.Refuse:
			g.w.failf("a hub refuses: %v", o.Err)
		}
	}
}

// update brings fan-out to the node's hub: late, perhaps lost, perhaps twice.
func (w *World) update(node string, u *clusterv1.TopicUpdate) {
	if w.onTopic != nil {
		w.onTopic(u)
	}
	if w.onUpdate != nil && w.onUpdate(node) {
		w.count("update lost")
		return
	}
	for _, g := range w.gates {
		if g.name == node {
			w.deliver(func() { g.step(proto.Clone(u)) })
		}
	}
}

// viewer watches a board through a gateway, and keeps what it shows.
type viewer struct {
	w              *World
	name           string
	gate           *gate
	line           *line
	slot           *hub.Slot
	epoch, version uint64
	recovering     bool
	head           *livev1.Board
	rows           map[uint32]*livev1.BoardRow
	sub            uint32 // the gateway's number for the board; 0: not named on this connection
	frames         int
	onFrame        func()
}

func (w *World) watch(name string, g *gate) *viewer {
	v := &viewer{w: w, name: name, rows: map[uint32]*livev1.BoardRow{}}
	w.viewers = append(w.viewers, v)
	v.watch(g)
	return v
}

func (w *World) board() wire.Topic { return wire.Topic{Kind: wire.Board, ID: w.plan.competition} }

// watch connects to a gateway and begins to watch, from what the viewer has.
func (v *viewer) watch(g *gate) {
	v.leave()
	v.gate = g
	var l *line
	l = v.w.dial(g, "", func(m *livev1.ServerMessage) {
		if m.GetWelcome() != nil {
			l.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Subscribe{Subscribe: &livev1.Subscribe{
				Topic: v.w.board().String(), Epoch: v.epoch, Version: v.version}}})
		}
		if e := m.GetError(); e != nil {
			v.w.failf("%s is told: %v", v.name, e)
		}
	}, func() {
		if v.line == l {
			v.w.in(unit.Second, func() {
				if v.line == l {
					v.watch(v.w.other(g))
				}
			})
		}
	})
	l.watch = func(o session.Subscribe) {
		v.slot, v.sub = hub.NewSlot(o.Epoch, o.Version, v), 0
		g.step(hub.Subscribe{Conn: l.conn, Topic: o.Topic, Cut: o.Cut, Viewer: o.Viewer, Slot: v.slot})
	}
	v.line = l
	v.ping(l)
}

// ping keeps the connection: a client says something now and then.
func (v *viewer) ping(l *line) {
	v.w.in(20*unit.Second, func() {
		if v.line == l && !l.cut {
			l.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Ping{Ping: &livev1.Ping{T0Ms: int64(v.w.now().Node)}}})
			v.ping(l)
		}
	})
}

// leave closes the connection.
func (v *viewer) leave() {
	if l := v.line; l != nil {
		v.line, v.gate = nil, nil
		l.drop()
	}
}

// Ready implements hub.Watcher: the connection's write loop comes to it soon.
func (v *viewer) Ready(s *hub.Slot) { v.w.in(20, func() { v.take(s) }) }

// Refused implements hub.Watcher.
func (v *viewer) Refused(_ *hub.Slot, err error) { v.w.failf("%s is refused: %v", v.name, err) }

func (v *viewer) take(s *hub.Slot) {
	if v.slot != s || v.line == nil || v.line.cut {
		return // of a connection that is closed
	}
	for more := true; more; {
		t := s.Take(wire.Proto)
		more = t.More
		if t.Bytes == nil {
			continue
		}
		m, err := wire.DecodeServer(wire.Proto, t.Bytes)
		if err != nil {
			v.w.failf("%s: %v", v.name, err)
			return
		}
		v.show(m)
	}
}

func (v *viewer) show(m *livev1.ServerMessage) {
	v.frames++
	shown := board.View{Head: v.head, Rows: v.rows}
	if s := m.GetSnapshot(); s != nil {
		v.move(s.Epoch, s.Version)
		v.recovering, v.sub = s.Recovering, s.Sub
		shown.Take(s.GetBoard())
	}
	if d := m.GetDelta(); d != nil {
		if d.Epoch != v.epoch || d.Base != v.version {
			v.w.failf("%s has {%d, %d} and is sent the change since {%d, %d}", v.name, v.epoch, v.version, d.Epoch, d.Base)
		}
		v.move(d.Epoch, d.Version)
		if d.Topic != "" {
			v.sub = d.Sub
		}
		if d.Sub != v.sub || d.Sub == 0 {
			v.w.failf("%s knows its board as number %d and is sent a change of number %d", v.name, v.sub, d.Sub)
		}
		v.recovering = d.Recovering
		shown.Change(d.GetBoard())
	}
	v.head, v.rows = shown.Head, shown.Rows
	if v.onFrame != nil {
		v.onFrame()
	}
}

func (v *viewer) move(epoch, version uint64) {
	if epoch < v.epoch || epoch == v.epoch && version < v.version {
		v.w.failf("%s goes back from {%d, %d} to {%d, %d}", v.name, v.epoch, v.version, epoch, version)
	}
	v.epoch, v.version = epoch, version
}

// shows is the viewer's board in one form.
func (v *viewer) shows() string {
	s := fmt.Sprintf("%v recovering %v\n", v.head.GetState(), v.recovering)
	for _, e := range slices.Sorted(maps.Keys(v.rows)) {
		s += v.rows[e].String() + "\n"
	}
	return s
}

// checkViewers: when nothing goes wrong any more, every viewer shows what one shows that has just come.
func (w *World) checkViewers() {
	if len(w.gates) == 0 {
		return
	}
	w.faults, w.disagreeUntil, w.onMessage, w.onOut = Calm(), 0, nil, nil
	w.runFor(30 * unit.Second)
	fresh := &gate{w: w, name: "g2"}
	fresh.start()
	w.gates = append(w.gates, fresh)
	newcomer := w.watch("newcomer", fresh)
	w.runFor(30 * unit.Second)
	want := newcomer.shows()
	if newcomer.frames == 0 {
		w.failf("a newcomer is shown nothing")
	}
	for _, v := range w.viewers {
		if got := v.shows(); got != want {
			w.failf("%s shows {%d, %d}\n%sa newcomer {%d, %d}\n%s", v.name, v.epoch, v.version, got, newcomer.epoch, newcomer.version, want)
		}
		v.leave()
	}
	w.runFor(30 * unit.Second) // the interests end
}

func (w *World) runFor(d unit.DurationMs) {
	for until := w.wall.Add(d); len(w.failures) == 0 && w.next(until); {
	}
}
