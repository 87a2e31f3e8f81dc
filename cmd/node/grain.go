package main

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	"paceline/cluster/placement"
	"paceline/domain/id"
	"paceline/domain/step"
)

// grain carries one shell in Proto.Actor: messages in, outs out, nothing else. One activation, one mailbox.
type grain struct {
	name    id.Grain
	runtime *machine.Runtime
	respond func(to step.Return, msg any, err error)
	shell   machine.Stepper

	ctx     actor.Context // of the message under way
	carrier *machine.Carrier
}

// Receive implements actor.Actor.
func (g *grain) Receive(ctx actor.Context) {
	g.ctx = ctx
	switch m := ctx.Message().(type) {
	case *actor.Started:
		g.begin(ctx)
	case *actor.Stopping:
		g.carrier.Close()
	case *actor.Stopped:
	case proto.Message:
		g.carrier.Handle(m, sender(ctx))
	default: // an outcome, a timer, a sweep
		g.carrier.Handle(m, nil)
	}
}

func (g *grain) begin(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	g.carrier = &machine.Carrier{
		Runtime: g.runtime, Grain: g.name, Stepper: g.shell,
		Post:    func(msg any) { root.Send(self, msg) },
		Respond: g.respond,
		Stop: func(s step.Stop) {
			g.runtime.Log.Debug("activation ends", "grain", g.name.String(), "why", s.Why)
			if s.Fenced {
				placement.Fenced(g.ctx, s.By)
			}
			g.ctx.Stop(g.ctx.Self())
		},
	}
	g.carrier.Handle(machine.StartMsg{}, nil)
}

// sender is who waits for an answer, or nil: never a nil pointer in an interface.
func sender(ctx actor.Context) step.Return {
	if pid := ctx.Sender(); pid != nil {
		return pid
	}
	return nil
}
