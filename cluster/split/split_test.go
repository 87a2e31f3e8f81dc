package split

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// node of the little world: a member with its rule, its own clock and its row.
type node struct {
	id, address string
	state       *State
	skewMs      int64 // of its clock against the world's
	phaseMs     int64 // when in a second it renews its row
	beat        uint64
	started     int64
	dead        bool
	island      int // which part of the network it is in
	lastSaw     map[string]int64
	row         *Row
	verdict     Verdict
}

// sea is a cluster under a virtual clock. Gossip finds out 2.4 s late, the store is reached by all.
type sea struct {
	now   int64
	nodes []*node
	runs  int
	sick  bool // the store does not answer
}

const detectMs = 2_400

func (w *sea) start(address string, island int) *node {
	w.runs++
	id := fmt.Sprintf("%s-run%03d", address, w.runs)
	n := &node{
		id: id, address: address, state: New(id, address), skewMs: int64(w.runs) * 77_000, phaseMs: int64(w.runs*370) % 1000,
		started: w.now, island: island, lastSaw: map[string]int64{},
	}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *sea) live() []*node {
	var live []*node
	for _, n := range w.nodes {
		if !n.dead {
			live = append(live, n)
		}
	}
	return live
}

func (w *sea) rows() []Row {
	rows := []Row{}
	for _, n := range w.nodes {
		if n.row != nil {
			rows = append(rows, *n.row)
		}
	}
	return rows
}

// run lets so much time pass, in steps of 100 ms.
func (w *sea) run(ms int64) {
	for end := w.now + ms; w.now < end; w.now += 100 {
		for _, n := range w.live() {
			w.step(n)
		}
	}
}

func (w *sea) step(n *node) {
	for _, other := range w.live() {
		if other.island == n.island {
			n.lastSaw[other.id] = w.now
		}
	}
	var seen []string
	for _, other := range w.nodes {
		at, ever := n.lastSaw[other.id]
		if ever && w.now-at < detectMs && !w.replacedBy(n, other) {
			seen = append(seen, other.id)
		}
	}
	in := Input{NowMs: w.now + n.skewMs, Seen: seen}
	if w.now%1000/100 == n.phaseMs/100 && !w.sick {
		n.beat++
		n.row = &Row{Member: n.id, Address: n.address, Started: n.started, Beat: n.beat, Sees: seen,
			Serves: n.verdict.Kind == Serve || n.verdict.Kind == Hold && n.state.stable != nil, Down: n.verdict.Kind == StepDown}
		in.Rows = w.rows()
	}
	n.verdict = n.state.Decide(in)
	if n.verdict.Kind == Restart {
		n.dead, n.row = true, nil
		w.start(n.address, n.island)
	}
}

// replacedBy: n sees a newer run on the other's address.
func (w *sea) replacedBy(n, other *node) bool {
	for _, o := range w.nodes {
		if o.address == other.address && o.started > other.started && !o.dead && o.island == n.island {
			return true
		}
	}
	return false
}

// check that after everything is quiet one side serves, and nobody else.
func (w *sea) check(t interface{ Fatalf(string, ...any) }) {
	sides := map[int][]string{}
	for _, n := range w.live() {
		sides[n.island] = append(sides[n.island], n.id)
	}
	serving := 0
	for island, side := range sides {
		slices.Sort(side)
		kinds := map[Kind]int{}
		for _, n := range w.live() {
			if n.island != island {
				continue
			}
			kinds[n.verdict.Kind]++
			if n.verdict.Kind == Serve && !slices.Equal(n.verdict.Members, side) {
				t.Fatalf("%s serves with %v, its side is %v", n.id, n.verdict.Members, side)
			}
		}
		if kinds[Serve] == len(side) {
			serving++
		} else if kinds[Serve] != 0 {
			t.Fatalf("side %v disagrees: %v", side, kinds)
		}
	}
	if serving != 1 && len(sides) > 0 {
		for _, n := range w.live() {
			t.Fatalf("%d sides serve; %s on island %d: %v %v", serving, n.id, n.island, n.verdict.Kind, n.verdict.Members)
		}
	}
}

