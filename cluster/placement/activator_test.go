package placement

import (
	"fmt"
	"testing"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/domain/id"
	"paceline/internal/testkit"
)

// request asks a member's activator for a grain, as a caller with an old view would.
func (s *site) request(t *testing.T, g id.Grain) *pcluster.ActivationResponse {
	t.Helper()
	r, err := s.system.Root.RequestFuture(s.activator,
		&pcluster.ActivationRequest{ClusterIdentity: &pcluster.ClusterIdentity{Identity: g.Identity(), Kind: string(g.Kind)}}, 5*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	return r.(*pcluster.ActivationResponse)
}

// TestOnlyTheOwnerActivates: whoever asks another member, with an old view, gets nothing there.
func TestOnlyTheOwnerActivates(t *testing.T) {
	all := sites(t, 2, &journal{})
	a, b := all[0], all[1]
	for _, owner := range all {
		a.sees(owner.system.ID)
		b.sees(owner.system.ID)
		for _, s := range all {
			if r := s.request(t, race); r.Failed != (s != owner) {
				t.Fatalf("failed = %v at the owner = %v", r.Failed, s == owner)
			}
		}
	}
}

// TestWhatHasEndedSaysMoved: at once, so that nobody waits for a silence.
func TestWhatHasEndedSaysMoved(t *testing.T) {
	a := sites(t, 1, &journal{})[0]
	a.sees(a.system.ID)
	pid := a.request(t, race).Pid
	ended := make(chan struct{})
	a.Release("", race, func() { close(ended) })
	<-ended
	r, err := a.system.Root.RequestFuture(pid, &clusterv1.Ack{}, 5*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := r.(*clusterv1.Fault); !ok || f.Code != call.ErrMoved.Code {
		t.Fatalf("answered %v, want %v", r, call.ErrMoved)
	}
}

// endsOf is the processor time of ending one of so many grains, at best of some rounds.
func endsOf(t *testing.T, grains int) time.Duration {
	t.Helper()
	const ends, rounds = 100, 3
	a := sites(t, 1, &journal{})[0]
	a.sees(a.system.ID)
	name := func(i int) id.Grain { return id.Of(id.Competition, fmt.Sprintf("r%d", i)) }
	for i := range grains {
		a.request(t, name(i))
	}
	best := time.Hour
	for range rounds {
		ended := make(chan struct{}, ends)
		began := testkit.Spent()
		for i := range ends {
			a.Release("", name(i), func() { ended <- struct{}{} })
		}
		for range ends {
			<-ended
		}
		best = min(best, (testkit.Spent()-began)/ends)
		a.caller.MembersChanged()
		a.system.Root.Send(a.activator, membersChanged{before: a.Members(), now: a.Members(), at: time.Now()}) // may be activated here again
		for i := range ends {
			a.request(t, name(i))
		}
	}
	return best
}

// TestAStopCostsTheSameAmongMany: a search through all grains would make it 16 times as dear.
func TestAStopCostsTheSameAmongMany(t *testing.T) {
	few, many := endsOf(t, 1_000), endsOf(t, 16_000)
	t.Logf("a stop takes %v of processor time among 1,000 grains, %v among 16,000", few, many)
	if many > 5*few {
		t.Fatalf("a stop takes %v among 16,000 grains and %v among 1,000", many, few)
	}
}
