package traininggrain

import (
	"bytes"
	"context"
	"reflect"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"paceline/actors/device"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/faulty"
)

// A sample that comes after the recording revises the totals and writes another recording.
func TestLateSampleIsRecordedToo(t *testing.T) {
	r := running(t)
	r.finish(130)
	r.until("finished without the last ten", func() bool { return r.held.Finished })
	st := r.state()
	if !st.Incomplete || st.Totals.Samples != 120 {
		t.Fatalf("incomplete %v, %d samples", st.Incomplete, st.Totals.Samples)
	}
	if waited := r.wall - wallOrigin - 121_000; waited < 60_000 {
		t.Errorf("finished after %d ms, the race's grace is a minute", waited)
	}
	r.until("recorded", func() bool { return r.floor == 120 })
	r.stream(121, 10)
	r.until("recorded again", func() bool { return r.floor == 130 })
	if st := r.state(); st.Totals.Samples != 130 || len(r.recordLog) != 2 || r.recordLog[0] == r.recordLog[1] {
		t.Errorf("%+v, recordings %x", st.Totals, r.recordLog)
	}
	r.within(5*unit.Minute, func() bool { return false })
	if r.shell.open(r.shell.machine.State()) {
		t.Error("still open")
	}
}

// Blocks go on arriving while a settle reads: the answer holds at least what was durable when it was asked for.
func TestSettleDuringAppends(t *testing.T) {
	r := running(t)
	first := uint64(121)
	r.every(3, func() bool {
		r.stream(first, 1)
		first++
		return first > 200
	})
	r.within(40, func() bool { return false })
	asked := r.offered
	r.settle(1, true)
	r.until("settled", func() bool { return r.answers[1] != nil })
	a := r.answers[1]
	if got := a.Streams[0].ThroughSeq; got < asked || got != a.Report.Basis[0].FoldedThrough {
		t.Errorf("settled through %d (report %d), %d were durable", got, a.Report.Basis[0].FoldedThrough, asked)
	}
	r.until("all reported", func() bool { return r.through() == 200 })
	digest := func(number uint64) []byte { return r.answers[number].Streams[0].Digest }
	r.settle(2, true)
	r.until("settled", func() bool { return r.answers[2] != nil })
	rec, ok, err := r.store.GetRecording(context.Background(), "u1", grain.ID, [32]byte(r.answers[2].Recording))
	if err != nil || !ok || !bytes.Equal(rec.Streams[0].Digest[:], digest(2)) || bytes.Equal(digest(1), digest(2)) {
		t.Errorf("recording %v, %v", ok, err)
	}
}

// The competition holds a newer report (of an activation that died): the training reads up to it before it reports.
func TestReportRequestReadsFirst(t *testing.T) {
	r := running(t)
	r.within(2*unit.Second, func() bool { return false }) // a report may leave at once
	r.put(121, 30)
	before := r.reports
	r.tell(&trainingv1.ReportRequest{CompetitionId: theRace.ID, Epoch: 9, Basis: []*trainingv1.StreamBasis{
		{Device: deviceID, StreamId: "s1", FoldedThrough: 150, FactsVersion: r.facts}}}, nil)
	r.within(unit.Second, func() bool { return r.reports > before })
	if r.through() != 150 || r.held.Epoch != 9 {
		t.Errorf("reported through %d for epoch %d", r.through(), r.held.Epoch)
	}
}

// A new epoch may know nothing: what it is told is repeated until it echoes, although the one before has echoed it.
func TestNewEpochIsToldUntilItEchoes(t *testing.T) {
	r := running(t)
	r.within(2*unit.Second, func() bool { return false })
	lost := 0
	r.drop = func(msg any) bool {
		_, ok := msg.(*competitionv1.Report)
		if ok && lost < 3 {
			lost++
			return true
		}
		return false
	}
	r.tell(&trainingv1.ReportRequest{CompetitionId: theRace.ID, Epoch: 9}, nil)
	r.within(5*unit.Second, func() bool { return r.held.Epoch == 9 })
	if r.held.Epoch != 9 {
		t.Errorf("the new epoch was told %d times and never heard it", lost)
	}
}

// Whatever comes between a settle's request and its answer, it is answered.
func TestSettleDisturbed(t *testing.T) {
	for d := range 30 {
		r := running(t)
		r.within(2*unit.Second, func() bool { return false })
		r.settle(1, d%2 == 0)
		r.after(unit.DurationMs(d), func() {
			st := trainingcodec.StreamToProto(attachment())
			st.Device = "u1/strap"
			r.tell(&trainingv1.Attach{Stream: st}, nil)
		})
		r.after(unit.DurationMs(d*7%40), func() { r.journal(device.ClockSet{Stream: "s1", FromSeq: 100, Offset: unit.DurationMs(d)}) })
		r.until("settled", func() bool { return r.answers[1] != nil })
	}
}

