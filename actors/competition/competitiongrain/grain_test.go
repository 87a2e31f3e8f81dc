package competitiongrain

import (
	"errors"
	"slices"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

func TestUnansweredSettleIsUnderReview(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	s.training(2).mute = true
	l.step(s.training(2).say(gun, 3000, 0, 600), nil)
	s.training(1).finished = true
	l.step(s.training(1).say(gun, 5000, 0, 500, 1, 1000), nil)
	l.rest()
	l.pass(unit.Hour + unit.Minute) // cut-off and grace
	l.rest()
	begun := s.wall
	for i := 0; i < 60 && l.sh.shown.Result == nil; i++ {
		l.pass(1_000)
	}
	if d := s.wall.Sub(begun); d > 31_000 {
		t.Errorf("the settle took %d ms, want 30 s", d)
	}
	if got, want := short(l.state().Result), "v1 PROVISIONAL 1:1/finished 2:0/racing!"; got != want {
		t.Fatalf("result %q, want %q: never DNF", got, want)
	}
	settles := 0
	for _, m := range l.log {
		if _, ok := m.Msg.(*trainingv1.Settle); ok && m.To.ID == "u2/w" {
			settles++
		}
	}
	if settles < 14 || settles > 16 {
		t.Errorf("asked %d times in 30 s, want every two seconds", settles)
	}
	// It comes back: the final settle clears the review.
	s.training(2).mute = false
	s.training(2).say(gun, 5000, 1, 900)
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Official{Official: &competitionv1.MakeOfficial{}}}))
	l.rest()
	if got, want := short(l.state().Result), "v2 OFFICIAL 2:1/finished 1:2/finished"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestBindIsRepeatedUntilAReportShowsIt(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.silent = true
	s.prepare(l, definition(), 1)
	n := len(sentOf[*trainingv1.Bind](l))
	l.pass(5_000)
	if m := len(sentOf[*trainingv1.Bind](l)) - n; m != 5 {
		t.Errorf("%d binds in 5 s, want 5", m)
	}
	s.silent = false
	l.pass(2_000)
	l.rest()
	n = len(sentOf[*trainingv1.Bind](l))
	l.pass(5_000)
	if m := len(sentOf[*trainingv1.Bind](l)) - n; m != 0 {
		t.Errorf("%d binds after a report that knows it", m)
	}
	// The start is a new binding; a report of the old one is ignored and answered with it.
	old := s.training(1).report()
	s.silent = true
	gun := s.wall.Add(1000)
	l.do(startAt(gun))
	l.rest()
	n = len(sentOf[*trainingv1.Bind](l))
	l.step(old, nil)
	binds := sentOf[*trainingv1.Bind](l)
	if len(binds) != n+1 || binds[n].Bound.GunAtMs != int64(gun) || binds[n].Bound.Entry != 1 || binds[n].Bound.Track.DistanceMm != 5_000_000 {
		t.Errorf("a report of the old binding was answered with %v", binds[n:])
	}
}

func TestAnotherTrainingReplacesAndFreesTheFirst(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.prepare(l, definition(), 1)
	s.trainings["u1/x"] = &fakeTraining{name: "u1/x", device: "u1/d"}
	l.do(cmd("athlete:u1", &competitionv1.Command{Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: "u1", Training: "u1/x"}}}))
	l.rest()
	free := func() (n int) {
		for _, m := range l.log {
			if b, ok := m.Msg.(*trainingv1.Bind); ok && b.Unbind && m.To.ID == "u1/w" {
				n++
			}
		}
		return n
	}
	if free() != 1 {
		t.Fatalf("the first training was freed %d times", free())
	}
	l.step(s.training(1).report(), nil) // it has not heard
	if free() != 2 {
		t.Fatal("a training that believes to be bound is not told")
	}
	r := l.ask(cmd("athlete:u1", &competitionv1.Command{Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: "u1", Training: "u2/w"}}}))
	if !errors.Is(r.Err, competition.ErrTraining) {
		t.Errorf("somebody else's training: %v", r.Err)
	}
}

