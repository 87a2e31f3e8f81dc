package wakeup

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// rig carries a Sweeper on a virtual clock over a memory store.
type rig struct {
	t       testing.TB
	now     unit.InstantMs
	store   persistence.Store
	s       *Sweeper
	shards  []int
	queue   []todo
	latency func() unit.DurationMs
	fail    func() bool
	fired   map[persistence.Wakeup][]unit.InstantMs
	reads   int
	minutes int
	looks   int // ticks
}

type todo struct {
	at  unit.InstantMs
	do  func() // at that time
	gen *Sweeper
}

const morning = unit.InstantMs(1_700_000_000_000)

// newRig has all shards, or a few where time would be lost with the others.
func newRig(t testing.TB, shards int) *rig {
	r := &rig{t: t, shards: AllShards()[:shards], now: morning, store: persistence.Over(memory.New()), fired: map[persistence.Wakeup][]unit.InstantMs{}}
	r.latency = func() unit.DurationMs { return 3 }
	r.fail = func() bool { return false }
	return r
}

// start begins a sweeper, as a node does; one before it is dead.
func (r *rig) start() {
	r.s = New(r.shards)
	r.step(Start{})
}

func (r *rig) later(d unit.DurationMs, do func()) {
	r.queue = append(r.queue, todo{r.now.Add(d), do, r.s})
}

func (r *rig) step(msg any) {
	for _, o := range r.s.Step(step.Now{Wall: r.now, Node: r.now}, msg, nil) {
		switch o := o.(type) {
		case step.After:
			r.later(o.At.Sub(r.now), func() { r.looks++; r.step(step.Tick{Key: o.Key}) })
		case step.Send:
			w := o.Msg.(*clusterv1.Wake)
			row := persistence.Wakeup{Grain: o.To, Due: unit.InstantMs(w.DueMs), Reason: w.Reason, Activation: w.Activation}
			r.fired[row] = append(r.fired[row], r.now)
		case persistence.Do:
			r.reads++
			if op, ok := o.Op.(persistence.ReadWakeupsOp); ok {
				r.minutes += len(op.Minutes)
			}
			r.later(r.latency(), func() {
				done := persistence.Done{Tag: o.Tag, Err: persistence.ErrUnavailable}
				if !r.fail() {
					done.Result, done.Err = o.Op.Run(context.Background(), r.store, nil)
				}
				r.later(r.latency(), func() { r.step(done) })
			})
		}
	}
}

// run lets time pass.
func (r *rig) run(d unit.DurationMs) {
	end := r.now.Add(d)
	for {
		next := -1
		for i, e := range r.queue {
			if e.at <= end && (next < 0 || e.at < r.queue[next].at) {
				next = i
			}
		}
		if next < 0 {
			r.now = end
			return
		}
		e := r.queue[next]
		r.queue = slices.Delete(r.queue, next, next+1)
		r.now = e.at
		if e.gen == r.s {
			e.do()
		}
	}
}

func (r *rig) put(w persistence.Wakeup) {
	r.t.Helper()
	if err := r.store.PutWakeup(context.Background(), w); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) remove(w persistence.Wakeup) {
	r.t.Helper()
	if err := r.store.DeleteWakeup(context.Background(), w); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) wakeup(n int, due unit.InstantMs) persistence.Wakeup {
	g := id.Of(id.Competition, fmt.Sprintf("c%d", n))
	for i := 0; persistence.ShardOf(g) >= len(r.shards); i++ {
		g = id.Of(id.Competition, fmt.Sprintf("c%d.%d", n, i))
	}
	return persistence.Wakeup{Grain: g, Due: due, Reason: "open", Activation: "a"}
}

func (r *rig) lowWater(shard int) int64 {
	r.t.Helper()
	m, err := r.store.LowWater(context.Background(), shard)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// TestFiredInTime: a row written 10 s before its time is fired within a second of it.
func TestFiredInTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, 5)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		r.latency = func() unit.DurationMs { return unit.DurationMs(chance.IntN(200)) }
		r.start()
		r.run(10 * unit.Second)
		var rows []persistence.Wakeup
		for i := range rapid.IntRange(1, 8).Draw(rt, "rows") {
			r.run(unit.DurationMs(rapid.IntRange(0, 20_000).Draw(rt, "pause")))
			w := r.wakeup(i, r.now.Add(10*unit.Second+unit.DurationMs(rapid.IntRange(0, 120_000).Draw(rt, "ahead"))))
			r.put(w)
			rows = append(rows, w)
		}
		r.run(4 * unit.Minute)
		for _, w := range rows {
			at := r.fired[w]
			if len(at) == 0 {
				rt.Fatalf("%v was never fired", w)
			}
			if late := at[0].Sub(w.Due); late < 0 || late > unit.Second {
				rt.Fatalf("fired %d ms after its time", late)
			}
		}
	})
}

