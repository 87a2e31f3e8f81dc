package session_test

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
	"paceline/gateway/session"
)

// openTrainer opens a stream whose equipment may be set, if on.
func (r *rig) openTrainer(stream string, on bool) {
	r.t.Helper()
	o := opening(stream)
	o.Control = &livev1.ControlOffer{Enabled: on, Equipment: livev1.Equipment_EQUIPMENT_BIKE, InclineBp: &livev1.ControlRange{Most: 1000, RampPerS: 50}}
	r.say(o)
	r.answer(r.question(), &devicev1.OpenDone{StreamId: stream, Training: "ann/w1"}, nil)
}

func (r *rig) set(stream string, bp int32, valid unit.DurationMs) {
	r.t.Helper()
	r.step(&clusterv1.SessionNotice{Session: "session-1", What: &clusterv1.SessionNotice_Control{Control: &livev1.Control{
		StreamId: stream, Target: &livev1.Control_InclineBp{InclineBp: bp}, ValidUntilMs: int64(r.now.Node.Add(valid))}}})
}

func TestASettingGoesToItsEquipment(t *testing.T) {
	r := as(t, session.Config{}, "device:ann/watch")
	r.openTrainer("s1", true)
	r.openTrainer("s2", false)
	r.set("s1", 250, 2000)
	r.set("s1", 260, 0)    // over
	r.set("s2", 250, 2000) // nobody switched it on
	r.set("s3", 250, 2000) // not of this connection
	if len(r.newest) != 1 {
		t.Fatalf("%d settings, want 1: %v", len(r.newest), r.newest)
	}
	n, c := r.newest[0], r.newest[0].Msg.GetControl()
	if n.Key != "control/s1" || n.Until != r.now.Node+2000 || c.GetInclineBp() != 250 || c.StreamId != "s1" || c.ControlId == "" || c.ValidUntilMs != int64(n.Until) {
		t.Errorf("sent %+v", n)
	}
}

func TestTheAnswerGoesToTheDevice(t *testing.T) {
	r := as(t, session.Config{}, "device:ann/watch")
	r.openTrainer("s1", true)
	r.set("s1", 250, 2000)
	r.set("s1", 300, 2000)
	first, second := r.newest[0].Msg.GetControl(), r.newest[1].Msg.GetControl()
	if first.ControlId == second.ControlId {
		t.Fatal("two settings with one id")
	}
	sent := len(r.sent)
	for _, c := range []*livev1.Control{second, first, first} { // overtaken, and said twice
		r.say(&livev1.ControlResult{ControlId: c.ControlId, Result: "limited"})
	}
	for _, want := range []int32{300, 250} {
		q := r.question()
		m, ok := q.Msg.(*devicev1.Controlled)
		if !ok || q.To.ID != "ann/watch" || m.StreamId != "s1" || m.Session != "session-1" || m.Result != "limited" || m.Control.GetInclineBp() != want {
			t.Errorf("the device is told %v", q)
		}
		r.answer(q, &clusterv1.Ack{}, nil)
	}
	if len(r.asked) != 0 || len(r.sent) != sent {
		t.Errorf("also %v and %v", r.asked, r.sent[sent:])
	}
}

func TestAnAnswerThatFitsNothing(t *testing.T) {
	r := as(t, session.Config{}, "device:ann/watch")
	r.say(&livev1.ControlResult{ControlId: "c1", Result: "applied"})
	r.wantError("control.unknown")
	r.say(&livev1.ControlResult{ControlId: "c1", Result: "liked"})
	r.wantError("wire.control_result")
	r.say(&livev1.ControlResult{Result: "applied"})
	r.wantError("id.malformed")
	r.openTrainer("s1", true)
	for bp := range int32(5) {
		r.set("s1", bp, 2000)
	}
	id := func(i int) string { return r.newest[i].Msg.GetControl().ControlId }
	r.say(&livev1.ControlResult{ControlId: id(0), Result: "applied"})
	r.wantError("control.unknown") // four newer ones
	r.now.Node += 2000
	r.say(&livev1.ControlResult{ControlId: id(4), Result: "applied"})
	r.wantError("control.late")
	if len(r.asked) != 0 {
		t.Errorf("the device is told %v", r.asked)
	}
	r = as(t, session.Config{}, "")
	r.say(&livev1.ControlResult{ControlId: "c1", Result: "applied"})
	r.wantError("auth.token_needed")
}
