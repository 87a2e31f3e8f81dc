//go:build !race

package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"paceline/cluster/gossip"
	"paceline/cluster/port"
	"paceline/domain/id"
	"paceline/internal/testkit"
	"paceline/persistence/memory"
)

// besieged are two members of one cluster, with certificates and a gossip key, and what is known of them before anybody
// does anything to them.
type besieged struct {
	t    *testing.T
	all  []*member
	site *site
	cert *port.Certificate // a third member's, for who has got hold of one
	heap uint64            // bytes, after a collection

	peak     atomic.Uint64 // bytes of heap, collected or not, since the siege began
	stop     chan struct{}
	routines int
}

// What a siege may cost at its peak, and when it is over: of this process, that is of two members and of those who
// besiege them. Garbage counts for the peak.
const (
	peakBytes = 192 << 20
	restBytes = 16 << 20
)

// fortified starts the two. through changes a configuration before its member starts.
func fortified(t *testing.T, through func(i int, c *Config)) *besieged {
	t.Helper()
	folder := t.TempDir()
	if err := port.Develop(folder, []string{"a", "b", "thief"}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	cert := func(name string) *port.Certificate {
		c, err := port.Load(port.Files{Cert: filepath.Join(folder, name+".pem"), Key: filepath.Join(folder, name+".key"), CA: filepath.Join(folder, "ca.pem")})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	b := &besieged{t: t, cert: cert("thief"), site: &site{counts: map[string]uint64{}, live: map[string]int{}}, stop: make(chan struct{})}
	rows := memory.New()
	for i, name := range []string{"a", "b"} {
		m := &member{}
		g := gossip.Default()
		g.Self.Gossip, g.Keys = "127.0.0.1:0", [][]byte{[]byte("0123456789abcdef0123456789abcdef")}
		g.Rejoin = 200 * time.Millisecond
		if i > 0 {
			g.Seeds = []string{b.gossip(0)}
		}
		cfg := Default()
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		cfg.Many = &Many{Gossip: g, Rows: rows, Certificate: cert(name),
			StepDown: func([]gossip.Member) { m.stepped.Add(1) }, Restart: func(string) { m.restart.Add(1) }}
		if through != nil {
			through(i, &cfg)
		}
		c, err := Start(t.Context(), cfg, func(*Cluster) []Kind {
			return []Kind{{Name: id.User, New: func(g id.Grain) actor.Actor { return &counter{g: g, site: b.site, flush: 3} }}}
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Cluster = c
		b.all = append(b.all, m)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = c.Stop(ctx)
		})
	}
	b.answers("before anything is done")
	runtime.GC()
	b.heap, b.routines = heap(), runtime.NumGoroutine()
	watched := make(chan struct{})
	go b.watch(watched)
	t.Cleanup(func() { close(b.stop); <-watched })
	return b
}

func (b *besieged) gossip(i int) string { return b.all[i].provider.(*members).gossip.Address() }

// heap is what objects take, garbage that is not collected yet included.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func (b *besieged) watch(ended chan struct{}) {
	defer close(ended)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := heap(); now > b.heap+b.peak.Load() {
			b.peak.Store(now - b.heap)
		}
		select {
		case <-tick.C:
		case <-b.stop:
			return
		}
	}
}

// answers says that both members see each other and that grains on both answer to both.
func (b *besieged) answers(when string) {
	b.t.Helper()
	eventually(b.t, "both see both, "+when, func() bool {
		return len(b.all[0].Placement().Members().All()) == 2 && len(b.all[1].Placement().Members().All()) == 2
	})
	before, _ := b.site.sum()
	for i := range 60 {
		add(b.t, b.all[i%2].Cluster, fmt.Sprintf("u%d", i%30), 1)
	}
	if after, overlaps := b.site.sum(); after < before+60 || overlaps != 0 {
		b.t.Fatalf("%s: %d of 60 requests counted, %d grains active twice", when, after-before, overlaps)
	}
	for i, m := range b.all {
		if m.stepped.Load()+m.restart.Load() != 0 {
			b.t.Fatalf("%s: member %d has stepped down or wants to begin anew", when, i)
		}
	}
}

// withstood is what must hold after each attack.
func (b *besieged) withstood(attack string) {
	b.t.Helper()
	b.answers("after " + attack)
	eventually(b.t, "nothing is left of "+attack, func() bool {
		runtime.GC()
		return heap() < b.heap+restBytes && runtime.NumGoroutine() < b.routines+50
	})
	peak := b.peak.Swap(0)
	if peak > peakBytes {
		b.t.Errorf("%s: %d MiB more at the peak, want at most %d", attack, peak>>20, peakBytes>>20)
	}
	b.t.Logf("%s: at most %d MiB more, %d KiB at the end", attack, peak>>20, (int64(heap())-int64(b.heap))>>10)
}

