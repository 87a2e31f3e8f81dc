package devicegrain

import (
	"paceline/actors/device"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// control is what a lane's equipment was set to. It lives as long as the session that offered it: nothing is
// journalled, queued or sent again.
type control struct {
	offer device.Offer
	set   device.Setting
	// How the equipment has answered.
	applied, limited, refused uint32
}

// offered takes what an opening says. Equipment that was opened anew may stand anywhere, so its ramp begins anew; an
// aim that was used already stays used.
func (c *control) offered(o device.Offer) {
	c.offer, c.set = o, device.Setting{Made: c.set.Made}
}

func offerOf(o *livev1.ControlOffer) device.Offer {
	if o == nil {
		return device.Offer{}
	}
	span := func(r *livev1.ControlRange) device.Range {
		if r == nil {
			return device.Range{}
		}
		return device.Range{Least: r.Least, Most: r.Most, RampPerS: int32(min(r.RampPerS, 1<<31-1))}
	}
	kind := o.Equipment
	if kind < 0 || kind > 255 {
		kind = 255 // none that the rules know
	}
	return device.Offer{Enabled: o.Enabled, Equipment: device.Equipment(kind), Power: span(o.PowerW), Incline: span(o.InclineBp), Resist: span(o.ResistanceDeci)}
}

// onTarget sets the equipment of whoever streams now; if nobody does, or it is too late, nothing happens.
func (s *Shell) onTarget(now step.Now, m *devicev1.Target) {
	l := s.lanes[m.StreamId]
	if l == nil || l.session == "" {
		return
	}
	o := s.stream(m.StreamId).Opening
	if o.Training != m.Training || !s.machine.State().Rider(o.Person, now.Node) {
		return // whose claim has ended may deliver what is left, but somebody else rides
	}
	aim := device.Aim{At: unit.InstantMs(m.AtMs), Gradient: m.GetInclineBp()}
	if p, ok := m.Target.(*devicev1.Target_PowerW); ok {
		aim.ByPower, aim.Power = true, int32(min(p.PowerW, 1<<31-1))
	}
	set, ok := l.control.offer.Steer(l.control.set, aim, now.Node)
	if !ok {
		return
	}
	l.control.set = set
	c := &livev1.Control{StreamId: l.name, ValidUntilMs: int64(set.Until)}
	switch set.Quantity {
	case device.PowerTarget:
		c.Target = &livev1.Control_PowerW{PowerW: uint32(set.Value)}
	case device.InclineTarget:
		c.Target = &livev1.Control_InclineBp{InclineBp: set.Value}
	case device.ResistanceTarget:
		c.Target = &livev1.Control_ResistanceDeci{ResistanceDeci: set.Value}
	case device.NoQuantity:
		return
	}
	s.out(l.notice(&clusterv1.SessionNotice{What: &clusterv1.SessionNotice_Control{Control: c}}))
}

// onControlled counts what the equipment answered and lets the training show it.
func (s *Shell) onControlled(now step.Now, m *devicev1.Controlled, from step.Return) {
	l, err := s.allowed(m.StreamId, m.Session)
	if err != nil {
		s.reply(from, nil, err)
		return
	}
	k := &l.control
	switch m.Result {
	case "applied":
		k.applied++
	case "limited":
		k.limited++
	case "refused":
		k.refused++
	default:
		s.reply(from, nil, ErrMessage.With("control result %q", m.Result))
		return
	}
	state := &livev1.ControlState{Result: m.Result, Applied: k.applied, Limited: k.limited, Refused: k.refused, AtMs: int64(now.Node)}
	switch t := m.GetControl().GetTarget().(type) {
	case *livev1.Control_PowerW:
		state.Target = &livev1.ControlState_PowerW{PowerW: t.PowerW}
	case *livev1.Control_InclineBp:
		state.Target = &livev1.ControlState_InclineBp{InclineBp: t.InclineBp}
	case *livev1.Control_ResistanceDeci:
		state.Target = &livev1.ControlState_ResistanceDeci{ResistanceDeci: t.ResistanceDeci}
	}
	s.out(step.Send{To: trainingOf(s.stream(l.name).Opening), Msg: &trainingv1.Controlled{Device: s.machine.Grain().ID, StreamId: l.name, Control: state}})
	s.reply(from, &clusterv1.Ack{Stream: s.machine.Grain().String()}, nil)
}
