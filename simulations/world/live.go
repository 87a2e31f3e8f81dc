package world

import (
	"paceline/api/gen/paceline/live/v1"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// The clients of a world with gateways: they speak the live protocol, and know of nothing behind it.

// windowFrames is how many frames a client has under way.
const windowFrames = 3

// stuckAfter is how long a client waits for anything before it connects again.
const stuckAfter = 12 * unit.Second

// connect opens a connection through one of the gateways, and the stream on it.
func (c *source) connect() {
	c.n++
	n, w := c.n, c.w
	if c.line != nil {
		c.line.drop()
	}
	c.open, c.sent, c.under = false, c.acked, 0
	c.line = w.dial(w.gates[c.n%2], "device:"+c.s.device, func(m *livev1.ServerMessage) {
		if c.n == n {
			c.heard = w.wall
			c.hear(m)
		}
	}, func() {
		if c.n == n && !c.done {
			w.in(500+w.upTo(unit.Second), func() {
				if c.n == n {
					c.connect()
				}
			})
		}
	})
	c.heard = w.wall
	c.watchdog(n)
}

// watchdog: a connection on which nothing is heard while something is waited for is given up.
func (c *source) watchdog(n int) {
	c.w.in(stuckAfter, func() {
		switch {
		case c.n != n || c.done:
		case c.w.wall.Sub(c.heard) >= stuckAfter && (!c.open || c.under > 0):
			c.w.count("client gives a connection up")
			c.connect()
		default:
			c.watchdog(n)
		}
	})
}

func (c *source) say(m *livev1.ClientMessage) { c.line.send(m) }

func (c *source) sayOpen() {
	c.say(&livev1.ClientMessage{Message: &livev1.ClientMessage_OpenStream{OpenStream: &livev1.OpenStream{
		DeviceId: c.s.device, StreamId: c.s.id, WorkoutId: c.r.workout, PersonId: c.r.user, Channels: c.channels(), Clock: c.s.kind, Sport: "run",
		DeviceTimeMs: int64(c.w.now().Node)}}})
}

// hear is what the server says.
func (c *source) hear(m *livev1.ServerMessage) {
	switch m := m.Message.(type) {
	case *livev1.ServerMessage_Welcome:
		c.sayOpen()
	case *livev1.ServerMessage_StreamOpened:
		c.open, c.acked = true, max(c.acked, m.StreamOpened.ThroughSeq)
		c.sent, c.under = c.acked, 0
		c.flow()
	case *livev1.ServerMessage_Ack:
		if len(m.Ack.Refused) > 0 {
			c.w.failf("samples refused: %v", m.Ack.Refused)
		}
		c.acked, c.under = max(c.acked, m.Ack.ThroughSeq), max(c.under-1, 0)
		c.sent = max(c.sent, c.acked)
		if l := c.s.lost; l[1] > l[0] && int(c.acked) >= l[1] {
			c.skipped = true
		}
		c.flow()
	case *livev1.ServerMessage_Error:
		c.refused(m.Error)
	case *livev1.ServerMessage_Throttle:
		c.goBack(unit.DurationMs(max(m.Throttle.UntilMs-int64(c.w.now().Node), 100)))
	}
}

// refused: go back to where the server is, or open the stream again.
func (c *source) refused(e *livev1.Error) {
	c.w.count("client is told: " + e.Code)
	switch {
	case e.Code == "stream.replaced":
		// the connection is closed with it
	case !c.open && e.Retry, e.Code == "stream.not_open":
		n := c.n
		c.open = false
		c.w.in(unit.Second, func() {
			if c.n == n && !c.open {
				c.sayOpen()
			}
		})
	case e.Retry:
		c.goBack(300)
	default:
		c.w.failf("the client is told: %v", e)
	}
}

// goBack sends again what is not acknowledged, after a pause.
func (c *source) goBack(pause unit.DurationMs) {
	n := c.n
	c.w.in(pause, func() {
		if c.n == n && c.open {
			c.sent, c.under = c.acked, 0
			c.flow()
		}
	})
}

// flow sends as much as there is and the window lets.
func (c *source) flow() {
	w := c.w
	for c.open && !c.done && c.under < windowFrames {
		have, l, at := c.have(), c.s.lost, int(c.sent)
		hole := l[1] > l[0] && at >= l[0] && at < l[1]
		switch {
		case int(c.acked) >= c.length():
			c.done = true
			c.line.drop()
			w.streamDone(c.r)
			return
		case hole && int(c.acked) == at && have >= l[1]:
			c.under++
			c.sent = uint64(l[1])
			c.say(&livev1.ClientMessage{Message: &livev1.ClientMessage_Skip{Skip: &livev1.Skip{
				StreamId: c.s.id, FromSeq: uint64(at + 1), ToSeq: uint64(l[1]), Reason: "lost"}}})
			return
		case hole, have <= at:
			if !c.looking {
				c.looking = true
				w.in(unit.Second, func() { c.looking = false; c.flow() })
			}
			return
		}
		to := min(have, at+1+w.clock.rand.IntN(20))
		if at < l[0] && l[1] > l[0] {
			to = min(to, l[0])
		}
		c.under++
		c.sent = uint64(to)
		c.say(&livev1.ClientMessage{Message: &livev1.ClientMessage_Telemetry{Telemetry: c.frame(at, to)}})
	}
}

// athlete is a person's own connection, for commands. A command is said again, with the same id, until it is answered.
func (w *World) athlete(r *rider, c *livev1.Command, done func()) {
	c.CommandId = id.New(w.node(w.wall), random10(w.clock.rand))
	c.WorkoutId = r.workout
	answered := false
	tries := 0
	var connect func()
	connect = func() {
		if answered {
			return
		}
		tries++
		try := tries
		var l *line
		again := func() {
			if !answered && try == tries {
				w.in(500+w.upTo(unit.Second), connect)
			}
		}
		l = w.dial(w.gates[tries%2], "athlete:"+r.user, func(m *livev1.ServerMessage) {
			switch m := m.Message.(type) {
			case *livev1.ServerMessage_Welcome:
				l.send(&livev1.ClientMessage{Message: &livev1.ClientMessage_Command{Command: c}})
			case *livev1.ServerMessage_CommandResult:
				e := m.CommandResult.Error
				switch {
				case answered:
				case e == nil:
					answered = true
					done()
				case !e.Retry:
					w.failf("%T was refused: %v", c.Command, e)
				}
				l.drop()
			}
		}, again)
		w.in(stuckAfter, func() {
			if !answered && try == tries {
				l.drop()
			}
		})
	}
	connect()
}

// startLive starts the workout, joins, and streams.
func (w *World) startLive(r *rider) {
	start := &livev1.StartWorkout{Sport: "run", Zone: "Europe/Zurich", UtcOffsetS: 3600}
	w.athlete(r, &livev1.Command{Command: &livev1.Command_StartWorkout{StartWorkout: start}}, func() {
		join := &livev1.Join{CompetitionId: w.plan.competition}
		w.athlete(r, &livev1.Command{Command: &livev1.Command_Join{Join: join}}, w.startRace)
		for i := range r.streams {
			w.feed(r, &r.streams[i])
		}
	})
}

// cuts takes a connection away now and then.
func (w *World) cuts() {
	for _, g := range w.gates {
		for _, l := range g.lines {
			if !l.cut && w.chance(w.faults.Cut) {
				w.count("connection cut")
				l.drop()
			}
		}
		g.forgetLines()
		if w.chance(w.faults.CrashGate) {
			w.count("gateway killed")
			g.kill()
		}
	}
	for _, v := range w.viewers {
		if v.gate != nil && w.chance(w.faults.Cut) {
			w.count("viewer goes elsewhere")
			v.watch(w.other(v.gate))
		}
	}
}
