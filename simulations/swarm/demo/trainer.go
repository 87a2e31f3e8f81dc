package demo

import "paceline/domain/unit"

// printTrainers says what became of the equipment that the node has set.
func (r *run) printTrainers() {
	for _, d := range r.race.devices {
		if d.Trainer == nil {
			continue
		}
		t := d.Ridden()
		least, most := r.steepness()
		r.say("\n  %s's trainer: %d settings applied, %d limited, %d refused; set from %.1f to %.1f %% (the course: %.1f to %.1f %%)\n",
			d.Name, t.Applied, t.Limited, t.Refused, float64(t.LowestBp)/100, float64(t.HighestBp)/100, float64(least)/100, float64(most)/100)
	}
}

// steepness is how steep the course goes down and up.
func (r *run) steepness() (least, most int32) {
	for at := int64(0); at < int64(r.plan.Course.LengthMm()); at += 10_000 {
		if bp, ok := r.plan.Course.GradientBp(unit.DistanceMm(at)); ok {
			least, most = min(least, bp), max(most, bp)
		}
	}
	return least, most
}
