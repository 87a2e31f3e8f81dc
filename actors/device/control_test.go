package device

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/unit"
)

var trainer = Offer{Enabled: true, Equipment: Bike, Power: Range{50, 800, 100}, Incline: Range{-1000, 2000, 200}}

func with(o Offer, change func(o *Offer)) Offer {
	change(&o)
	return o
}

func TestOffers(t *testing.T) {
	for name, c := range map[string]struct {
		o    Offer
		good bool
	}{
		"none":                        {Offer{}, true},
		"a trainer":                   {trainer, true},
		"a trainer, switched off":     {with(trainer, func(o *Offer) { o.Enabled = false }), true},
		"no equipment":                {with(trainer, func(o *Offer) { o.Equipment = 0 }), false},
		"unknown equipment":           {with(trainer, func(o *Offer) { o.Equipment = 5 }), false},
		"upside down":                 {with(trainer, func(o *Offer) { o.Incline = Range{100, -100, 10} }), false},
		"no ramp":                     {with(trainer, func(o *Offer) { o.Incline.RampPerS = 0 }), false},
		"steeper than any":            {with(trainer, func(o *Offer) { o.Incline.Most = 4001 }), false},
		"more power than any":         {with(trainer, func(o *Offer) { o.Power.Most = 2501 }), false},
		"nothing to set":              {Offer{Enabled: true, Equipment: Bike}, false},
		"nothing to set, and off":     {Offer{Equipment: Bike}, true},
		"a treadmill":                 {Offer{Enabled: true, Equipment: Treadmill, Incline: Range{0, 1500, 50}}, true},
		"a treadmill set by power":    {Offer{Enabled: true, Equipment: Treadmill, Incline: Range{0, 1500, 50}, Power: Range{50, 800, 100}}, false},
		"a treadmill set by its belt": {Offer{Enabled: true, Equipment: Treadmill, Resist: Range{0, 100, 10}}, false},
	} {
		if err := c.o.Check(); (err == nil) != c.good || err != nil && !errors.Is(err, ErrControl) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSteer(t *testing.T) {
	const now = noon
	on := Setting{Quantity: InclineTarget, Value: 300, Made: now - 1000, RampedTo: now - 1000, Until: now + 1000}
	slope := func(bp int32) Aim { return Aim{At: now, Gradient: bp} }
	onlyResist := Offer{Enabled: true, Equipment: Rower, Resist: Range{10, 110, 1000}}
	for name, c := range map[string]struct {
		o    Offer
		last Setting
		aim  Aim
		want Setting // of it Quantity, Value, Until; none: nothing is sent
	}{
		"the gradient":                    {trainer, on, slope(450), Setting{InclineTarget, 450, 0, 0, now + 2000}},
		"no faster than the ramp":         {trainer, on, slope(900), Setting{InclineTarget, 500, 0, 0, now + 2000}},
		"no faster down":                  {trainer, on, slope(-900), Setting{InclineTarget, 100, 0, 0, now + 2000}},
		"the first begins flat":           {trainer, Setting{}, slope(900), Setting{InclineTarget, 200, 0, 0, now + 2000}},
		"after a pause flat again":        {trainer, Setting{InclineTarget, 1900, 1, 1, now - 1}, slope(900), Setting{InclineTarget, 200, 0, 0, now + 2000}},
		"half a second, half a ramp":      {trainer, Setting{InclineTarget, 300, now - 500, now - 500, now + 1500}, slope(900), Setting{InclineTarget, 400, 0, 0, now + 2000}},
		"within its limits":               {trainer, Setting{InclineTarget, 1950, now - 1000, now - 1000, now + 1000}, slope(9000), Setting{InclineTarget, 2000, 0, 0, now + 2000}},
		"as old as its position":          {trainer, on, Aim{At: now - 500, Gradient: 450}, Setting{InclineTarget, 450, 0, 0, now + 1500}},
		"a clock that is ahead":           {trainer, on, Aim{At: now + 500, Gradient: 450}, Setting{InclineTarget, 450, 0, 0, now + 2000}},
		"too old":                         {trainer, Setting{}, Aim{At: now - 2000, Gradient: 450}, Setting{}},
		"too far ahead":                   {trainer, Setting{}, Aim{At: now + 2000, Gradient: 450}, Setting{}},
		"older than what is set":          {trainer, on, Aim{At: now - 1001, Gradient: 450}, Setting{}},
		"what is set, again":              {trainer, on, Aim{At: now - 1000, Gradient: 450}, Setting{}},
		"switched off":                    {with(trainer, func(o *Offer) { o.Enabled = false }), on, slope(450), Setting{}},
		"nothing offered":                 {Offer{}, on, slope(450), Setting{}},
		"power":                           {trainer, Setting{PowerTarget, 180, now - 1000, now - 1000, now + 1000}, Aim{At: now, Power: 220, ByPower: true}, Setting{PowerTarget, 220, 0, 0, now + 2000}},
		"power begins gently":             {trainer, on, Aim{At: now, Power: 400, ByPower: true}, Setting{PowerTarget, 150, 0, 0, now + 2000}},
		"power where it cannot be set":    {onlyResist, Setting{}, Aim{At: now, Power: 400, ByPower: true}, Setting{}},
		"power on a treadmill, never":     {Offer{Enabled: true, Equipment: Treadmill, Power: Range{50, 800, 100}}, Setting{}, Aim{At: now, Power: 400, ByPower: true}, Setting{}},
		"resistance in the place of hill": {onlyResist, Setting{}, slope(750), Setting{ResistanceTarget, 85, 0, 0, now + 2000}},
		"resistance on the flat":          {onlyResist, Setting{}, slope(0), Setting{ResistanceTarget, 60, 0, 0, now + 2000}},
		"resistance on a wall":            {onlyResist, Setting{}, slope(9000), Setting{ResistanceTarget, 110, 0, 0, now + 2000}},
	} {
		got, ok := c.o.Steer(c.last, c.aim, now)
		if ok != (c.want.Quantity != NoQuantity) || got.Quantity != c.want.Quantity || got.Value != c.want.Value || got.Until != c.want.Until {
			t.Errorf("%s: %+v, %v; want %+v", name, got, ok, c.want)
		}
	}
}

// A gentle ramp asked for ten times a second arrives all the same.
func TestARampInSmallSteps(t *testing.T) {
	o := with(trainer, func(o *Offer) { o.Incline.RampPerS = 7 })
	last := Setting{}
	for i := range 101 {
		now := noon.Add(unit.DurationMs(i) * 100)
		s, ok := o.Steer(last, Aim{At: now, Gradient: 1000}, now)
		if !ok {
			t.Fatal("nothing is set")
		}
		last = s
	}
	if last.Value < 75 || last.Value > 77 {
		t.Errorf("after 10 s at %d, want 7 and ten times 7", last.Value)
	}
}

// Whatever is asked, in whatever order: a setting is within its limits and its ramp, ends within two seconds, is
// newer than the one before, and a treadmill only ever hears of its incline.
func TestAnyAims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		between := func(name string, least, most int) int32 { return int32(rapid.IntRange(least, most).Draw(t, name)) }
		offered := func(name string, w Range) Range {
			if !rapid.Bool().Draw(t, name) {
				return Range{}
			}
			least := between("least", int(w.Least), int(w.Most))
			return Range{least, between("most", int(least), int(w.Most)), between("ramp", 1, int(w.RampPerS))}
		}
		o := Offer{Enabled: rapid.Bool().Draw(t, "on"), Equipment: Equipment(between("equipment", 1, 4)),
			Power: offered("power", widest.Power), Incline: offered("incline", widest.Incline), Resist: offered("resistance", widest.Resist)}
		if o.Check() != nil {
			return
		}
		now, last := noon, Setting{}
		for range rapid.IntRange(1, 30).Draw(t, "aims") {
			now = now.Add(unit.DurationMs(between("pass", 0, 3000)))
			aim := Aim{At: now.Add(unit.DurationMs(between("age", -4000, 4000))), ByPower: rapid.Bool().Draw(t, "by power"),
				Power: between("watts", -100, 5000), Gradient: between("gradient", -10_000, 10_000)}
			s, ok := o.Steer(last, aim, now)
			if !ok {
				continue
			}
			r := map[Quantity]Range{PowerTarget: o.Power, InclineTarget: o.Incline, ResistanceTarget: o.Resist}[s.Quantity]
			switch {
			case !o.Enabled || !r.settable():
				t.Fatalf("%+v from %+v", s, o)
			case s.Value < r.Least || s.Value > r.Most:
				t.Fatalf("%+v is outside of %+v", s, r)
			case s.Until <= now || s.Until.Sub(now) > 2*unit.Second:
				t.Fatalf("%+v at %d", s, now)
			case s.Made <= last.Made:
				t.Fatalf("%+v after %+v", s, last)
			case o.Equipment == Treadmill && s.Quantity != InclineTarget:
				t.Fatalf("a treadmill is told %+v", s)
			}
			if last.Quantity == s.Quantity && last.Until >= now {
				if d := int64(s.Value - last.Value); max(d, -d)*1000 > int64(r.RampPerS)*int64(now.Sub(last.RampedTo)) {
					t.Fatalf("from %+v to %+v with %d a second", last, s, r.RampPerS)
				}
			}
			last = s
		}
	})
}
