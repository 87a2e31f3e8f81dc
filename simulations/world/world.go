package world

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// World is one run of one seed.
type World struct {
	clock
	plan   plan
	faults Faults
	rows   *memory.Rows
	stored persistence.Store
	stream *eventStream
	nodes  []*node

	gates   []*gate
	viewers []*viewer
	lines   int // connections so far

	sources  []*source
	raceOpen bool
	bound    int
	finished int

	isOfficial bool
	lookAt     unit.InstantMs

	disagreeUntil unit.InstantMs
	activations   int
	steps         int
	counts        map[string]int
	failures      []string
	trace         io.Writer // nil: nobody reads along

	// A script's eyes and hands; nil ones are not asked. True: the script has taken care of it.
	onMessage func(a *activation, msg any, from step.Return) bool
	onOut     func(a *activation, o step.Out) bool
	onAsk     func(to id.Grain, msg any) bool // a client's request
	onFinish  func(r *rider) bool             // before a client sends finish_workout
	onMark    func(c *source) bool            // at its mark, before a client goes on
	onUpdate  func(node string) bool          // before fan-out goes to a gateway
	onTopic   func(u *clusterv1.TopicUpdate)  // fan-out on its way
	keepBack  map[string]int                  // by stream: samples that its client keeps until the script lets them go
	noOracle  bool                            // the script makes another result
	noted     []notedGate                     // that must still hold in the end
	placed    map[id.Grain]*node              // where placement has these, whatever else; nil: nowhere
	maxSteps  int                             // beyond it the run has failed; 0: no bound
	restFor   unit.DurationMs                 // how long the world goes on after the race, at least
}

// Outcome is what a run came to.
type Outcome struct {
	Failures []string
	Result   string // the newest published result in a canonical form, journal versions left out
	Official bool
	Counts   map[string]int
	Wall     unit.DurationMs // virtual time that it took
	Steps    int
}

// Limit is how much virtual time a run may take.
const Limit = 3 * unit.Hour

// Calm is a world in which nothing goes wrong.
func Calm() Faults { return Faults{} }

// Rough is the mix that every seed of `make test` runs; the seed draws how rough each part is.
func Rough(seed uint64) Faults {
	level := func(bit uint) float64 {
		return []float64{0, 0.3, 1, 2}[(seed*0x9e3779b97f4a7c15>>(2*bit))&3]
	}
	return Faults{
		NetDelay: unit.DurationMs(20 + 400*level(0)), NetLoss: 0.02 * level(1), NetDouble: 0.03 * level(2),
		StoreDelay: unit.DurationMs(10 + 150*level(3)), LostOutcome: 0.02 * level(4), NotWritten: 0.02 * level(5),
		LateWrite: 0.02 * level(6), LateBy: 20 * unit.Second, Unavailable: 0.01 * level(7),
		CrashOut: 0.0015 * level(8), CrashNode: 0.003 * level(9), Down: 20 * unit.Second,
		Passivate: 0.01 * level(10), TwoOwners: 0.01 * level(11), ClientResend: 0.1 * level(12),
		Gateways: seed%3 == 0, Cut: 0.004 * level(13), CrashGate: 0.002 * level(14),
		SnapshotEvery: 1 + seed%9, LoseCaches: 0.5 * level(15), PartBytes: []int{0, 1, 300, 700}[seed%4],
	}
}

// New makes the world of a seed.
func New(seed uint64, f Faults, trace io.Writer) *World {
	p := newPlan(seed)
	w := &World{clock: newClock(seed, p.origin), plan: p, faults: f, counts: map[string]int{}, trace: trace}
	w.rows = memory.New()
	w.stored = persistence.Over(w.rows)
	w.stream = newEventStream(w)
	for i := range 2 {
		w.nodes = append(w.nodes, &node{name: fmt.Sprintf("n%d", i), up: true, acts: map[id.Grain]*activation{}})
	}
	return w
}

// Run plays the race to its official result, or until the virtual time is over.
func (w *World) Run() Outcome {
	w.organize()
	for _, n := range w.nodes {
		w.startSweep(n)
	}
	if w.faults.Gateways {
		w.openGates()
		for i, g := range w.gates {
			w.watch(fmt.Sprintf("viewer %d", i), g)
		}
	}
	w.in(unit.Second, w.misfortune)
	deadline := w.wall.Add(Limit)
	for len(w.failures) == 0 && !w.official() && w.next(deadline) {
	}
	o := Outcome{Official: w.official(), Counts: w.counts, Wall: w.wall.Sub(wallStart), Steps: w.steps}
	if !o.Official && len(w.failures) == 0 {
		w.failf("no official result after %d s of virtual time: %d of %d workouts finished", Limit/unit.Second, w.finished, len(w.plan.riders))
	}
	if o.Official {
		w.checkStored()
		w.checkResults()
		w.checkOracle()
		w.checkViewers()
		w.checkRest()
	}
	o.Result = w.result()
	o.Failures = w.failures
	return o
}

// misfortune strikes once a second of wall time.
func (w *World) misfortune() {
	f := w.faults
	w.cuts()
	for _, n := range w.nodes {
		if n.up && w.chance(f.CrashNode) {
			w.count("node killed")
			w.crash(n)
		}
		for _, a := range n.sorted() {
			if w.chance(f.Passivate) {
				w.count("swept")
				a.step(machine.SweepMsg{}, nil)
			}
		}
	}
	if w.chance(f.TwoOwners) {
		w.count("placement disagrees")
		w.disagreeUntil = w.wall.Add(1000 + w.upTo(15*unit.Second))
	}
	w.in(unit.Second, w.misfortune)
}

// sorted is the node's activations in a fixed order.
func (n *node) sorted() []*activation {
	all := make([]*activation, 0, len(n.acts))
	for _, a := range n.acts {
		all = append(all, a)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// crash kills everything on the node; what is on its way to the store goes on.
func (w *World) crash(n *node) {
	for _, a := range n.sorted() {
		a.kill()
	}
	if w.chance(w.faults.LoseCaches) {
		w.count("caches lost")
		w.rows.Drop(persistence.TableSnapshot)
	}
	n.up = false
	n.life++
	w.in(500+w.upTo(w.faults.Down), func() {
		n.up = true
		w.startSweep(n)
	})
}

func (w *World) count(what string) { w.counts[what]++ }

func (w *World) failf(format string, args ...any) {
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

// toNode carries fan-out to a node's hub; viewers are none of the result's business.
func (w *World) toNode(node string, msg any) {
	w.count("to node")
	switch m := msg.(type) {
	case *clusterv1.TopicUpdate:
		w.update(node, m)
	case *clusterv1.SessionNotice:
		w.notice(node, m.Session, m)
	}
}

func (w *World) traceStep(a *activation, msg any, outs []step.Out) {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.3f %s %s %s <- %s\n", float64(w.wall-wallStart)/1000, a.node.name, a.name, a.grain, show(msg))
	for _, o := range outs {
		fmt.Fprintf(&b, "          -> %s\n", show(o))
	}
	_, _ = io.WriteString(w.trace, b.String())
}

func show(v any) string {
	s := fmt.Sprintf("%T %+v", v, v)
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}
