package world

import (
	"testing"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/api/gen/paceline/cluster/v1"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/device/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/api/telemetry"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// lateTable is the table's second half: what lands, fires or is told at the wrong time.
var lateTable = map[string]scene{
	"gateway's node": {script: func(w *World, s *script) {
		w.openGates()
		w.watch("viewer 0", w.gates[0])
		w.watch("viewer 1", w.gates[1])
		w.at(w.plan.gun.Add(20*unit.Second), func() {
			w.gates[0].kill()
			for _, c := range w.sources {
				if c.n%2 == 0 && !c.done {
					c.reopen() // through the other one
				}
			}
		})
	}},
	"gateway's node/with everybody on it": {live: true, script: func(w *World, s *script) {
		w.at(w.plan.gun.Add(20*unit.Second), func() { w.gates[0].kill() })
		w.at(w.plan.gun.Add(30*unit.Second), func() { w.gates[1].kill() })
		w.at(w.plan.gun.Add(31*unit.Second), func() { w.gates[0].kill() })
	}},
	"connections are cut": {live: true, script: func(w *World, s *script) {
		for at := 5 * unit.Second; at < 60*unit.Second; at += 5 * unit.Second {
			w.at(w.plan.gun.Add(at), func() {
				for _, g := range w.gates {
					for _, l := range g.lines {
						l.drop()
					}
					g.forgetLines()
				}
			})
		}
	}},
	"late row of a dead activation lands after the takeover": {script: func(w *World, s *script) {
		d := w.victim().streams[0].grain()
		s.out("late row", d, is[persistence.PutBlockOp], then((*activation).kill, appliesLate(6*unit.Second))).after(4)
	}},
	"late row of a dead activation lands after the takeover/at once": {script: func(w *World, s *script) {
		d := w.victim().streams[0].grain()
		s.out("late row", d, is[persistence.PutBlockOp], then((*activation).kill, appliesLate(2*unit.Second))).after(4)
		s.out("very late row", d, is[persistence.PutBlockOp], then((*activation).kill, appliesLate(40*unit.Second))).after(2)
	}},
	"a row lands between the second look and the skip": {needs: []step.Rule{step.RuleSkipFinal},
		plan: loses(20, 24), script: func(w *World, s *script) {
			r := w.victim()
			s.out("row before the skip", r.streams[0].grain(), appends[device.Skipped], func(a *activation, _ any, forth func()) bool {
				w.putRow(r, 20, 24)
				forth()
				return true
			})
		}},
	"a row lands between the second look and the skip/it was folded": {needs: []step.Rule{step.RuleRefoldOnFact, step.RuleSkipFinal},
		plan: loses(20, 40), script: func(w *World, s *script) {
			r := w.victim()
			s.in("no look meanwhile", r.grain(), is[*clusterv1.Wake], lost).always()
			s.out("row before the skip", r.streams[0].grain(), appends[device.Skipped], func(a *activation, _ any, forth func()) bool {
				w.putRow(r, 20, 40)
				w.send(r.grain(), &trainingv1.Block{Device: r.streams[0].device, StreamId: r.streams[0].id, FirstSeq: 1, LastSeq: 40})
				w.in(500, forth)
				w.in(4*unit.Second, func() { w.note(r) })
				return true
			})
		}},
	"ClockSet after the fold": {needs: []step.Rule{step.RuleFactsVersion, step.RuleRefoldOnFact, step.RuleClockFromJournal},
		plan: jumps, calm: func(w *World) {
			w.onMark = func(c *source) bool {
				w.try(c.grain(), c.clockSet(), w.must("clock", func(any) { c.pump() }))
				return true
			}
		},
		script: func(w *World, s *script) {
			g := w.victim().streams[0].grain()
			s.in("no look meanwhile", w.victim().grain(), is[*clusterv1.Wake], lost).always()
			w.onMark = func(c *source) bool {
				home, other := w.home(g)
				w.place(g, other)
				w.openElsewhere(c, other, func() {
					w.place(g, home)
					c.pump()
					w.in(28*unit.Second, func() { // much is folded by now
						w.tell(other, g, c.clockSet(), w.must("clock", func(any) { w.in(3*unit.Second, func() { w.note(c.r) }) }))
					})
				})
				return true
			}
		}},
	"acknowledged between settle's read and official": {needs: []step.Rule{step.RuleLateInput}, plan: keeps(2), script: func(w *World, s *script) {
		r := w.victim()
		s.out("the settle is answered", r.grain(), where(func(m *competitionv1.SettleAnswer) bool { return len(m.Recording) > 0 }),
			then(func(*activation) { w.release(r) }, passes))
	}, after: func(t testing.TB, w *World, _ string) {
		if l := w.lateInputs(); len(l) != 1 || l[0].Entry != w.victim().entry {
			t.Errorf("late input that is told: %+v", l)
		}
	}},
	"acknowledged between the settles": {needs: []step.Rule{step.RuleSettleAgain, step.RuleSettleFresh}, settle: true,
		script: func(w *World, s *script) {
			r := w.victim()
			half := len(r.streams[0].atMs) / 2
			w.sourceKeeps(r, half)
			s.out("provisional", w.raceGrain(), appends[competition.ResultPublished], then(func(*activation) { w.release(r) }, passes))
		}},
	"wake-up fires while the append is under way/its own": {needs: []step.Rule{step.RuleOwnRowKept}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("append under way", stray, appends[device.Registered], appliesLate(50*unit.Second))
		s.in("wake-up", stray, is[*clusterv1.Wake], passes)
		w.in(45*unit.Second, func() { w.killAll(stray) })
	}},
	"wake-up fires while the append is under way/of one that is dead": {needs: []step.Rule{step.RuleForeignRowFenced}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("append under way", stray, appends[device.Registered], then((*activation).kill, appliesLate(50*unit.Second)))
		s.in("wake-up", stray, is[*clusterv1.Wake], passes)
	}},
	"a queued append applies after the SERIAL look": {needs: []step.Rule{step.RuleAppendID}, script: func(w *World, s *script) {
		s.out("outcome unknown", w.raceGrain(), appends[competition.GateTaken], unknown)
		s.out("the copy before comes first", w.raceGrain(), appends[competition.GateTaken], func(a *activation, what any, forth func()) bool {
			w.apply(content(what).(persistence.Op))
			forth()
			return true
		})
	}, after: func(t testing.TB, w *World, _ string) {
		if n := w.counts["stop: fenced"]; n != 0 {
			t.Errorf("%d activations took their own append for another's", n)
		}
	}},
	"a group over a bucket border": {needs: []step.Rule{step.RuleCommandOnce}, seeds: 1, script: func(w *World, s *script) {
		s.out("over the border", w.raceGrain(), where(func(o persistence.AppendOp) bool {
			before := o.Append.Expected
			return before/persistence.JournalBucket != (before+uint64(len(o.Append.Records)))/persistence.JournalBucket &&
				(before+uint64(len(o.Append.Records)))%persistence.JournalBucket != 0
		}), goesThenDies)
		w.penalties(1100)
	}},
	"live rows deleted, then a late sample": {needs: []step.Rule{step.RuleFloor}, settle: true, script: func(w *World, s *script) {
		r := w.victim()
		w.sourceKeeps(r, 2)
		s.out("rows deleted", r.streams[0].grain(), is[persistence.DeleteThroughOp], func(a *activation, what any, forth func()) bool {
			w.apply(content(what).(persistence.Op))
			a.kill()
			w.killAll(r.grain())
			w.in(unit.Second, func() { w.release(r) })
			return true
		})
	}},
	"the floor is told again": {needs: []step.Rule{step.RuleRecordedUntilEcho}, script: func(w *World, s *script) {
		s.out("lost", w.victim().grain(), is[*devicev1.Recorded], lost).left = 2
	}},
	"a second activation of a race that is over": {script: func(w *World, s *script) {
		w.openGates()
		w.watch("viewer 0", w.gates[0])
		w.watch("viewer 1", w.gates[1])
		n := 0
		s.out("official", w.raceGrain(), publishes[competition.ResultPublished], func(*activation, any, func()) bool {
			if n++; n == 2 {
				_, other := w.home(w.raceGrain())
				w.in(2*unit.Second, func() { w.place(w.raceGrain(), other) })
				w.in(9*unit.Second, func() { w.placed = nil })
			}
			return false
		}).always()
	}},
	"a second activation of a race that has not begun": {script: func(w *World, s *script) {
		w.openGates()
		w.watch("viewer 0", w.gates[0])
		w.watch("viewer 1", w.gates[1])
		s.out("entered", w.raceGrain(), publishes[competition.EntryAdded], func(*activation, any, func()) bool {
			home, other := w.home(w.raceGrain())
			w.onAsk = func(to id.Grain, _ any) bool { return to == w.raceGrain() } // the organizer cannot reach it meanwhile
			w.in(2*unit.Second, func() { w.place(w.raceGrain(), other) })
			w.in(12*unit.Second, func() { w.place(w.raceGrain(), home); w.onAsk = nil })
			return false
		})
	}},
	"a viewer changes to a hub that is behind": {needs: []step.Rule{step.RuleHubSilent}, script: func(w *World, s *script) {
		w.openGates()
		w.watch("stays", w.gates[1])
		goes := w.watch("goes", w.gates[0])
		w.onUpdate = func(node string) bool { // the road to one gateway is closed for a while
			at := w.now().Node
			return node == "g1" && at > w.plan.gun.Add(10*unit.Second) && at < w.plan.gun.Add(20*unit.Second)
		}
		w.at(w.plan.gun.Add(17*unit.Second), func() { goes.watch(w.gates[1]) })
	}},
}

