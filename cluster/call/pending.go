package call

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
)

// longestPause is how often the pause after a refusal is doubled: whoever has no room gets none by being asked.
const longestPause = 3

type phase uint8

const (
	resolving phase = iota // this member's activator was asked for the grain's place
	asking                 // the grain was asked, or the member that owns it
	pausing                // between two attempts
	finished
)

// pending is one request under way. It is a process of its own, so that an answer finds it without a goroutine
// waiting, and an answer to an earlier attempt counts as well.
type pending struct {
	c         *Caller
	to        id.Grain
	msg       proto.Message
	header    map[string]string
	deadline  time.Time
	done      func(proto.Message, error)
	oneWay    bool
	here      bool      // another member's: never sent on to a third, unless that has fenced the grain here
	onward    bool      // this attempt goes to such a third
	forwarded bool      // another member has sent it on before
	latest    time.Time // whoever asked waits so long; deadline is this member's share of it
	trace     string
	self      *actor.PID

	mu     sync.Mutex
	phase  phase
	target *actor.PID // nil: on another member
	forget []func()   // of the attempts at other members
	timer  *time.Timer
	round  int   // of the timer: a late one is ignored
	silent int   // attempts that timed out: each makes the next one longer
	full   int   // attempts that were refused for want of room: each makes the next pause longer
	why    error // of the last failed attempt
}

var _ actor.Process = (*pending)(nil)

func (p *pending) register() {
	r := p.c.system.ProcessRegistry
	p.self, _ = r.Add(p, "call"+r.NextId())
}

// attempt begins one attempt: at the remembered place, by asking the activator, or at the member that owns the grain.
func (p *pending) attempt() {
	pid := p.c.places.get(p.to)
	if pid != nil && !p.c.alive(pid) {
		p.c.places.drop(p.to, pid)
		pid = nil
	}
	var owner string
	var here, owned bool
	if pid == nil {
		owner, here, owned = p.c.route.Owner(p.to)
	}
	onward := false
	if here {
		var member string
		if member, onward = p.c.route.Onward(p.to); onward {
			owner, here = member, false
		}
	}
	p.mu.Lock()
	if p.phase == finished {
		p.mu.Unlock()
		return
	}
	p.target, p.onward = pid, onward
	switch {
	case pid != nil:
		p.phase = asking
	case here:
		p.phase = resolving
	case owned && !p.here, onward && !p.forwarded:
		p.phase = asking
	case onward:
		p.mu.Unlock()
		p.retry(ErrMoved) // who has it was fenced as well; one of the two pauses is over first
		return
	default:
		p.mu.Unlock()
		if owned { // not this member's: whoever asked knows better by now, or soon
			p.finish(nil, ErrMoved)
			return
		}
		p.retry(ErrNoMember)
		return
	}
	wait := p.c.cfg.attempt(p.silent)
	if p.here && !onward {
		wait = time.Until(p.deadline) // it is the other member that tries again
	}
	p.arm(wait)
	round := p.round
	p.mu.Unlock()
	switch {
	case pid != nil:
		p.send(pid)
	case here:
		p.c.system.Root.Send(p.c.route.Activator(), &actor.MessageEnvelope{Message: p.c.activation(p.to), Sender: p.self})
	default:
		p.sendTo(owner, wait, round)
	}
}

// sendTo makes one attempt at another member.
func (p *pending) sendTo(member string, wait time.Duration, round int) {
	a, err := Pack(p.to, p.msg)
	if err != nil {
		p.finish(nil, err)
		return
	}
	p.mu.Lock()
	a.Forwarded = p.onward
	p.mu.Unlock()
	if a.Forwarded {
		p.c.counts.Onward.Add(1)
	}
	if p.oneWay {
		if !p.c.remote.Tell(member, a) {
			p.finish(nil, ErrBusy)
			return
		}
		p.finish(nil, nil)
		return
	}
	a.Trace = p.trace
	a.WithinMs = ms(min(wait, time.Until(p.deadline)))
	a.DeadlineMs = ms(time.Until(p.latest))
	forget := p.c.remote.Ask(member, a, func(m proto.Message, err error) { p.answered(round, m, err) })
	p.mu.Lock()
	late := p.phase == finished
	if !late {
		p.forget = append(p.forget, forget)
	}
	p.mu.Unlock()
	if late {
		forget()
	}
}

// ms of a wait; at least one.
func ms(d time.Duration) uint32 { return uint32(max(1, d.Milliseconds())) }

// answered is what came of an attempt at another member. An answer to an earlier attempt counts as well; a refusal to
// answer does not.
func (p *pending) answered(round int, m proto.Message, err error) {
	if err == nil {
		p.SendUserMessage(nil, m)
		return
	}
	p.mu.Lock()
	mine := p.phase == asking && p.round == round
	p.mu.Unlock()
	if mine {
		p.retry(err)
	}
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
	if target != nil {
		p.c.places.drop(p.to, target)
	}
	p.retry(ErrTimeout)
}

// retry pauses before the next attempt, or ends with the reason if there is no time for one.
func (p *pending) retry(why error) {
	pause := p.c.cfg.pause()
	p.mu.Lock()
	if p.phase == finished || p.phase == pausing {
		p.mu.Unlock()
		return
	}
	if !errors.Is(why, ErrMoved) && !errors.Is(why, ErrTimeout) && !errors.Is(why, ErrNoMember) {
		pause <<= min(p.full, longestPause)
		p.full++
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
	forget := p.forget
	p.forget = nil
	p.mu.Unlock()
	for _, f := range forget {
		f()
	}
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
