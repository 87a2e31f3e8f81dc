package world

import (
	"slices"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/machine"
	"paceline/api/gen/paceline/cluster/v1"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/device/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// ruleTable is schedules that show one rule each, beside those of the kill table.
var ruleTable = map[string]scene{
	"the wake-up's row is not there yet": {needs: []step.Rule{step.RuleWakeupFirst}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("row never written", stray, is[persistence.PutWakeupOp], lost)
		s.out("never published", stray, is[persistence.PublishOp], lost).maybe()
		w.in(3*unit.Second, func() { w.killAll(stray) })
	}},
	"a workout at rest, and nobody tells it": {needs: []step.Rule{step.RuleOpenWakes}, plan: marks(20), script: func(w *World, s *script) {
		r := w.victim()
		w.onMark = func(c *source) bool { // the device is out of reach for a while
			for at := 130 * unit.Second; at < 190*unit.Second; at += 10 * unit.Second {
				w.in(at, func() {
					for _, n := range w.nodes {
						if a := n.acts[r.grain()]; a != nil {
							a.step(machine.SweepMsg{}, nil)
						}
					}
				})
			}
			w.in(195*unit.Second, func() {
				w.killAll(r.grain())
				w.place(r.grain(), nil)
			})
			w.in(200*unit.Second, c.pump)
			return true
		}
		w.desertedFor(r, 6*unit.Minute)
		gone := w.onFinish
		w.onFinish = func(f *rider) bool {
			if f == r {
				w.in(5*unit.Second, func() { w.placed = nil })
			}
			return gone(f)
		}
	}},
	"the training does not hear of the stream": {needs: []step.Rule{step.RuleAttachFirst}, script: func(w *World, s *script) {
		s.in("attach lost", w.victim().grain(), is[*trainingv1.Attach], lost).left = 3
	}},
	"nothing is acknowledged before it is durable": {needs: []step.Rule{step.RuleAckAfterDurable}, plan: marks(10), script: func(w *World, s *script) {
		d := w.victim().streams[0].grain()
		w.onMark = func(c *source) bool {
			w.in(25*unit.Second, func() {
				s.out("never written", d, is[persistence.PutBlockOp], lost)
				c.pump()
				w.in(2*unit.Second, func() { w.killAll(d) })
			})
			return true
		}
	}},
	"an outcome unknown, and nothing written": {needs: []step.Rule{step.RuleUnknownLooks, step.RuleRepeatSameWrite}, plan: marks(10), script: func(w *World, s *script) {
		r := w.victim()
		s.out("started?", w.raceGrain(), appends[competition.RaceStarted], unknown)
		w.onMark = func(c *source) bool {
			s.out("stored?", r.streams[0].grain(), is[persistence.PutBlockOp], unknown)
			return false
		}
	}},
	"a row is moved, and the new one is never written": {needs: []step.Rule{step.RuleRowMovedFirst}, plan: marks(20), script: func(w *World, s *script) {
		r := w.victim()
		w.onMark = func(c *source) bool { // quiet for so long that the row moves away
			moved := func(o persistence.PutWakeupOp) bool {
				return o.Wakeup.Reason == "open" && o.Wakeup.Due > w.wall.Add(50*unit.Second)
			}
			s.out("new row never written", r.grain(), where(moved), lost)
			w.in(195*unit.Second, func() {
				w.killAll(r.grain())
				w.place(r.grain(), nil)
			})
			w.in(200*unit.Second, c.pump)
			return true
		}
		w.desertedFor(r, 6*unit.Minute)
		gone := w.onFinish
		w.onFinish = func(f *rider) bool {
			if f == r {
				w.in(5*unit.Second, func() { w.placed = nil })
			}
			return gone(f)
		}
	}},
	"a frame overtakes the one before it": {needs: []step.Rule{step.RuleGapRefused}, plan: marks(10), script: func(w *World, s *script) {
		w.onMark = func(c *source) bool {
			w.in(25*unit.Second, func() { w.inject(c, 20, 25, c.pump) })
			return true
		}
	}},
	"two frames at once, and the first is not written": {needs: []step.Rule{step.RuleOneWriteInFlight}, plan: marks(10), script: func(w *World, s *script) {
		d := w.victim().streams[0].grain()
		w.onMark = func(c *source) bool {
			w.in(25*unit.Second, func() {
				s.out("first frame", d, is[persistence.PutBlockOp], lost)
				w.inject(c, 10, 20, nil)
				w.in(30, func() { w.inject(c, 20, 25, nil) })
				w.in(2*unit.Second, func() { w.killAll(d); c.reopen() })
			})
			return true
		}
	}},
	"a row beyond a hole": {needs: []step.Rule{step.RuleUnbrokenCover}, plan: marks(10), script: func(w *World, s *script) {
		r := w.victim()
		w.onMark = func(c *source) bool {
			w.in(25*unit.Second, func() {
				w.putRow(r, 20, 25)
				w.killAll(c.grain())
				c.reopen()
			})
			return true
		}
	}},
	"another activation has acknowledged more": {needs: []step.Rule{step.RuleReadBeforeRefuse}, plan: marks(10), script: func(w *World, s *script) {
		g := w.victim().streams[0].grain()
		w.onMark = func(c *source) bool {
			home, other := w.home(g)
			w.place(g, other)
			w.openElsewhere(c, other, func() {
				w.place(g, home)
				c.pump()
				w.in(15*unit.Second, func() { // the device comes to the other one
					w.place(g, other)
					c.reopen()
				})
			})
			return true
		}
	}},
	"the same seqs with other values": {needs: []step.Rule{step.RuleConflict}, plan: marks(10), script: func(w *World, s *script) {
		w.onMark = func(c *source) bool {
			f := c.frame(2, 6)
			f.Columns[0].Values[1]++
			w.ask(c.grain(), &devicev1.Frame{Session: c.session, Telemetry: f}, func(_ any, err error) {
				if fault.Of(err) == nil || fault.Of(err).Code != "stream.conflict" {
					w.failf("other values for known seqs are answered with %v", err)
				}
				c.pump()
			})
			return true
		}
	}},
	"the training is told nothing of every other block": {needs: []step.Rule{step.RuleBlockGapReads}, script: func(w *World, s *script) {
		r, n := w.victim(), 0
		s.in("no look meanwhile", r.grain(), is[*clusterv1.Wake], lost).always()
		s.in("hint lost", r.grain(), where(func(m *trainingv1.Block) bool { n++; return n%2 == 0 && m.LastSeq < lastBlock(r) }), lost).always()
	}, after: neverRevised},
	"a skip that nobody tells of": {needs: []step.Rule{step.RuleFactsVersion}, plan: loses(20, 24), script: func(w *World, s *script) {
		r := w.victim()
		s.in("no look meanwhile", r.grain(), is[*clusterv1.Wake], lost).always()
		s.in("the skip's hint lost", r.grain(), where(func(m *trainingv1.Block) bool { return len(m.Samples) == 0 }), lost).always()
		w.onFinish = func(f *rider) bool {
			if f == r {
				w.mustKnow(r, 8*unit.Second)
			}
			return false
		}
	}},
	"an older report comes last": {needs: []step.Rule{step.RuleOlderReportDropped}, script: func(w *World, s *script) {
		r := w.victim()
		finish := w.reportsFinish()
		s.out("a report from before the finish", r.grain(), where(func(m *competitionv1.Report) bool {
			return len(m.Basis) > 0 && m.Basis[0].FoldedThrough > lastBlock(r)/2 && !finish(m)
		}), func(a *activation, what any, forth func()) bool {
			m := content(what).(*competitionv1.Report)
			var again func()
			again = func() { // as late as can be: when the finish is journalled
				if len(w.entry(r).Gates) < len(w.plan.definition.Track.Gates) {
					w.in(100, again)
					return
				}
				w.tell(w.owner(w.raceGrain()), w.raceGrain(), m, nil)
			}
			again()
			return false
		})
	}, after: neverRevised},
	"a race that stands still when its node dies": {needs: []step.Rule{step.RuleNewEpochAsks}, plan: marks(30), script: func(w *World, s *script) {
		r := w.victim()
		w.openGates()
		v := w.watch("viewer", w.gates[0])
		w.onMark = func(c *source) bool { // out of reach; meanwhile the race moves to another node
			w.in(15*unit.Second, func() {
				before := v.rows[r.entry].GetProgressMm()
				v.onFrame = func() {
					if now := v.rows[r.entry].GetProgressMm(); !v.recovering && now < before || before == 0 {
						w.failf("entry %d had ridden %d mm before its race's node died, and is shown %d mm after it", r.entry, before, now)
					}
				}
				w.rows.Drop(persistence.TableSnapshot)
				w.killAll(w.raceGrain())
				w.place(r.grain(), nil) // its training cannot be reached for a while
			})
			w.in(25*unit.Second, func() { w.placed = nil; c.pump() })
			return true
		}
	}},
	"a board of the epoch before comes late": {needs: []step.Rule{step.RuleEpochDrops}, plan: marks(30), script: func(w *World, s *script) {
		old := &clusterv1.TopicUpdate{}
		w.onTopic = func(u *clusterv1.TopicUpdate) {
			if u.Base == 0 && old.Epoch == 0 {
				old = u // the first snapshot of its epoch
			}
		}
		w.openGates()
		w.watch("viewer", w.gates[0])
		w.onMark = func(c *source) bool {
			w.in(5*unit.Second, func() { w.killAll(w.raceGrain()) })
			w.in(20*unit.Second, func() {
				seen := w.viewers[0].epoch
				if old.Epoch == 0 || old.Epoch >= seen {
					w.failf("the schedule is not what its name says: epoch %d after %d", old.Epoch, seen)
				}
				w.gates[0].step(old)
				late := w.watch("who comes then", w.gates[0])
				w.in(200, func() {
					if late.epoch != seen {
						w.failf("who comes then is shown epoch %d of %d", late.epoch, seen)
					}
					c.pump()
				})
			})
			return true
		}
	}},
	"a step of twice the limit": {distance: true, needs: []step.Rule{step.RuleSpeedCredit}, plan: func(p *plan) {
		s := &p.riders[0].streams[0]
		for i := len(s.distanceMm) / 3; i < len(s.distanceMm); i++ {
			s.distanceMm[i] += 90_000
		}
	}, script: func(w *World, s *script) {}},
}

