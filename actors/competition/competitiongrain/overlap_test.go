package competitiongrain

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"paceline/actors/competition/competitioncodec"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/persistence"
)

// overlap is a race with two activations at once, for placement may be of two minds: each message goes to one of them by
// chance, each store outcome comes late by chance, and who stops is activated again.
type overlap struct {
	s    *scene
	two  [2]*life
	rand *rand.Rand
}

// move does one of the things that could happen next.
func (o *overlap) move() bool {
	i := o.rand.IntN(2)
	for range 2 {
		l := o.two[i]
		switch {
		case l.stopped != "":
			o.two[i] = o.s.live()
			return true
		case len(l.ops) > 0 && (len(l.sent) == 0 || o.rand.IntN(2) == 0):
			n := o.rand.IntN(min(len(l.ops), 2))
			d := l.ops[n]
			l.ops = slices.Delete(l.ops, n, n+1)
			r, err := d.Op.Run(o.s.t.Context(), o.s.store, o.s)
			switch o.rand.IntN(20) {
			case 0: // done, but the outcome is lost
				r, err = nil, persistence.ErrUnknown
			case 1:
				l.ops = append(l.ops, d) // the store did it, and does it again
			}
			l.step(persistence.Done{Tag: d.Tag, Result: r, Err: err}, nil)
			return true
		case len(l.sent) > 0:
			m := l.sent[0]
			l.sent = l.sent[1:]
			if f := o.s.trainings[m.To.ID]; f != nil && o.rand.IntN(10) > 0 {
				for _, back := range f.hear(m.Msg) {
					o.deliver(back)
				}
			}
			return true
		}
		i = 1 - i
	}
	return false
}

func (o *overlap) deliver(msg any) { o.two[o.rand.IntN(8)/7].step(msg, nil) }

// pass lets time go by: most messages reach the first activation, some the second.
func (o *overlap) pass(ms unit.DurationMs) {
	for end := o.s.wall.Add(ms); o.s.wall < end; {
		for n := 0; o.move(); n++ {
			if n > 5000 {
				o.s.t.Fatal("it does not come to rest")
			}
		}
		o.s.wall = o.s.wall.Add(250)
		for _, l := range o.two {
			var due []string
			for k, at := range l.timers {
				if at <= o.s.wall {
					due = append(due, k)
				}
			}
			slices.Sort(due)
			for _, k := range due {
				delete(l.timers, k)
				l.step(tick(k), nil)
			}
		}
		if o.s.wall%1000 == 0 {
			for n := 1; o.s.training(n) != nil; n++ {
				if f := o.s.training(n); f.binding > 0 && f.echoed < f.through {
					o.deliver(f.report())
				}
			}
		}
	}
}

// TestTwoActivationsAtOnceGiveOneRace: whatever they do to each other, the journal is one race, no gate is taken twice and
// the result is that of one activation alone.
func TestTwoActivationsAtOnceGiveOneRace(t *testing.T) {
	for seed := range uint64(60) {
		s := newScene(t)
		l := s.live()
		def := definition()
		def.AutoOfficialAfter, def.CutoffAfter, def.Grace = 0, 10*unit.Minute, 10*unit.Second
		gun := s.race(l, def, 3)
		o := &overlap{s: s, rand: rand.New(rand.NewPCG(seed, 7))}
		o.two = [2]*life{l, s.live()}
		say := func(n int, progress int64, gates ...int64) {
			o.deliver(s.training(n).say(gun, progress, gates...))
			o.pass(1_000)
		}
		say(1, 2500, 0, 5)
		say(2, 2500, 0, 6)
		say(3, 2500, 0, 7)
		say(2, 5000, 1, 9)
		for n, last := range [][]int64{1: {5000, 1, 10}, 2: {5000}, 3: {3000}} {
			if n > 0 {
				s.training(n).finished = true
				say(n, last[0], last[1:]...)
			}
		}
		var st *competitionv1.State
		for i := 0; i < 100 && st.GetState() != livev1.RaceState_RACE_STATE_OFFICIAL; i++ {
			o.pass(2_000)
			one := s.live() // looks, and says nothing
			one.rest()
			if one.sh.shown.Result != nil {
				st = &competitionv1.State{State: livev1.RaceState(one.sh.shown.Phase), Result: competitioncodec.ResultToProto(*one.sh.shown.Result)}
			}
		}
		if got, want := short(st.GetResult()), "v2 OFFICIAL 2:1/finished 1:2/finished 3:0/dnf"; got != want {
			t.Fatalf("seed %d: %q, want %q", seed, got, want)
		}
		seen := map[string]bool{}
		for _, r := range s.journal() {
			if r.Kind != kindGate {
				continue
			}
			if key := fmt.Sprint(r.Payload); seen[key] {
				t.Fatalf("seed %d: a gate is journalled twice", seed)
			} else {
				seen[key] = true
			}
		}
		if len(seen) != 5 {
			t.Fatalf("seed %d: %d gates, want 5", seed, len(seen))
		}
	}
}
