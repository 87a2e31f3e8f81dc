package traininggrain

import (
	"fmt"
	"reflect"
	"testing"

	"paceline/actors/device"
	"paceline/actors/training"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// gun is announced 20 s after the world begins; the runner is at sample 20 then.
const gun = nodeOrigin + wallOrigin + 20_000

// outcome is everything that must not depend on misfortune.
type outcome struct {
	Gates    []training.Passage
	Reported []*competitionv1.GateTime
	Flags    []training.Flag
	Phase    training.Phase
	Totals   training.Totals
	Through  uint64
	Digest   string
	Recorded uint64
}

func (r *rig) outcome() outcome {
	st := r.state()
	o := outcome{Gates: st.Passages(), Reported: r.held.Gates, Flags: st.Flags, Phase: st.Phase, Totals: st.Totals, Through: r.through(), Recorded: r.floor}
	for _, a := range []uint64{1, 2} {
		if r.answers[a] != nil {
			o.Digest += fmt.Sprintf("%d:%d:%x ", a, r.answers[a].Streams[0].ThroughSeq, r.answers[a].Streams[0].Digest)
		}
	}
	return o
}

// race is the whole way of one runner: start, attach, bind, gun, samples, a late clock fact and a late skip, finish,
// settle, final settle, recording. disturb may change what is told.
func race(t *testing.T, prepare func(r *rig)) *rig {
	t.Helper()
	r := newRig(t)
	prepare(r)
	r.start()
	r.until("attached", func() bool { return r.attached })
	r.bind(5, 0)
	for first := uint64(1); first <= 240; first += 10 {
		at := wallOrigin + unit.InstantMs(first+10)*1000
		if first == 151 { // what the device has lost
			r.at(at, func() {
				r.journal(device.Skipped{Stream: "s1", Spans: []device.Span{{From: 151, To: 160}}, Reason: "flash"})
			})
			continue
		}
		r.at(at, func() { r.stream(first, 10) })
	}
	r.at(wallOrigin+15_000, func() { r.bind(6, gun) })
	r.at(wallOrigin+100_500, func() { r.journal(device.ClockSet{Stream: "s1", FromSeq: 31, Offset: 700, Source: "ping"}) })
	r.at(wallOrigin+251_000, func() { r.finish(240) })
	r.until("finished", func() bool { return r.held != nil && r.held.Finished })
	r.settle(1, false)
	r.until("settled", func() bool { return r.answers[1] != nil })
	r.settle(2, true)
	r.until("settled again", func() bool { return r.answers[2] != nil })
	r.until("recorded", func() bool { return r.floor == 240 })
	return r
}

func TestRace(t *testing.T) {
	r := race(t, func(*rig) {})
	o := r.outcome()
	if len(o.Gates) != 2 || len(o.Reported) != 2 || o.Phase != training.PhaseOver || o.Through != 240 || r.activations != 1 {
		t.Fatalf("%+v after %d activations", o, r.activations)
	}
	if o.Totals.Samples != 230 || o.Totals.HeartBpm == 0 {
		t.Errorf("%+v", o.Totals)
	}
	if len(r.answers[2].Recording) != 32 {
		t.Error("the final settle names no recording")
	}
	// All is said: the row goes, and the activation may rest.
	r.within(5*unit.Minute, func() bool { return false })
	if r.shell.busy() || r.shell.open(r.shell.machine.State()) {
		t.Errorf("still busy: news %v, recorded %v", r.shell.news(), r.shell.allRecorded())
	}
}

// The activation is thrown away behind every single step in turn: nothing of that step leaves, or only its writes
// arrive, and caches are lost or not.
func TestCrashAnywhere(t *testing.T) {
	want := race(t, func(*rig) {})
	steps := want.steps
	for k := 1; k <= steps; k++ {
		for mode := range 4 {
			r := race(t, func(r *rig) { r.crashAt, r.writesArrive, r.cachesLost = k, mode&1 == 1, mode&2 == 2 })
			if got, want := r.outcome(), want.outcome(); !reflect.DeepEqual(got, want) {
				t.Fatalf("crash behind step %d of %d, mode %d:\n%+v\nwant\n%+v", k, steps, mode, got, want)
			}
		}
	}
}

// Hints are lost, doubled, late or in another order; caches are lost.
func TestHints(t *testing.T) {
	want := race(t, func(*rig) {}).outcome()
	blocks := func(f func(r *rig, n int, m *trainingv1.Block) bool) func(r *rig) {
		return func(r *rig) {
			n := 0
			r.drop = func(msg any) bool {
				m, ok := msg.(*trainingv1.Block)
				if !ok {
					return false
				}
				n++
				return f(r, n, m)
			}
		}
	}
	for name, prepare := range map[string]func(r *rig){
		"every third lost": blocks(func(_ *rig, n int, _ *trainingv1.Block) bool { return n%3 == 0 }),
		"all lost":         blocks(func(*rig, int, *trainingv1.Block) bool { return true }),
		"all doubled": blocks(func(r *rig, n int, m *trainingv1.Block) bool {
			if n < 1000 {
				r.after(3, func() { r.activate(); r.step(m, nil) })
			}
			return false
		}),
		"late": blocks(func(r *rig, n int, m *trainingv1.Block) bool {
			r.after(unit.DurationMs(1+(n*7919)%30_000), func() { r.activate(); r.step(m, nil) })
			return true
		}),
		"without samples": blocks(func(_ *rig, _ int, m *trainingv1.Block) bool { m.Samples = nil; return false }),
		"other samples than stored": blocks(func(_ *rig, n int, m *trainingv1.Block) bool {
			m.Samples = []byte{1, 2, 3}
			return false
		}),
	} {
		t.Run(name, func(t *testing.T) {
			if got := race(t, prepare).outcome(); !reflect.DeepEqual(got, want) {
				t.Errorf("%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// off runs a scenario with and without a rule: without it something else must come out.
func off(t *testing.T, rule step.Rule, scenario func(t *testing.T) any) {
	t.Helper()
	with := scenario(t)
	t.Run("off", func(t *testing.T) {
		step.SwitchOff(t, rule)
		if without := scenario(t); reflect.DeepEqual(with, without) {
			t.Errorf("without the rule nothing is different: %+v", without)
		}
	})
}

// running is a runner on the way: 20 samples before the gun, 100 after it, all reported.
func running(t *testing.T, hook ...func(r *rig)) *rig {
	t.Helper()
	r := newRig(t)
	for _, h := range hook {
		h(r)
	}
	r.start()
	r.until("attached", func() bool { return r.attached })
	r.bind(6, gun)
	for first := uint64(1); first <= 120; first += 10 {
		r.at(wallOrigin+unit.InstantMs(first+10)*1000, func() { r.stream(first, 10) })
	}
	r.within(3*unit.Minute, func() bool { return r.through() == 120 })
	return r
}

func TestGapIsRead(t *testing.T) {
	off(t, step.RuleBlockGapReads, func(t *testing.T) any {
		r := running(t, func(r *rig) {
			r.drop = func(msg any) bool {
				if _, wake := msg.(*clusterv1.Wake); wake {
					return true // it would look by itself
				}
				m, ok := msg.(*trainingv1.Block)
				return ok && m.FirstSeq == 81
			}
		})
		return []any{r.held.Gates, r.through()}
	})
}

func TestFactsVersionIsHeeded(t *testing.T) {
	off(t, step.RuleFactsVersion, func(t *testing.T) any {
		r := running(t)
		r.journal(device.ClockSet{Stream: "s1", FromSeq: 1, Offset: 500})
		r.within(5*unit.Second, func() bool { return false })
		return r.held.Gates
	})
}

func TestFactSendsBack(t *testing.T) {
	off(t, step.RuleRefoldOnFact, func(t *testing.T) any {
		r := running(t)
		r.journal(device.ClockSet{Stream: "s1", FromSeq: 1, Offset: 500})
		r.within(5*unit.Second, func() bool { return false })
		return r.held.Gates
	})
}

func TestClockCountsFromItsSeq(t *testing.T) {
	off(t, step.RuleClockFromJournal, func(t *testing.T) any {
		r := running(t)
		r.journal(device.ClockSet{Stream: "s1", FromSeq: 119, Offset: 500})
		r.within(5*unit.Second, func() bool { return false })
		return r.held.Gates
	})
}

func TestSkipIsFinal(t *testing.T) {
	off(t, step.RuleSkipFinal, func(t *testing.T) any {
		r := running(t)
		r.journal(device.Skipped{Stream: "s1", Spans: []device.Span{{From: 95, To: 110}}, Reason: "flash"})
		r.settle(1, false)
		r.until("settled", func() bool { return r.answers[1] != nil })
		return []any{r.answers[1].Streams[0].Digest, r.answers[1].Report.Gates}
	})
}

func TestReportUntilEcho(t *testing.T) {
	off(t, step.RuleReportUntilEcho, func(t *testing.T) any {
		lost := 0
		r := running(t, func(r *rig) {
			r.drop = func(msg any) bool { // the last report, three times
				m, ok := msg.(*competitionv1.Report)
				if ok && m.FinishRequested && lost < 3 {
					lost++
					return true
				}
				return false
			}
		})
		r.finish(120)
		r.within(5*unit.Second, func() bool { return false })
		return r.held.Finished
	})
}

func TestSettleReadsAfresh(t *testing.T) {
	off(t, step.RuleSettleFresh, func(t *testing.T) any {
		r := running(t)
		r.put(121, 10) // durable, and nobody has said so
		r.settle(1, false)
		r.until("settled", func() bool { return r.answers[1] != nil })
		return r.answers[1].Streams[0].ThroughSeq
	})
}

func TestFloor(t *testing.T) {
	off(t, step.RuleFloor, func(t *testing.T) any {
		r := running(t)
		r.settle(1, true)
		r.until("recorded", func() bool { return r.floor == 120 })
		r.crash()
		r.rows.Drop(persistence.TableSnapshot) // a cache
		r.held = nil
		r.put(121, 10)
		r.within(2*unit.Minute, func() bool { return r.held != nil && r.through() == 130 })
		if r.held == nil {
			return nil
		}
		return []any{r.through(), r.held.Gates}
	})
}

func TestRecordedUntilEcho(t *testing.T) {
	off(t, step.RuleRecordedUntilEcho, func(t *testing.T) any {
		lost := 0
		r := running(t)
		r.drop = func(msg any) bool {
			if _, ok := msg.(*devicev1.Recorded); ok && lost < 2 {
				lost++
				return true
			}
			return false
		}
		r.settle(1, true)
		r.within(20*unit.Second, func() bool { return r.floor == 120 })
		return r.floor
	})
}

// What is durable is reported without any client's help, although every word of it is lost and the node dies.
func TestWakesByItself(t *testing.T) {
	off(t, step.RuleOpenWakes, func(t *testing.T) any {
		r := running(t)
		r.within(5*unit.Minute, func() bool { return false }) // nothing else is outstanding
		r.put(121, 100)
		r.crash()
		r.within(15*unit.Minute, func() bool { return r.through() == 220 })
		return r.through()
	})
}
