package gossip

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paceline/internal/testkit"
)

// watched is a member, and what it was told.
type watched struct {
	*Gossip
	log *logged

	mu    sync.Mutex
	views [][]Member
	by    map[string]bool // goroutines that told
}

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// member starts one on loopback. spoil changes its configuration before.
func member(t *testing.T, id string, seeds []string, spoil ...func(*Config)) *watched {
	t.Helper()
	w := &watched{log: &logged{}, by: make(map[string]bool)}
	cfg := quick()
	cfg.Self = Member{ID: id, Address: id + ":1", Gossip: "127.0.0.1:0", Public: "http://" + id, StartedMs: 1, Level: 1}
	cfg.Seeds = seeds
	cfg.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, f := range spoil {
		f(&cfg)
	}
	g, err := Start(t.Context(), cfg, w.changed)
	if err != nil {
		t.Fatalf("Start %s: %v", id, err)
	}
	w.Gossip = g
	t.Cleanup(func() { w.leave(t) })
	return w
}

// quick are the settings, with the pauses that nobody need wait for in a test made short.
func quick() Config {
	cfg := Default()
	cfg.Rejoin = 100 * time.Millisecond
	cfg.Exchange = time.Second
	return cfg
}

func (w *watched) changed(all []Member) {
	stack := make([]byte, 64)
	stack = stack[:runtime.Stack(stack, false)] // begins with the goroutine's number
	w.mu.Lock()
	defer w.mu.Unlock()
	w.views = append(w.views, all)
	w.by[string(bytes.SplitN(stack, []byte(" ["), 2)[0])] = true
}

func (w *watched) leave(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := w.Leave(ctx); err != nil {
		t.Errorf("Leave: %v", err)
	}
}

// ids of the newest view.
func (w *watched) ids() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	if len(w.views) > 0 {
		for _, m := range w.views[len(w.views)-1] {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (w *watched) told() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.views)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, 20*time.Second, what, ok)
}

func sees(w *watched, ids ...string) func() bool {
	return func() bool { return slices.Equal(w.ids(), ids) }
}

