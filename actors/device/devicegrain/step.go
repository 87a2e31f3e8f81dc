package devicegrain

import (
	"errors"
	"slices"

	"paceline/actors/device"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// maxEarly is how many messages may wait while the journal is being read.
const maxEarly = 1024

// Step takes one message and says what is to be done.
func (s *Shell) Step(now step.Now, msg any, from step.Return) []step.Out {
	if s.underWay == nil {
		s.underWay = &underWay{}
	}
	s.step(now, msg, from)
	outs := s.outs
	s.outs = nil // whoever is answered in them would be kept until the next message
	if len(s.lanes) == 0 && len(s.asked) == 0 && !s.busy() {
		s.underWay = nil
	}
	return outs
}

func (s *Shell) step(now step.Now, msg any, from step.Return) {
	if s.dead {
		s.reply(from, nil, machine.ErrStopped)
		return
	}
	s.message(now, msg, from)
	s.wakeEarly(now)
	if s.draining && !s.dead && s.machine.Ready() && !s.busy() {
		outs, _ := s.machine.Rest(now)
		s.take(now, outs)
	}
	if s.machine.Stopped() && !s.dead {
		s.bury(now, machine.ErrStopped)
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
		s.done(now, m)
	case step.Tick:
		s.tick(now, m)
	case *clusterv1.Wake:
		s.take(now, s.machine.Woken(now, persistence.Wakeup{Grain: s.machine.Grain(), Due: unit.InstantMs(m.DueMs),
			Reason: m.Reason, Activation: m.Activation}))
	default:
		s.used = now.Wall
		if s.machine.Ready() {
			s.request(now, msg, from)
			return
		}
		if _, ok := msg.(*devicev1.Frame); ok {
			s.reply(from, nil, ErrNotOpen) // nobody can have opened it here: samples do not wait for the journal
			return
		}
		if len(s.early) >= maxEarly {
			s.reply(from, nil, machine.ErrBusy)
			return
		}
		s.early = append(s.early, func(now step.Now) {
			if s.dead || s.machine.Stopped() {
				s.reply(from, nil, machine.ErrStopped)
				return
			}
			s.request(now, msg, from)
		})
	}
}

func (s *Shell) wakeEarly(now step.Now) {
	for len(s.early) > 0 && (s.machine.Ready() || s.machine.Stopped() || s.dead) {
		f := s.early[0]
		if s.early = s.early[1:]; len(s.early) == 0 {
			s.early = nil // its array would keep who asked, and for what
		}
		f(now)
	}
}

func (s *Shell) request(now step.Now, msg any, from step.Return) {
	switch m := msg.(type) {
	case *devicev1.Frame:
		s.onFrame(now, m, from)
	case *devicev1.Open:
		s.onOpen(now, m, from)
	case *devicev1.Attached:
		s.onAttached(now, m)
	case *devicev1.SkipSeqs:
		s.onSkip(now, m, from)
	case *devicev1.Close:
		s.onClose(now, m, from)
	case *devicev1.Clock:
		s.onClock(now, m, from)
	case *devicev1.Recorded:
		s.onRecorded(now, m)
	case *devicev1.Register:
		s.onRegister(now, m, from)
	case *devicev1.Claim:
		s.onClaim(now, m, from)
	case *devicev1.Release:
		s.onRelease(now, m, from)
	case *devicev1.Target:
		s.onTarget(now, m)
	case *devicev1.Controlled:
		s.onControlled(now, m, from)
	case *devicev1.Get:
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

// question is a command of the shell's own: its answer comes back here instead of leaving.
type question struct {
	done func(now step.Now, a device.Answer, err error)
}

// submit decides a command; done gets the answer when everything it rests on is committed.
func (s *Shell) submit(now step.Now, c device.Command, done func(now step.Now, a device.Answer, err error)) {
	q := &question{done}
	s.asked = append(s.asked, q)
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
		s.asked = slices.DeleteFunc(s.asked, func(o *question) bool { return o == q })
		a, _ := r.Msg.(device.Answer)
		q.done(now, a, r.Err)
	}
}

// stop ends an activation that has found out that it must not go on.
func (s *Shell) stop(now step.Now, why string, err error) {
	if s.dead {
		return
	}
	s.bury(now, err)
	s.out(step.Stop{Why: why, Fenced: errors.Is(err, machine.ErrStopped)})
}

// bury answers everything that waits: the state is worthless.
func (s *Shell) bury(now step.Now, err error) {
	s.dead = true
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		f = machine.ErrStopped
	}
	asked := s.asked
	s.asked = nil
	for _, q := range asked {
		q.done(now, device.Answer{}, f)
	}
	for _, name := range s.laneNames() {
		s.lanes[name].bury(s, f)
	}
	s.wakeEarly(now)
	s.io, s.repeats = nil, nil
}
