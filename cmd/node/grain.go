package main

import (
	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	"paceline/cluster/call"
	"paceline/cluster/placement"
	"paceline/domain/id"
	"paceline/domain/step"
)

// grain carries one shell in Proto.Actor: messages in, outs out, nothing else. One activation, one mailbox.
type grain struct {
	carrier machine.Carrier
	ctx     actor.Context // of the message under way
}

func newGrain(rt *machine.Runtime, name id.Grain, shell machine.Stepper, respond func(to step.Return, msg any, err error)) *grain {
	return &grain{carrier: machine.Carrier{Runtime: rt, Grain: name, Stepper: shell, Respond: respond}}
}

// Receive implements actor.Actor.
func (g *grain) Receive(ctx actor.Context) {
	g.ctx = ctx
	switch m := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		g.carrier.Post = func(msg any) { root.Send(self, msg) }
		g.carrier.Stop = g.stop
		g.carrier.Handle(machine.StartMsg{}, nil)
	case *actor.Stopping:
		g.carrier.Close()
	case *actor.Stopped:
	case proto.Message:
		g.carrier.HandleOf(traceOf(ctx), m, sender(ctx))
	default: // an outcome, a timer, a sweep
		g.carrier.Handle(m, nil)
	}
}

func (g *grain) stop(s step.Stop) {
	g.carrier.Runtime.Log.Debug("activation ends", "grain", g.carrier.Grain.String(), "why", s.Why)
	if s.Fenced {
		placement.Fenced(g.ctx, s.By)
	}
	g.ctx.Stop(g.ctx.Self())
}

// traceOf is what the message under way belongs to, or nothing.
func traceOf(ctx actor.Context) string {
	if h := ctx.MessageHeader(); h != nil {
		return h.Get(call.HeaderTrace)
	}
	return ""
}

// sender is who waits for an answer, or nil: never a nil pointer in an interface.
func sender(ctx actor.Context) step.Return {
	if pid := ctx.Sender(); pid != nil {
		return pid
	}
	return nil
}
