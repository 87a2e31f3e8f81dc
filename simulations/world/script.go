package world

import (
	"fmt"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/device/devicecodec"
	"paceline/actors/training/trainingcodec"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// trap waits for something that one activation is about to do, or is about to be told, and does something to it.
type trap struct {
	name   string
	grain  id.Grain
	on     func(what any) bool // an Out's content (operation, message), or a message that arrives
	left   int                 // how many times it still strikes
	may    bool                // or never
	skip   int                 // how many matches pass before it strikes
	strike func(a *activation, what any, forth func()) bool
}

// script is a schedule written by hand: traps, in the order in which they were set.
type script struct {
	outs, ins []*trap
}

// scripted makes the world listen to a script. All traps must have struck at the end.
func (w *World) scripted() *script {
	s := &script{}
	w.onOut = func(a *activation, o step.Out) bool {
		return strike(w, s.outs, a, o, func() { a.perform(o) })
	}
	forth := false // a message that a trap lets go is not caught again
	w.onMessage = func(a *activation, msg any, from step.Return) bool {
		return !forth && strike(w, s.ins, a, msg, func() {
			forth = true
			a.step(msg, from)
			forth = false
		})
	}
	return s
}

func strike(w *World, traps []*trap, a *activation, what any, forth func()) bool {
	for _, t := range traps {
		if t.left == 0 || t.grain != a.grain || !t.on(content(what)) {
			continue
		}
		if t.skip > 0 {
			t.skip--
			continue
		}
		t.left--
		w.count("struck: " + t.name)
		if w.trace != nil {
			fmt.Fprintf(w.trace, "%9.3f SCRIPT %s strikes %s\n", float64(w.wall-wallStart)/1000, t.name, a.name)
		}
		return t.strike(a, what, forth)
	}
	return false
}

// content is what an Out carries: an operation, or a message.
func content(o any) any {
	switch o := o.(type) {
	case persistence.Do:
		return o.Op
	case step.Send:
		return o.Msg
	case step.ToNode:
		return o.Msg
	}
	return o
}

// idle are the traps that never struck: the schedule was not the one that its name says.
func (s *script) idle(w *World) []string {
	var all []string
	for _, t := range append(s.outs[:len(s.outs):len(s.outs)], s.ins...) {
		if w.counts["struck: "+t.name] == 0 && !t.may {
			all = append(all, t.name)
		}
	}
	return all
}

// fate is what becomes of something: true if it was taken care of, false if it goes its way.
type fate = func(a *activation, what any, forth func()) bool

// out sets a trap for the next thing of the kind that the grain's activation wants done.
func (s *script) out(name string, g id.Grain, on func(any) bool, f fate) *trap {
	t := &trap{name: name, grain: g, on: on, left: 1, strike: f}
	s.outs = append(s.outs, t)
	return t
}

// in sets a trap for the next thing of the kind that the grain's activation is told.
func (s *script) in(name string, g id.Grain, on func(any) bool, f fate) *trap {
	t := &trap{name: name, grain: g, on: on, left: 1, strike: f}
	s.ins = append(s.ins, t)
	return t
}

const always = 1 << 30

// always makes the trap strike again and again.
func (t *trap) always() *trap { t.left = always; return t }

// maybe says that the trap is there for what must not happen.
func (t *trap) maybe() *trap { t.may = true; return t }

// after lets n matches pass.
func (t *trap) after(n int) *trap { t.skip = n; return t }

// Fates of anything.

// dies: the activation is killed before it.
func dies(a *activation, _ any, _ func()) bool { a.kill(); return true }

// goesThenDies: it leaves (or applies, at once), and the activation never learns of it.
func goesThenDies(a *activation, what any, forth func()) bool {
	if op, ok := content(what).(persistence.Op); ok {
		a.w.apply(op)
	} else {
		forth()
	}
	a.kill()
	return true
}

// lost: a message that never arrives.
func lost(*activation, any, func()) bool { return true }

// held lets it go after d, if the activation still lives then.
func held(d unit.DurationMs) fate {
	return func(a *activation, _ any, forth func()) bool {
		a.w.in(d, forth)
		return true
	}
}

// appliesLate: a write that is under way for d, whatever becomes of the activation that asked; its outcome never
// arrives.
func appliesLate(d unit.DurationMs) fate {
	return func(a *activation, what any, _ func()) bool {
		a.w.in(d, func() { a.w.apply(content(what).(persistence.Op)) })
		return true
	}
}

// unknown is a write that does not happen yet, and whose outcome is unknown.
func unknown(a *activation, what any, _ func()) bool {
	do := what.(persistence.Do)
	a.w.in(1, func() { a.step(persistence.Done{Tag: do.Tag, Err: persistence.ErrUnknown}, nil) })
	return true
}

// apply performs an operation now, for nobody.
func (w *World) apply(op persistence.Op) { _, _ = op.Run(background, w.stored, w.stream) }

// then does more before the fate.
func then(do func(a *activation), f fate) fate {
	return func(a *activation, what any, forth func()) bool {
		do(a)
		return f(a, what, forth)
	}
}

// passes: only noted.
func passes(*activation, any, func()) bool { return false }

// Kinds of things.

// is matches by type.
func is[T any](what any) bool { _, ok := what.(T); return ok }

// where matches by type and more.
func where[T any](f func(T) bool) func(any) bool {
	return func(what any) bool {
		v, ok := what.(T)
		return ok && f(v)
	}
}

// appends matches an append that holds an event of type E.
func appends[E any](what any) bool {
	op, ok := what.(persistence.AppendOp)
	if !ok {
		return false
	}
	for _, r := range op.Append.Records {
		if _, ok := decode(op.Append.Grain.Kind, r).(E); ok {
			return true
		}
	}
	return false
}

func decode(k id.Kind, r persistence.Record) any {
	var e any
	var err error
	switch k {
	case id.Competition:
		e, err = competitioncodec.Decode(r.Kind, r.Format, r.Payload)
	case id.Device:
		e, err = devicecodec.Decode(r.Kind, r.Format, r.Payload)
	case id.Training:
		e, err = trainingcodec.Decode(r.Kind, r.Format, r.Payload)
	default: // no other kind lives in this world
	}
	if err != nil {
		return err
	}
	return e
}

// Who.

func (w *World) raceGrain() id.Grain { return id.Of(id.Competition, w.plan.competition) }

func (r *rider) grain() id.Grain { return id.Scoped(id.Training, r.user, r.workout) }

func (s *stream) grain() id.Grain { return id.Grain{Kind: id.Device, ID: s.device} }

// entry is what the race's journal says of a rider now.
func (w *World) entry(r *rider) *competition.Entry {
	s, _ := w.race()
	return s.Entry(r.entry)
}

// killAll ends every activation of a grain: a crash of wherever it lives.
func (w *World) killAll(g id.Grain) {
	for _, n := range w.nodes {
		if a := n.acts[g]; a != nil {
			a.kill()
		}
	}
}

// journal is everything a grain has appended.
func (w *World) journal(g id.Grain) []persistence.Record {
	var all []persistence.Record
	for after := uint64(0); ; {
		records, more, err := w.stored.ReadJournal(background, g, after, 0)
		if err != nil {
			w.failf("journal of %s: %v", g, err)
			return nil
		}
		all = append(all, records...)
		if !more {
			return all
		}
		after = all[len(all)-1].Version
	}
}

// tell hands a message to an activation on a node of the script's choice.
func (w *World) tell(n *node, g id.Grain, msg any, answer back) { w.activate(n, g).step(msg, answer) }

// place moves a grain: what was active elsewhere lives on and does not know.
func (w *World) place(g id.Grain, n *node) {
	if w.placed == nil {
		w.placed = map[id.Grain]*node{}
	}
	w.placed[g] = n
}

// home is the node where the grain is placed now, and another one.
func (w *World) home(g id.Grain) (home, other *node) {
	home = w.owner(g)
	if home == w.nodes[0] {
		return home, w.nodes[1]
	}
	return home, w.nodes[0]
}
