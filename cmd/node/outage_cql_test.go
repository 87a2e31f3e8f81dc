package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paceline/internal/testkit"
)

// cqlTrouble is a race over a real Cassandra, with a proxy between.
type cqlTrouble struct {
	*trouble
	proxy *testkit.CQLProxy
	old   *backlog
	heap  heapWatch
}

const (
	// cqlRaceLead is for the entries of a race on a server that does other things too.
	cqlRaceLead = 12 * time.Second
	// cqlUnackedMB and cqlHeldMB keep what a node may hold small enough for a race of some clients to show that it is not exceeded.
	cqlUnackedMB = 1
	cqlHeldMB    = 2
	// backLatency is how slow the store is at first when it is back. With one worker for old data (of backWorkers) the backlog
	// then takes so long that what is live must come first to be level before half of it is stored.
	backLatency = 300 * time.Millisecond
	backWorkers = 8
)

// newCQLTrouble opens a race on a keyspace of its own of the server behind the proxy.
func newCQLTrouble(t *testing.T, server string, rate int, args ...string) *cqlTrouble {
	t.Helper()
	p := newCQLPlaceOn(t, []string{server})
	p.migrate()
	proxy := testkit.NewCQLProxy(t, server)
	p.flags = []string{"--cql-hosts", proxy.Addr(), "--cql-keyspace", p.keyspace}
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(data, append([]string{"--clock-rate", fmt.Sprint(rate), "--unacked-mb", fmt.Sprint(cqlUnackedMB), "--store-held-mb", fmt.Sprint(cqlHeldMB), "--store-workers", fmt.Sprint(backWorkers)}, args...)...)
	x := &cqlTrouble{proxy: proxy, trouble: newTrouble(t, s, data, rate, cqlRaceLead, 4_000, 4_200, 4_400, 4_600)}
	x.lag = 3 * time.Second // answers that are on their way when the weather begins
	x.old = newBacklog(t, x.node, 2, 16)
	x.level = func() {
		n, of := x.old.waiting(), len(x.old.streams)
		x.proxy.Latency(0) // it has shown what it is for
		t.Logf("when everybody in the race was level, %d of %d streams of old data waited", n, of)
		if n < of/2 {
			t.Errorf("old data has gone before what is live: of %d streams %d waited when the race was level, want half at least", of, n)
		}
	}
	return x
}

// through is the whole race: begin and end are what happens to the store. silent: nothing at all is stored meanwhile.
func (x *cqlTrouble) through(silent bool, begin, end func()) {
	x.t.Helper()
	wait := x.underWay()
	x.old.open(x.t, x.s.out)
	x.heap.begin()
	x.unreadable = silent
	x.begins()
	begin()
	x.watch = append(x.watch, x.heap.look)
	x.during(silent)
	x.heap.within(x.t, storedAwayBytes(cqlUnackedMB, len(x.devices)+1+x.old.people, copiesHeld*cqlHeldMB<<20))
	x.proxy.Latency(backLatency)
	x.old.put(x.t, x.node.Now())
	end()
	x.after()
	x.until("what was old is stored too", 60*time.Second, func() string {
		if n := x.old.waiting(); n > 0 {
			return fmt.Sprintf("%d streams", n)
		}
		return ""
	})
	wait()
	x.verified()
}

// TestCassandraAnswersNothingForAWhile: what TestTheStoreIsAwayForAWhile promises, over CQL: a real node on a real
// Cassandra that answers nothing for a while in the middle of a race. TestCassandraIsSlowStoppedAndKilled is the long one.
func TestCassandraAnswersNothingForAWhile(t *testing.T) {
	hosts := testkit.CQLHosts(t)
	if os.Getenv(longOutage) != "" {
		t.Skip("the long one runs instead")
	}
	x := newCQLTrouble(t, hosts[0], outageRate, "--settle-delay", "1s")
	x.through(true, x.proxy.Freeze, x.proxy.Thaw)
}

// TestCassandraIsSlowStoppedAndKilled: the same with a Cassandra of its own, which is slow, or stopped (SIGSTOP), or killed
// (SIGKILL) and started again, for as long as PACELINE_LONG_OUTAGE says.
func TestCassandraIsSlowStoppedAndKilled(t *testing.T) {
	if os.Getenv(longOutage) == "" {
		t.Skip("minutes: runs in make test-all, or with " + longOutage + "=15s")
	}
	ring := testkit.StartRing(t, 1)
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, tt := range []struct {
		name       string
		silent     bool
		begin, end func(x *cqlTrouble)
	}{
		{"slow", false, func(x *cqlTrouble) { x.proxy.Latency(2500 * time.Millisecond) }, func(*cqlTrouble) {}},
		{"stopped", true, func(*cqlTrouble) { must(ring.Pause(1)) }, func(*cqlTrouble) { must(ring.Resume(1)) }},
		{"killed", true, func(*cqlTrouble) { must(ring.Kill(1)) }, func(*cqlTrouble) { must(ring.Restart(1)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newCQLTrouble(t, ring.Hosts()[0], 2)
			x.through(tt.silent, func() { tt.begin(x) }, func() { tt.end(x) })
		})
	}
}

// heapWatch is how much the heap has grown.
type heapWatch struct {
	before, most uint64
	next         time.Time
}

func (h *heapWatch) begin() { h.before = heap() }

// look is called often and looks once a second: it collects garbage first.
func (h *heapWatch) look() {
	if now := time.Now(); now.After(h.next) {
		h.next = now.Add(time.Second)
		h.most = max(h.most, heap())
	}
}

func (h *heapWatch) within(t *testing.T, limit uint64) {
	t.Helper()
	grown := h.most - min(h.most, h.before)
	t.Logf("the heap grew by %d KiB while the store was away (bound %d KiB)", grown>>10, limit>>10)
	if grown > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", grown, limit)
	}
}
