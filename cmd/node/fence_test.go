package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster/placement"
	"paceline/domain/id"
	"paceline/domain/unit"
	ports "paceline/simulations/process"
	"paceline/simulations/swarm"
)

// The pauses of a node whose activation was fenced: random up to so much, at least half of it, doubled with each fence.
const (
	pauseFirst = unit.DurationMs(200)
	pauseMost  = 5 * unit.Second
)

// disagreeFor is how long the two are asked, askEvery how often by each of the four, one after the other: the one that has the
// race needs only write, the other one has to read first, and where both are asked all the time, or at the same time, it never
// comes before the first one.
const disagreeFor, askEvery = 9 * time.Second, 400 * time.Millisecond

// TestTwoNodesThatDisagree: two whole nodes on one store each believe to own a race, for good, and both are given commands.
// Its real activations fence each other, but ever more seldom: each node waits longer after each fence, and meanwhile sends
// what it is asked to the other one. Nothing is lost or done twice; once they agree all of it goes to one.
func TestTwoNodesThatDisagree(t *testing.T) {
	m := &many{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	m.place.migrate()
	var at []string
	for range 2 {
		address, err := ports.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, address)
		m.start("--cluster-listen", address)
	}
	m.serve(2) // each has asked the other one, so the links are there
	wrong, right := m.nodes[0], m.nodes[1]
	node := m.connect(0)
	name := ""
	for name == "" {
		if n := node.NewID(); swarm.Owner(n, at) == 1 {
			name = n
		}
	}
	openRaceAt(t, node, name, time.Hour, 3_000)
	agree := m.believes(wrong, name)
	// Until its views of before are forgotten it asks those who owned the race to let go of it.
	remembered := time.NewTimer(placement.Default().HandOver + time.Second)
	<-remembered.C

	clients := []*swarm.Node{node, m.connect(1)}
	p := &penalties{race: name, done: map[string]bool{}}
	ctx, cancel := context.WithTimeout(t.Context(), disagreeFor)
	defer cancel()
	var asking sync.WaitGroup
	var answered [2]atomic.Int64
	began := time.Now()
	for i := range 4 {
		n := clients[i%2]
		asking.Go(func() {
			turn := time.NewTimer(time.Duration(i) * askEvery / 4)
			<-turn.C
			tick := time.NewTicker(askEvery)
			defer tick.Stop()
			for ctx.Err() == nil {
				if p.one(ctx, n) == nil {
					answered[i%2].Add(1)
				}
				<-tick.C
			}
		})
	}
	asking.Wait()
	took := time.Since(began)
	fenced := func(s serving) int64 { return s.node.cluster.Placement().Counts().Fenced.Load() }
	onward := func(s serving) int64 { return s.node.cluster.Caller().Counts().Onward.Load() }
	t.Logf("in %v: fenced %d and %d times, %d and %d sent on to the other, %d and %d commands answered", took.Round(time.Millisecond),
		fenced(wrong), fenced(right), onward(wrong), onward(right), answered[0].Load(), answered[1].Load())
	for i, s := range m.nodes {
		if n, most := fenced(s), fencesIn(took); n == 0 || n > most {
			t.Errorf("node %d was fenced %d times in %v, want 1 to %d", i, n, took, most)
		}
		if onward(s) == 0 {
			t.Errorf("node %d has sent nothing on", i)
		}
		if answered[i].Load() == 0 {
			t.Errorf("nobody was answered at node %d", i)
		}
	}

	agree() // they agree
	settle, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	for i := 0; i < 20; {
		if p.one(settle, node) == nil {
			i++
		} else if settle.Err() != nil {
			t.Fatal("not answered after they agree")
		}
	}
	before := fenced(wrong) + fenced(right)
	for i := range 40 {
		if err := p.one(settle, clients[i%2]); err != nil {
			t.Fatalf("after they agree: %v", err)
		}
	}
	if n := fenced(wrong) + fenced(right) - before; n != 0 {
		t.Errorf("fenced %d times after they agree", n)
	}
	p.check(t, right.node)
}