// A checkpoint that was made for other params (here without the gun) is not used.
func TestCheckpointOfOtherParams(t *testing.T) {
	r := newRig(t)
	r.start()
	r.until("attached", func() bool { return r.attached })
	r.bind(5, 0)
	for first := uint64(1); first <= 120; first += 10 {
		r.at(wallOrigin+unit.InstantMs(first+10)*1000, func() { r.stream(first, 10) })
	}
	r.within(3*unit.Minute, func() bool { return r.through() == 120 })
	r.within(unit.Minute, func() bool { return false }) // a checkpoint is written
	r.drop = func(msg any) bool {
		if _, ok := msg.(*competitionv1.Report); ok { // dies when it is bound
			r.crash()
			r.drop = func(any) bool { return false }
			return true
		}
		return false
	}
	r.bind(6, gun)
	r.until("reported", func() bool { return r.held.BindingVersion == 6 && r.through() == 120 })
	if len(r.held.Gates) != 1 {
		t.Errorf("gates %v, want the one that was passed", r.held.Gates)
	}
}

// With nothing unread the open row moves away, up to ten minutes; a block brings it back.
func TestRowMovesAway(t *testing.T) {
	r := running(t)
	wakes := 0
	r.drop = func(msg any) bool {
		if _, ok := msg.(*clusterv1.Wake); ok {
			wakes++
		}
		return false
	}
	r.within(2*unit.Hour, func() bool { return false })
	if wakes < 10 || wakes > 40 {
		t.Errorf("woken %d times in two quiet hours", wakes)
	}
	r.stream(121, 10)
	r.within(unit.Second, func() bool { return false })
	wakes = 0
	r.within(115*unit.Second, func() bool { return false })
	if wakes < 2 {
		t.Errorf("woken %d times in the two minutes after a block, want the row to stay where it is", wakes)
	}
	wakes = 0
	r.within(4*unit.Minute, func() bool { return false })
	if wakes > 4 {
		t.Errorf("woken %d times in the four minutes after that, want the row moved away", wakes)
	}
}

// A workout that nobody uses ends by itself, but not while its race is open.
func TestIdle(t *testing.T) {
	r := running(t)
	r.within(5*unit.Hour, func() bool { return false })
	if got := r.state().Phase; got != training.PhaseLive {
		t.Fatalf("after five hours %s", got)
	}
	r.within(2*unit.Hour, func() bool { return false })
	st := r.state()
	if st.Phase != training.PhaseOver || st.Finish.By != training.BySystem || st.Finish.Reason != "idle" {
		t.Errorf("after seven hours %s: %+v", st.Phase, st.Finish)
	}
}

// A workout that rides for a race is wanted until the race's cut-off, however long it says nothing.
func TestIdleInAnOpenRace(t *testing.T) {
	r := running(t)
	b := binding(r.held.GetBindingVersion()+1, r.now().Node)
	b.CutoffAtMs = int64(r.now().Node.Add(9 * unit.Hour))
	r.tell(&trainingv1.Bind{Bound: b}, nil)
	r.within(8*unit.Hour, func() bool { return false })
	if got := r.state().Phase; got != training.PhaseLive {
		t.Fatalf("after eight hours, the race is open: %s", got)
	}
	r.within(2*unit.Hour, func() bool { return false })
	if st := r.state(); st.Phase != training.PhaseOver || st.Finish.Reason != "idle" {
		t.Errorf("an hour after the cut-off: %s: %+v", st.Phase, st.Finish)
	}
}

func TestRests(t *testing.T) {
	r := running(t)
	r.finish(120)
	r.until("recorded", func() bool { return r.floor == 120 })
	r.within(3*unit.Minute, func() bool { return false })
	r.step(step.Sweep{}, nil)
	if r.within(unit.Second, func() bool { return r.shell == nil }); r.shell != nil {
		t.Fatal("does not rest")
	}
	rows := 0
	for minute := int64(0); minute < 10_000; minute++ {
		due, err := r.store.ReadWakeups(context.Background(), persistence.ShardOf(grain), minute)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(due)
	}
	if rows != 0 {
		t.Errorf("%d wake-ups are left", rows)
	}
	// And back: what it is asked then is right.
	r.tell(&trainingv1.Get{}, "get")
	r.until("answered", func() bool { _, ok := r.replies["get/ok"]; return ok })
}

func TestDrains(t *testing.T) {
	r := running(t)
	r.put(121, 10)
	r.tell(&trainingv1.Block{Device: deviceID, StreamId: "s1", FirstSeq: 121, LastSeq: 130, FactsVersion: r.facts}, nil)
	r.tell(step.Sweep{Drain: true}, nil)
	r.within(5*unit.Second, func() bool { return r.shell == nil })
	if r.shell != nil {
		t.Error("does not end")
	}
}