// marks makes the victim's client stop for the script when n samples are acknowledged.
func marks(n int) func(*plan) { return func(p *plan) { p.riders[0].streams[0].mark = n } }

// inject sends samples from..to (indices) once, whatever the client is doing. The client takes the answer for what
// it says.
func (w *World) inject(c *source, from, to int, then func()) {
	w.ask(c.grain(), &devicev1.Frame{Session: c.session, Telemetry: c.frame(from, to)}, func(reply any, err error) {
		if err == nil {
			c.acked = max(c.acked, reply.(*devicev1.FrameDone).ThroughSeq)
		}
		if then != nil {
			then()
		}
	})
}

// neverRevised: what the race was told of gates was right at once.
func neverRevised(t testing.TB, w *World, _ string) {
	for _, r := range w.journal(w.raceGrain()) {
		if e, ok := decode(w.raceGrain().Kind, r).(competition.GateRevised); ok {
			t.Errorf("version %d: %+v", r.Version, e)
		}
	}
}

// mustKnow: that long from now the race knows of the rider's finish.
func (w *World) mustKnow(r *rider, within unit.DurationMs) {
	w.in(within, func() {
		e := w.entry(r)
		if len(e.Gates) == 0 || int(e.Gates[len(e.Gates)-1].Gate) != len(w.plan.definition.Track.Gates)-1 {
			w.failf("entry %d: %d s after the last ack the race knows only of gates %v", r.entry, within/unit.Second, e.Gates)
		}
	})
}

// note: the gates that the race knows now are those of the end.
func (w *World) note(r *rider) {
	for _, g := range w.entry(r).Gates {
		w.noted = append(w.noted, notedGate{r.entry, g})
	}
}

func (w *World) checkNoted() {
	s, _ := w.race()
	for _, n := range w.noted {
		if !slices.Contains(s.Entry(n.entry).Gates, n.gate) {
			w.failf("entry %d: gate %d was taken at %d, in the end %v", n.entry, n.gate.Gate, n.gate.At, s.Entry(n.entry).Gates)
		}
	}
}