// TestFiredAtItsTime: what is known is not fired with the next whole second but at its time, whatever else is due or read
// meanwhile; over a store that takes seconds it is still within the second.
func TestFiredAtItsTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, 5)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		slow, late := 500, unit.DurationMs(100)
		if rapid.Bool().Draw(rt, "slow store") {
			slow, late = 1400, unit.Second
		}
		r.latency = func() unit.DurationMs { return unit.DurationMs(chance.IntN(slow)) } // there, and back
		r.start()
		if rapid.Bool().Draw(rt, "among others") {
			r.step(Own{Shards: r.shards})
		}
		r.run(20 * unit.Second)
		var rows []persistence.Wakeup
		for i := range rapid.IntRange(1, 200).Draw(rt, "rows") {
			w := r.wakeup(i, r.now.Add(10*unit.Second+unit.DurationMs(chance.IntN(20_000))))
			r.put(w)
			rows = append(rows, w)
			r.run(unit.DurationMs(chance.IntN(100)))
		}
		r.run(unit.Minute)
		for _, w := range rows {
			at := r.fired[w]
			if len(at) == 0 {
				rt.Fatalf("%v was never fired", w)
			}
			if by := at[0].Sub(w.Due); by < 0 || by > late {
				rt.Fatalf("fired %d ms after its time, want %d at most", by, late)
			}
		}
	})
}

// TestLooksAreFew: a row for each millisecond costs a look every 50 ms, not one for each row, and no more reads.
func TestLooksAreFew(t *testing.T) {
	r := newRig(t, 5)
	r.start()
	r.run(10 * unit.Second)
	for i := range 400 {
		r.put(r.wakeup(i, r.now.Add(20*unit.Second+unit.DurationMs(i*10))))
	}
	r.run(19 * unit.Second)
	r.looks, r.reads = 0, 0
	r.run(5 * unit.Second)
	if len(r.fired) != 400 {
		t.Fatalf("%d fired", len(r.fired))
	}
	if r.looks > 5+4*20+1 {
		t.Errorf("%d ticks in 5 s", r.looks)
	}
	if r.reads > 5*2 {
		t.Errorf("%d reads of 5 shards in 5 s", r.reads)
	}
}

// TestFiredUntilGone: every 30 s, and no more once it is gone.
func TestFiredUntilGone(t *testing.T) {
	r := newRig(t, persistence.WakeupShards)
	r.start()
	r.run(5 * unit.Second)
	w := r.wakeup(1, r.now.Add(20*unit.Second))
	r.put(w)
	r.run(20*unit.Second + 95*unit.Second)
	if n := len(r.fired[w]); n != 4 {
		t.Fatalf("fired %d times in 95 s, want 4", n)
	}
	for i := 1; i < 4; i++ {
		if pause := r.fired[w][i].Sub(r.fired[w][i-1]); pause < fireEvery || pause > fireEvery+2*unit.Second {
			t.Fatalf("fired again after %d ms, want 30 s", pause)
		}
	}
	r.remove(w)
	r.run(5 * unit.Minute)
	if n := len(r.fired[w]); n != 4 {
		t.Fatalf("fired %d times, want no more after it is gone", n)
	}
	if n := r.s.Rows(); n != 0 {
		t.Fatalf("Rows() = %d, want 0", n)
	}
}

// TestNothingIsForgotten: whatever happens (failing reads, a new sweeper, an outage, rows that stay), every row is
// fired, and the mark in the store never lies ahead of a row.
func TestNothingIsForgotten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, 5)
		chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		failing := false
		r.fail = func() bool { return failing }
		r.latency = func() unit.DurationMs { return unit.DurationMs(chance.IntN(50)) }
		r.start()
		r.run(2 * unit.Second)
		there := map[persistence.Wakeup]bool{}
		var all []persistence.Wakeup
		for i := range rapid.IntRange(3, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				w := r.wakeup(i, r.now.Add(10*unit.Second+unit.DurationMs(rapid.IntRange(0, 600_000).Draw(rt, "ahead"))))
				r.put(w)
				there[w] = true
				all = append(all, w)
			case 2: // one that was fired goes
				for _, w := range all {
					if there[w] && len(r.fired[w]) > 0 {
						r.remove(w)
						delete(there, w)
						break
					}
				}
			case 3:
				failing = !failing
			case 4: // the node dies, and is away for a while
				r.queue = nil
				r.now = r.now.Add(unit.DurationMs(rapid.IntRange(0, 40*60_000).Draw(rt, "outage")))
				r.start()
			}
			r.run(unit.DurationMs(rapid.IntRange(0, 5*60_000).Draw(rt, "pause")))
			for w := range there {
				if mark := r.lowWater(persistence.ShardOf(w.Grain)); persistence.MinuteOf(w.Due) < mark {
					rt.Fatalf("the mark %d lies ahead of %v (minute %d)", mark, w, persistence.MinuteOf(w.Due))
				}
			}
		}
		failing = false
		r.run(12 * unit.Minute)
		for _, w := range all {
			if len(r.fired[w]) == 0 {
				rt.Fatalf("%v was never fired", w)
			}
		}
		if !r.s.Known() || !r.s.Swept() {
			rt.Fatalf("Known() %v, Swept() %v; want both", r.s.Known(), r.s.Swept())
		}
	})
}

