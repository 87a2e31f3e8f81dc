package competitiongrain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/persistence"
)

// drama is a race whose activation is killed after a given number of steps, whatever is under way then: what was asked
// of the store either happens all the same or does not, and nobody hears of it. The athletes go on; the next activation
// is woken by what lies in the store.
type drama struct {
	s       *scene
	l       *life
	steps   int // until the kill; below 0: no more
	happens bool
	taken   int
}

// step counts one thing done, and kills.
func (d *drama) count() (killed bool) {
	d.taken++
	if d.steps--; d.steps != 0 {
		return false
	}
	if d.happens {
		for _, o := range d.l.ops {
			_, _ = o.Op.Run(context.Background(), d.s.store, d.s)
		}
	}
	d.l = d.s.live()
	return true
}

// settle does one thing after another until nothing moves.
func (d *drama) settle() {
	for i := 0; i < 5000; i++ {
		l := d.l
		switch {
		case l.stopped != "":
			d.l = d.s.live()
		case len(l.ops) > 0:
			o := l.ops[0]
			l.ops = l.ops[1:]
			r, err := o.Op.Run(context.Background(), d.s.store, d.s)
			if d.count() {
				continue // done, and nobody heard
			}
			l.step(persistence.Done{Tag: o.Tag, Result: r, Err: err}, nil)
		case len(l.sent) > 0:
			m := l.sent[0]
			l.sent = l.sent[1:]
			if d.count() {
				continue // not delivered
			}
			if f := d.s.trainings[m.To.ID]; f != nil {
				for _, back := range f.hear(m.Msg) {
					l.step(back, nil)
				}
			}
		default:
			return
		}
	}
	d.s.t.Fatal("it does not come to rest")
}

// pass lets time go by: timers, the trainings' repetitions, and the sweeper that wakes from the store.
func (d *drama) pass(ms unit.DurationMs) {
	end := d.s.wall.Add(ms)
	for d.s.wall < end {
		d.settle()
		d.s.wall = d.s.wall.Add(250)
		var due []string
		for k, at := range d.l.timers {
			if at <= d.s.wall {
				due = append(due, k)
			}
		}
		slices.Sort(due)
		for _, k := range due {
			delete(d.l.timers, k)
			d.l.step(tick(k), nil)
			d.settle()
		}
		if d.s.wall%1000 == 0 {
			d.repeat()
		}
		if d.s.wall%10_000 == 0 {
			d.wake()
		}
	}
	d.settle()
}

// repeat: trainings say again what has not been echoed.
func (d *drama) repeat() {
	for n := 1; d.s.training(n) != nil; n++ {
		if f := d.s.training(n); f.binding > 0 && f.echoed < f.through {
			d.l.step(f.report(), nil)
			d.settle()
		}
	}
}

func (d *drama) wake() {
	for _, w := range d.s.wakeups() {
		if w.Due <= d.s.wall {
			d.l.step(&clusterv1.Wake{Kind: "competition", Id: "race", DueMs: int64(w.Due), Reason: w.Reason, Activation: w.Activation}, nil)
			d.settle()
		}
	}
}

// insist sends a command with an id until it is answered, as a client does.
func (d *drama) insist(id string, c *competitionv1.Command) {
	c.Call = &clusterv1.Call{By: "operator:op", CommandId: id}
	for i := 0; i < 50; i++ {
		who := fmt.Sprintf("%s-%d", id, i)
		d.l.step(c, who)
		l := d.l
		d.settle()
		for wait := 0; wait < 8 && d.l == l; wait++ {
			if _, ok := l.replies[who]; ok {
				break
			}
			d.pass(250)
		}
		if r, ok := l.replies[who]; ok && (r.Err == nil || d.l == l && !errors.Is(r.Err, machine.ErrStopped)) {
			if r.Err != nil {
				d.s.t.Fatalf("%s refused: %v", id, r.Err)
			}
			return
		}
	}
	d.s.t.Fatalf("%s is never answered", id)
}

func uuid(n int) string {
	return fmt.Sprintf("%08x-%04x-7000-8000-%012d", uint64(began)>>16, uint64(began)&0xffff, n)
}

// play runs one race from its creation to the official result.
func play(t testing.TB, kill int, happens bool) (rows []competition.Row, steps int, gates int) {
	s := newScene(t)
	def := definition()
	def.AutoOfficialAfter = 0
	def.CutoffAfter, def.Grace = 10*unit.Minute, 10*unit.Second
	d := &drama{s: s, steps: kill, happens: happens}
	d.l = s.live()
	d.insist(uuid(1), create(def))
	for i := 1; i <= 3; i++ {
		user := fmt.Sprintf("u%d", i)
		d.insist(uuid(10+i), &competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{UserId: user}}})
		s.trainings[user+"/w"] = &fakeTraining{name: user + "/w", device: user + "/d"}
	}
	d.insist(uuid(20), &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	for i := 1; i <= 3; i++ {
		user := fmt.Sprintf("u%d", i)
		d.insist(uuid(30+i), &competitionv1.Command{Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: user, Training: user + "/w"}}})
	}
	gun := began + 60_000
	d.insist(uuid(40), startAt(gun))
	d.pass(gun.Sub(s.wall) + 1000)
	say := func(n int, progress int64, gates ...int64) {
		d.l.step(s.training(n).say(gun, progress, gates...), nil)
		d.settle()
	}
	say(1, 2500, 0, 5)
	say(2, 2500, 0, 6)
	d.pass(3_000)
	say(3, 2500, 0, 7)
	say(2, 5000, 1, 9)
	for _, n := range []int{2, 1, 3} {
		s.training(n).finished = true
	}
	say(1, 5000, 1, 10)
	say(2, 5000)
	say(3, 3000)
	d.pass(90_000)
	if d.l.stopped != "" {
		d.l = s.live()
	}
	st := d.l.state()
	if st.State != livev1.RaceState_RACE_STATE_OFFICIAL {
		t.Fatalf("kill at %d (stores %v): the race is %v", kill, happens, st.State)
	}
	return competitioncodec.ResultFromProto(st.Result).Rows, d.taken, s.events(kindGate)
}

// TestKilledBetweenAnyTwoSteps: whatever the moment, the race ends by itself with the undisturbed result, and no gate is
// journalled twice.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	want, steps, gates := play(t, -1, false)
	if len(want) != 3 || want[0].Entry != 2 || gates != 5 {
		t.Fatalf("undisturbed: %+v with %d gates", want, gates)
	}
	t.Logf("%d steps", steps)
	for kill := 1; kill <= steps; kill++ {
		for _, happens := range []bool{false, true} {
			got, _, n := play(t, kill, happens)
			if fmt.Sprint(got) != fmt.Sprint(want) || n != gates {
				t.Fatalf("killed after step %d (stores %v): %+v with %d gates, want %+v with %d", kill, happens, got, n, want, gates)
			}
		}
	}
}