// TestTheViewIsComplete: everybody is told of all, himself included, with what each said of itself, and by one
// goroutine.
func TestTheViewIsComplete(t *testing.T) {
	a := member(t, "a", nil)
	b := member(t, "b", []string{a.Address()})
	c := member(t, "c", []string{a.Address()})
	for _, w := range []*watched{a, b, c} {
		until(t, "all three", sees(w, "a", "b", "c"))
	}
	b.leave(t)
	for _, w := range []*watched{a, c} {
		until(t, "the two who stay", sees(w, "a", "c"))
	}
	for _, w := range []*watched{a, b, c} {
		w.mu.Lock()
		if len(w.by) != 1 {
			t.Errorf("told by %d goroutines, want one: %v", len(w.by), w.by)
		}
		for _, view := range w.views {
			if !slices.IsSortedFunc(view, func(a, b Member) int { return strings.Compare(a.ID, b.ID) }) {
				t.Errorf("a view that is not in order: %v", view)
			}
		}
		w.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	want := Member{ID: "c", Address: "c:1", Gossip: c.Address(), Public: "http://c", StartedMs: 1, Level: 1}
	if got := a.views[len(a.views)-1][1]; got != want {
		t.Errorf("c is told as %+v, want %+v", got, want)
	}
}

// TestTheNewestRunOfAnAddressIsSeen: of a process that was started again on its address only the new run is seen, and
// that the old one leaves (or is found dead) later changes nothing.
func TestTheNewestRunOfAnAddressIsSeen(t *testing.T) {
	a := member(t, "a", nil)
	run := func(id string, started int64) *watched {
		return member(t, id, []string{a.Address()}, func(c *Config) { c.Self.Address, c.Self.StartedMs = "node:1", started })
	}
	old := run("old", 100)
	until(t, "the first run", sees(a, "a", "old"))
	renewed := run("new", 200)
	for _, w := range []*watched{a, old, renewed} {
		until(t, "the second run in place of the first", sees(w, "a", "new"))
	}
	told := a.told()
	old.leave(t)
	// Who comes after that is told of it, so everything before has been told too.
	d := member(t, "d", []string{a.Address()})
	until(t, "one more", sees(a, "a", "d", "new"))
	until(t, "the same view", sees(d, "a", "d", "new"))
	if n := a.told() - told; n != 1 {
		t.Errorf("told %d times since the old run left, want once, of the one who came: %v", n, a.views[told:])
	}
}

// TestLeavingIsNotDying: who leaves is gone for the others at once, long before somebody who is silent is given up.
func TestLeavingIsNotDying(t *testing.T) {
	slow := func(c *Config) { c.ProbeInterval, c.SuspicionMult = time.Minute, 100 }
	a := member(t, "a", nil, slow)
	b := member(t, "b", []string{a.Address()}, slow)
	c := member(t, "c", []string{a.Address()}, slow)
	for _, w := range []*watched{a, b, c} {
		until(t, "all three", sees(w, "a", "b", "c"))
	}
	began := time.Now()
	c.leave(t)
	until(t, "c has left", sees(a, "a", "b"))
	until(t, "c has left", sees(b, "a", "b"))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestTheSilentAreGivenUp: who ends without a word is missed.
func TestTheSilentAreGivenUp(t *testing.T) {
	a := member(t, "a", nil)
	b := member(t, "b", []string{a.Address()})
	until(t, "both", sees(a, "a", "b"))
	b.once.Do(func() { // as a process that is killed: sockets are gone, nobody was told
		b.end()
		_ = b.list.Shutdown()
		b.ended.Wait()
	})
	until(t, "b is missed", sees(a, "a"))
}

// names is a resolver that knows what it is given.
type names map[string][]string

func (n names) LookupHost(_ context.Context, host string) ([]string, error) {
	if net.ParseIP(host) != nil {
		return []string{host}, nil
	}
	if found := n[host]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("no such host %s", host)
}

// TestSeedsByName: every address of a name is tried, as of a headless service, and one that comes later too; a name
// that is not known stops nothing.
func TestSeedsByName(t *testing.T) {
	a := member(t, "a", nil)
	_, port, _ := net.SplitHostPort(a.Address())
	on := func(ip string) func(*Config) {
		return func(c *Config) { c.Self.Gossip = net.JoinHostPort(ip, port) }
	}
	b := member(t, "b", nil, on("127.0.0.2"))
	service := names{"headless": {"127.0.0.3", "127.0.0.2", "127.0.0.1"}} // nobody is at the first one yet
	c := member(t, "c", []string{"nowhere:1", "headless:" + port}, func(c *Config) { c.Resolver = service })
	for _, w := range []*watched{a, b, c} {
		until(t, "all three", sees(w, "a", "b", "c"))
	}
	d := member(t, "d", nil, on("127.0.0.3"))
	for _, w := range []*watched{a, b, c, d} {
		until(t, "the one who came later", sees(w, "a", "b", "c", "d"))
	}
	if !strings.Contains(c.log.String(), "seed=nowhere:1") {
		t.Errorf("nothing is said of the name that is not known: %s", c.log)
	}
}

// TestSeedsByTheSystemsNames is the same with the system's resolver.
func TestSeedsByTheSystemsNames(t *testing.T) {
	a := member(t, "a", nil)
	_, port, _ := net.SplitHostPort(a.Address())
	b := member(t, "b", []string{"localhost:" + port})
	until(t, "both", sees(a, "a", "b"))
	until(t, "both", sees(b, "a", "b"))
}

// TestASeedThatIsNotThere: it is said once, and it is found when it comes.
func TestASeedThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	a := member(t, "a", []string{at})
	said := func() int { return strings.Count(a.log.String(), "a seed cannot be joined") }
	until(t, "some rounds", func() bool { return strings.Count(a.log.String(), "failed to join") >= 4 && said() > 0 })
	if !strings.Contains(a.log.String(), "seed="+at+` why="nobody listens there"`) {
		t.Errorf("it says %s", a.log)
	}
	b := member(t, "b", nil, func(c *Config) { c.Self.Gossip = at })
	until(t, "both", sees(a, "a", "b"))
	until(t, "both", sees(b, "a", "b"))
	if said() != 1 {
		t.Errorf("said %d times, want once", said())
	}
}

// TestMembersThatRowsSpeakOf are found without a seed.
func TestMembersThatRowsSpeakOf(t *testing.T) {
	a, b := member(t, "a", nil), member(t, "b", nil)
	b.Also([]string{a.Address()})
	until(t, "both", sees(a, "a", "b"))
}

// TestNotices: what one sends to another arrives there, with the sender's id.
func TestNotices(t *testing.T) {
	a := member(t, "a", nil)
	b := member(t, "b", []string{a.Address()})
	until(t, "both", sees(b, "a", "b"))
	got := make(chan string, 1)
	a.OnNotice(func(from string, msg []byte) { got <- from + " " + string(msg) })
	if err := b.Send("a", []byte("one\ntwo")); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "b one\ntwo" {
		t.Errorf("a was told %q", s)
	}
	if err := b.Send("nobody", nil); err == nil {
		t.Error("sent to nobody")
	}
}
