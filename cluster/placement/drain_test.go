package placement

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
)

// flushing are grains that write what they hold to a store which does one write in half a millisecond, lets so many wait
// and refuses the rest, as the lanes of a node do; what is refused is tried again after a pause.
type flushing struct {
	mu               sync.Mutex
	next             time.Time // the store is busy until then
	room, writing    int
	refused, flushed int
}

type again struct{}

func (f *flushing) grain() actor.Actor {
	return actor.ReceiveFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case step.Sweep:
			if m.Drain {
				f.write(ctx)
			}
		case again:
			f.write(ctx)
		case written:
			ctx.Stop(ctx.Self())
		}
	})
}

type written struct{}

func (f *flushing) write(ctx actor.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	root, self := ctx.ActorSystem().Root, ctx.Self()
	if f.writing == f.room {
		f.refused++
		time.AfterFunc(100*time.Millisecond, func() { root.Send(self, again{}) })
		return
	}
	f.writing++
	if now := time.Now(); f.next.Before(now) {
		f.next = now
	}
	f.next = f.next.Add(500 * time.Microsecond)
	time.AfterFunc(time.Until(f.next), func() {
		f.mu.Lock()
		f.writing--
		f.flushed++
		f.mu.Unlock()
		root.Send(self, written{})
	})
}

// TestAFullMemberDrains: thousands of grains end within the deadline, each has written what it holds, and at no time do
// they want more of the store than its queue takes.
func TestAFullMemberDrains(t *testing.T) {
	a := sites(t, 1, &journal{})[0]
	f := &flushing{room: 1024}
	a.kinds[id.User] = Kind{Name: id.User, New: func(id.Grain) actor.Actor { return f.grain() }}
	a.sees(a.system.ID)
	const grains = 8_000
	for i := range grains {
		if a.request(t, id.Of(id.User, fmt.Sprintf("u%d", i))).Failed {
			t.Fatal("not activated")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	began := time.Now()
	if err := a.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d grains drained in %v, %d writes refused", grains, time.Since(began), f.refused)
	if n := a.counts.Forced.Load(); f.flushed != grains || n != 0 || f.refused != 0 {
		t.Errorf("%d of %d have flushed, %d were forced to end, %d writes refused; want all, 0 and 0", f.flushed, grains, n, f.refused)
	}
}

// TestWhatIsInUseEndsLaterAndRacesLast: a leaving member's grains are nowhere from their end until it has left. What is used
// meanwhile is served until all others have been asked to end, a race until all of them have ended.
func TestWhatIsInUseEndsLaterAndRacesLast(t *testing.T) {
	a := sites(t, 1, &journal{})[0]
	const atOnce, grains = 2, 10
	a.cfg.EndAtOnce = atOnce
	ending := make(chan string, grains+1)
	kind := func(k id.Kind, last bool) Kind {
		return Kind{Name: k, Last: last, New: func(g id.Grain) actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				switch m := ctx.Message().(type) {
				case *clusterv1.Ack:
					ctx.Respond(&clusterv1.Ack{})
				case step.Sweep:
					if m.Drain {
						ending <- g.ID
					}
				case written:
					ctx.Stop(ctx.Self())
				}
			})
		}}
	}
	a.kinds[id.User], a.kinds[id.Competition] = kind(id.User, false), kind(id.Competition, true)
	a.topology(viewOf(a))
	pids := map[string]*actor.PID{race.ID: a.request(t, race).Pid}
	for i := range grains {
		name := fmt.Sprintf("u%d", i)
		pids[name] = a.request(t, id.Of(id.User, name)).Pid
	}
	drained := make(chan error, 1)
	go func() { drained <- a.Drain(t.Context()) }()
	order := []string{<-ending, <-ending}
	used := ""
	for name := range pids {
		if name != race.ID && name != order[0] && name != order[1] {
			used = name
		}
	}
	serves := func(g id.Grain) {
		t.Helper()
		if r := a.request(t, g); r.Failed {
			t.Fatalf("%v is not served before its turn", g)
		}
		m, err := a.system.Root.RequestFuture(pids[g.ID], &clusterv1.Ack{}, 5*time.Second).Result()
		if _, ok := m.(*clusterv1.Ack); !ok {
			t.Fatalf("%v answers %v, %v before its turn", g, m, err)
		}
	}
	serves(id.Of(id.User, used))
	for n := 0; n < grains; n++ {
		serves(race)
		a.system.Root.Send(pids[order[n]], written{})
		if n < grains-atOnce || n == grains-1 {
			order = append(order, <-ending)
		}
	}
	if len(order) != grains+1 || order[grains-1] != used || order[grains] != race.ID {
		t.Errorf("ended in the order %v, want %q and %q last", order, used, race.ID)
	}
	a.system.Root.Send(pids[race.ID], written{})
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