// loses makes the victim's device lose samples from..to (indices, half open).
func loses(from, to int) func(*plan) {
	return func(p *plan) { p.riders[0].streams[0].lost = [2]int{from, to} }
}

// keeps makes the victim's device keep its last samples, in both runs.
func keeps(n int) func(*plan) {
	return func(p *plan) { p.riders[0].streams[0].kept = n }
}

// jumps makes the victim's clock jump behind its tenth sample.
func jumps(p *plan) {
	s := &p.riders[0].streams[0]
	s.kind, s.clockOff, s.clockFrom, s.mark = livev1.ClockKind_CLOCK_KIND_FREE, -700, 11, 10
	for i := 10; i < len(s.atMs); i++ {
		s.atMs[i] -= s.clockOff
	}
}

func (c *source) clockSet() *devicev1.Clock {
	return &devicev1.Clock{Call: c.w.call("device:" + c.s.device), StreamId: c.s.id, OffsetMs: c.s.clockOff, ErrorMs: 20, Source: "ping"}
}

// openElsewhere opens the stream on a second activation, on a node of the script's choice.
func (w *World) openElsewhere(c *source, n *node, done func()) {
	w.tell(n, c.grain(), &devicev1.Open{Call: &clusterv1.Call{By: "device:" + c.s.device}, Node: "elsewhere", Session: "elsewhere",
		NodeTimeMs: int64(w.now().Node), Open: &livev1.OpenStream{DeviceId: c.s.device, StreamId: c.s.id, WorkoutId: c.r.workout,
			PersonId: c.r.user, Channels: c.channels(), Clock: c.s.kind, Sport: "run", DeviceTimeMs: int64(w.now().Node)}},
		w.must("open elsewhere", func(any) { done() }))
}

