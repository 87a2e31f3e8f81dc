package placement

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	// EndAtOnce is how many grains may be ending at a time, when many must: each of them writes what it holds. More ends
	// a full node sooner, up to what the store's queue takes at once.
	EndAtOnce int
	// HandOver is how long what a former owner has let go of is known to be free, and how long who has come is asked as
	// if it had been there before. It should be longer than members take to agree.
	HandOver time.Duration
	// HandOverWithin is how long one such request may take; then the grain is activated all the same.
	HandOverWithin time.Duration
	// Random is where the pauses after a fence come from.
	Random func() uint64
}

// Default is right for a node.
func Default() Config {
	return Config{
		SweepEvery:    15 * time.Second,
		IdleAfter:     5 * time.Minute,
		Linger:        time.Second,
		ReleaseWithin: 3 * time.Second,
		EndAtOnce:     256,

		HandOver:       10 * time.Second,
		HandOverWithin: 3 * time.Second,

		Random: rand.Uint64,
	}
}

// Kind makes the activations of one kind of grain. An activation stops itself by Context.Stop(Context.Self()).
type Kind struct {
	Name id.Kind
	// Last: when the member leaves, these end after all others, so that they are nowhere for a short time only.
	Last bool
	New  func(g id.Grain) actor.Actor
}

// Handover asks a member to let go of a grain that it owned; done says, once and at the latest after within, whether it has.
// It runs on any goroutine.
type Handover interface {
	Release(member string, g id.Grain, within time.Duration, done func(ok bool))
	// ReleaseAll asks in the same way whether it has let go of all that is not its own.
	ReleaseAll(member string, within time.Duration, done func(ok bool))
}

// Forwarder hands on a one-way message that came to an activation which has ended, and forgets such an activation.
type Forwarder interface {
	Forward(to id.Grain, msg proto.Message, ended *actor.PID)
	Forget(g id.Grain, ended *actor.PID)
}

// Counts are what a Placement has seen.
type Counts struct {
	Active, Activated, Released, Panicked, Shed, Forced atomic.Int64
	Fenced                                              atomic.Int64 // activations that another one had overtaken
	HandedOver, NotHandedOver                           atomic.Int64 // by the former owner: let go, and no answer in time
}

// Placement is this member's part of the placement. It is safe for concurrent use once Setup has returned.
type Placement struct {
	cfg     Config
	log     *slog.Logger
	kinds   map[id.Kind]Kind
	forward Forwarder
	former  Handover
	changed func() // the members have changed

	members atomic.Pointer[Members]
	pauses  *pauses
	counts  Counts

	system    *actor.ActorSystem
	activator *actor.PID
}

var _ pcluster.IdentityLookup = (*Placement)(nil)

// New makes a Placement; Serve completes it before the cluster starts.
func New(cfg Config, log *slog.Logger) *Placement {
	p := &Placement{cfg: cfg, log: log, kinds: make(map[id.Kind]Kind), changed: func() {}, pauses: newPauses(cfg.Random)}
	p.members.Store(NewMembers(nil))
	return p
}

// Serve says which kinds this member serves, who hands messages on, how a former owner is asked to let go (nil: there
// is none), and whom a change of members concerns.
func (p *Placement) Serve(kinds []Kind, forward Forwarder, former Handover, changed func()) {
	for _, k := range kinds {
		p.kinds[k.Name] = k
	}
	p.forward, p.former, p.changed = forward, former, changed
}

// Counts of this Placement.
func (p *Placement) Counts() *Counts { return &p.counts }

// Members is the current view.
func (p *Placement) Members() *Members { return p.members.Load() }

// Owner of a grain, and whether that is this member; not ok: there is none.
func (p *Placement) Owner(g id.Grain) (member string, here, ok bool) {
	owner, ok := p.Members().Owner(g.Affinity())
	return owner.ID, ok && owner.ID == p.system.ID, ok
}

// Onward is the member that has a grain of this one: it has fenced the activation here a moment ago, and serves what
// is meant for it until this member tries again. Not ok: there is none, or it is no member now.
func (p *Placement) Onward(g id.Grain) (member string, ok bool) {
	by, paused := p.pauses.of(g, time.Now())
	if !paused || by == p.system.ID {
		return "", false
	}
	_, ok = p.Members().ByID(by)
	return by, ok
}

// Activator is the actor of this member that activates grains.
func (p *Placement) Activator() *actor.PID { return p.activator }

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
	now := NewMembers(all)
	before := p.members.Swap(now)
	p.changed()
	p.system.Root.Send(p.activator, membersChanged{before: before, now: now, at: time.Now()})
}

// Counted is how many activations of each kind there are, by kind.
func (p *Placement) Counted(ctx context.Context) (map[id.Kind]int, error) {
	answer := make(chan map[id.Kind]int, 1)
	p.system.Root.Send(p.activator, count{answer})
	select {
	case n := <-answer:
		return n, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Active reports whether a grain, by its identity, is active here.
func (p *Placement) Active(ctx context.Context, identity string) (bool, error) {
	answer := make(chan bool, 1)
	p.system.Root.Send(p.activator, activeHere{identity, answer})
	select {
	case active := <-answer:
		return active, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// Release lets go of a grain that this member owned, because asker believes to own it now; done says that it is not active
// here any more, and will not be for HandOverWithin, and that nobody has it of whom this member would have taken it. It runs
// on the activator's goroutine.
func (p *Placement) Release(asker string, g id.Grain, done func()) {
	p.system.Root.Send(p.activator, release{asker: asker, grain: g, identity: g.Identity(), done: done})
}

// ReleaseAll answers a member when nothing is active here that is not this one's own in a view with that member in it.
func (p *Placement) ReleaseAll(asker string, done func()) {
	p.system.Root.Send(p.activator, releaseAll{asker: asker, done: done})
}

// Abandon drops all activations of this member as a crash would, and activates none any more: for a member that may
// not serve. What was under way is decided by its appends' outcome, as after any crash.
func (p *Placement) Abandon() { p.system.Root.Send(p.activator, abandon{}) }

// Get implements cluster.IdentityLookup. Our messages do not go this way (see cluster/call), and Proto.Actor's own
// topics are not used.
func (p *Placement) Get(*pcluster.ClusterIdentity) *actor.PID { return nil }

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
