package devicegrain

import (
	"testing"

	"paceline/actors/machine"
	"paceline/persistence"
)

// oldPuts is whether each held write is about old data.
func oldPuts(a *act) (old []bool) {
	for _, d := range a.held {
		if _, ok := d.Op.(persistence.PutBlockOp); ok {
			old = append(old, d.Old)
		}
	}
	return old
}

// TestOldFramesLetOthersGoFirst: a block of old frames alone is stored behind everybody's live ones; as soon as a live frame
// is in it, it is not old, or the athlete's own live data would wait.
func TestOldFramesLetOthersGoFirst(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = holdPuts
	backfill := func(from, to uint64, old bool) {
		m := frameMsg("x", samples(from, to))
		m.Telemetry.Backfill = old
		a.send(m)
		r.settle()
	}
	backfill(1, 10, true)
	if old := oldPuts(a); len(old) != 1 || !old[0] {
		t.Fatalf("held writes are old: %v, want one, and old", old)
	}
	backfill(11, 20, true)
	backfill(21, 30, false)
	a.release(works)
	if old := oldPuts(a); len(old) != 1 || old[0] {
		t.Fatalf("held writes are old: %v, want one with a live frame in it", old)
	}
	a.release(works)
	r.holds(30)
}

// TestAWriteThatIsTriedAgainStaysOld: the store was away.
func TestAWriteThatIsTriedAgainStaysOld(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = holdPuts
	m := frameMsg("x", samples(1, 10))
	m.Telemetry.Backfill = true
	a.send(m)
	r.settle()
	for range 5 {
		a.release(away)
		r.pass(5000)
		if old := oldPuts(a); len(old) != 1 || !old[0] {
			t.Fatalf("held writes are old: %v, want one, and old", old)
		}
	}
	a.release(works)
	r.holds(10)
}

// TestAFullStoreRefusesFrames: at once, with a code, and without keeping anything of them.
func TestAFullStoreRefusesFrames(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	r.full = true
	c := a.frame("x", 1, 100)
	r.settle()
	c.refusedWith(t, "store.full")
	if a.shell.waiting != 0 || len(a.wrote) != 0 {
		t.Errorf("%d bytes wait, %d writes were tried", a.shell.waiting, len(a.wrote))
	}
	r.full = false
	c = a.frame("x", 1, 100)
	r.settle()
	if got := c.through(t); got != 100 {
		t.Errorf("acknowledged %d, want 100", got)
	}
}

// TestFramesDoNotWaitForTheJournal: an activation that cannot recover, because the store is away, keeps no samples.
func TestFramesDoNotWaitForTheJournal(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	b := &act{r: r, store: persistence.Over(r.rows), timers: a.timers, fate: func(persistence.Op) fate { return held }}
	b.shell = New(Config{Grain: r.grain, Activation: "late", Member: "m"})
	r.acts = append(r.acts, b)
	b.step(machine.StartMsg{}, nil)
	for i := range uint64(2000) {
		c := b.frame("x", 1+i*500, 500+i*500)
		r.settle()
		c.refusedWith(t, "stream.not_open")
	}
	if u := b.shell.underWay; u != nil && len(u.early) != 0 {
		t.Errorf("%d messages are kept", len(u.early))
	}
}
