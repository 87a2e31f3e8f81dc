package call

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
)

// field is an actor system whose one activator spawns the test's grain anew whenever the last one has ended.
type field struct {
	system    *actor.ActorSystem
	activator *actor.PID
	caller    *Caller
	grain     func(ctx actor.Context)

	mu          sync.Mutex
	pid         *actor.PID
	activations int
	refuse      int // so many activation requests are answered "failed"
}

func (f *field) Owner(id.Grain) (string, bool, bool) { return "me", true, true }
func (f *field) Onward(id.Grain) (string, bool)      { return "", false }
func (f *field) Activator() *actor.PID               { return f.activator }

func quick() Config {
	c := Default()
	c.AttemptTimeout, c.LongestAttempt, c.BackoffMin, c.BackoffMax = 40*time.Millisecond, 160*time.Millisecond, time.Millisecond, 3*time.Millisecond
	return c
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newField(t *testing.T, cfg Config, grain func(ctx actor.Context)) *field {
	t.Helper()
	f := &field{grain: grain}
	f.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }),
		actor.WithDeadLetterRequestLogging(false))
	f.activator = f.system.Root.Spawn(actor.PropsFromFunc(f.activate))
	f.caller = New(f.system, f, cfg, quiet())
	t.Cleanup(f.system.Shutdown)
	return f
}

func (f *field) activate(ctx actor.Context) {
	if _, ok := ctx.Message().(*pcluster.ActivationRequest); !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse > 0 {
		f.refuse--
		ctx.Respond(&pcluster.ActivationResponse{Failed: true})
		return
	}
	if f.pid == nil || !f.caller.alive(f.pid) {
		f.activations++
		f.pid = f.system.Root.Spawn(actor.PropsFromFunc(f.grain))
	}
	ctx.Respond(&pcluster.ActivationResponse{Pid: f.pid})
}

func (f *field) ended(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	pid := f.pid
	f.mu.Unlock()
	if err := f.system.Root.StopFuture(pid).Wait(); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

var ann = id.Of(id.User, "ann")

func answer(ctx actor.Context) {
	if m, ok := ctx.Message().(*clusterv1.Ack); ok && ctx.Sender() != nil {
		ctx.Respond(&clusterv1.Ack{Stream: m.Stream, Version: m.Version + 1})
	}
}

func (f *field) ask(t *testing.T, within time.Duration) (proto.Message, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return f.caller.Ask(ctx, ann, &clusterv1.Ack{Stream: "s", Version: 41})
}

func wantAnswer(t *testing.T, m proto.Message, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("Ask() = %v, want an answer", err)
	}
	if v := m.(*clusterv1.Ack).GetVersion(); v != 42 {
		t.Fatalf("Ask() = version %d, want 42", v)
	}
}

func TestAskIsAnswered(t *testing.T) {
	f := newField(t, quick(), answer)
	for range 3 {
		m, err := f.ask(t, time.Second)
		wantAnswer(t, m, err)
	}
	if f.activations != 1 {
		t.Fatalf("activations = %d, want 1", f.activations)
	}
}

func TestAskFindsItsWay(t *testing.T) {
	var n atomic.Int32
	times := func(k int32, otherwise func(actor.Context)) func(actor.Context) {
		return func(ctx actor.Context) {
			if _, ok := ctx.Message().(*clusterv1.Ack); ok && n.Add(1) <= k {
				otherwise(ctx)
				return
			}
			answer(ctx)
		}
	}
	for name, grain := range map[string]func(actor.Context){
		"the message is lost twice":    times(2, func(actor.Context) {}),
		"the grain has moved":          times(2, func(ctx actor.Context) { ctx.Respond(Reason(ErrMoved)) }),
		"the store is away for a time": times(3, func(ctx actor.Context) { ctx.Respond(Reason(fault.Later("x.away", "later"))) }),
		"the activation stops at once": times(1, func(ctx actor.Context) { ctx.Stop(ctx.Self()) }),
	} {
		t.Run(name, func(t *testing.T) {
			n.Store(0)
			f := newField(t, quick(), grain)
			m, err := f.ask(t, 2*time.Second)
			wantAnswer(t, m, err)
		})
	}
	t.Run("the remembered place is empty", func(t *testing.T) {
		f := newField(t, quick(), answer)
		m, err := f.ask(t, time.Second)
		wantAnswer(t, m, err)
		f.ended(t)
		m, err = f.ask(t, time.Second)
		wantAnswer(t, m, err)
		if f.activations != 2 {
			t.Fatalf("activations = %d, want 2", f.activations)
		}
	})
	t.Run("the owner does not activate yet", func(t *testing.T) {
		f := newField(t, quick(), answer)
		f.refuse = 3
		m, err := f.ask(t, 2*time.Second)
		wantAnswer(t, m, err)
	})
}

