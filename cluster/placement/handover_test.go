package placement

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"paceline/domain/id"
	"paceline/internal/testkit"
)

// viewOf is a topology of those sites, each at an address that is its own in every view.
func viewOf(some ...*site) *pcluster.ClusterTopology {
	t := &pcluster.ClusterTopology{}
	for _, s := range some {
		t.Members = append(t.Members, &pcluster.Member{Id: s.system.ID, Host: s.system.ID, Port: 1})
	}
	return t
}

func membersOf(some ...*site) *Members {
	var all []Member
	for _, m := range viewOf(some...).Members {
		all = append(all, Member{ID: m.Id, Address: m.Address()})
	}
	return NewMembers(all)
}

// grainOf is a grain to which the sites' claims rise in that order: each that joins takes it from the one before.
func grainOf(rising ...*site) id.Grain {
	for i := 0; ; i++ {
		g := id.Of(id.Competition, fmt.Sprint("race-", i))
		if slices.IsSortedFunc(rising, func(a, b *site) int {
			if o, _ := membersOf(a, b).Owner(g.Affinity()); o.ID == b.system.ID {
				return -1
			}
			return 1
		}) {
			return g
		}
	}
}

// wants asks a member's activator for a grain, and does not wait.
func (s *site) wants(g id.Grain) *actor.Future {
	return s.system.Root.RequestFuture(s.activator,
		&pcluster.ActivationRequest{ClusterIdentity: &pcluster.ClusterIdentity{Identity: g.Identity(), Kind: string(g.Kind)}}, 5*time.Second)
}

// asking notes who is asked; what it is told to hold is let go of when it is told so.
type asking struct {
	mu    sync.Mutex
	asked []string
	held  map[string]chan struct{}
}

func (a *asking) Release(member string, _ id.Grain, _ time.Duration, done func(ok bool)) {
	a.mu.Lock()
	a.asked = append(a.asked, member)
	held := a.held[member]
	a.mu.Unlock()
	go func() {
		if held != nil {
			<-held
		}
		done(true)
	}()
}

func (a *asking) ReleaseAll(string, time.Duration, func(ok bool)) {}

func (a *asking) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// TestEveryFormerOwnerIsAsked: two members have had the grain within the time; the newer one may never have got it.
func TestEveryFormerOwnerIsAsked(t *testing.T) {
	all := sites(t, 3, &journal{})
	a, b, c := all[0], all[1], all[2]
	g := grainOf(a, b, c)
	f := &asking{held: map[string]chan struct{}{a.system.ID: make(chan struct{})}}
	c.former = f
	for _, v := range []*pcluster.ClusterTopology{viewOf(a), viewOf(a, b), viewOf(a, b, c)} {
		c.topology(v)
	}
	answer := c.wants(g)
	testkit.Until(t, 5*time.Second, "both are asked", func() bool { return len(f.all()) == 2 })
	if asked := f.all(); !slices.Contains(asked, a.system.ID) || !slices.Contains(asked, b.system.ID) {
		t.Errorf("asked %v, want %v and %v", asked, a.system.ID, b.system.ID)
	}
	if active, err := c.Active(t.Context(), g.Identity()); active || err != nil {
		t.Fatalf("active while the older one has it: %v, %v", active, err)
	}
	close(f.held[a.system.ID])
	if r, err := answer.Result(); err != nil || r.(*pcluster.ActivationResponse).Failed {
		t.Errorf("not activated when both had let go of it: %v, %v", r, err)
	}
}

// TestWhoWaitsHimselfHasNotLetGo: a member that has become the owner, and waits for the one before, answers the next owner
// when that one has let go; also if nobody has asked it for the grain yet.
func TestWhoWaitsHimselfHasNotLetGo(t *testing.T) {
	for _, wanted := range []bool{true, false} {
		all := sites(t, 3, &journal{})
		a, b, c := all[0], all[1], all[2]
		g := grainOf(a, b, c)
		f := &asking{held: map[string]chan struct{}{a.system.ID: make(chan struct{})}}
		b.former = f
		b.topology(viewOf(a, b))
		if wanted {
			b.wants(g)
			testkit.Until(t, 5*time.Second, "the former owner is asked", func() bool { return len(f.all()) == 1 })
		}
		b.topology(viewOf(a, b, c))
		let := make(chan struct{})
		b.Release(c.system.ID, g, func() { close(let) })
		testkit.Until(t, 5*time.Second, "the former owner is asked", func() bool { return len(f.all()) == 1 })
		if _, err := b.Active(t.Context(), g.Identity()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-let:
			t.Fatal("it says that it has let go while the one before has the grain")
		default:
		}
		close(f.held[a.system.ID])
		<-let
		if active, err := b.Active(t.Context(), g.Identity()); active || err != nil {
			t.Errorf("active at one that is not the owner: %v, %v", active, err)
		}
	}
}

// between hands over among sites at once, and never gives up: who waits for himself waits for ever.
type between struct{ from *site }

func (b between) Release(member string, g id.Grain, _ time.Duration, done func(ok bool)) {
	b.from.all[member].Placement.Release(b.from.system.ID, g, func() { done(true) })
}

func (b between) ReleaseAll(member string, _ time.Duration, done func(ok bool)) {
	b.from.all[member].Placement.ReleaseAll(b.from.system.ID, func() { done(true) })
}

// TestMembersThatAskEachOtherEnd: whatever views members have had, in whatever order, nobody waits for somebody who waits
// for him, although here no request ever ends by its time.
func TestMembersThatAskEachOtherEnd(t *testing.T) {
	for seed := range uint64(20) {
		chance := rand.New(rand.NewPCG(seed, 1))
		all := sites(t, 4, &journal{})
		g := id.Of(id.Competition, fmt.Sprint("race-", seed))
		for _, s := range all {
			s.former = between{s}
		}
		for range 12 {
			s := all[chance.IntN(len(all))]
			some := []*site{s}
			for _, other := range all {
				if other != s && chance.IntN(2) == 0 {
					some = append(some, other)
				}
			}
			s.topology(viewOf(some...))
			if chance.IntN(2) == 0 {
				s.wants(g)
			}
		}
		for _, s := range all {
			s.topology(viewOf(all...))
		}
		testkit.Until(t, 10*time.Second, "the owner is given the grain", func() bool {
			for _, s := range all {
				if owner, _ := membersOf(all...).Owner(g.Affinity()); owner.ID == s.system.ID {
					return !s.request(t, g).Failed
				}
			}
			return false
		})
		for _, s := range all {
			let := make(chan struct{})
			s.Release(grainOwner(all, g), g, func() { close(let) })
			<-let
		}
	}
}

func grainOwner(all []*site, g id.Grain) string {
	o, _ := membersOf(all...).Owner(g.Affinity())
	return o.ID
}
