package placement

import (
	"testing"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"paceline/domain/id"
	"paceline/internal/testkit"
)

// slowly hands grains over when it is told to.
type slowly struct {
	asked chan struct{}
	let   chan struct{}
}

func (s slowly) Release(_ string, _ id.Grain, _ time.Duration, done func(ok bool)) {
	close(s.asked) // once: a second ask is a fault
	go func() { <-s.let; done(true) }()
}

func (s slowly) ReleaseAll(string, time.Duration, func(ok bool)) {}

// TestAskersOfAGrainThatIsHandedOverAreBounded: so many wait for its former owner's answer, and get their place with it;
// one more is sent away at once.
func TestAskersOfAGrainThatIsHandedOverAreBounded(t *testing.T) {
	all := sites(t, 2, &journal{})
	a, b := all[0], all[1]
	former := slowly{asked: make(chan struct{}), let: make(chan struct{})}
	a.former = former
	a.sees(b.system.ID)
	a.sees(a.system.ID)
	const beyond = 10
	answers := make(chan *pcluster.ActivationResponse, maxAskers+beyond)
	for range maxAskers + beyond {
		future := a.system.Root.RequestFuture(a.activator,
			&pcluster.ActivationRequest{ClusterIdentity: &pcluster.ClusterIdentity{Identity: race.Identity(), Kind: string(race.Kind)}}, 20*time.Second)
		go func() {
			r, err := future.Result()
			if err != nil {
				t.Error(err)
				return
			}
			answers <- r.(*pcluster.ActivationResponse)
		}()
	}
	<-former.asked
	testkit.Until(t, 10*time.Second, "those beyond the bound are sent away", func() bool { return len(answers) >= beyond })
	// Asked behind all of them, so that by its answer each was taken or sent away.
	if _, err := a.Active(t.Context(), race.Identity()); err != nil {
		t.Fatal(err)
	}
	for range beyond {
		if r := <-answers; !r.Failed {
			t.Errorf("answered %v before the former owner has let go", r.Pid)
		}
	}
	if n := len(answers); n != 0 {
		t.Errorf("%d more were answered, want %d who wait", n, maxAskers)
	}
	close(former.let)
	for range maxAskers {
		if r := <-answers; r.Failed || r.Pid == nil {
			t.Error("who has waited got no place")
		}
	}
}
