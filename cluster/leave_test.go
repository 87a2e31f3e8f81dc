//go:build !race

package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"
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