func TestAskIsRefused(t *testing.T) {
	asked := 0
	no := fault.New(fault.Conflict, "competition.already_running", "It runs.").With("gun %d", 7)
	f := newField(t, quick(), func(ctx actor.Context) {
		if _, ok := ctx.Message().(*clusterv1.Ack); ok {
			asked++
			ctx.Respond(Reason(no))
		}
	})
	_, err := f.ask(t, time.Second)
	var got *fault.Fault
	if !errors.As(err, &got) || *got != *no {
		t.Fatalf("Ask() = %v, want %v", err, no)
	}
	if asked != 1 {
		t.Fatalf("asked %d times, want once: a refusal is an answer", asked)
	}
}

func TestDeadlineEndsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		grain func(actor.Context)
		want  error
	}{
		"silence":                     {func(actor.Context) {}, ErrTimeout},
		"a reason says more than it":  {func(ctx actor.Context) { respond(ctx, fault.Later("x.away", "later")) }, fault.Later("x.away", "")},
		"moved for ever is moved too": {func(ctx actor.Context) { respond(ctx, ErrMoved) }, ErrMoved},
	} {
		t.Run(name, func(t *testing.T) {
			f := newField(t, quick(), tc.grain)
			began := time.Now()
			_, err := f.ask(t, 150*time.Millisecond)
			if !errors.Is(err, tc.want) {
				t.Fatalf("Ask() = %v, want %v", err, tc.want)
			}
			if took := time.Since(began); took > time.Second {
				t.Fatalf("took %v, want the deadline", took)
			}
			if n := f.caller.Outstanding(); n != 0 {
				t.Fatalf("Outstanding() = %d, want 0", n)
			}
		})
	}
}

func respond(ctx actor.Context, err error) {
	if ctx.Sender() != nil {
		ctx.Respond(Reason(err))
	}
}

func TestOutstandingIsBounded(t *testing.T) {
	cfg := quick()
	cfg.MaxOutstanding = 10
	f := newField(t, cfg, func(actor.Context) {})
	var busy, other atomic.Int32
	var all sync.WaitGroup
	for range 25 {
		all.Add(1)
		f.caller.Start(ann, &clusterv1.Ack{}, time.Now().Add(100*time.Millisecond), func(_ proto.Message, err error) {
			if errors.Is(err, ErrBusy) {
				busy.Add(1)
			} else {
				other.Add(1)
			}
			all.Done()
		})
	}
	all.Wait()
	if busy.Load() != 15 || other.Load() != 10 {
		t.Fatalf("busy %d, other %d; want 15 and 10", busy.Load(), other.Load())
	}
}

func TestNoGoroutineWaits(t *testing.T) {
	f := newField(t, Default(), func(actor.Context) {})
	if _, err := f.ask(t, 20*time.Millisecond); err == nil {
		t.Fatal("answered")
	}
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 2000 {
		all.Add(1)
		f.caller.Start(ann, &clusterv1.Ack{}, time.Now().Add(300*time.Millisecond), func(proto.Message, error) { all.Done() })
	}
	if n := runtime.NumGoroutine() - before; n > 50 {
		t.Fatalf("%d more goroutines for 2000 requests", n)
	}
	all.Wait()
}

// TestDoneExactlyOnce: whatever a grain does, done is called once, and what was answered is an answer to it.
func TestDoneExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		moods := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 12).Draw(rt, "moods")
		next := 0
		f := newField(t, quick(), func(ctx actor.Context) {
			if _, ok := ctx.Message().(*clusterv1.Ack); !ok {
				return
			}
			mood := moods[next%len(moods)]
			next++
			switch mood {
			case 0: // lost
			case 1:
				respond(ctx, ErrMoved)
			case 2:
				ctx.Stop(ctx.Self())
			case 3: // twice
				answer(ctx)
				answer(ctx)
			case 4:
				respond(ctx, fault.New(fault.Denied, "x.no", "no"))
			default:
				answer(ctx)
			}
		})
		const requests = 20
		var calls [requests]atomic.Int32
		var all sync.WaitGroup
		for i := range requests {
			all.Add(1)
			f.caller.Start(ann, &clusterv1.Ack{Version: 41}, time.Now().Add(60*time.Millisecond), func(m proto.Message, err error) {
				if calls[i].Add(1) == 1 {
					all.Done()
				}
				if (m == nil) == (err == nil) {
					t.Errorf("done(%v, %v), want one of them", m, err)
				}
			})
		}
		all.Wait()
		for i := range requests {
			if n := calls[i].Load(); n != 1 {
				t.Fatalf("done called %d times for request %d", n, i)
			}
		}
		if n := f.caller.Outstanding(); n != 0 {
			t.Fatalf("Outstanding() = %d, want 0", n)
		}
	})
}