// eventually is until, for a machine that does much else.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testkit.Until(t, 30*time.Second, what, ok)
}

// crowdOf calls f from so many goroutines, each with a source of chance of its own.
func crowdOf(n int, f func(r *rand.Rand)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			f(rand.New(rand.NewPCG(7, uint64(i))))
		}()
	}
	all.Wait()
}

// some random bytes, now and then with the beginning of what the port speaks.
func some(r *rand.Rand, most int, beginnings ...[]byte) []byte {
	b := make([]byte, 1+r.IntN(most))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if n := r.IntN(2 * len(beginnings)); n < len(beginnings) {
		b = append(append([]byte(nil), beginnings[n]...), b...)
	}
	return b
}

// utter sends bytes on a connection of its own and takes what is answered, as long as the other side likes, at most a
// moment.
func utter(to string, b []byte) {
	c, err := net.DialTimeout("tcp", to, 2*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = c.Write(b)
	_, _ = io.Copy(io.Discard, c)
}

// What the ports' conversations begin with.
var (
	labelled  = append([]byte{244, 8}, "paceline"...)
	tlsHello  = []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}
	h2Preface = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
)

// gossipBeginnings are those of all of memberlist's messages: of this cluster's name, as if encrypted and as if not.
func gossipBeginnings() [][]byte {
	all := [][]byte{labelled, {244, 0}, {244, 255}}
	for kind := range 16 {
		all = append(all, append(append([]byte(nil), labelled...), byte(kind)), []byte{byte(kind)})
	}
	return all
}

// TestRandomBytes on all of a running member's ports: what is no conversation costs a connection each.
func TestRandomBytes(t *testing.T) {
	b := fortified(t, nil)
	to := b.all[0].Address()
	crowdOf(8, func(r *rand.Rand) {
		for range 40 {
			utter(to, some(r, 40_000, tlsHello, h2Preface))
		}
	})
	if n := b.all[0].Filter().Counts().Strangers.Load(); n < 200 {
		t.Errorf("%d strangers counted at the members' port, want most of 320", n)
	}
	b.withstood("320 conversations of random bytes at the members' port")

	crowdOf(8, func(r *rand.Rand) {
		for range 40 {
			utter(b.gossip(0), some(r, 40_000, gossipBeginnings()...))
		}
	})
	if n := b.strangers(); n < 200 {
		t.Errorf("%d strangers counted at the gossip's port (TCP), want most of 320", n)
	}
	b.withstood("320 conversations of random bytes at the gossip's port")

	before := b.strangers()
	crowdOf(2, func(r *rand.Rand) {
		c, err := net.Dial("udp", b.gossip(0))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for range 10_000 {
			_, _ = c.Write(some(r, 1400, gossipBeginnings()...))
		}
	})
	eventually(t, "packets are counted", func() bool { return b.strangers()-before > 1000 })
	b.withstood("20,000 packets of random bytes at the gossip's port")
}

// strangers that the first member's gossip has counted.
func (b *besieged) strangers() int64 {
	c := b.all[0].provider.(*members).gossip.Counts()
	return c.OtherKey.Load() + c.OtherCluster.Load() + c.Unreadable.Load()
}

// TestAFloodOfConnections: hundreds that say nothing, or begin and do not go on, on both ports; those who are members
// talk to each other meanwhile, and one that was cut off connects again.
func TestAFloodOfConnections(t *testing.T) {
	b := fortified(t, nil)
	for _, to := range []string{b.all[0].Address(), b.gossip(0)} {
		var mu sync.Mutex
		var held []net.Conn
		crowdOf(10, func(r *rand.Rand) {
			for range 60 {
				c, err := net.DialTimeout("tcp", to, 5*time.Second)
				if err != nil {
					continue
				}
				if r.IntN(2) == 0 {
					_, _ = c.Write(some(r, 20, tlsHello, labelled))
				}
				mu.Lock()
				held = append(held, c)
				mu.Unlock()
			}
		})
		b.answers("with 600 connections at " + to)
		eventually(t, "the oldest are pushed out", func() bool {
			return b.all[0].Filter().Counts().Crowded.Load() >= 100 && to == b.all[0].Address() ||
				b.all[0].provider.(*members).gossip.Counts().Full.Load() >= 100
		})
		for _, c := range held {
			c.Close()
		}
		b.withstood("600 connections held at " + to)
	}
}