// source is the client of a rider's first stream.
func (w *World) source(r *rider) *source {
	for _, c := range w.sources {
		if c.r == r {
			return c
		}
	}
	return nil
}

// putRow stores a row of samples from..to (indices) as a dead activation's write that lands now.
func (w *World) putRow(r *rider, from, to int) {
	c := w.source(r)
	var b sample.Batch
	if err := telemetry.ToBatch(&b, c.frame(from, to)); err != nil {
		w.failf("row: %v", err)
		return
	}
	w.apply(persistence.PutBlockOp{Key: persistence.SeriesKey{Device: c.s.device, Stream: c.s.id, Subject: r.user}, Batch: &b})
}

// sourceKeeps makes the client keep its last n samples, in this run only: it finishes without them.
func (w *World) sourceKeeps(r *rider, n int) {
	s := &r.streams[0]
	w.keepBack = map[string]int{s.id: n}
	w.onFinish = func(f *rider) bool {
		if f == r { // when the ride is over, and not when its first half is sent
			w.at(unit.InstantMs(s.atMs[len(s.atMs)-1]+s.clockOff+1000), func() { w.onFinish = nil; w.streamDone(r) })
		}
		return f == r
	}
}

// release lets the client send what it has kept.
func (w *World) release(r *rider) {
	w.onFinish = func(f *rider) bool { return f == r } // it has finished already
	c := w.source(r)
	c.keptBack, c.done = 0, false
	c.pump()
}

// lateInputs are what the race has told of.
func (w *World) lateInputs() []competition.LateInput { return raceEvents[competition.LateInput](w) }

// raceEvents are those of one kind in the race's journal.
func raceEvents[E any](w *World) []E {
	var all []E
	for _, r := range w.journal(w.raceGrain()) {
		if e, ok := decode(w.raceGrain().Kind, r).(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// penalties gives the victim n penalties of a second, every other one taken back.
func (w *World) penalties(n int) {
	if !w.raceOpen {
		w.in(unit.Second, func() { w.penalties(n) })
		return
	}
	for i := range n {
		ms := int64(1000 - 2000*(i%2))
		w.try(w.raceGrain(), &competitionv1.Command{Call: w.call("operator:world"), Command: &competitionv1.Command_Penalty{
			Penalty: &competitionv1.PenaltyAdded{Entry: w.victim().entry, PenaltyMs: ms, Reason: "world"}}}, w.must("penalty", nil))
	}
}
