package placement

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
)

// journal is one grain's: a version that is compared and set, and who has written last.
type journal struct {
	mu      sync.Mutex
	version uint64
	by      string
	first   int // appends that were an activation's first
}

// writer is a grain that answers with authority: it appends before it answers, and stops when it is fenced.
type writer struct {
	j       *journal
	member  string
	version uint64
	wrote   bool
}

var errFenced = fault.Later("machine.moved", "fenced")

func (w *writer) Receive(ctx actor.Context) {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	switch m := ctx.Message().(type) {
	case *actor.Started:
		w.version = w.j.version
	case *clusterv1.Ack:
		if w.version != w.j.version {
			if ctx.Sender() != nil {
				ctx.Respond(call.Reason(errFenced))
			}
			Fenced(ctx, w.j.by)
			ctx.Stop(ctx.Self())
			return
		}
		if !w.wrote {
			w.wrote = true
			w.j.first++
		}
		w.version++
		w.j.version, w.j.by = w.version, w.member
		if ctx.Sender() != nil {
			ctx.Respond(&clusterv1.Ack{Version: w.version, Stream: w.member})
		}
	case step.Sweep:
		if m.Drain {
			ctx.Stop(ctx.Self())
		}
	}
}

// site is a member without a network: what it sends to others arrives at once.
type site struct {
	*Placement
	caller *call.Caller
	all    map[string]*site
}

func (s *site) Ask(member string, a *clusterv1.Ask, done func(proto.Message, error)) (forget func()) {
	other := s.all[member]
	if other == nil {
		done(nil, call.ErrMoved)
		return func() {}
	}
	to, _ := id.ParseIdentity(a.Grain)
	msg, err := call.Unpack(a.Type, a.Message)
	if err != nil {
		done(nil, err)
		return func() {}
	}
	now := time.Now()
	go other.caller.Here(to, msg, call.Origin{
		Within:   now.Add(time.Duration(a.WithinMs) * time.Millisecond),
		Deadline: now.Add(time.Duration(a.DeadlineMs) * time.Millisecond), Forwarded: a.Forwarded,
	}, func(m proto.Message, err error) {
		if f, ok := m.(*clusterv1.Fault); ok {
			m, err = nil, call.Fault(f)
		}
		done(m, err)
	})
	return func() {}
}

func (s *site) Tell(member string, a *clusterv1.Ask) bool {
	other := s.all[member]
	if other == nil {
		return false
	}
	to, _ := id.ParseIdentity(a.Grain)
	msg, err := call.Unpack(a.Type, a.Message)
	if err == nil {
		other.caller.TellHere(to, msg, a.Forwarded)
	}
	return err == nil
}

// sites are so many members that share a journal. Nobody hands anything over: that is what a fence is for.
func sites(t *testing.T, n int, j *journal) []*site {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	all, byID := make([]*site, n), map[string]*site{}
	for i := range all {
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return log }),
			actor.WithDeadLetterRequestLogging(false))
		cfg := Default()
		cfg.Linger, cfg.Random = 50*time.Millisecond, rand.New(rand.NewPCG(1, uint64(i))).Uint64
		s := &site{Placement: New(cfg, log), all: byID}
		s.caller = call.New(system, s.Placement, call.Default(), log)
		s.caller.Over(s)
		s.Serve([]Kind{{Name: id.Competition, New: func(id.Grain) actor.Actor {
			return &writer{j: j, member: system.ID}
		}}}, s.caller, nil, s.caller.MembersChanged)
		s.Setup(&pcluster.Cluster{ActorSystem: system}, nil, false)
		byID[system.ID], all[i] = s, s
		t.Cleanup(system.Shutdown)
	}
	return all
}

var race = id.Of(id.Competition, "r")

// sees gives a member a view in which everybody is a member and owner owns the race.
func (s *site) sees(owner string) {
	for port := int32(1); ; port++ {
		t := &pcluster.ClusterTopology{}
		for member := range s.all {
			t.Members = append(t.Members, &pcluster.Member{Id: member, Host: member, Port: port})
		}
		members := make([]Member, 0, len(t.Members))
		for _, m := range t.Members {
			members = append(members, Member{ID: m.Id, Address: m.Address()})
		}
		if o, _ := NewMembers(members).Owner(race.Affinity()); o.ID == owner {
			s.topology(t)
			return
		}
	}
}

func (s *site) ask(ctx context.Context) (string, error) {
	m, err := s.caller.Ask(ctx, race, &clusterv1.Ack{})
	if err != nil {
		return "", err
	}
	return m.(*clusterv1.Ack).Stream, nil
}

// fencesIn is how often one member's activation of one grain can be fenced in that time: as often as the shortest
// pauses allow.
func fencesIn(d time.Duration) int64 {
	n, most := int64(1), pauseFirst
	for d -= most / 2; d >= 0; d -= most / 2 {
		n, most = n+1, min(2*most, pauseMost)
	}
	return n
}

