package swarm

import (
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/live"
	"paceline/domain/unit"
	"paceline/simulations/swarm/athlete"
)

// offer is what the node may set, if the athlete rides on a trainer.
func (d *Device) offer() *livev1.ControlOffer {
	if d.Trainer == nil {
		return nil
	}
	return &livev1.ControlOffer{Enabled: true, Equipment: livev1.Equipment_EQUIPMENT_BIKE,
		InclineBp: &livev1.ControlRange{Least: d.Trainer.LeastBp, Most: d.Trainer.MostBp, RampPerS: d.Trainer.RampBpPerS}}
}

// onControl runs in the client's read loop and must not call the client.
func (d *Device) onControl(c *livev1.Control) live.Result {
	t, ok := c.Target.(*livev1.Control_InclineBp)
	if !ok {
		return live.Refused // nothing else was offered
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return live.Result(d.Trainer.Set(t.InclineBp, unit.InstantMs(c.ValidUntilMs), d.Node.Now()))
}

// Ridden is the trainer as it stands; the zero value if there is none.
func (d *Device) Ridden() athlete.Trainer {
	if d.Trainer == nil {
		return athlete.Trainer{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.Trainer
}
