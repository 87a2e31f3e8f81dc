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
	"paceline/persistence/memory"
)

// member is one of several in this process; all share a store, as real ones do.
type member struct {
	*Cluster
	stepped, restart atomic.Int32
}

// several starts so many members of one cluster, over a common site.
func several(t *testing.T, n int) ([]*member, *site) {
	t.Helper()
	s := &site{counts: map[string]uint64{}, live: map[string]int{}}
	rows := memory.New()
	var all []*member
	var seeds []string
	for i := range n {
		m := &member{}
		g := gossip.Default()
		g.Self.Gossip = "127.0.0.1:0"
		g.Self.Public = fmt.Sprintf("http://node-%d", i)
		g.Seeds = seeds
		cfg := Default()
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		cfg.Many = &Many{
			Gossip: g, Rows: rows,
			StepDown: func([]gossip.Member) { m.stepped.Add(1) },
			Restart:  func(string) { m.restart.Add(1) },
		}
		c, err := Start(t.Context(), cfg, func(*Cluster) []Kind {
			return []Kind{{Name: id.User, New: func(g id.Grain) actor.Actor { return &counter{g: g, site: s, flush: 3} }}}
		})
		if err != nil {
			t.Fatalf("Start %d: %v", i, err)
		}
		m.Cluster = c
		seeds = append(seeds, c.provider.(*members).gossip.Address())
		all = append(all, m)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = c.Stop(ctx)
		})
	}
	until(t, "everybody sees everybody", func() bool {
		for _, m := range all {
			if len(m.Placement().Members().All()) != n {
				return false
			}
		}
		return true
	})
	return all, s
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

// TestOneWayMessagesReachOtherMembers.
func TestOneWayMessagesReachOtherMembers(t *testing.T) {
	all, s := several(t, 2)
	for i := range 200 {
		all[i%2].Caller().Tell(id.Of(id.User, fmt.Sprintf("u%d", i%50)), &clusterv1.Ack{Version: 1})
	}
	until(t, "200 arrived", func() bool { sum, _ := s.sum(); return sum == 200 })
}
