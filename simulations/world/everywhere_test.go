package world

import (
	"fmt"
	"strings"
	"testing"

	"paceline/domain/step"
	"paceline/persistence"
)

// everyNth write is one at which something dies; 1 shows them all, in half a minute.
const everyNth = 3

// TestKilledAtEveryWrite kills the activation that asks for a write right before it, and right after it, for every
// third write of a race, one at a time.
func TestKilledAtEveryWrite(t *testing.T) {
	sc := scene{}
	seed := sc.seedsOf(1)[0]
	want := sc.undisturbed(t, "every write", seed)
	kinds := map[string]int{}
	for first, applied := range []bool{false, true} {
		for n := 1 + first; ; n += everyNth {
			w := sc.world(seed)
			at := ""
			w.killAtWrite(n, applied, &at)
			got := w.Run()
			if at == "" {
				break // there are not so many
			}
			kinds[at]++
			switch {
			case len(got.Failures) > 0:
				t.Errorf("write %d (%s, applied %v): %s", n, at, applied, strings.Join(got.Failures, "\n"))
			case got.Result != want:
				t.Errorf("write %d (%s, applied %v): the disturbed result differs:\n%s\nundisturbed:\n%s", n, at, applied, got.Result, want)
			}
		}
	}
	t.Logf("killed at: %v", kinds)
}

// killAtWrite kills whoever asks for the n-th write, and notes what it was.
func (w *World) killAtWrite(n int, applied bool, at *string) {
	w.onOut = func(a *activation, o step.Out) bool {
		do, ok := o.(persistence.Do)
		if !ok || isRead(do.Op) {
			return false
		}
		if n--; n != 0 {
			return false
		}
		*at = fmt.Sprintf("%s %T", a.grain.Kind, do.Op)
		if applied {
			w.apply(do.Op)
		}
		a.kill()
		return true
	}
}

// TestSameSeedSameWorld: a failing seed can be played again, step by step.
func TestSameSeedSameWorld(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		a, b := New(seed, Rough(seed), nil).Run(), New(seed, Rough(seed), nil).Run()
		if a.Steps != b.Steps || a.Wall != b.Wall || fmt.Sprint(a.Counts) != fmt.Sprint(b.Counts) {
			t.Errorf("seed %d: %d steps in %d ms, then %d in %d", seed, a.Steps, a.Wall, b.Steps, b.Wall)
		}
	}
}
