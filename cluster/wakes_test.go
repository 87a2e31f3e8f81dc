//go:build !race

package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/wakeup"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// sweeps carries a member's sweeper on real time until ctx ends.
func (m *member) sweeps(ctx context.Context, store persistence.Store) {
	inbox := make(chan any, 4096) // as many as a sweeper can have under way, and more
	post := func(msg any) {
		select {
		case inbox <- msg:
		case <-ctx.Done():
		}
	}
	s := wakeup.New(nil)
	post(wakeup.Start{})
	m.Watch(func() { post(wakeup.Own{Shards: wakeup.Shards(m.Owns)}) })
	for {
		var msg any
		select {
		case <-ctx.Done():
			return
		case msg = <-inbox:
		}
		now := unit.InstantMs(time.Now().UnixMilli())
		for _, o := range s.Step(step.Now{Wall: now, Node: now}, msg, nil) {
			switch o := o.(type) {
			case step.After:
				time.AfterFunc(time.Duration(o.At-now)*time.Millisecond, func() { post(step.Tick{Key: o.Key}) })
			case step.Send:
				m.Caller().Tell(o.To, o.Msg.(*clusterv1.Wake))
			case persistence.Do:
				go func() {
					result, err := o.Op.Run(ctx, store, nil)
					post(persistence.Done{Tag: o.Tag, Result: result, Err: err})
				}()
			}
		}
	}
}

// woken is when grains were woken, and how often.
type woken struct {
	mu sync.Mutex
	at map[id.Grain][]time.Time
}

func (w *woken) kind() Kind {
	return Kind{Name: id.Competition, New: func(g id.Grain) actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *clusterv1.Wake:
				w.mu.Lock()
				w.at[g] = append(w.at[g], time.Now())
				w.mu.Unlock()
			case step.Sweep:
				if m.Drain {
					ctx.Stop(ctx.Self())
				}
			}
		})
	}}
}

// TestWakeUpsOverMembers: each grain is woken at its time, not before, by whichever member owns its shard; also those
// whose shard's owner is dropped as by a crash shortly before, once another owns the shard. How late they came is printed;
// that it is within a second is shown on a virtual clock (cluster/wakeup).
func TestWakeUpsOverMembers(t *testing.T) {
	w := &woken{at: map[id.Grain][]time.Time{}}
	c := newCrowd(t, 3, 0, w.kind())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store := persistence.Over(c.rows)
	last, crash := context.WithCancel(ctx)
	defer crash()
	go c.all[0].sweeps(ctx, store)
	go c.all[1].sweeps(ctx, store)
	go c.all[2].sweeps(last, store)
	due := map[id.Grain]time.Time{}
	began := time.Now()
	const early, late = 200, 200
	for i := range early + late {
		g := id.Of(id.Competition, fmt.Sprintf("c%d", i))
		at := began.Add(11*time.Second + time.Duration(10*i)*time.Millisecond)
		if i >= early { // the member is gone then
			at = at.Add(1500 * time.Millisecond)
		}
		due[g] = time.UnixMilli(at.UnixMilli())
		if err := store.PutWakeup(ctx, persistence.Wakeup{Grain: g, Due: unit.InstantMs(at.UnixMilli()), Reason: "open", Activation: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(began.Add(14 * time.Second))):
	}
	owned := wakeup.Shards(c.all[2].Owns)
	gone := time.Now()
	crash()
	c.all[2].Abandon()
	leave, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	_ = c.all[2].Stop(leave)
	var undisturbed, taken []time.Duration
	deadline := time.Now().Add(30 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for g, at := range due {
		for {
			w.mu.Lock()
			fired := slices.Clone(w.at[g])
			w.mu.Unlock()
			if len(fired) == 0 {
				if time.Now().After(deadline) {
					t.Fatalf("%v was never woken", g)
				}
				<-look.C
				continue
			}
			lateBy := fired[0].Sub(at)
			if lateBy < 0 {
				t.Fatalf("%v was woken %v before its time", g, -lateBy)
			}
			if slices.Contains(owned, persistence.ShardOf(g)) && at.After(gone) {
				taken = append(taken, lateBy)
			} else if at.Before(gone) {
				undisturbed = append(undisturbed, lateBy)
			}
			break
		}
	}
	if len(taken) == 0 || len(undisturbed) == 0 {
		t.Fatal("no wake-up of the member that is gone: the test shows nothing")
	}
	slices.Sort(undisturbed)
	slices.Sort(taken)
	t.Logf("undisturbed: %d, late by %v at the median, %v at most", len(undisturbed), undisturbed[len(undisturbed)/2], undisturbed[len(undisturbed)-1])
	t.Logf("of the member that is gone: %d, late by %v at the median, %v at most", len(taken), taken[len(taken)/2], taken[len(taken)-1])
	if most := taken[len(taken)-1]; most > 20*time.Second {
		t.Errorf("the last wake-up of the member that is gone came after %v", most)
	}
}
