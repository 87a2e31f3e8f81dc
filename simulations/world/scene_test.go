package world

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"paceline/api/gen/paceline/competition/v1"
	"paceline/domain/step"
)

// scene is a schedule with a name. It ends in the undisturbed result, or in the outcome that it documents.
type scene struct {
	plan     func(p *plan)                                 // the race, for both runs
	calm     func(w *World)                                // the undisturbed run, where it needs more than a plan
	script   func(w *World, s *script)                     // the disturbed run
	after    func(t testing.TB, w *World, official string) // more to check when all is over
	other    bool                                          // the result is another one; after knows which
	settle   bool                                          // only the settle finds what the script did
	seeds    int                                           // how many races; 0: three
	distance bool                                          // of races over a distance only
	live     bool                                          // clients speak the live protocol through two gateways
	needs    []step.Rule                                   // without any of these it fails
}

// gentle is what every scene runs on: everything takes a little while.
func gentle() Faults { return Faults{NetDelay: 8, StoreDelay: 4} }

// plain makes a race of which a script knows what to expect: one device each, nothing lost, clocks right.
func plain(p *plan) {
	for i := range p.riders {
		r := &p.riders[i]
		r.streams = r.streams[:1]
		s := &r.streams[0]
		s.lost = [2]int{}
		for k := range s.atMs {
			s.atMs[k] += s.clockOff
		}
		s.clockOff = 0
	}
}

// suits reports whether everybody finishes, and over what.
func (sc scene) suits(p *plan) bool {
	if sc.distance && p.definition.Track.Format != competitionv1.Format_FORMAT_DISTANCE {
		return false
	}
	for i := range p.riders {
		if p.riders[i].quits {
			return false
		}
	}
	return true
}

// seedsOf are the first n seeds whose race suits.
func (sc scene) seedsOf(n int) []uint64 {
	var all []uint64
	for seed := uint64(1); len(all) < n; seed++ {
		if p := newPlan(seed); sc.suits(&p) {
			all = append(all, seed)
		}
	}
	return all
}

func (sc scene) world(seed uint64) *World {
	w := New(seed, gentle(), nil)
	if os.Getenv("PACELINE_TRACE") != "" {
		w.trace = os.Stdout
	}
	w.faults.Gateways = sc.live
	plain(&w.plan)
	if sc.plan != nil {
		sc.plan(&w.plan)
	}
	w.maxSteps = 100_000
	return w
}

// undisturbed results by scene and seed: made once, with every rule in force.
var undisturbed = map[string]string{}

func (sc scene) undisturbed(t testing.TB, name string, seed uint64) string {
	key := fmt.Sprint(name, seed)
	if r, ok := undisturbed[key]; ok {
		return r
	}
	calm := sc.world(seed)
	calm.trace = nil
	if sc.calm != nil {
		sc.calm(calm)
	}
	want := calm.Run()
	if len(want.Failures) > 0 {
		t.Fatalf("seed %d, undisturbed: %s", seed, strings.Join(want.Failures, "\n"))
	}
	undisturbed[key] = want.Result
	return want.Result
}

// play runs the scene once.
func (sc scene) play(t testing.TB, name string, seed uint64) {
	want := sc.undisturbed(t, name, seed)
	w := sc.world(seed)
	s := w.scripted()
	w.watchEchoes()
	sc.script(w, s)
	got := w.Run()
	if !sc.settle && got.Official {
		w.checkStreamed()
	}
	if got.Official {
		w.checkNoted()
	}
	if idle := s.idle(w); len(idle) > 0 {
		w.failf("never struck: %s", strings.Join(idle, ", "))
	}
	if len(w.failures) > 0 {
		t.Fatalf("seed %d: %s", seed, strings.Join(w.failures, "\n"))
	}
	if !sc.other && got.Result != want {
		t.Fatalf("seed %d: the disturbed result differs:\n%s\nundisturbed:\n%s", seed, got.Result, want)
	}
	if sc.after != nil {
		sc.after(t, w, got.Result)
	}
}

func (sc scene) playAll(t testing.TB, name string) {
	n := sc.seeds
	if n == 0 {
		n = 3
	}
	for _, seed := range sc.seedsOf(n) {
		sc.play(t, name, seed)
	}
}