func TestTellReachesTheNextActivation(t *testing.T) {
	got := make(chan uint64, 10)
	f := newField(t, quick(), func(ctx actor.Context) {
		if m, ok := ctx.Message().(*clusterv1.Ack); ok {
			if ctx.Sender() != nil {
				t.Error("a one-way message has a sender")
			}
			got <- m.Version
		}
	})
	want := func(v uint64) {
		t.Helper()
		select {
		case g := <-got:
			if g != v {
				t.Fatalf("got %d, want %d", g, v)
			}
		case <-time.After(2 * time.Second):
			t.Fatalf("%d did not arrive", v)
		}
	}
	f.caller.Tell(ann, &clusterv1.Ack{Version: 1})
	want(1)
	f.ended(t)
	f.caller.Tell(ann, &clusterv1.Ack{Version: 2})
	want(2)
}

func TestPlacesAreBounded(t *testing.T) {
	c := newPlaces(640)
	for i := range 10_000 {
		g := id.Of(id.User, id.New(0, [10]byte{byte(i), byte(i >> 8)}))
		c.put(g, actor.NewPID("a", "b"))
		if c.get(g) == nil {
			t.Fatal("what was put last is not there")
		}
	}
	if n := c.size(); n > 640 {
		t.Fatalf("size() = %d, want at most 640", n)
	}
	c.clear()
	if n := c.size(); n != 0 {
		t.Fatalf("size() = %d after clear", n)
	}
}

// TestPlacesShareTheNameOfTheirPIDs: a place costs no second name, and finding it allocates nothing.
func TestPlacesShareTheNameOfTheirPIDs(t *testing.T) {
	c := newPlaces(640)
	g := id.Scoped(id.Device, id.New(0, [10]byte{1}), id.New(0, [10]byte{2}))
	first, second := actor.NewPID("a", g.Identity()+"$1"), actor.NewPID("a", g.Identity()+"$2")
	for _, pid := range []*actor.PID{first, second} {
		c.put(g, pid)
		if got := c.get(g); got != pid {
			t.Fatalf("the place is %v, want %v", got, pid)
		}
		for identity := range c.shard(g.AppendIdentity(nil)).pids {
			if unsafe.StringData(identity) != unsafe.StringData(pid.Id) {
				t.Errorf("%s is kept beside its PID's name", identity)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.get(g) }); n != 0 {
		t.Errorf("%v allocations to find a place", n)
	}
	if c.drop(g, first); c.get(g) != second {
		t.Error("the place before was dropped, and this one is gone")
	}
	if c.drop(g, second); c.get(g) != nil {
		t.Error("a place that was dropped is there")
	}
}

func TestReasonRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := &fault.Fault{
			Kind:    fault.Kind(rapid.IntRange(0, int(fault.Unauthentic)).Draw(rt, "kind")),
			Code:    rapid.StringMatching(`[a-z]+\.[a-z_]+`).Draw(rt, "code"),
			Message: rapid.String().Draw(rt, "message"),
			Retry:   rapid.Bool().Draw(rt, "retry"),
			Detail:  rapid.String().Draw(rt, "detail"),
		}
		if got := Fault(Reason(f)); *got != *f {
			t.Fatalf("Fault(Reason(f)) = %v, want %v", got, f)
		}
	})
	if k := Fault(&clusterv1.Fault{Kind: 99}).Kind; k != fault.Internal {
		t.Fatalf("an unknown kind is %v, want Internal", k)
	}
	if got := Fault(Reason(errors.New("disk on fire"))); got.Code != "internal" || got.Kind != fault.Internal {
		t.Fatalf("Fault(Reason(error)) = %v, want the neutral one", got)
	}
}