// TestTwoThatDisagreeDoNotFenceEachOtherForEver: the views of two members flap, so that each often believes the grain to
// be its own while the other one does too. Each fence costs a recovery and everything that was under way.
func TestTwoThatDisagreeDoNotFenceEachOtherForEver(t *testing.T) {
	j := &journal{}
	all := sites(t, 2, j)
	a, b := all[0], all[1]
	a.sees(a.system.ID)
	b.sees(b.system.ID)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	var asking sync.WaitGroup
	var answered [2]atomic.Int64
	for i := range 4 {
		asking.Add(1)
		go func() {
			defer asking.Done()
			for ctx.Err() == nil {
				if _, err := all[i%2].ask(ctx); err == nil {
					answered[i%2].Add(1)
				}
			}
		}()
	}
	for i := 0; ctx.Err() == nil; i++ {
		agreed := []string{a.system.ID, b.system.ID}[i/2%2]
		if i%2 == 0 {
			a.sees(a.system.ID)
			b.sees(b.system.ID)
		} else {
			a.sees(agreed)
			b.sees(agreed)
		}
		select {
		case <-ctx.Done():
		case <-time.After(40 * time.Millisecond):
		}
	}
	asking.Wait()
	took := time.Since(began)
	for i, s := range all {
		if n, most := s.counts.Fenced.Load(), fencesIn(took); n > most {
			t.Errorf("member %d was fenced %d times in %v, want at most %d", i, n, took, most)
		}
		if answered[i].Load() == 0 {
			t.Errorf("nobody was answered at member %d", i)
		}
	}
	if a.counts.Fenced.Load()+b.counts.Fenced.Load() == 0 {
		t.Fatal("nothing was fenced: the test shows nothing")
	}
	t.Logf("fenced %d and %d times, answered %d and %d", a.counts.Fenced.Load(), b.counts.Fenced.Load(), answered[0].Load(), answered[1].Load())

	// They agree again: everybody is answered by the one, soon, and nothing is fenced any more.
	a.sees(a.system.ID)
	b.sees(a.system.ID)
	settle, stop := context.WithTimeout(t.Context(), pauseMost+5*time.Second)
	defer stop()
	for _, s := range all {
		for settle.Err() == nil {
			if who, err := s.ask(settle); err == nil && who == a.system.ID {
				break
			}
		}
	}
	before := a.counts.Fenced.Load() + b.counts.Fenced.Load()
	for i := range 200 {
		if who, err := all[i%2].ask(settle); err != nil || who != a.system.ID {
			t.Fatalf("ask = %q, %v after they agree; want %q", who, err, a.system.ID)
		}
	}
	if n := a.counts.Fenced.Load() + b.counts.Fenced.Load() - before; n != 0 {
		t.Fatalf("fenced %d times after they agree", n)
	}
}

// fence makes a's activation be fenced by b's.
func fence(t *testing.T, a, b *site) {
	t.Helper()
	a.sees(a.system.ID)
	b.sees(b.system.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, s := range []*site{a, b} {
		if _, err := s.ask(ctx); err != nil {
			t.Fatal(err)
		}
	}
	a.caller.Tell(race, &clusterv1.Ack{})
	for a.counts.Fenced.Load() == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("nothing was fenced")
		case <-time.After(time.Millisecond):
		}
	}
}

// longPause makes a's next pause one of seconds, so that a slow machine sees it too.
func (s *site) longPause() { s.pauses.all[race] = pause{until: time.Now(), most: pauseMost} }

// TestWhatWasFencedIsSentOn: to the member that has the grain, for the member's own clients, for those of a third that
// knows no better, and one-way; nothing is activated meanwhile.
func TestWhatWasFencedIsSentOn(t *testing.T) {
	j := &journal{}
	all := sites(t, 3, j)
	a, b, c := all[0], all[1], all[2]
	a.longPause()
	fence(t, a, b)
	c.sees(a.system.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for name, s := range map[string]*site{"its own": a, "another's": c} {
		if who, err := s.ask(ctx); err != nil || who != b.system.ID {
			t.Errorf("%s client: answered by %q, %v; want %q", name, who, err, b.system.ID)
		}
	}
	j.mu.Lock()
	before := j.version
	j.mu.Unlock()
	for _, s := range []*site{a, c} {
		s.caller.Tell(race, &clusterv1.Ack{})
	}
	for {
		j.mu.Lock()
		n, by, first := j.version, j.by, j.first
		j.mu.Unlock()
		if n == before+2 {
			if by != b.system.ID || first != 2 {
				t.Fatalf("written by %q, %d activations; want %q and 2", by, first, b.system.ID)
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d of 2 one-way messages came", n-before)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestASentOnMessageGoesNoFurther: two members that name each other do not play ball with a message.
func TestASentOnMessageGoesNoFurther(t *testing.T) {
	all := sites(t, 2, &journal{})
	a, b := all[0], all[1]
	a.sees(a.system.ID)
	b.sees(b.system.ID)
	a.longPause()
	b.longPause()
	a.pauses.begin(race, b.system.ID, time.Now())
	b.pauses.begin(race, a.system.ID, time.Now())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if who, err := a.ask(ctx); err == nil {
		t.Fatalf("answered by %q while both rest", who)
	}
	if n := b.caller.Counts().Onward.Load(); n != 0 {
		t.Fatalf("sent on %d times by the second", n)
	}
	a.caller.Tell(race, &clusterv1.Ack{})
	b.caller.Tell(race, &clusterv1.Ack{})
	if n := a.counts.Activated.Load() + b.counts.Activated.Load(); n != 0 {
		t.Fatalf("%d activations while both rest", n)
	}
}

// TestWhoHasItIsGone: then the owner by placement has it again, after the pause.
func TestWhoHasItIsGone(t *testing.T) {
	j := &journal{}
	all := sites(t, 2, j)
	a, b := all[0], all[1]
	fence(t, a, b)
	delete(a.all, b.system.ID)
	a.sees(a.system.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if who, err := a.ask(ctx); err != nil || who != a.system.ID {
		t.Fatalf("ask = %q, %v; want %q", who, err, a.system.ID)
	}
}
