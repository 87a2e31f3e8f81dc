package devicegrain

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/unit"
)

func trainer(session string, on bool) *devicev1.Open {
	m := openMsg(session)
	m.Open.Control = &livev1.ControlOffer{Enabled: on, Equipment: livev1.Equipment_EQUIPMENT_BIKE,
		InclineBp: &livev1.ControlRange{Least: -1000, Most: 2000, RampPerS: 200}}
	return m
}

func (r *rig) target(bp int32) *devicev1.Target {
	return &devicev1.Target{Training: "u1/w1", StreamId: "s1", AtMs: int64(r.wall), Target: &devicev1.Target_InclineBp{InclineBp: bp}}
}

// controls is what sessions were told to set.
func (r *rig) controls() (out []*clusterv1.SessionNotice) {
	for _, n := range r.notices {
		if n.GetControl() != nil {
			out = append(out, n)
		}
	}
	return out
}

// An aim of the training reaches the session that offers equipment: within its ramp, for two seconds, never twice.
func TestAnAimSetsTheEquipment(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	if c := a.ask(trainer("x", true)); c.err != nil {
		t.Fatal(c.err)
	}
	for _, m := range []*devicev1.Target{r.target(900), r.target(900), {Training: "u1/other", StreamId: "s1", AtMs: int64(r.wall) + 1},
		{Training: "u1/w1", StreamId: "s9", AtMs: int64(r.wall) + 1}} {
		a.ask(m)
	}
	got := r.controls()
	if len(got) != 1 || got[0].Session != "x" || got[0].GetControl().StreamId != "s1" || got[0].GetControl().GetInclineBp() != 200 ||
		got[0].GetControl().ValidUntilMs != int64(r.wall)+2000 {
		t.Fatalf("told %v", got)
	}
	r.pass(1000)
	a.ask(r.target(900))
	if got = r.controls(); len(got) != 2 || got[1].GetControl().GetInclineBp() != 400 {
		t.Fatalf("then told %v", got)
	}
	late := r.target(900)
	r.pass(2000)
	a.ask(late)
	if len(r.controls()) != 2 {
		t.Errorf("an aim of two seconds ago sets %v", r.controls()[2])
	}
}

// Only whoever switched it on is set, for as long as that session has the stream and its rider the machine.
func TestNobodyIsSetUnasked(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	set := func(when string, want int, of *act) {
		t.Helper()
		before := len(r.controls())
		r.pass(1000)
		of.ask(r.target(100))
		if n := len(r.controls()) - before; n != want {
			t.Errorf("%s: %d settings, want %d", when, n, want)
		}
	}
	a.open("x")
	set("nothing offered", 0, a)
	a.ask(trainer("x", false))
	set("switched off", 0, a)
	a.ask(trainer("x", true))
	set("switched on", 1, a)
	b := r.activate()
	set("an activation that nobody has opened", 0, b)
	a.ask(openMsg("y"))
	set("taken over by what offers nothing", 0, a)
	bad := trainer("z", true)
	bad.Open.Control.PowerW, bad.Open.Control.Equipment = &livev1.ControlRange{Most: 400, RampPerS: 10}, livev1.Equipment_EQUIPMENT_TREADMILL
	a.ask(bad).refusedWith(t, "stream.control")
}

// A claim that has ended ends the setting too: somebody else may stand on the machine.
func TestAClaimThatEndedIsNotSet(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	if c := a.ask(&devicev1.Claim{Call: &clusterv1.Call{By: "athlete:u1"}, Person: "u2", UntilMs: int64(r.wall.Add(10 * unit.Second))}); c.err != nil {
		t.Fatal(c.err)
	}
	open := trainer("x", true)
	open.Call.By, open.Open.PersonId = "device:u1/d1", "u2"
	r.training = nil
	c := a.send(open)
	r.settle()
	a.ask(&devicev1.Attached{Training: "u2/w1", StreamId: "s1"})
	if c.err != nil || c.answers != 1 {
		t.Fatalf("opened: %v, %d answers", c.err, c.answers)
	}
	aim := func() *devicev1.Target {
		m := r.target(100)
		m.Training = "u2/w1"
		return m
	}
	a.ask(aim())
	if len(r.controls()) != 1 {
		t.Fatalf("told %v", r.controls())
	}
	r.pass(10_500)
	a.ask(aim())
	if len(r.controls()) != 1 {
		t.Errorf("set after the claim: %v", r.controls()[1])
	}
}

// Blocks say whether the rider wants it, and answers are counted and passed on.
func TestAnswersAreCounted(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.ask(trainer("x", true))
	a.ask(frameMsg("x", samples(1, 3)))
	blocks := sentOf[*trainingv1.Block](r)
	if len(blocks) == 0 || !blocks[len(blocks)-1].Control {
		t.Errorf("blocks %v do not say that the equipment may be set", blocks)
	}
	answer := func(session, result string) *call {
		return a.ask(&devicev1.Controlled{StreamId: "s1", Session: session, Result: result,
			Control: &livev1.Control{Target: &livev1.Control_InclineBp{InclineBp: 300}}})
	}
	for _, result := range []string{"applied", "limited", "refused", "applied"} {
		if c := answer("x", result); c.err != nil {
			t.Errorf("%s: %v", result, c.err)
		}
	}
	answer("y", "applied").refusedWith(t, "stream.replaced")
	answer("x", "liked").refusedWith(t, "device.message")
	told := sentOf[*trainingv1.Controlled](r)
	if len(told) != 4 {
		t.Fatalf("the training is told %v", told)
	}
	if k := told[3].Control; k.Applied != 2 || k.Limited != 1 || k.Refused != 1 || k.Result != "applied" || k.GetInclineBp() != 300 || k.AtMs != int64(r.wall) {
		t.Errorf("the training is told %v", k)
	}
}