// believes makes a node believe that it owns a race which another one owns, and that both are members; undo tells it the truth.
func (m *many) believes(s serving, race string) (undo func()) {
	m.t.Helper()
	all := s.node.cluster.Placement().Members().All()
	self := s.node.cluster.Member()
	for port := int32(1); ; port++ {
		seen, truth := &pcluster.ClusterTopology{}, &pcluster.ClusterTopology{}
		var members []placement.Member
		for _, one := range all {
			host, text, err := net.SplitHostPort(one.Address)
			if err != nil {
				m.t.Fatal(err)
			}
			number, err := strconv.Atoi(text)
			if err != nil {
				m.t.Fatal(err)
			}
			p := int32(number)
			truth.Members = append(truth.Members, &pcluster.Member{Id: one.ID, Host: host, Port: p})
			if one.ID == self {
				p = port // nobody sends to it, but the owner of a grain is found by it
			}
			wrong := &pcluster.Member{Id: one.ID, Host: host, Port: p}
			seen.Members = append(seen.Members, wrong)
			members = append(members, placement.Member{ID: one.ID, Address: wrong.Address()})
		}
		if owner, _ := placement.NewMembers(members).Owner(id.Of(id.Competition, race).Affinity()); owner.ID == self {
			tell := s.node.cluster.System().EventStream
			tell.Publish(seen)
			return func() { tell.Publish(truth) }
		}
	}
}

// fencesIn is how often one node's activation of one grain can be fenced in that time: as often as the shortest pauses allow.
func fencesIn(d time.Duration) int64 {
	left, n, most := unit.DurationMs(d.Milliseconds()), int64(1), pauseFirst
	for left -= most / 2; left >= 0; left -= most / 2 {
		n, most = n+1, min(2*most, pauseMost)
	}
	return n
}

// penalties are commands to a race, of which is known which were answered.
type penalties struct {
	race string
	mu   sync.Mutex
	n    int64
	done map[string]bool
}

func (p *penalties) one(ctx context.Context, n *swarm.Node) error {
	p.mu.Lock()
	p.n++
	ms := 1 - 2*(p.n%2) // their sum stays
	p.mu.Unlock()
	command := n.NewID()
	_, err := n.Competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{CompetitionId: p.race, Command: &competitionv1.Command{
		Call: &clusterv1.Call{CommandId: command}, Command: &competitionv1.Command_Penalty{Penalty: &competitionv1.PenaltyAdded{Entry: 1, PenaltyMs: ms, Reason: "test"}}}}))
	if err == nil {
		p.mu.Lock()
		p.done[command] = true
		p.mu.Unlock()
	}
	return err
}

// check reads the journal: what was answered is there once, and of one node each activation begins later after the one before
// than that.
func (p *penalties) check(t *testing.T, n *node) {
	t.Helper()
	found := map[string]int{}
	opened := map[string][]unit.InstantMs{}
	for after, more := uint64(0), true; more; {
		records, next, err := n.runtime.Store.ReadJournal(t.Context(), id.Of(id.Competition, p.race), after, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			e, err := competitioncodec.Decode(rec.Kind, rec.Format, rec.Payload)
			if err != nil {
				t.Fatal(err)
			}
			switch e := e.(type) {
			case competition.Opened:
				opened[e.Member] = append(opened[e.Member], rec.Meta.At)
			case competition.PenaltyAdded:
				found[rec.Meta.CommandID]++
			}
			after = rec.Version
		}
		more = next
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for command := range p.done {
		if found[command] != 1 {
			t.Errorf("a command that was answered is %d times in the journal", found[command])
		}
	}
	for member, at := range opened {
		var gaps []unit.DurationMs
		for i := 1; i < len(at); i++ {
			gaps = append(gaps, at[i].Sub(at[i-1]))
		}
		t.Logf("%s opened %d epochs, after %v ms", member, len(at), gaps)
	}
	for member, at := range opened {
		least := pauseFirst / 2
		for i := 1; i < len(at)-1; i++ { // the last may be of after they agreed
			if gap := at[i].Sub(at[i-1]); gap < least {
				t.Errorf("%s began epoch %d only %d ms after the one before, want at least %d", member, i+1, gap, least)
			}
			least = min(2*least, pauseMost/2)
		}
	}
	if len(opened) != 2 {
		t.Errorf("%d nodes have had the race: the test shows nothing", len(opened))
	}
	fmt.Fprintf(t.Output(), "%d commands were answered, %d are in the journal\n", len(p.done), len(found))
}