func TestUnboundAtTheCutOffIsDNS(t *testing.T) {
	s := newScene(t)
	l := s.live()
	l.do(create(definition()))
	for _, u := range []string{"a", "b"} {
		l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{UserId: u}}}))
	}
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}}))
	l.do(startAt(s.wall))
	s.trainings["a/w"] = &fakeTraining{name: "a/w", device: "a/d"}
	l.do(cmd("athlete:a", &competitionv1.Command{Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: "a", Training: "a/w"}}}))
	l.rest()
	l.pass(unit.Hour + 3_000)
	l.rest()
	if got := l.state().Entries[1].Status; got != livev1.EntryStatus_ENTRY_STATUS_DNS {
		t.Fatalf("the unbound entry is %v at the cut-off", got)
	}
	l.pass(unit.Minute)
	l.rest()
	if got, want := short(l.state().Result), "v1 PROVISIONAL 1:0/dnf 2:0/dns"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestWokenAfterACrash(t *testing.T) { wokenAfterCrash(t) }

// wokenAfterCrash: without any client the race has a wake-up, and who is woken ends it.
func wokenAfterCrash(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 1)
	f := s.training(1)
	f.finished = true
	f.say(gun, 5000, 0, 500, 1, 1000) // never reported: the node is killed
	rows := s.wakeups()
	open := slices.IndexFunc(rows, func(w persistence.Wakeup) bool { return w.Reason == "open" })
	if open < 0 {
		t.Fatalf("wake-ups of a running race: %v", rows)
	}
	l = s.live()
	w := rows[open]
	l.step(&clusterv1.Wake{Kind: "competition", Id: "race", DueMs: int64(w.Due), Reason: w.Reason, Activation: w.Activation}, nil)
	l.rest()
	l.pass(2_000)
	l.rest()
	if got, want := short(l.state().Result), "v1 PROVISIONAL 1:1/finished"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestRestsOnlyWhenNothingIsOn(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.prepare(l, definition(), 1)
	l.do(startAt(s.wall.Add(1000)))
	l.rest()
	l.step(step.Sweep{}, nil)
	l.rest()
	if l.stopped != "" {
		t.Fatal("rests with a race on")
	}
	l.step(step.Sweep{Drain: true}, nil)
	l.rest()
	if l.stopped == "" {
		t.Fatal("a drained race stays")
	}
	l = s.live()
	l.pass(11_000)
	s.finish(l, s.wall.Add(-10_000))
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Official{Official: &competitionv1.MakeOfficial{}}}))
	l.rest()
	l.step(step.Sweep{}, nil)
	l.rest()
	if l.stopped == "" {
		t.Fatal("an official race stays")
	}
	for _, w := range s.wakeups() {
		if w.Activation == "act2" {
			t.Errorf("wake-up left behind: %+v", w)
		}
	}
}

func TestUnknownMessagesAreRefused(t *testing.T) {
	l := newScene(t).live()
	if r := l.ask(&trainingv1.Get{}); !errors.Is(r.Err, ErrMessage) {
		t.Errorf("a message for trainings: %v", r.Err)
	}
	if r := l.ask(&competitionv1.Command{}); !errors.Is(r.Err, ErrMessage) {
		t.Errorf("an empty command: %v", r.Err)
	}
	if r := l.ask(&clusterv1.Interest{Topic: "competition/other/board", Node: "n"}); !errors.Is(r.Err, ErrTopic) {
		t.Errorf("a topic of another race: %v", r.Err)
	}
}

// TestWhatNobodyCreatedTakesNoMemory: anybody may ask for any id, without a token, thousands of times a second.
func TestWhatNobodyCreatedTakesNoMemory(t *testing.T) {
	s := newScene(t)
	l := s.live()
	if r := l.ask(&competitionv1.Get{}); !errors.Is(r.Err, competition.ErrNotFound) {
		t.Errorf("a race that nobody created: %v", r.Err)
	}
	if l.stopped == "" {
		t.Error("the activation stays")
	}
	l = s.live()
	s.prepare(l, definition(), 1)
	l.rest()
	if l.state(); l.stopped != "" {
		t.Errorf("a race that exists has stopped: %s", l.stopped)
	}
}

var _ machine.Stepper = (*Shell)(nil)
