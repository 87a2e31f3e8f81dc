//go:build !race

package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/gossip"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// member is one of several in this process; all share a store, as real ones do.
type member struct {
	*Cluster
	stepped, restart atomic.Int32
}

// crowd is so many members of one cluster, over a common site.
type crowd struct {
	*site
	rows  persistence.Rows
	slow  time.Duration // how long a grain takes to end
	kinds []Kind        // beside the counters
	seeds []string
	all   []*member
}

func several(t *testing.T, n int) ([]*member, *site) {
	t.Helper()
	w := newCrowd(t, n, 0)
	return w.all, w.site
}

func newCrowd(t *testing.T, n int, slow time.Duration, kinds ...Kind) *crowd {
	t.Helper()
	w := &crowd{site: &site{counts: map[string]uint64{}, live: map[string]int{}}, rows: memory.New(), slow: slow, kinds: kinds}
	for range n {
		w.join(t)
	}
	w.agree(t, w.all...)
	return w
}

// join starts one more.
func (w *crowd) join(t *testing.T) *member {
	t.Helper()
	m := &member{}
	g := gossip.Default()
	g.Self.Gossip = "127.0.0.1:0"
	g.Self.Public = fmt.Sprintf("http://node-%d", len(w.all))
	g.Seeds = w.seeds
	cfg := Default()
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg.Many = &Many{
		Gossip: g, Rows: w.rows,
		StepDown: func([]gossip.Member) { m.stepped.Add(1) },
		Restart:  func(string) { m.restart.Add(1) },
	}
	c, err := Start(t.Context(), cfg, func(*Cluster) []Kind {
		return append([]Kind{{Name: id.User, New: func(g id.Grain) actor.Actor {
			return &counter{g: g, site: w.site, flush: 3, slow: w.slow}
		}}}, w.kinds...)
	})
	if err != nil {
		t.Fatalf("Start %d: %v", len(w.all), err)
	}
	m.Cluster = c
	w.seeds = append(w.seeds, c.provider.(*members).gossip.Address())
	w.all = append(w.all, m)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Stop(ctx)
	})
	return m
}

// agree waits until those see each other, and nobody else.
func (w *crowd) agree(t *testing.T, some ...*member) {
	t.Helper()
	until(t, "everybody sees everybody", func() bool {
		for _, m := range some {
			if len(m.Placement().Members().All()) != len(some) {
				return false
			}
		}
		return true
	})
}

func (s *site) sum() (sum uint64, overlaps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.counts {
		sum += n
	}
	return sum, s.overlaps
}

// TestGrainsOfManyMembers: whoever asks, the grain is the same one, on the member that owns it.
func TestGrainsOfManyMembers(t *testing.T) {
	all, s := several(t, 3)
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 300 {
				add(t, all[w%3].Cluster, fmt.Sprintf("u%d", (w*37+i)%300), 1)
			}
		}()
	}
	wg.Wait()
	if sum, overlaps := s.sum(); sum != 1800 || overlaps != 0 {
		t.Fatalf("sum %d, overlaps %d; want 1800 and 0", sum, overlaps)
	}
	for i, m := range all {
		n := m.Placement().Counts().Activated.Load()
		if n < 60 || n > 140 {
			t.Errorf("member %d has %d of 300 grains", i, n)
		}
	}
}

// TestMembersJoinAndLeaveUnderLoad: grains move while they are used; nothing is active twice, nothing is answered twice
// or not at all.
func TestMembersJoinAndLeaveUnderLoad(t *testing.T) {
	all, s := several(t, 3)
	stop := make(chan struct{})
	var asked atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				add(t, all[w%2].Cluster, fmt.Sprintf("u%d", (w*37+i)%200), 1)
				asked.Add(1)
			}
		}()
	}
	until(t, "some work is done", func() bool { return asked.Load() > 500 })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := all[2].Stop(ctx); err != nil {
		t.Errorf("leave: %v", err)
	}
	at := asked.Load()
	until(t, "work goes on without the third", func() bool {
		return asked.Load() > at+500 && len(all[0].Placement().Members().All()) == 2 && len(all[1].Placement().Members().All()) == 2
	})
	close(stop)
	wg.Wait()
	// A request that is tried again may count twice (the counter has no idempotency key), never less than once.
	if sum, overlaps := s.sum(); sum < uint64(asked.Load()) || overlaps != 0 {
		t.Fatalf("sum %d of %d asked, overlaps %d", sum, asked.Load(), overlaps)
	}
	for i, m := range all[:2] {
		if m.stepped.Load()+m.restart.Load() != 0 {
			t.Errorf("member %d: stepped down %d, restart %d", i, m.stepped.Load(), m.restart.Load())
		}
	}
}

// TestNothingIsActiveTwiceWhileItIsFlushed: grains take 200 ms to write what they hold, members join and leave under load,
// and whoever gets a grain waits until the one before has let go of it.
func TestNothingIsActiveTwiceWhileItIsFlushed(t *testing.T) {
	w := newCrowd(t, 2, 200*time.Millisecond)
	stop := make(chan struct{})
	var asked atomic.Int64
	var asking sync.WaitGroup
	for k := range 4 {
		asking.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				add(t, w.all[k%2].Cluster, fmt.Sprintf("u%d", (k*37+i)%200), 1)
				asked.Add(1)
			}
		})
	}
	more := func(what string) {
		at := asked.Load()
		until(t, what, func() bool { return asked.Load() > at+500 })
	}
	more("some work is done")
	third := w.join(t)
	w.agree(t, w.all...)
	more("work goes on with a third")
	if n := third.Placement().Counts().HandedOver.Load(); n == 0 {
		t.Error("nothing was handed over to the third: the test shows nothing")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := third.Stop(ctx); err != nil {
		t.Errorf("leave: %v", err)
	}
	w.agree(t, w.all[0], w.all[1])
	more("work goes on without it")
	close(stop)
	asking.Wait()
	if sum, overlaps := w.sum(); sum < uint64(asked.Load()) || overlaps != 0 {
		t.Fatalf("sum %d of %d asked, overlaps %d", sum, asked.Load(), overlaps)
	}
}

// TestOneWayMessagesReachOtherMembers.
func TestOneWayMessagesReachOtherMembers(t *testing.T) {
	all, s := several(t, 2)
	for i := range 200 {
		all[i%2].Caller().Tell(id.Of(id.User, fmt.Sprintf("u%d", i%50)), &clusterv1.Ack{Version: 1})
	}
	until(t, "200 arrived", func() bool { sum, _ := s.sum(); return sum == 200 })
}
