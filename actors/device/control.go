package device

import "paceline/domain/unit"

// Control is how the node sets a rider's equipment. Nothing of it is journalled: no result rests on it, it is right
// for two seconds and a lost one is not missed.

// The numbers of control.
const (
	// ControlFor is how long a target holds from the position that it was made from: then the device goes back to the
	// rider's own setting.
	ControlFor = 2 * unit.Second
	// rampLeast is the time that a ramp is given where nothing was set before.
	rampLeast = 1 * unit.Second
	// steepestBp is where a resistance that stands for a gradient is at its most; at -steepestBp at its least.
	steepestBp = 1500
)

// Equipment is what is set. Wire value.
type Equipment uint8

// The kinds of equipment.
const (
	Bike Equipment = iota + 1
	Treadmill
	Rower
	OtherEquipment
)

// Quantity is what of the equipment is set.
type Quantity uint8

// The quantities.
const (
	NoQuantity Quantity = iota
	PowerTarget
	InclineTarget
	ResistanceTarget
)

// Range bounds a target. The zero value: it cannot be set.
type Range struct{ Least, Most, RampPerS int32 }

func (r Range) settable() bool { return r != Range{} }

// Offer is what an opening says of the equipment. The zero value: nothing can be set.
type Offer struct {
	Enabled   bool // by the rider, for this workout
	Equipment Equipment
	Power     Range // W
	Incline   Range // 0.01 %
	Resist    Range // 0.1
}

// widest is what any equipment may offer.
var widest = Offer{Power: Range{0, 2500, 2500}, Incline: Range{-4000, 4000, 4000}, Resist: Range{0, 100_000, 100_000}}

// Check refuses an offer that cannot be. A treadmill is set by its incline alone: its speed is the runner's, and a
// target of power or resistance would be held by going faster.
func (o Offer) Check() error {
	if o == (Offer{}) {
		return nil
	}
	if o.Equipment < Bike || o.Equipment > OtherEquipment {
		return ErrControl.With("equipment %d", o.Equipment)
	}
	if o.Equipment == Treadmill && (o.Power.settable() || o.Resist.settable()) {
		return ErrControl.With("a treadmill is set by its incline alone")
	}
	for _, c := range []struct{ has, most Range }{{o.Power, widest.Power}, {o.Incline, widest.Incline}, {o.Resist, widest.Resist}} {
		if r := c.has; r.settable() && (r.Least > r.Most || r.Least < c.most.Least || r.Most > c.most.Most || r.RampPerS < 1 || r.RampPerS > c.most.RampPerS) {
			return ErrControl.With("%d to %d, %d a second", r.Least, r.Most, r.RampPerS)
		}
	}
	if o.Enabled && !o.Power.settable() && !o.Incline.settable() && !o.Resist.settable() {
		return ErrControl.With("nothing can be set")
	}
	return nil
}

// Aim is what a training asks for.
type Aim struct {
	At       unit.InstantMs // of the position or plan that it was made from, node clock
	Power    int32          // if ByPower
	Gradient int32          // else, 0.01 %
	ByPower  bool
}

// Setting is a target as the equipment gets it. The zero value: the rider's own setting.
type Setting struct {
	Quantity Quantity
	Value    int32
	Made     unit.InstantMs // Aim.At
	RampedTo unit.InstantMs // through when the ramp is used up
	Until    unit.InstantMs // node clock; no longer
}

// Steer works out what to set, from what was set last. false: nothing is sent, and the rider's own setting comes back
// by itself. Newest wins: an aim that is not newer than what was set, or is too old to be worth a setting, is dropped.
func (o Offer) Steer(last Setting, aim Aim, now unit.InstantMs) (Setting, bool) {
	made := min(aim.At, now)
	if !o.Enabled || now.Sub(made) >= ControlFor || aim.At.Sub(now) >= ControlFor || aim.At <= last.Made {
		return Setting{}, false
	}
	s := Setting{Made: aim.At, Until: made.Add(ControlFor)}
	var r Range
	switch {
	case aim.ByPower && o.Equipment != Treadmill:
		s.Quantity, r, s.Value = PowerTarget, o.Power, aim.Power
	case aim.ByPower:
	case o.Incline.settable():
		s.Quantity, r, s.Value = InclineTarget, o.Incline, aim.Gradient
	case o.Resist.settable():
		s.Quantity, r = ResistanceTarget, o.Resist
		steep := int64(max(-steepestBp, min(aim.Gradient, steepestBp))) + steepestBp
		s.Value = r.Least + int32(int64(r.Most-r.Least)*steep/(2*steepestBp))
	}
	if !r.settable() {
		return Setting{}, false
	}
	from, took := neutral(s.Quantity, r), rampLeast
	if last.Quantity == s.Quantity && last.Until >= now {
		from, took = last.Value, max(0, min(now.Sub(last.RampedTo), rampLeast))
	}
	step := int32(int64(r.RampPerS) * int64(took) / 1000)
	// What is left of the time counts for the next: a gentle ramp in many small steps must not stand still.
	used := (unit.DurationMs(step)*1000 + unit.DurationMs(r.RampPerS) - 1) / unit.DurationMs(r.RampPerS)
	s.RampedTo = now.Add(used - took)
	s.Value = max(r.Least, min(s.Value, r.Most))
	s.Value = max(from-step, min(s.Value, from+step))
	return s, true
}

// neutral is where a ramp begins when the rider's own setting is not known: the gentlest there is.
func neutral(q Quantity, r Range) int32 {
	if q == InclineTarget {
		return max(r.Least, min(0, r.Most))
	}
	return r.Least
}
