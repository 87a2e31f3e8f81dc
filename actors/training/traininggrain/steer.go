package traininggrain

import (
	"paceline/actors/training"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
)

// steer sends the equipment of the workout what the course or the rider's plan asks: made of the newest sample, and of
// each sample once. It is a hint that nobody repeats: the next sample makes the next one. Wanting it is said with each
// block, so a new activation learns it with the next second of the ride.
func (s *Shell) steer(now step.Now) {
	st := s.machine.State()
	var streams []training.StreamKey
	for i := range st.Streams {
		k := st.Streams[i].Key
		if h := s.hints[k]; h != nil && h.control && !h.closed && s.sure[k] {
			streams = append(streams, k)
		}
	}
	if len(streams) == 0 || s.reading != nil || !s.reportable(st) {
		return // while something is read the fold is not where the rider is
	}
	aim, ok := training.Steer(st, &s.result, now.Node)
	if !ok || aim.At.Sub(s.steeredAt) < s.n.SteerEvery {
		return
	}
	s.steeredAt = aim.At
	for _, k := range streams {
		m := &devicev1.Target{Training: s.machine.Grain().ID, StreamId: k.Stream, AtMs: int64(aim.At)}
		if aim.ByPower {
			m.Target = &devicev1.Target_PowerW{PowerW: aim.PowerW}
		} else {
			m.Target = &devicev1.Target_InclineBp{InclineBp: aim.GradientBp}
		}
		s.out(step.Send{To: deviceGrain(k.Device), Msg: m})
	}
}

// onControlled keeps what equipment has answered, for those who watch the workout.
func (s *Shell) onControlled(m *trainingv1.Controlled) {
	if k := (training.StreamKey{Device: m.Device, Stream: m.StreamId}); s.attached(k) {
		s.hint(k).answered = m.Control
	}
}

// controlState is the newest answer of any equipment.
func (s *Shell) controlState() (newest *livev1.ControlState) {
	for _, st := range s.machine.State().Streams {
		if h := s.hints[st.Key]; h != nil && h.answered != nil && (newest == nil || h.answered.AtMs > newest.AtMs) {
			newest = h.answered
		}
	}
	return newest
}
