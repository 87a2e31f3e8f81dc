package main

import (
	crand "crypto/rand"
	"math/rand/v2"

	"github.com/asynkron/protoactor-go/actor"

	"paceline/actors/competition/competitiongrain"
	"paceline/actors/device/devicegrain"
	"paceline/actors/machine"
	"paceline/actors/training/traininggrain"
	"paceline/actors/user/usergrain"
	"paceline/cluster"
	"paceline/cluster/level"
	"paceline/domain/id"
	"paceline/domain/step"
)

// kinds are the grains that this node serves.
func (n *node) kinds() []cluster.Kind {
	shared := &courses{}
	return []cluster.Kind{
		n.kind(id.User, func(a activation) machine.Stepper {
			return usergrain.New(usergrain.Config{Grain: a.grain, Activation: a.id, Member: a.member, Random: rand.Uint64, NewID: appendID})
		}),
		n.kind(id.Device, func(a activation) machine.Stepper {
			return devicegrain.New(devicegrain.Config{Grain: a.grain, Activation: a.id, Member: a.member, Random: rand.Uint64, NewID: appendID})
		}),
		n.kind(id.Training, func(a activation) machine.Stepper {
			return traininggrain.New(traininggrain.Config{
				Grain: a.grain, Activation: a.id, Member: a.member, Random: rand.Uint64, NewID: appendID, Compile: shared.compile,
			})
		}),
		last(n.kind(id.Competition, func(a activation) machine.Stepper {
			cfg := competitiongrain.Default()
			cfg.Grain, cfg.Activation, cfg.Member, cfg.Random, cfg.NewID = a.grain, a.id, a.member, rand.Uint64, appendID
			cfg.SettleDelay = n.cfg.settleDelay()
			cfg.Parts = func() bool { return n.level.Allows(level.LargeFields) }
			return competitiongrain.New(cfg)
		})),
	}
}

// last are those that answer with authority: everybody who watches a race waits while it is nowhere.
func last(k cluster.Kind) cluster.Kind {
	k.Last = true
	return k
}

// activation is what every shell is told about itself.
type activation struct {
	grain  id.Grain
	id     string // of this activation
	member string // of this run of the process
}

func (n *node) kind(k id.Kind, shell func(a activation) machine.Stepper) cluster.Kind {
	reply := n.cluster.Caller().Reply
	return cluster.Kind{Name: k, New: func(g id.Grain) actor.Actor {
		s := shell(activation{grain: g, id: newID(n.clock.now()), member: n.cluster.Member()})
		return newGrain(n.runtime, g, s, reply)
	}}
}

// newID mints an id with the node's clock, as command ids are.
func newID(now step.Now) string {
	var random [10]byte
	_, _ = crand.Read(random[:]) // never fails
	return id.New(now.Node, random)
}

func appendID(now step.Now) string { return newID(now) }
