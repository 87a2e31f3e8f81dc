package call

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
)

type phase uint8

const (
	resolving phase = iota // the owner was asked for the grain's place
	asking                 // the grain was asked
	pausing                // between two attempts
	finished
)

// pending is one request under way. It is a process of its own, so that an answer finds it without a goroutine
// waiting, and an answer to an earlier attempt counts as well.
type pending struct {
	c        *Caller
	to       id.Grain
	msg      proto.Message
	header   map[string]string
	deadline time.Time
	done     func(proto.Message, error)
	oneWay   bool
	self     *actor.PID

	mu     sync.Mutex
	phase  phase
	target *actor.PID
	timer  *time.Timer
	round  int   // of the timer: a late one is ignored
	silent int   // attempts that timed out: each makes the next one longer
	why    error // of the last failed attempt
}

var _ actor.Process = (*pending)(nil)

func (p *pending) register() {
	r := p.c.system.ProcessRegistry
	p.self, _ = r.Add(p, "call"+r.NextId())
}

// attempt begins one attempt: with the remembered place, or by asking the owner.
func (p *pending) attempt() {
	pid := p.c.places.get(p.to)
	if pid != nil && !p.c.alive(pid) {
		p.c.places.drop(p.to, pid)
		pid = nil
	}
	var owner *actor.PID
	if pid == nil {
		owner = p.c.route.Activator(p.to)
	}
	p.mu.Lock()
	if p.phase == finished {
		p.mu.Unlock()
		return
	}
	p.target = pid
	switch {
	case pid != nil:
		p.phase = asking
	case owner != nil:
		p.phase = resolving
	default:
		p.mu.Unlock()
		p.retry(ErrNoMember)
		return
	}
	p.arm(p.c.cfg.AttemptTimeout << min(p.silent, 2))
	p.mu.Unlock()
	if pid != nil {
		p.send(pid)
		return
	}
	p.c.system.Root.Send(owner, &actor.MessageEnvelope{Message: p.c.activation(p.to), Sender: p.self})
}

func (p *pending) send(pid *actor.PID) {
	if p.oneWay {
		p.c.system.Root.Send(pid, p.msg)
		p.finish(nil, nil)
		return
	}
	p.c.system.Root.Send(pid, &actor.MessageEnvelope{Header: p.header, Message: p.msg, Sender: p.self})
}

// arm sets the timer of this phase, never beyond the deadline. The lock is held.
func (p *pending) arm(d time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.round++
	round := p.round
	p.timer = time.AfterFunc(min(d, max(0, time.Until(p.deadline))), func() { p.timedOut(round) })
}

func (p *pending) timedOut(round int) {
	p.mu.Lock()
	if p.phase == finished || round != p.round {
		p.mu.Unlock()
		return
	}
	was, target := p.phase, p.target
	if was != pausing {
		p.silent++
	}
	p.mu.Unlock()
	if was == pausing {
		p.attempt()
		return
	}
	p.c.counts.Timeouts.Add(1)
	p.c.places.drop(p.to, target)
	p.retry(ErrTimeout)
}

// retry pauses before the next attempt, or ends with the reason if there is no time for one.
func (p *pending) retry(why error) {
	spread := max(1, int64(p.c.cfg.BackoffMax-p.c.cfg.BackoffMin))
	pause := p.c.cfg.BackoffMin + time.Duration(rand.Int64N(spread))
	p.mu.Lock()
	if p.phase == finished || p.phase == pausing {
		p.mu.Unlock()
		return
	}
	// A reason that a grain gave says more than a later silence.
	if p.why == nil || !errors.Is(why, ErrTimeout) {
		p.why = why
	}
	if time.Now().Add(pause).After(p.deadline) {
		why = p.why
		p.mu.Unlock()
		p.finish(nil, why)
		return
	}
	p.phase = pausing
	p.arm(pause)
	p.mu.Unlock()
	p.c.counts.Retries.Add(1)
}

// giveUp ends the request because nobody waits any longer.
func (p *pending) giveUp(err error) {
	p.mu.Lock()
	if p.why != nil {
		err = p.why
	}
	p.mu.Unlock()
	p.finish(nil, err)
}

// finish ends the request once.
func (p *pending) finish(m proto.Message, err error) {
	p.mu.Lock()
	if p.phase == finished {
		p.mu.Unlock()
		return
	}
	p.phase = finished
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.c.system.ProcessRegistry.Remove(p.self)
	p.c.outstanding.Add(-1)
	if p.oneWay {
		if err != nil {
			p.c.counts.Lost.Add(1)
		}
		return
	}
	p.done(m, err)
}

// SendUserMessage implements actor.Process: an answer has come.
func (p *pending) SendUserMessage(_ *actor.PID, message any) {
	switch m := actor.UnwrapEnvelopeMessage(message).(type) {
	case *pcluster.ActivationResponse:
		p.placed(m)
	case *actor.DeadLetterResponse:
		p.c.counts.DeadLetters.Add(1)
		p.dropTarget()
		p.retry(ErrMoved)
	case *clusterv1.Fault:
		p.refused(m)
	case proto.Message:
		p.finish(m, nil)
	default:
		p.finish(nil, ErrNotAMessage.With("%s", typeName(m)))
	}
}

// SendSystemMessage implements actor.Process.
func (p *pending) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (p *pending) Stop(*actor.PID) {}

func (p *pending) placed(r *pcluster.ActivationResponse) {
	p.mu.Lock()
	if p.phase != resolving {
		p.mu.Unlock()
		return
	}
	if r.Failed || r.Pid == nil {
		p.mu.Unlock()
		p.retry(ErrMoved)
		return
	}
	p.phase, p.target = asking, r.Pid
	p.mu.Unlock()
	p.c.places.put(p.to, r.Pid)
	p.send(r.Pid)
}

func (p *pending) refused(r *clusterv1.Fault) {
	f := Fault(r)
	if f.Code == ErrMoved.Code {
		p.c.counts.Moved.Add(1)
		p.dropTarget()
		p.retry(ErrMoved)
		return
	}
	if f.Kind == fault.Unavailable && f.Retry {
		p.retry(f)
		return
	}
	p.finish(nil, f)
}

func (p *pending) dropTarget() {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	if target != nil {
		p.c.places.drop(p.to, target)
	}
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }
