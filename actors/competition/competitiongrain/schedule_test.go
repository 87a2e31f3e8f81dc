package competitiongrain

import (
	"errors"
	"slices"
	"testing"

	"paceline/actors/competition"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// TestEachRuleIsNeeded switches each rule that this shell keeps off and sees a test go red.
func TestEachRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		rule step.Rule
		f    func(testing.TB)
	}{
		"echo after journal":   {step.RuleEchoAfterJournal, echoWaits},
		"older report dropped": {step.RuleOlderReportDropped, olderDropped},
		"settle replaces":      {step.RuleSettleReplaces, settleReplaces},
		"settle again":         {step.RuleSettleAgain, settleAgain},
		"late input":           {step.RuleLateInput, lateAfterOfficial},
		"new epoch asks":       {step.RuleNewEpochAsks, newEpochAsks},
		"gun announced":        {step.RuleGunAnnounced, lateGun},
		"fence":                {step.RuleFence, loserSaysNothing},
		"open wakes":           {step.RuleOpenWakes, wokenAfterCrash},
	} {
		t.Run(name, func(t *testing.T) { testkit.NeedsRule(t, c.rule, c.f) })
	}
}

func TestWholeRace(t *testing.T) {
	s := newScene(t)
	l := s.live()
	d := definition()
	d.AutoOfficialAfter = 0
	gun := s.race(l, d, 3)
	l.step(s.training(1).say(gun, 2600, 0, 700), nil)
	l.step(s.training(2).say(gun, 2500, 0, 650), nil)
	l.step(s.training(3).say(gun, 1000), nil)
	l.rest()
	if got := []int{l.sh.standing(1), l.sh.standing(2), l.sh.standing(3)}; !slices.Equal(got, []int{2, 1, 3}) {
		t.Errorf("live places %v, want 2 1 3: the earlier at the last common gate leads", got)
	}
	for n, sec := range map[int]int64{1: 1400, 2: 1401, 3: 0} {
		f := s.training(n)
		f.finished = true
		if sec > 0 {
			f.say(gun, 5000, 1, sec)
		}
	}
	for n := 1; n <= 3; n++ {
		l.step(s.training(n).report(), nil)
	}
	l.rest()
	l.pass(100)
	st := l.state()
	if want := "v2 OFFICIAL 1:1/finished 2:2/finished 3:0/dnf"; short(st.Result) != want || st.State != livev1.RaceState_RACE_STATE_OFFICIAL {
		t.Fatalf("result %q in %v, want %q", short(st.Result), st.State, want)
	}
	for _, in := range st.Result.Input {
		if len(in.Recording) != 32 || len(in.Streams) != 1 {
			t.Errorf("input of %d: %v, want a recording and a stream", in.Entry, in)
		}
	}
	if got := st.Result.Rows[0].GunUs; got != 1400e6 {
		t.Errorf("winner's gun time %d us, want 1,400 s", got)
	}
}

func TestEchoWaitsForTheJournal(t *testing.T) { echoWaits(t) }

func echoWaits(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 1)
	s.silent = true
	before := len(sentOf[*trainingv1.ReportEcho](l))
	l.step(s.training(1).say(gun, 2500, 0, 100), nil)
	l.step(s.training(1).say(gun, 2600), nil) // nothing new, but the state it saw is not committed
	if n := len(sentOf[*trainingv1.ReportEcho](l)); n != before {
		t.Fatalf("%d echoes before the append is committed", n-before)
	}
	l.store()
	echoes := sentOf[*trainingv1.ReportEcho](l)
	if len(echoes) != before+1 || echoes[before].Basis[0].FoldedThrough != 2 {
		t.Fatalf("echoes after the commit: %v", echoes[before:])
	}
	l.step(s.training(1).say(gun, 2700), nil)
	if n := len(sentOf[*trainingv1.ReportEcho](l)); n != before+2 {
		t.Fatalf("a report without news is not echoed at once")
	}
}

func TestOlderReportIsDropped(t *testing.T) { olderDropped(t) }

func olderDropped(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 1)
	old := s.training(1).say(gun, 100)
	l.step(s.training(1).say(gun, 2500, 0, 100), nil)
	l.rest()
	l.step(old, nil)
	l.rest()
	if gates := l.sh.shown.Entry(1).Gates; len(gates) != 1 {
		t.Fatalf("gates after an older report: %v", gates)
	}
	asks := sentOf[*trainingv1.ReportRequest](l)
	if len(asks) == 0 || asks[len(asks)-1].Basis[0].FoldedThrough != 2 {
		t.Fatalf("the older report was answered with %v, want the basis held", asks)
	}
}

// finish brings all athletes home: n finishes n·10 s after 1,000 s.
func (s *scene) finish(l *life, gun unit.InstantMs) {
	for n := 1; s.training(n) != nil; n++ {
		f := s.training(n)
		f.finished = true
		l.step(f.say(gun, 5000, 0, int64(500+n), 1, int64(1000+10*n)), nil)
	}
	l.rest()
	l.pass(100)
	l.rest()
}

func TestSettleReplacesWhateverItsBasis(t *testing.T) { settleReplaces(t) }

func settleReplaces(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	s.training(1).freshGates = func(f *fakeTraining) { f.through, f.gates = 1, f.gates[:1] } // a skip, final, took the finish
	s.training(1).through = 40
	s.finish(l, gun)
	if got, want := short(l.state().Result), "v1 PROVISIONAL 2:1/finished 1:0/dnf"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestSettleIsRepeatedBeforeOfficial(t *testing.T) { settleAgain(t) }

func settleAgain(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	s.finish(l, gun)
	if got, want := short(l.state().Result), "v1 PROVISIONAL 1:1/finished 2:2/finished"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
	// A row that was acknowledged late is found by the second read, without any report of it.
	s.training(1).freshGates = func(f *fakeTraining) {
		f.through, f.gates[1].At = f.through+5, gun.Add(1_015_500).Us()
	}
	s.training(2).freshGates = func(f *fakeTraining) { f.gates[1].At = gun.Add(1_001_000).Us() }
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Official{Official: &competitionv1.MakeOfficial{}}}))
	l.rest()
	if got, want := short(l.state().Result), "v2 OFFICIAL 2:1/finished 1:2/finished"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestOfficialWaitsForTheDelay(t *testing.T) {
	s := newScene(t)
	s.cfg.SettleDelay = unit.Minute
	l := s.live()
	d := definition()
	d.AutoOfficialAfter = 0
	s.finish(l, s.race(l, d, 1))
	if st := l.state(); st.State != livev1.RaceState_RACE_STATE_PROVISIONAL {
		t.Fatalf("state %v, want provisional", st.State)
	}
	r := l.ask(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Official{Official: &competitionv1.MakeOfficial{}}}))
	if !errors.Is(r.Err, competition.ErrTooEarly) {
		t.Fatalf("official at once: %v, want too early", r.Err)
	}
	l.pass(61_000)
	l.rest()
	if st := l.state(); st.State != livev1.RaceState_RACE_STATE_OFFICIAL {
		t.Fatalf("state %v after the delay, want official", st.State)
	}
}

func TestLateInputAfterOfficial(t *testing.T) { lateAfterOfficial(t) }

func lateAfterOfficial(t testing.TB) {
	s := newScene(t)
	l := s.live()
	d := definition()
	d.AutoOfficialAfter = 0
	gun := s.race(l, d, 2)
	s.training(2).finished = true
	s.training(2).gates = nil
	f := s.training(1)
	f.finished = true
	l.step(f.say(gun, 5000, 0, 500, 1, 1000), nil)
	l.step(s.training(2).say(gun, 4000, 0, 600), nil)
	l.rest()
	l.pass(100)
	l.rest()
	if got, want := short(l.state().Result), "v2 OFFICIAL 1:1/finished 2:0/dnf"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
	l.step(&clusterv1.Interest{Topic: "competition/race/feed", Node: "n"}, nil)
	echoes := len(sentOf[*trainingv1.ReportEcho](l))
	l.step(s.training(2).say(gun, 5000, 1, 990), nil)
	l.step(s.training(2).report(), nil)
	l.rest()
	e := l.sh.shown.Entry(2)
	if !e.Late || !e.LateChanges || len(e.Gates) != 1 {
		t.Fatalf("entry after late samples: %+v", e)
	}
	if got := s.events(kindLate); got != 1 {
		t.Fatalf("%d LateInput events, want 1", got)
	}
	if len(l.nodes) == 0 {
		t.Fatal("nobody was told")
	}
	if n := len(sentOf[*trainingv1.ReportEcho](l)); n == echoes {
		t.Fatal("the late report is not echoed: its training repeats it for ever")
	}
	// A fact without samples, such as that the stream is recorded, is no input.
	s.training(1).facts++
	l.step(s.training(1).report(), nil)
	l.rest()
	if got := s.events(kindLate); got != 1 {
		t.Fatalf("%d LateInput events after a fact that changes nothing, want 1", got)
	}
	// Officials correct: a new version from a fresh settle.
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Correct{Correct: &competitionv1.Correct{Reason: "late samples"}}}))
	l.rest()
	st := l.state()
	if got, want := short(st.Result), "v3 CORRECTED 2:1/finished 1:2/finished"; got != want || st.Result.Why != "late samples" {
		t.Fatalf("result %q (%s), want %q", got, st.Result.Why, want)
	}
}

func TestLateDNFIsDisputed(t *testing.T) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 2)
	s.training(2).finished = true
	l.step(s.training(2).say(gun, 4000, 0, 600), nil)
	s.training(1).finished = true
	l.step(s.training(1).say(gun, 5000, 0, 500, 1, 1000), nil)
	l.rest()
	l.pass(100)
	l.rest()
	l.step(s.training(2).say(gun, 5000, 1, 990), nil)
	l.rest()
	again := cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Provisional{Provisional: &competitionv1.PublishProvisional{}}})
	l.do(again)
	if got, want := short(l.state().Result), "v2 PROVISIONAL 1:1/finished 2:0/dnf?"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Decide{Decide: &competitionv1.Decided{Entry: 2, Decision: "clear"}}}))
	l.do(again)
	if got, want := short(l.state().Result), "v3 PROVISIONAL 1:1/finished 2:0/dnf"; got != want {
		t.Fatalf("result %q, want %q", got, want)
	}
}

func TestNewEpochAsksUntilAllHaveReported(t *testing.T) { newEpochAsks(t) }

func newEpochAsks(t testing.TB) {
	s := newScene(t)
	l := s.live()
	gun := s.race(l, definition(), 3)
	l.step(s.training(1).say(gun, 2500, 0, 100), nil)
	l.rest()
	s.training(1).through = 9 // read on while nobody listened
	s.training(3).mute = true
	l = s.live() // killed; another node goes on
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "n"}, nil)
	l.pass(3_500)
	l.rest()
	asks := sentOf[*trainingv1.ReportRequest](l)
	var third int
	for _, m := range l.log {
		if _, ok := m.Msg.(*trainingv1.ReportRequest); ok && m.To.ID == "u3/w" {
			third++
		}
	}
	if third < 3 {
		t.Fatalf("the silent training was asked %d times in 3.5 s (%d in all)", third, len(asks))
	}
	if epoch, ok := l.sh.m.Epoch(); !ok || asks[0].Epoch != epoch {
		t.Fatalf("asked with epoch %d, opened %d %v", asks[0].Epoch, epoch, ok)
	}
	last := l.nodes[len(l.nodes)-1].Msg.(*clusterv1.TopicUpdate)
	if !last.Recovering {
		t.Fatal("the board is not marked recovering while a training has not reported")
	}
	s.training(3).mute = false
	l.pass(1_500)
	l.rest()
	last = l.nodes[len(l.nodes)-1].Msg.(*clusterv1.TopicUpdate)
	if last.Recovering {
		t.Fatal("the board is still recovering")
	}
	n := len(sentOf[*trainingv1.ReportRequest](l))
	l.pass(3_000)
	if m := len(sentOf[*trainingv1.ReportRequest](l)); m != n {
		t.Fatalf("asked %d times after all had reported", m-n)
	}
}

func TestGunIsTheAnnouncedInstant(t *testing.T) { lateGun(t) }

func lateGun(t testing.TB) {
	s := newScene(t)
	l := s.live()
	s.prepare(l, definition(), 1)
	gun := s.wall.Add(10_000)
	l.do(startAt(gun))
	l.rest()
	s.wall = s.wall.Add(47_000) // nobody was there; the wake-up fires late
	l = s.live()
	l.rest()
	l.step(&clusterv1.Wake{Kind: "competition", Id: "race", DueMs: int64(gun), Reason: "timer:start", Activation: "act1"}, nil)
	l.rest()
	l.pass(1_000)
	l.rest()
	st := l.state()
	if st.GunAtMs != int64(gun) || st.State != livev1.RaceState_RACE_STATE_RUNNING {
		t.Fatalf("gun at %d in %v, want the announced %d, running", st.GunAtMs, st.State, gun)
	}
	binds := sentOf[*trainingv1.Bind](l)
	if len(binds) == 0 || binds[len(binds)-1].Bound.GunAtMs != int64(gun) {
		t.Fatalf("the training was told %v, want gun %d", binds, gun)
	}
}

func TestLoserOfTwoActivationsSaysNothing(t *testing.T) { loserSaysNothing(t) }

func loserSaysNothing(t testing.TB) {
	s := newScene(t)
	one := s.live()
	gun := s.race(one, definition(), 1)
	s.silent = true
	two := s.live()
	two.store()
	two.pass(1_000) // opens its epoch
	two.store()
	if e, ok := two.sh.m.Epoch(); !ok || e <= 1 {
		t.Fatalf("the second activation has epoch %d %v", e, ok)
	}
	one.step(&clusterv1.Interest{Topic: "competition/race/feed", Node: "n"}, nil)
	n := len(one.log)
	one.step(s.training(1).say(gun, 2500, 0, 100), nil)
	one.store()
	for _, m := range one.log[n:] {
		if _, ok := m.Msg.(*trainingv1.ReportEcho); ok {
			t.Fatal("the loser echoed a report that is not in the journal")
		}
	}
	if one.stopped == "" || len(one.nodes) > 0 {
		t.Fatalf("the loser goes on (%q), and told %d nodes", one.stopped, len(one.nodes))
	}
	two.step(s.training(1).report(), nil)
	two.store()
	if got := s.events(kindGate); got != 1 {
		t.Fatalf("%d gates in the journal, want 1", got)
	}
}

func TestNothingLeavesBeforeTheEpochIsOpen(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.race(l, definition(), 2)
	l = s.live()
	l.step(&clusterv1.Interest{Topic: "competition/race/board", Node: "n"}, nil)
	l.step(&competitionv1.Get{}, "asker")
	l.store()
	l.step(s.training(1).report(), nil)
	if len(l.sent)+len(l.nodes)+len(l.replies) > 0 {
		t.Fatalf("said before its Opened is committed: %v %v %v", l.sent, l.nodes, l.replies)
	}
	l.pass(300)
	l.rest()
	if _, ok := l.replies["asker"]; !ok || len(l.log) == 0 || len(l.nodes) == 0 {
		t.Fatalf("after Opened: answered %v, sent %d, told %d nodes", ok, len(l.log), len(l.nodes))
	}
}

func TestRefusalsWaitForTheEpochToo(t *testing.T) {
	s := newScene(t)
	l := s.live()
	s.race(l, definition(), 1)
	l = s.live()
	l.store()
	l.step(startAt(s.wall), "asker")
	if len(l.replies) > 0 {
		t.Fatal("refused by an activation that may be a loser")
	}
	l.pass(300)
	if r := l.replies["asker"]; !errors.Is(r.Err, competition.ErrRunning) {
		t.Fatalf("reply %v, want already running", r)
	}
}
