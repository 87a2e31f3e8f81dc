package placement

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	"paceline/domain/id"
)

// activatorName is the actor that activates grains; there is one on each member. (The runtime has an "activator".)
const activatorName = "placement"

// Config of a Placement. Times are wall time.
type Config struct {
	// SweepEvery is how often unused grains are looked for.
	SweepEvery time.Duration
	// IdleAfter is how long a grain must be unused before it is asked whether it may end. Shorter saves memory and
	// costs recoveries.
	IdleAfter time.Duration
	// Linger is how long a grain that has ended still answers "moved".
	Linger time.Duration
	// ReleaseWithin is how long a grain that must end may take before it is no longer waited for.
	ReleaseWithin time.Duration
}

// Default is right for a node.
func Default() Config {
	return Config{
		SweepEvery:    15 * time.Second,
		IdleAfter:     5 * time.Minute,
		Linger:        time.Second,
		ReleaseWithin: 3 * time.Second,
	}
}

// Kind makes the activations of one kind of grain. An activation stops itself by Context.Stop(Context.Self()).
type Kind struct {
	Name id.Kind
	New  func(g id.Grain) actor.Actor
}

// Forwarder hands on a one-way message that came to an activation which has ended, and forgets such an activation.
type Forwarder interface {
	Forward(to id.Grain, msg proto.Message, ended *actor.PID)
	Forget(g id.Grain, ended *actor.PID)
}

// Counts are what a Placement has seen.
type Counts struct {
	Active, Activated, Released, Panicked, Shed, Forced atomic.Int64
}

// Placement is this member's part of the placement. It is safe for concurrent use once Setup has returned.
type Placement struct {
	cfg     Config
	log     *slog.Logger
	kinds   map[id.Kind]Kind
	forward Forwarder
	changed func() // the members have changed

	members atomic.Pointer[Members]
	counts  Counts

	system    *actor.ActorSystem
	activator *actor.PID
}

var _ pcluster.IdentityLookup = (*Placement)(nil)

// New makes a Placement; Serve completes it before the cluster starts.
func New(cfg Config, log *slog.Logger) *Placement {
	p := &Placement{cfg: cfg, log: log, kinds: make(map[id.Kind]Kind), changed: func() {}}
	p.members.Store(NewMembers(nil))
	return p
}

// Serve says which kinds this member serves, who hands messages on, and whom a change of members concerns.
func (p *Placement) Serve(kinds []Kind, forward Forwarder, changed func()) {
	for _, k := range kinds {
		p.kinds[k.Name] = k
	}
	p.forward, p.changed = forward, changed
}

// Counts of this Placement.
func (p *Placement) Counts() *Counts { return &p.counts }

// Members is the current view.
func (p *Placement) Members() *Members { return p.members.Load() }

// Activator of a grain: on the member that owns it; nil if there is none.
func (p *Placement) Activator(g id.Grain) *actor.PID {
	owner, ok := p.Members().Owner(g.Affinity())
	if !ok {
		return nil
	}
	return actor.NewPID(owner.Address, activatorName)
}

// Address of a member; false if it is none now.
func (p *Placement) Address(member string) (string, bool) {
	m, ok := p.Members().ByID(member)
	return m.Address, ok
}

// Setup implements cluster.IdentityLookup: the cluster has an address and members will follow.
func (p *Placement) Setup(c *pcluster.Cluster, _ []string, _ bool) {
	p.system = c.ActorSystem
	props := actor.PropsFromProducer(func() actor.Actor { return newActivator(p) })
	pid, err := p.system.Root.SpawnNamed(props, activatorName)
	if err != nil {
		panic(fmt.Errorf("placement: %w", err)) // a name of our own can be taken only by a second Setup
	}
	p.activator = pid
	p.system.EventStream.Subscribe(func(e any) {
		if t, ok := e.(*pcluster.ClusterTopology); ok {
			p.topology(t)
		}
	})
}

func (p *Placement) topology(t *pcluster.ClusterTopology) {
	all := make([]Member, 0, len(t.Members))
	for _, m := range t.Members {
		all = append(all, Member{ID: m.Id, Address: m.Address()})
	}
	p.members.Store(NewMembers(all))
	p.changed()
	p.system.Root.Send(p.activator, membersChanged{})
}

// Get implements cluster.IdentityLookup. Our own messages do not go this way (see cluster/call); it answers
// Proto.Actor's few own requests, within one attempt.
func (p *Placement) Get(ci *pcluster.ClusterIdentity) *actor.PID {
	g, err := id.ParseIdentity(ci.Identity)
	if err != nil {
		return nil
	}
	to := p.Activator(g)
	if to == nil {
		return nil
	}
	r, err := p.system.Root.RequestFuture(to, &pcluster.ActivationRequest{ClusterIdentity: ci}, 500*time.Millisecond).Result()
	if err != nil {
		return nil
	}
	if done, ok := r.(*pcluster.ActivationResponse); ok {
		return done.Pid
	}
	return nil
}

// RemovePid implements cluster.IdentityLookup: places are forgotten by those who remember them.
func (p *Placement) RemovePid(*pcluster.ClusterIdentity, *actor.PID) {}

// Shutdown implements cluster.IdentityLookup; Drain has done the work.
func (p *Placement) Shutdown() {}

// Drain ends all activations of this member and activates none any more: each is asked to answer and flush what it
// holds. It returns when all have ended, or when ctx has.
func (p *Placement) Drain(ctx context.Context) error {
	done := make(chan struct{})
	p.system.Root.Send(p.activator, drain{done: done})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: %d grains still active: %w", p.counts.Active.Load(), ctx.Err())
	}
}

func typeName(v any) string { return fmt.Sprintf("%T", v) }
