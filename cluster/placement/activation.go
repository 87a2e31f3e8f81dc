package placement

import (
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"paceline/cluster/call"
	"paceline/domain/id"
	"paceline/domain/step"
)

// lingerOver: the activation has answered "moved" long enough.
type lingerOver struct{}

// activation stands between the mailbox and a shell: it sees to an orderly end.
type activation struct {
	p        *Placement
	grain    id.Grain
	identity string
	usedAt   atomic.Int64 // wall clock, ns: the last message from outside

	// Owned by the activator.
	self   *actor.PID
	ending bool // was asked to end
	waits  bool // must end, and is not asked yet
	late   bool // ends when the others have: the member leaves
	wanted bool // another member waits for its end

	// Owned by the mailbox.
	inner    actor.Actor
	refusing bool // must end: answers "moved" to all that is new
	gone     bool // has ended; lingers
	fenced   bool // another activation has overtaken it
	by       string
	ctx      heldContext
}

func newActivation(p *Placement, g id.Grain, identity string) *activation {
	a := &activation{p: p, grain: g, identity: identity}
	a.ctx.a = a
	a.usedAt.Store(time.Now().UnixNano())
	return a
}

// heldContext is the shell's view: its Stop ends the activation in our way, so that no message is lost silently.
type heldContext struct {
	actor.Context
	a *activation
}

// Fenced says, before the activation of ctx stops itself, that another one has written to its journal: its grain is not
// activated here again for a while. by is the member that has it now; "" if that is not known.
func Fenced(ctx actor.Context, by string) {
	if c, ok := ctx.(*heldContext); ok {
		c.a.fenced, c.a.by = true, by
	}
}

// Stop ends this activation, or stops another actor.
func (c *heldContext) Stop(pid *actor.PID) {
	if pid.Id == c.Self().Id && pid.Address == c.Self().Address {
		c.a.end(c.Context)
		return
	}
	c.Context.Stop(pid)
}

// Receive implements actor.Actor. A panic ends the activation: its state may be half changed, its journal is not.
func (a *activation) Receive(ctx actor.Context) {
	defer func() {
		if r := recover(); r != nil {
			a.panicked(ctx, r)
		}
	}()
	switch m := ctx.Message().(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped:
		a.hand(ctx)
	case *actor.Restarting:
		// Panics are caught here, so the runtime restarts nothing.
	case lingerOver:
		ctx.Stop(ctx.Self())
	case step.Sweep:
		if m.Drain {
			a.refusing = true
		}
		if !a.gone {
			a.hand(ctx)
		}
	case proto.Message:
		a.fromOutside(ctx, m)
	default: // an outcome or a tick of the shell's own
		if !a.gone {
			a.hand(ctx)
		}
	}
}

func (a *activation) fromOutside(ctx actor.Context, m proto.Message) {
	if a.refusing || a.gone {
		if ctx.Sender() != nil {
			ctx.Respond(call.Reason(call.ErrMoved))
		} else if a.p.forward != nil {
			a.p.forward.Forward(a.grain, m, ctx.Self())
		}
		return
	}
	now := time.Now()
	a.usedAt.Store(now.UnixNano())
	if tooLate(ctx.MessageHeader(), now) {
		a.p.counts.Shed.Add(1) // whoever asked has given up
		return
	}
	a.hand(ctx)
}

func tooLate(h actor.ReadonlyMessageHeader, now time.Time) bool {
	if h == nil || h.Length() == 0 {
		return false
	}
	deadline, err := strconv.ParseInt(h.Get(call.HeaderDeadline), 10, 64)
	return err == nil && now.UnixMilli() > deadline
}

// hand gives the message to the shell.
func (a *activation) hand(ctx actor.Context) {
	a.ctx.Context = ctx
	if a.inner == nil && a.gone {
		return // its New panicked
	}
	if a.inner == nil {
		a.inner = a.p.kinds[a.grain.Kind].New(a.grain)
	}
	a.inner.Receive(&a.ctx)
}

func (a *activation) panicked(ctx actor.Context, r any) {
	a.p.counts.Panicked.Add(1)
	a.p.log.Error("a grain panicked and is dropped", "grain", a.grain.String(),
		"on", typeName(ctx.Message()), "panic", r, "stack", string(debug.Stack()))
	if _, outside := ctx.Message().(proto.Message); outside && ctx.Sender() != nil {
		ctx.Respond(call.Reason(call.ErrFailed))
	}
	a.end(ctx)
}

// end releases the grain: it may be activated anew from now on, and what still comes here is told so.
func (a *activation) end(ctx actor.Context) {
	if a.gone {
		return
	}
	a.gone = true
	if a.p.forward != nil {
		a.p.forward.Forget(a.grain, ctx.Self())
	}
	if a.fenced {
		a.p.counts.Fenced.Add(1)
		a.p.pauses.begin(a.grain, a.by, time.Now())
	}
	ctx.Send(a.p.activator, released{identity: a.identity, pid: ctx.Self()})
	system, self := ctx.ActorSystem(), ctx.Self()
	time.AfterFunc(a.p.cfg.Linger, func() { system.Root.Send(self, lingerOver{}) })
}
