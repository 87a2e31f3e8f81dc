//go:build !race

package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/internal/testkit"
)

// TestTwoJoinWhileGrainsAreFlushed: grains take 2.5 s to write what they hold, two members join one right after the other
// while all of them are asked for: the third takes from the second what that one waits for itself, and nothing is active
// twice.
func TestTwoJoinWhileGrainsAreFlushed(t *testing.T) {
	const flush, users = 2500 * time.Millisecond, 300
	w := newCrowd(t, 1, flush)
	first := w.all[0]
	for i := range users {
		add(t, first.Cluster, fmt.Sprintf("u%d", i), 1)
	}
	stop, end := context.WithCancel(t.Context())
	defer end()
	var asking sync.WaitGroup
	for k := range 8 {
		asking.Go(func() {
			for i := k; stop.Err() == nil; i += 8 {
				ctx, cancel := context.WithTimeout(stop, 200*time.Millisecond)
				_, _ = first.Caller().Ask(ctx, id.Of(id.User, fmt.Sprintf("u%d", i%users)), &clusterv1.Ack{Version: 1})
				cancel()
			}
		})
	}
	w.join(t)
	third := w.join(t)
	w.agree(t, w.all...)
	testkit.Until(t, 20*time.Second, "each has its grains, and nothing else", func() bool {
		sum, still := int64(0), int64(0)
		for _, m := range w.all {
			c := m.Placement().Counts()
			sum += c.Active.Load()
			still += c.Activated.Load() - c.Released.Load() - c.Active.Load()
		}
		_, overlaps := w.sum()
		return overlaps > 0 || sum == users && still == 0 && owns(w.all, users)
	})
	end()
	asking.Wait()
	if n := third.Placement().Counts().HandedOver.Load(); n == 0 {
		t.Error("nothing was handed over to the third: the test shows nothing")
	}
	if _, overlaps := w.sum(); overlaps > 0 {
		t.Errorf("%d grains were active twice", overlaps)
	}
}

// owns reports whether each of those has as many active as are its own.
func owns(all []*member, users int) bool {
	for _, m := range all {
		own := int64(0)
		for i := range users {
			if m.Owns(id.Of(id.User, fmt.Sprintf("u%d", i)).Affinity()) {
				own++
			}
		}
		if m.Placement().Counts().Active.Load() != own {
			return false
		}
	}
	return true
}
