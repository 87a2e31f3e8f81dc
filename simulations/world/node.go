package world

import (
	"context"
	"fmt"

	"paceline/actors/machine"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// Faults are the probabilities and bounds of what goes wrong. The zero value is a calm world.
type Faults struct {
	NetDelay     unit.DurationMs // a message takes up to this long; reordering follows from it
	NetLoss      float64         // of a one-way message or an answer
	NetDouble    float64
	StoreDelay   unit.DurationMs // before a write applies, and again before its outcome arrives
	LostOutcome  float64         // written, but the answer says unknown
	NotWritten   float64         // not written, and the answer says unknown
	LateWrite    float64         // the answer says unknown, and the write applies after that
	LateBy       unit.DurationMs
	Unavailable  float64         // refused at once
	CrashOut     float64         // the activation dies between two of its outs
	CrashNode    float64         // each second, for each node
	Down         unit.DurationMs // a node is away up to this long
	Passivate    float64         // each second, for each activation
	TwoOwners    float64         // each second: placement disagrees for a while
	Gateways     bool            // clients speak the live protocol, through sessions and hubs
	Cut          float64         // each second, of a connection
	CrashGate    float64         // each second, of a gateway
	ClientResend float64         // the client sends again, re-cut, what is already under way

	SnapshotEvery uint64  // events between two snapshots of a grain; 0: 5
	PartBytes     int     // of a part of a result; 0: it is in one
	LoseCaches    float64 // when a node dies, all snapshots and checkpoints are gone
}

// node is one process: the activations on it die with it.
type node struct {
	name  string
	up    bool
	life  uint64 // rises with each restart: what was sent by an earlier life is not its own
	acts  map[id.Grain]*activation
	sweep *sweeper
}

// activation is one step object at work.
type activation struct {
	w       *World
	node    *node
	grain   id.Grain
	name    string // activation id
	stepper machine.Stepper
	timers  map[string]uint64
	dead    bool
}

// back is the way to whoever asked.
type back func(msg any, err error)

func (w *World) activate(n *node, g id.Grain) *activation {
	if a := n.acts[g]; a != nil {
		return a
	}
	w.activations++
	a := &activation{w: w, node: n, grain: g, name: fmt.Sprintf("a%06d", w.activations), timers: map[string]uint64{}}
	a.stepper = w.newStepper(n, g, a.name)
	n.acts[g] = a
	a.step(machine.StartMsg{}, nil)
	return a
}

// kill throws the activation away as a crash would: nobody is told.
func (a *activation) kill() {
	if a.dead {
		return
	}
	a.dead = true
	if a.node.acts[a.grain] == a {
		delete(a.node.acts, a.grain)
	}
}

func (a *activation) step(msg any, from step.Return) {
	if a.dead {
		return
	}
	w := a.w
	if w.onMessage != nil && w.onMessage(a, msg, from) {
		return
	}
	if w.steps++; w.steps == w.maxSteps {
		w.failf("no end after %d steps", w.steps)
	}
	outs := a.stepper.Step(w.now(), msg, from)
	if a.w.trace != nil {
		a.w.traceStep(a, msg, outs)
	}
	for _, o := range outs {
		if a.dead {
			return
		}
		if a.w.chance(a.w.faults.CrashOut) {
			a.w.count("crash between outs")
			a.kill()
			return
		}
		if w.onOut != nil && w.onOut(a, o) {
			continue
		}
		a.perform(o)
	}
}

func (a *activation) perform(o step.Out) {
	w := a.w
	switch o := o.(type) {
	case persistence.Do:
		w.store(o.Op, func(result any, err error) {
			if l, ok := result.(persistence.Loaded); ok && l.Found && err == nil && o.Op.(persistence.LoadOp).Name == "snapshot" {
				w.count("begun with a snapshot")
			}
			a.step(persistence.Done{Tag: o.Tag, Result: result, Err: err}, nil)
		})
	case step.Send:
		w.send(o.To, o.Msg)
	case step.ToNode:
		w.toNode(o.Node, o.Msg)
	case step.Reply:
		if b, ok := o.To.(back); ok && b != nil {
			w.deliver(func() { b(o.Msg, o.Err) })
		}
	case step.After:
		a.timers[o.Key]++
		gen := a.timers[o.Key]
		w.in(unit.DurationMs(o.At-w.wall), func() {
			if !a.dead && a.timers[o.Key] == gen {
				a.step(step.Tick{Key: o.Key}, nil)
			}
		})
	case step.Stop:
		w.count("stop: " + o.Why)
		a.kill()
	default:
		panic(fmt.Sprintf("world: %s asks for %T", a.grain, o))
	}
}

// deliver carries a message over the network: late, perhaps lost, perhaps twice.
func (w *World) deliver(f func()) {
	if w.chance(w.faults.NetLoss) {
		w.count("message lost")
		return
	}
	w.in(1+w.upTo(w.faults.NetDelay), f)
	if w.chance(w.faults.NetDouble) {
		w.count("message doubled")
		w.in(1+w.upTo(4*w.faults.NetDelay), f)
	}
}

// send is a one-way message to a grain, wherever placement says it lives when the message arrives.
func (w *World) send(to id.Grain, msg any) {
	w.deliver(func() {
		if n := w.owner(to); n != nil {
			w.activate(n, to).step(msg, nil)
		}
	})
}

// ask is a request to a grain; the answer may never come.
func (w *World) ask(to id.Grain, msg any, answer back) {
	if w.onAsk != nil && w.onAsk(to, msg) {
		return
	}
	w.deliver(func() {
		if n := w.owner(to); n != nil {
			w.activate(n, to).step(msg, answer)
		}
	})
}

// owner is the node that placement names for the grain now; while placement disagrees, either of two.
func (w *World) owner(g id.Grain) *node {
	if n, ok := w.placed[g]; ok {
		return n
	}
	var up []*node
	for _, n := range w.nodes {
		if n.up {
			up = append(up, n)
		}
	}
	if len(up) == 0 {
		return nil
	}
	h := uint64(14695981039346656037)
	for _, c := range []byte(g.Affinity()) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	i := h % uint64(len(up))
	if w.wall < w.disagreeUntil && w.chance(0.5) {
		i = (i + 1) % uint64(len(up))
	}
	return up[i]
}

// store performs an operation with the outcome that the faults draw. A write that is under way applies even if
// whoever asked for it is dead by then.
func (w *World) store(op persistence.Op, done func(any, error)) {
	f := w.faults
	run := func() (any, error) { return op.Run(context.Background(), w.stored, w.stream) }
	first, second := w.upTo(f.StoreDelay), w.upTo(f.StoreDelay)
	switch {
	case w.chance(f.Unavailable):
		w.count("store unavailable")
		w.in(first, func() { done(nil, persistence.ErrUnavailable) })
	case isRead(op):
		w.in(first, func() {
			result, err := run()
			w.in(second, func() { done(result, err) })
		})
	case w.chance(f.NotWritten):
		w.count("write lost, outcome unknown")
		w.in(first+second, func() { done(nil, persistence.ErrUnknown) })
	case w.chance(f.LateWrite):
		w.count("write applied after its outcome was unknown")
		w.in(first, func() { done(nil, persistence.ErrUnknown) })
		w.in(first+second+w.upTo(f.LateBy), func() { _, _ = run() })
	case w.chance(f.LostOutcome):
		w.count("written, outcome unknown")
		w.in(first, func() {
			_, _ = run()
			w.in(second, func() { done(nil, persistence.ErrUnknown) })
		})
	default:
		w.in(first, func() {
			result, err := run()
			w.in(second, func() { done(result, err) })
		})
	}
}

// isRead reports operations that change nothing: their outcome cannot be unknown.
func isRead(op persistence.Op) bool {
	switch op.(type) {
	case persistence.HeadOp, persistence.ReadJournalOp, persistence.LoadOp, persistence.ReadSeriesOp,
		persistence.RecoverSeriesOp, persistence.GetRecordingOp:
		return true
	}
	return false
}
