package traininggrain

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"paceline/actors/device"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/persistence"
)

// trainerRig is a rig with a second stream, of a trainer that rides along a course: a kilometre north, from 400 m on
// with 6 %.
type trainerRig struct {
	*rig
	control bool // what the trainer's blocks say
	targets []*devicev1.Target
}

func newTrainerRig(t *testing.T) *trainerRig {
	r := &trainerRig{rig: newRig(t), control: true}
	r.targeted = func(m *devicev1.Target) { r.targets = append(r.targets, m) }
	r.start()
	r.until("attached", func() bool { return r.attached })
	channels := []device.ChannelSpec{{Channel: sample.LatE7, Trust: sample.Virtual}, {Channel: sample.LonE7, Trust: sample.Virtual}}
	r.journal(device.StreamOpened{Stream: "s2", Training: grain.ID, Person: "u1", WindowTo: 1 << 50, LimitsVersion: 1, Clock: sample.GNSS, Channels: channels})
	s := training.Stream{Key: training.StreamKey{Device: deviceID, Stream: "s2"}, Clock: sample.GNSS}
	for _, c := range channels {
		s.Declared[c.Channel], s.Trust[c.Channel] = true, c.Trust
	}
	r.attached = false
	r.tell(&trainingv1.Attach{FactsVersion: r.facts, Stream: trainingcodec.StreamToProto(s)}, nil)
	r.until("attached", func() bool { return r.attached })
	return r
}

// hill binds the workout to a race over the course whose gun has gone.
func (r *trainerRig) hill() {
	t := &competitionv1.Track{Format: competitionv1.Format_FORMAT_COURSE, Sport: "run", Name: "hill", CorridorMm: 30_000}
	for i := range 11 {
		t.Line = append(t.Line, &competitionv1.Point{LatE7: 500_000_000 + int32(i)*8993, LonE7: 80_000_000})
		t.HeightMm = append(t.HeightMm, max(0, int32(i)-4)*6000)
	}
	gun := nodeOrigin + r.wall
	r.tell(&trainingv1.Bind{Bound: &trainingv1.Bound{CompetitionId: theRace.ID, Entry: 7, BindingVersion: 3, Track: t, RulesVersion: 1,
		GraceMs: 60_000, GunAtMs: int64(gun), CutoffAtMs: int64(gun.Add(unit.Hour))}}, nil)
	r.until("bound", func() bool { return r.state().Bound != nil })
}

// ride goes 5 m/s north, over the start and on, a sample a second, each told of when it was taken.
func (r *trainerRig) ride(from, to int, told bool) {
	for i := from; i <= to; i++ {
		r.within(unit.Second, func() bool { return false })
		b := &sample.Batch{FirstSeq: uint64(i), AtMs: []unit.InstantMs{nodeOrigin + r.wall}}
		for _, c := range []sample.Channel{sample.LatE7, sample.LonE7} {
			b.Columns[c].Grow(1)
		}
		b.Columns[sample.LatE7].Set(0, 500_000_000+int64(i-2)*450-99)
		b.Columns[sample.LonE7].Set(0, 80_000_000)
		if _, err := r.store.PutBlock(context.Background(), persistence.SeriesKey{Device: deviceID, Stream: "s2", Subject: "u1"}, b); err != nil {
			r.t.Fatal(err)
		}
		if told {
			r.tell(&trainingv1.Block{Device: deviceID, StreamId: "s2", FirstSeq: b.FirstSeq, LastSeq: b.LastSeq(), FactsVersion: r.facts,
				Samples: persistence.AppendBlock(nil, b), Control: r.control}, nil)
		}
	}
	r.within(100, func() bool { return false })
}

// The course becomes what the trainer is set to: flat first, then 6 %, each time made of the position just sent.
func TestTheCourseSteersTheTrainer(t *testing.T) {
	r := newTrainerRig(t)
	r.hill()
	r.ride(1, 140, true)
	if len(r.targets) < 130 {
		t.Fatalf("%d targets in 140 s", len(r.targets))
	}
	before := int64(0)
	for _, m := range r.targets {
		if m.StreamId != "s2" || m.Training != grain.ID || m.AtMs <= before {
			t.Fatalf("%v after %d", m, before)
		}
		before = m.AtMs
	}
	if first, last := r.targets[10].GetInclineBp(), r.targets[len(r.targets)-1].GetInclineBp(); first != 0 || last < 595 || last > 605 {
		t.Errorf("%d bp on the flat, %d on the hill", first, last)
	}
	// A crash forgets who wants it; the next second of the ride says it again.
	n := len(r.targets)
	r.crash()
	r.ride(141, 150, true)
	if len(r.targets) < n+5 {
		t.Errorf("%d targets in the ten seconds behind a crash", len(r.targets)-n)
	}
}

// Nothing is sent that is not wanted, and nothing late: a rider whose samples come home after a tunnel is somewhere
// else by now.
func TestNothingSteersWhatIsOldOrUnwanted(t *testing.T) {
	r := newTrainerRig(t)
	r.ride(1, 5, true)
	if len(r.targets) != 0 {
		t.Errorf("set outside of a race: %v", r.targets)
	}
	r.hill()
	r.ride(6, 30, false)
	r.within(5*unit.Second, func() bool { return false })
	r.tell(&trainingv1.Block{Device: deviceID, StreamId: "s2", FirstSeq: 1, LastSeq: 30, FactsVersion: r.facts, Control: true}, nil)
	r.within(unit.Second, func() bool { return false })
	if len(r.targets) != 0 {
		t.Errorf("set by a position of seconds ago: %v", r.targets)
	}
	r.control = false
	r.ride(31, 40, true)
	if len(r.targets) != 0 {
		t.Errorf("set although it was switched off: %v", r.targets)
	}
	r.control = true
	r.ride(41, 45, true)
	if len(r.targets) == 0 {
		t.Error("not set although it is switched on")
	}
	n := len(r.targets)
	r.command("pause", &trainingv1.Command{Command: &trainingv1.Command_Pause{Pause: &livev1.Pause{}}})
	r.until("paused", func() bool { return len(r.state().Breaks) == 1 })
	r.ride(46, 55, true)
	if len(r.targets) > n+1 {
		t.Errorf("%d targets in a pause", len(r.targets)-n)
	}
}

func TestTheTopicShowsWhatTheEquipmentAnswers(t *testing.T) {
	r := newTrainerRig(t)
	r.hill()
	r.tell(&clusterv1.Interest{Topic: "workout/w1", Node: "n1"}, nil)
	r.ride(1, 3, true)
	state := &livev1.ControlState{Target: &livev1.ControlState_InclineBp{InclineBp: 40}, Result: "limited", Limited: 1, AtMs: 5}
	r.tell(&trainingv1.Controlled{Device: deviceID, StreamId: "s2", Control: state}, nil)
	r.tell(&trainingv1.Controlled{Device: "somebody/else", StreamId: "s9", Control: &livev1.ControlState{AtMs: 9}}, nil)
	r.ride(4, 6, true)
	w := &livev1.Workout{}
	if err := proto.Unmarshal(r.shown[len(r.shown)-1].Content, w); err != nil || !proto.Equal(w.Control, state) {
		t.Errorf("shown %v, %v", w.Control, err)
	}
}