// Nodes that want the workout are told, as long as they renew, at most four times a second.
func TestTopic(t *testing.T) {
	r := running(t)
	r.tell(&clusterv1.Interest{Topic: "workout/w1", Node: "n1"}, nil)
	r.within(unit.Second, func() bool { return len(r.shown) > 0 })
	if len(r.shown) != 1 {
		t.Fatalf("%d updates", len(r.shown))
	}
	var w livev1.Workout
	if err := proto.Unmarshal(r.shown[0].Content, &w); err != nil || w.HeartRateBpm != 120 || w.State != "live" || w.DistanceMm == 0 {
		t.Errorf("%v, %v", &w, err)
	}
	for i := range 10 {
		r.stream(121+uint64(i), 1)
		r.within(10, func() bool { return false })
	}
	r.within(2*unit.Second, func() bool { return false })
	if n := len(r.shown); n < 2 || n > 3 {
		t.Errorf("%d updates in all for ten blocks at once", n)
	}
	if a, b := r.shown[0], r.shown[len(r.shown)-1]; b.Version <= a.Version || b.Epoch < a.Epoch {
		t.Errorf("%d/%d after %d/%d", b.Epoch, b.Version, a.Epoch, a.Version)
	}
	n := len(r.shown)
	r.within(20*unit.Second, func() bool { return false })
	r.stream(131, 10)
	r.within(unit.Second, func() bool { return false })
	if len(r.shown) != n {
		t.Error("told a node that has not renewed")
	}
}

// The store is away, and loses outcomes, for a while: everything is tried again, nothing is doubled.
func TestStoreAway(t *testing.T) {
	want := race(t, func(*rig) {}).outcome()
	for seed := 1; seed <= 40; seed++ {
		var n atomic.Int64 // reads of one load happen at once
		roll := func(k int) bool { return (int(n.Add(1))*2654435761+seed*40503)>>7%k == 0 }
		got := race(t, func(r *rig) {
			f := faulty.Over(r.rows)
			f.ReadFails = func(persistence.Table) bool { return r.shell != nil && r.inShell && roll(7) }
			f.Decide = func(faulty.Write) faulty.Fate {
				switch {
				case !r.inShell:
					return faulty.Done
				case roll(9):
					return faulty.Away
				case roll(9):
					return faulty.LostYes
				case roll(9):
					return faulty.LostNo
				}
				return faulty.Done
			}
			r.store = persistence.Over(f)
		}).outcome()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\n%+v\nwant\n%+v", seed, got, want)
		}
	}
}

// Another activation of the same workout is alive elsewhere, hears some of the messages, and journals too.
func TestTwoActivations(t *testing.T) {
	want := race(t, func(*rig) {}).outcome()
	fenced := 0
	for every := 2; every < 40; every += 3 {
		r := race(t, func(r *rig) { r.splitEvery = every })
		got := r.outcome()
		fenced += len(r.stopped)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("split every %d:\n%+v\nwant\n%+v", every, got, want)
		}
	}
	if fenced == 0 {
		t.Error("no activation was fenced: nothing was shown")
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.tell(&trainingv1.Command{Call: &clusterv1.Call{CommandId: "x"}, Command: &trainingv1.Command_Pause{Pause: &livev1.Pause{}}}, "pause")
	r.tell(&trainingv1.Command{}, "nothing")
	r.tell(&competitionv1.Report{}, "report")
	r.tell(&trainingv1.Block{Device: "u9/x", StreamId: "?", FirstSeq: 1, LastSeq: 2, Samples: []byte("?")}, nil)
	r.tell(&trainingv1.Attach{Stream: &trainingv1.StreamAttached{Device: deviceID, StreamId: "s1"}}, nil)
	r.tell(&trainingv1.Bind{}, nil)
	r.tell(&trainingv1.Settle{CompetitionId: "c1", Number: 1}, nil)
	r.tell(&trainingv1.ReportEcho{}, nil)
	r.tell(&trainingv1.ReportRequest{}, nil)
	r.tell(&trainingv1.RecordedEcho{}, nil)
	r.within(5*unit.Second, func() bool { return false })
	for name, want := range map[string]string{"pause": "training.not_started", "nothing": "training.message", "report": "training.message"} {
		if f := fault.Of(r.replies[name]); f == nil || f.Code != want {
			t.Errorf("%s: %v, want %s", name, f, want)
		}
	}
	if r.attached {
		t.Error("attached to a workout that has not begun")
	}
	if st := r.state(); st.Phase != training.PhaseNone || st.Bound != nil {
		t.Errorf("%+v", st)
	}
}

// A settle before the workout has begun, or without a sample, is answered with nothing in it.
func TestSettleOfNothing(t *testing.T) {
	r := newRig(t)
	r.bind(6, gun)
	r.until("bound", func() bool { return r.held != nil })
	r.settle(1, true)
	r.until("settled", func() bool { return r.answers[1] != nil })
	if a := r.answers[1]; len(a.Streams) != 0 || len(a.Recording) != 0 || len(a.Report.Gates) != 0 {
		t.Errorf("%v", a)
	}
}
