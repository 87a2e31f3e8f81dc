package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// leastIdle is less than an actor with its name, its machine and its state can be.
const leastIdle = 1 << 10

// TestAnIdleGrainIsSmall: a node may hold so many bytes of heap for a grain that nobody talks to, with its actor and mailbox,
// its answers and its place in the tables. The grains have just been made, by the messages that the gateway sends, and wait to
// be swept: each still knows of the wake-up row that covered its append.
func TestAnIdleGrainIsSmall(t *testing.T) {
	const people, things = 20, 100
	for name, kind := range map[string]struct {
		most int64
		one  func(n *idleNode, user, name string)
	}{
		"device": {2 << 10, func(n *idleNode, user, name string) {
			n.ask(id.Scoped(id.Device, user, newID(n.clock.now())), &devicev1.Register{Call: n.call("operator:test"),
				Device: &devicev1.Registered{Owner: strings.Clone(user), Name: name}})
		}},
		"user": {2 << 10, func(n *idleNode, _, name string) {
			n.ask(id.Of(id.User, newID(n.clock.now())), &userv1.Register{Call: n.call("operator:test"), Profile: &userv1.Profile{Handle: name, Name: "Ann " + name}})
		}},
		"training": {4 << 10, func(n *idleNode, user, _ string) { // finished, and nothing came
			g := id.Scoped(id.Training, user, newID(n.clock.now()))
			n.ask(g, &trainingv1.Command{Call: n.call("athlete:" + user), Command: &trainingv1.Command_Start{Start: &trainingv1.Start{
				Start: &livev1.StartWorkout{Sport: "run", Zone: "Etc/UTC", DeviceTimeMs: int64(n.clock.now().Node)}}}})
			n.ask(g, &trainingv1.Command{Call: n.call("athlete:" + user), Command: &trainingv1.Command_Finish{Finish: &livev1.FinishWorkout{}}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv(aloneInProcess) == "" {
				inOwnProcess(t)
				return
			}
			crowd(2 * people * things)
			n := startIdle(t)
			var all sync.WaitGroup
			for u := range people {
				all.Go(func() {
					user := newID(n.clock.now())
					for i := range things {
						kind.one(n, user, fmt.Sprintf("watch-%d-%d", u, i))
					}
				})
			}
			all.Wait()
			switch got := n.held(people * things); {
			case got > kind.most:
				t.Errorf("an idle %s holds %d bytes, want at most %d", name, got, kind.most)
			case got < leastIdle:
				t.Errorf("an idle %s holds %d bytes: those that have ended are still held, so that this shows nothing", name, got)
			default:
				t.Logf("an idle %s holds %d bytes (bound %d)", name, got, kind.most)
			}
		})
	}
}

// aloneInProcess says that no other test runs, or has run, in this process.
const aloneInProcess = "PACELINE_TEST_ALONE"

// inOwnProcess runs this test by itself: the nodes of other tests let go of megabytes when they please.
func inOwnProcess(t *testing.T) {
	t.Helper()
	var pattern []string
	for part := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+part+"$")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run", strings.Join(pattern, "/"), "-test.v")
	c.Env = append(os.Environ(), aloneInProcess+"=1")
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// crowd has so many goroutines and timers at once: what the runtime keeps of them for later ones is then there before anything
// is measured, and not only when all grains end together.
func crowd(n int) {
	var all sync.WaitGroup
	var fired atomic.Int64
	everybody := make(chan struct{})
	for range n {
		all.Add(1)
		time.AfterFunc(100*time.Millisecond, func() {
			if fired.Add(1) == int64(n) {
				close(everybody)
			}
			<-everybody
			all.Done()
		})
	}
	all.Wait()
}

// idleNode is a node on a memory store.
type idleNode struct {
	*node
	t *testing.T
}

func startIdle(t *testing.T) *idleNode {
	t.Helper()
	var c struct{ settings }
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--store", "memory", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data")}); err != nil {
		t.Fatal(err)
	}
	c.before = func(persistence.Rows) persistence.Rows { return sleepless{memory.New()} }
	keys, err := c.tokenKeys()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	n, err := start(t.Context(), c.settings, keys, slog.New(slog.DiscardHandler), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &idleNode{n, t}
}

// sleepless keeps no wake-up: who looks for them would hold the row of each grain until it is due.
type sleepless struct{ persistence.Rows }

// Put implements persistence.Rows.
func (s sleepless) Put(ctx context.Context, all []persistence.Mutation) error {
	return s.Rows.Put(ctx, slices.DeleteFunc(slices.Clone(all), func(m persistence.Mutation) bool { return m.Part.Table == persistence.TableWakeup }))
}

func (n *idleNode) call(by string) *clusterv1.Call {
	return &clusterv1.Call{CommandId: newID(n.clock.now()), By: by}
}

func (n *idleNode) ask(to id.Grain, m proto.Message) {
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	if _, err := n.cluster.Caller().Ask(ctx, to, m); err != nil {
		n.t.Errorf("%s: %v", to, err)
	}
}

// tableBytes of a grain stay when it ends, for the next one: its entries in the activator's table and in the places that
// callers remember, each a string and a pointer in a map that is between 7/16 and 7/8 full, with a byte of its own.
const tableBytes = 2 * (16 + 8 + 1) * 16 / 7

// held is what a grain of so many holds: what is let go of when all of them end, and the entries.
func (n *idleNode) held(grains int64) int64 {
	n.t.Helper()
	if !soon(time.Minute, func() bool {
		waiting, _ := n.lanes.Queued()
		lagging, _ := n.published.lag()
		return waiting == 0 && lagging == 0 && n.cluster.Caller().Outstanding() == 0
	}) {
		n.t.Fatal("the node does not come to rest")
	}
	if got := n.cluster.Placement().Counts().Active.Load(); got != grains {
		n.t.Fatalf("%d grains are active, want %d", got, grains)
	}
	full := n.settled(time.Second)
	n.profile("full")
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	if err := n.cluster.Placement().Drain(ctx); err != nil {
		n.t.Fatal(err)
	}
	empty := n.settled(5 * time.Second)
	n.profile("empty")
	return (full-empty)/grains + tableBytes
}

// settled is the heap once it has got no smaller for so long: timers of what is over run out, actors that have ended linger.
func (n *idleNode) settled(still time.Duration) int64 {
	least, since := heap(), time.Now()
	soon(time.Minute, func() bool {
		if now := heap(); now+(16<<10) < least {
			least, since = now, time.Now()
		}
		return time.Since(since) > still
	})
	return int64(least)
}

// profile writes where the bytes are, for who asks.
func (n *idleNode) profile(when string) {
	folder := os.Getenv("PACELINE_IDLE_PROFILE")
	if folder == "" {
		return
	}
	f, err := os.Create(filepath.Join(folder, filepath.Base(n.t.Name())+"."+when+".pprof"))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := pprof.WriteHeapProfile(f); err != nil {
		n.t.Error(err)
	}
	if err := f.Close(); err != nil {
		n.t.Error(err)
	}
}