func three(t *testing.T) (*sea, []*node) {
	t.Helper()
	w := &sea{now: 1_000_000}
	nodes := []*node{w.start("a", 0), w.start("b", 0), w.start("c", 0)}
	w.run(6_000)
	w.check(t)
	return w, nodes
}

func TestTwoOfThreeKilledTheThirdGoesOn(t *testing.T) {
	w, n := three(t)
	n[0].dead, n[1].dead = true, true
	for from := w.now; !slices.Equal(n[2].verdict.Members, []string{n[2].id}); w.run(100) {
		if w.now-from > 5_000 {
			t.Fatalf("after 5 s the survivor still says %v %v", n[2].verdict.Kind, n[2].verdict.Members)
		}
	}
}

func TestOneOfTwoDies(t *testing.T) {
	w := &sea{now: 5_000}
	a, b := w.start("a", 0), w.start("b", 0)
	w.run(6_000)
	w.check(t)
	a.dead = true
	w.run(5_000)
	if !slices.Equal(b.verdict.Members, []string{b.id}) {
		t.Fatalf("the other says %v %v", b.verdict.Kind, b.verdict.Members)
	}
}

func TestTheSmallerSideStepsDownAndComesBack(t *testing.T) {
	w, n := three(t)
	n[0].island = 1
	w.run(12_000)
	if n[0].verdict.Kind != StepDown || !slices.Equal(n[0].verdict.Other, []string{n[1].id, n[2].id}) {
		t.Fatalf("the one: %v %v", n[0].verdict.Kind, n[0].verdict.Other)
	}
	w.check(t)
	n[0].island = 0
	w.run(12_000)
	if !n[0].dead {
		t.Fatal("the one has not begun anew")
	}
	w.check(t)
}

// TestThatASideWithoutRowsWaits: without the store nobody can tell dead from cut off, and nobody can append.
func TestWithoutTheStoreNobodyDecides(t *testing.T) {
	w, n := three(t)
	w.sick = true
	n[0].dead, n[1].dead = true, true
	w.run(20_000)
	if n[2].verdict.Kind != Hold {
		t.Fatalf("decided %v without a row", n[2].verdict.Kind)
	}
	w.sick = false
	w.run(8_000)
	w.check(t)
}

// TestABeginnerWaitsForThoseItCannotSee: it founds no second cluster beside one that serves.
func TestABeginnerWaitsForThoseItCannotSee(t *testing.T) {
	w, _ := three(t)
	late := w.start("d", 7)
	w.run(15_000)
	if late.verdict.Kind != Hold {
		t.Fatalf("a beginner on its own island: %v", late.verdict.Kind)
	}
	late.island = 0
	w.run(6_000)
	w.check(t)
}

// TestAnyTrouble: kills, restarts, joins and splits, one after the other, each given time: then one side serves, and
// everybody on it agrees.
func TestAnyTrouble(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &sea{now: 1_000_000}
		for i := range rapid.IntRange(1, 5).Draw(t, "nodes") {
			w.start(fmt.Sprint("n", i), 0)
		}
		w.run(8_000)
		for range rapid.IntRange(1, 5).Draw(t, "troubles") {
			live := w.live()
			if len(live) == 0 {
				break
			}
			one := live[rapid.IntRange(0, len(live)-1).Draw(t, "which")]
			switch rapid.SampledFrom([]string{"kill", "kill", "restart", "join", "split", "heal"}).Draw(t, "what") {
			case "kill":
				one.dead = true
			case "restart":
				one.dead = true
				w.start(one.address, one.island)
			case "join":
				w.start(fmt.Sprint("j", w.runs), one.island)
			case "split":
				for _, n := range live {
					n.island = rapid.IntRange(0, 2).Draw(t, "island")
				}
			case "heal":
				for _, n := range live {
					n.island = 0
				}
			}
			w.run(rapid.Int64Range(0, 6_000).Draw(t, "pause") / 100 * 100)
		}
		w.run(40_000)
		w.check(t)
		for _, n := range w.live() { // a heal of all: whatever happened, they end as one
			n.island = 0
		}
		w.run(40_000)
		w.check(t)
	})
}
