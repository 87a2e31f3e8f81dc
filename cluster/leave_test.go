//go:build !race

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
)

// TestWhoMeetsTheDrainsDeadlineStillSaysThatItLeaves: grains take longer to end than draining may; the row is gone and the
// others know at once all the same.
func TestWhoMeetsTheDrainsDeadlineStillSaysThatItLeaves(t *testing.T) {
	w := newCrowd(t, 3, 2*time.Second)
	out := w.all[2]
	for i := range 60 {
		add(t, w.all[0].Cluster, fmt.Sprintf("u%d", i), 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := out.Stop(ctx); err == nil {
		t.Error("it drained in time: the test shows nothing")
	}
	gone := time.Now()
	rows, err := nodesOf(w.rows, "paceline").all(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.GetId() == out.Member() {
			t.Errorf("its row is left behind (serves: %v)", r.GetServes())
		}
	}
	w.agree(t, w.all[0], w.all[1])
	if took := time.Since(gone); took > 1500*time.Millisecond {
		t.Errorf("the others knew after %v", took)
	}
}

// TestARaceIsNowhereForAShortTimeOnly: a full member leaves, each of its grains takes 0.7 s to end, and so do hundreds at a
// time. The race is asked for all the time, at another member.
func TestARaceIsNowhereForAShortTimeOnly(t *testing.T) {
	const flush, grains = 700 * time.Millisecond, 1_200
	var w *crowd
	w = newCrowd(t, 2, flush, Kind{Name: id.Competition, Last: true, New: func(g id.Grain) actor.Actor {
		return &counter{g: g, site: w.site, flush: 1, slow: flush}
	}})
	stay, out := w.all[0], w.all[1]
	for i, his := 0, 0; his < grains; i++ {
		if u := fmt.Sprintf("u%d", i); out.Owns(id.Of(id.User, u).Affinity()) {
			add(t, stay.Cluster, u, 1)
			his++
		}
	}
	race := id.Of(id.Competition, "r0")
	for i := 0; !out.Owns(race.Affinity()); i++ {
		race = id.Of(id.Competition, fmt.Sprint("r", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	if _, err := stay.Caller().Ask(ctx, race, &clusterv1.Ack{Version: 1}); err != nil {
		t.Fatal(err)
	}
	defer cancel()
	left := make(chan error, 1)
	began := time.Now()
	go func() { left <- out.Stop(ctx) }()
	longest, last, after := time.Duration(0), time.Now(), 0
	for gone := false; after < 20 && ctx.Err() == nil; {
		one, done := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := stay.Caller().Ask(one, race, &clusterv1.Ack{Version: 1})
		done()
		if err == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
			if gone {
				after++
			}
		}
		select {
		case err := <-left:
			if gone = true; err != nil {
				t.Error(err)
			}
			t.Logf("left after %v", time.Since(began))
		default:
		}
	}
	t.Logf("the race did not answer for %v at most; to end takes it %v", longest, flush)
	if longest > flush+1500*time.Millisecond || after == 0 {
		t.Errorf("the race did not answer for %v", longest)
	}
}