// TestALateRowIsFound: written into a minute that is over, as a slow node would.
func TestALateRowIsFound(t *testing.T) {
	r := newRig(t, persistence.WakeupShards)
	r.start()
	r.run(20 * unit.Minute)
	w := r.wakeup(1, r.now.Add(-5*unit.Minute))
	r.put(w)
	r.run(2 * unit.Minute)
	if len(r.fired[w]) == 0 {
		t.Fatal("never fired")
	}
}

// TestIdleIsCheap: 256 shards without rows cost a bounded number of small reads, and the marks follow.
func TestIdleIsCheap(t *testing.T) {
	r := newRig(t, persistence.WakeupShards)
	r.start()
	r.run(15 * unit.Minute)
	r.reads, r.minutes = 0, 0
	r.run(10 * unit.Minute)
	if perSecond := r.reads / 600; perSecond > 80 {
		t.Errorf("%d reads a second, want at most 80", perSecond)
	}
	if perSecond := r.minutes / 600; perSecond > 160 {
		t.Errorf("%d minutes read a second, want at most 160", perSecond)
	}
	now := persistence.MinuteOf(r.now)
	for n := range persistence.WakeupShards {
		if lag := now - r.lowWater(n); lag > 20 || lag < 10 {
			t.Fatalf("shard %d: the mark lags %d minutes, want 10 to 20", n, lag)
		}
	}
}

// TestMarksComeFirst: on a new store nothing may be written before Known, and Known comes at once.
func TestMarksComeFirst(t *testing.T) {
	r := newRig(t, persistence.WakeupShards)
	r.start()
	if r.s.Known() {
		t.Fatal("Known() before the store was asked")
	}
	r.run(2 * unit.Second)
	if !r.s.Known() {
		t.Fatal("not Known() after 2 s")
	}
	for n := range persistence.WakeupShards {
		if r.lowWater(n) == 0 {
			t.Fatalf("shard %d has no mark", n)
		}
	}
}

// TestABurstIsSpread: a node that comes back to many due rows does not wake all of them in one step.
func TestABurstIsSpread(t *testing.T) {
	r := newRig(t, persistence.WakeupShards)
	r.start()
	r.run(2 * unit.Second)
	const rows = 3 * maxFires
	for i := range rows {
		r.put(r.wakeup(i, r.now.Add(30*unit.Second)))
	}
	r.run(29 * unit.Second)
	before := r.s.Counts().Fired
	r.run(2 * unit.Second)
	if n := r.s.Counts().Fired - before; n > 2*maxFires+maxFires/2 {
		t.Fatalf("%d fired within two ticks", n)
	}
	r.run(20 * unit.Second)
	if n := len(r.fired); n != rows {
		t.Fatalf("%d rows fired, want %d", n, rows)
	}
}

// TestAClockThatWasSetBack: the mark was written while the clock ran an hour ahead. What is written under the right clock
// lies below it, and must be found after a restart all the same.
func TestAClockThatWasSetBack(t *testing.T) {
	r := newRig(t, 1)
	if err := r.store.PutLowWater(context.Background(), 0, persistence.MinuteOf(r.now.Add(unit.Hour))); err != nil {
		t.Fatal(err)
	}
	w := r.wakeup(1, r.now.Add(-5*unit.Minute))
	r.put(w)
	r.start()
	r.run(10 * unit.Second)
	if len(r.fired[w]) == 0 {
		t.Fatal("a wake-up below a mark that lies ahead is never fired")
	}
	if mark, now := r.lowWater(0), persistence.MinuteOf(r.now); mark > now {
		t.Errorf("the mark lies %d minutes ahead", mark-now)
	}
}
