package traininggrain

import (
	"paceline/actors/machine"
	"paceline/actors/training"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// maxEarly is how many messages may wait while the journal is being read.
const maxEarly = 256

// tickPump is the one timer of the shell: everything that is due is looked at together.
const tickPump = "training"

// Step takes one message and says what is to be done.
func (s *Shell) Step(now step.Now, msg any, from step.Return) []step.Out {
	s.step(now, msg, from)
	outs := s.outs
	s.outs = nil // whoever is answered in them would be kept until the next message
	if len(s.io) == 0 && len(s.asked) == 0 {
		s.io, s.asked = nil, nil
	}
	return outs
}

func (s *Shell) step(now step.Now, msg any, from step.Return) {
	if s.dead {
		s.reply(from, nil, machine.ErrStopped)
		return
	}
	s.message(now, msg, from)
	for len(s.early) > 0 && !s.dead && s.machine.Ready() {
		f := s.early[0]
		if s.early = s.early[1:]; len(s.early) == 0 {
			s.early = nil // its array would keep who asked, and for what
		}
		f(now)
	}
	s.pump(now)
	s.takeTimed(now)
	if s.draining && !s.dead && s.machine.Ready() {
		outs, _ := s.machine.Rest(now)
		s.take(now, outs)
	}
	if s.dead = s.dead || s.machine.Stopped(); s.dead {
		early := append(s.early, s.timed...)
		s.early, s.timed = nil, nil
		for _, f := range early {
			f(now)
		}
	}
}

func (s *Shell) message(now step.Now, msg any, from step.Return) {
	switch m := msg.(type) {
	case machine.StartMsg:
		s.used = now.Wall
		s.take(now, s.machine.Start(now))
	case step.Sweep:
		s.draining = s.draining || m.Drain
		s.sweep(now)
	case persistence.Done:
		if outs, ours := s.machine.Step(now, m); ours {
			s.take(now, outs)
		} else if f := s.io[m.Tag]; f != nil {
			delete(s.io, m.Tag)
			f(now, m)
		}
	case step.Tick:
		if m.Key == tickPump {
			s.armed = 0
		} else if outs, ours := s.machine.Step(now, m); ours {
			s.take(now, outs)
		}
	case *clusterv1.Wake:
		s.take(now, s.machine.Woken(now, persistence.Wakeup{Grain: s.machine.Grain(), Due: unit.InstantMs(m.DueMs),
			Reason: m.Reason, Activation: m.Activation}))
	default:
		s.used = now.Wall
		if s.machine.Ready() {
			s.request(now, msg, from)
			return
		}
		if len(s.early) >= maxEarly {
			s.reply(from, nil, machine.ErrBusy)
			return
		}
		s.early = append(s.early, func(now step.Now) {
			if s.dead {
				s.reply(from, nil, machine.ErrStopped)
				return
			}
			s.request(now, msg, from)
		})
	}
}

func (s *Shell) request(now step.Now, msg any, from step.Return) {
	switch m := msg.(type) {
	case *trainingv1.Block:
		s.onBlock(now, m)
	case *trainingv1.Command:
		s.onCommand(now, m, from)
	case *trainingv1.Attach:
		s.onAttach(now, m)
	case *trainingv1.Bind:
		s.onBind(now, m)
	case *trainingv1.ReportEcho:
		s.onEcho(m)
	case *trainingv1.ReportRequest:
		s.onReportRequest(m)
	case *trainingv1.Settle:
		s.onSettle(m)
	case *trainingv1.RecordedEcho:
		s.onRecordedEcho(m)
	case *clusterv1.Interest:
		s.onInterest(now, m)
	case *trainingv1.Controlled:
		s.onControlled(m)
	case *trainingv1.Get:
		s.onGet(now, from)
	default:
		s.reply(from, nil, ErrMessage.With("%T", msg))
	}
}

// sweep lets an activation go that nobody has asked for a while.
func (s *Shell) sweep(now step.Now) {
	if s.draining || now.Wall.Sub(s.used) < s.n.RestAfter || !s.machine.Ready() || s.busy() {
		return // draining: Step looks behind every message
	}
	outs, _ := s.machine.Rest(now)
	s.take(now, outs)
}

// pump does everything that is due: reading, observing, concluding, reporting, showing, and asks to be called
// again when the next of it is.
func (s *Shell) pump(now step.Now) {
	if !s.machine.Ready() || s.dead {
		return
	}
	s.read(now)
	s.observe(now)
	s.conclude(now)
	s.record(now)
	s.steer(now)
	next := earliest(s.report(now), s.answer(now), s.tellRecorded(now), s.show(now), s.checkpoint(now), s.calm(now), s.again())
	if next != 0 && next != s.armed {
		s.armed = max(next, now.Wall+1)
		s.out(step.After{Key: tickPump, At: s.armed})
	}
}

func earliest(at ...unit.InstantMs) unit.InstantMs {
	var first unit.InstantMs
	for _, t := range at {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

// question is a command of the shell's own: its answer comes back here, once what it rests on is committed.
type question struct {
	done func(now step.Now, err error)
}

func (s *Shell) submit(now step.Now, c training.Command, done func(now step.Now, err error)) {
	q := &question{done}
	machine.Set(&s.asked, q, true)
	s.take(now, s.machine.Submit(now, c, q))
}

// take keeps the answers to the shell's own questions and lets everything else out.
func (s *Shell) take(now step.Now, outs []step.Out) {
	for _, o := range outs {
		r, isReply := o.(step.Reply)
		q, ours := r.To.(*question)
		if !isReply || !ours {
			s.out(o)
			continue
		}
		delete(s.asked, q)
		if q.done != nil {
			q.done(now, r.Err)
		}
	}
}

// do asks for I/O of the shell's own.
func (s *Shell) do(op persistence.Op, f func(now step.Now, d persistence.Done)) {
	s.tags++
	machine.Set(&s.io, s.tags, f)
	s.out(persistence.Do{Tag: s.tags, Op: op})
}

func (s *Shell) out(o ...step.Out) { s.outs = append(s.outs, o...) }

func (s *Shell) reply(to step.Return, msg any, err error) {
	if to != nil {
		s.out(step.Reply{To: to, Msg: msg, Err: err})
	}
}
