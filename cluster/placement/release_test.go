package placement

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"paceline/domain/id"
	"paceline/domain/step"
)

// all answers whether everything was let go of when it is told to.
type all struct {
	*asking
	done chan func(ok bool)
}

func (a all) ReleaseAll(_ string, _ time.Duration, done func(ok bool)) { a.done <- done }

// TestAFormerOwnerIsAskedUntilItHasLetGoOfAll: however long that takes it, and not once more afterwards.
func TestAFormerOwnerIsAskedUntilItHasLetGoOfAll(t *testing.T) {
	both := sites(t, 2, &journal{})
	a, b := both[0], both[1]
	b.cfg.HandOver = time.Nanosecond // long over when the first one is asked for
	former := all{&asking{}, make(chan func(ok bool), 1)}
	b.former = former
	b.topology(viewOf(a, b))
	b.system.Root.Send(b.activator, sweepNow{})
	done := <-former.done
	for asked := 1; asked < 3; asked++ {
		if b.request(t, id.Of(id.Competition, risingName(asked, a, b))).Failed || len(former.all()) != asked {
			t.Fatalf("asked %v for %d grains", former.all(), asked)
		}
	}
	done(true) // the activator hears it before the next request
	if b.request(t, id.Of(id.Competition, risingName(3, a, b))).Failed || len(former.all()) != 2 {
		t.Errorf("asked %v, the last time after all was let go of", former.all())
	}
}

// risingName is the n-th name of a race that b takes from a.
func risingName(n int, a, b *site) string {
	for i := 0; ; i++ {
		name := fmt.Sprint("race-", i)
		if o, _ := membersOf(a, b).Owner(id.Of(id.Competition, name).Affinity()); o.ID != b.system.ID {
			continue
		}
		if n--; n == 0 {
			return name
		}
	}
}

// TestWhatIsAskedForEndsFirst: of many grains that must end those that another member waits for are the next, and no more
// than so many end at a time for all that; whoever asks whether all have ended is answered when they have.
func TestWhatIsAskedForEndsFirst(t *testing.T) {
	both := sites(t, 2, &journal{})
	a, b := both[0], both[1]
	const atOnce, grains = 2, 12
	a.cfg.EndAtOnce = atOnce
	ending := make(chan string, grains)
	var under, most atomic.Int64
	a.kinds[id.Competition] = Kind{Name: id.Competition, New: func(g id.Grain) actor.Actor {
		return actor.ReceiveFunc(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case step.Sweep:
				if m.Drain {
					most.Store(max(most.Load(), under.Add(1)))
					ending <- g.ID
				}
			case chan struct{}:
				close(m)
			case written:
				under.Add(-1)
				ctx.Stop(ctx.Self())
			}
		})
	}}
	a.topology(viewOf(a))
	pids := map[string]*actor.PID{}
	for i := range grains {
		name := risingName(i+1, a, b)
		pids[name] = a.request(t, id.Of(id.Competition, name)).Pid
	}
	a.topology(viewOf(a, b))
	first := []string{<-ending, <-ending}
	wanted := map[string]bool{}
	let := make(chan string, grains)
	for name := range pids {
		if len(wanted) < 4 && name != first[0] && name != first[1] {
			wanted[name] = true
			a.Release(b.system.ID, id.Of(id.Competition, name), func() { let <- name })
		}
	}
	everything := make(chan struct{})
	a.ReleaseAll(b.system.ID, func() { close(everything) })
	if _, err := a.Active(t.Context(), race.Identity()); err != nil { // behind all that was asked
		t.Fatal(err)
	}
	for name := range wanted {
		seen := make(chan struct{}) // behind being asked to end, if it was
		a.system.Root.Send(pids[name], seen)
		<-seen
	}
	next := first
	for n := atOnce; n < grains; n++ {
		select {
		case <-everything:
			t.Fatal("it says that it has let go of all while it has not")
		default:
		}
		a.system.Root.Send(pids[next[0]], written{})
		name := <-ending
		if n-atOnce < len(wanted) && !wanted[name] {
			t.Errorf("%q ends before those that are waited for", name)
		}
		next = append(next[1:], name)
	}
	for _, name := range next {
		a.system.Root.Send(pids[name], written{})
	}
	<-everything
	for range wanted {
		<-let
	}
	if n := most.Load(); n > atOnce {
		t.Errorf("%d ended at a time, want at most %d", n, atOnce)
	}
}
