package athlete

import (
	"math"
	"testing"
)

var rider = Body{MassKg: 80, CdA: 0.32, Crr: 0.004, CriticalW: 280, ReserveJ: 20_000, HeartRest: 50, HeartMax: 190, CadenceRpm: 90}

// steadySpeed solves a·v³ + b·v = power·η in closed form (Cardano, one real root).
func steadySpeed(b *Body, power, slope, shelter float64) float64 {
	a := 0.5 * airDensity * b.CdA * shelter
	cos := 1 / math.Sqrt(1+slope*slope)
	p := b.MassKg * gravity * (slope*cos + b.Crr*cos) / a
	q := -power * drivetrain / a
	d := math.Sqrt(q*q/4 + p*p*p/27)
	return math.Cbrt(-q/2+d) + math.Cbrt(-q/2-d)
}

// A rider who keeps pushing comes to the speed that the equation of Martin et al. 1998 has in closed form.
func TestRollComesToTheSteadySpeed(t *testing.T) {
	for _, c := range []struct{ power, slope, shelter float64 }{
		{250, 0, 1}, {250, 0, 0.71}, {300, 0.05, 1}, {400, 0.10, 1}, {150, -0.02, 1}, {100, 0.08, 0.62},
	} {
		v := 0.0
		for range 4 * 1200 {
			v = rider.Roll(v, c.power, c.slope, c.shelter, stepS)
		}
		want := steadySpeed(&rider, c.power, c.slope, c.shelter)
		if math.Abs(v-want) > 1e-6*want {
			t.Errorf("%+v: %.6f m/s, want %.6f", c, v, want)
		}
		if back := rider.SteadyPower(want, c.slope, c.shelter); math.Abs(back-c.power) > 1e-6*c.power {
			t.Errorf("%+v: %.6f W at that speed", c, back)
		}
	}
	// 250 W alone on the flat, by hand: 0.19616·v³ + 3.1381·v = 244.
	if v := steadySpeed(&rider, 250, 0, 1); math.Abs(0.196160*v*v*v+3.138128*v-244) > 1e-3 {
		t.Errorf("%.4f m/s", v)
	}
}

// A coasting rider loses exactly the energy that the resistance takes; a rider on a hill without power stops.
func TestRollKeepsTheBooks(t *testing.T) {
	v := 12.0
	w := rider.Roll(v, 0, 0, 1, stepS)
	lost := 0.5 * rider.MassKg * (v*v - w*w)
	if took := rider.Resistance(v, 0, 1) * v * stepS; math.Abs(lost-took) > 1e-9*took {
		t.Errorf("lost %.6f J, the resistance took %.6f J", lost, took)
	}
	for range 400 {
		v = rider.Roll(v, 0, 0.1, 1, stepS)
	}
	if v != 0 {
		t.Errorf("still at %.3f m/s uphill without power", v)
	}
}

// 300 W alone become 225 W behind one rider on the flat (what was measured), almost nothing is saved on a climb.
func TestShelter(t *testing.T) {
	v := steadySpeed(&rider, 300, 0, 1)
	if w := rider.SteadyPower(v, 0, Shelter(1, 1)); math.Abs(w-225) > 3 {
		t.Errorf("%.1f W behind a rider, want about 225", w)
	}
	up := steadySpeed(&rider, 300, 0.08, 1)
	if saved := 1 - rider.SteadyPower(up, 0.08, Shelter(1, 1))/300; saved < 0.005 || saved > 0.04 {
		t.Errorf("%.1f %% saved on a climb of 8 %%", saved*100)
	}
	for _, c := range []struct {
		gap   float64
		ahead int
		want  float64
	}{{5, 0, 1}, {12, 3, 1}, {100, 1, 1}, {0, 1, 0.71}, {2, 2, 0.71}, {2, 3, 0.62}, {7, 1, 0.855}, {-1, 1, 1}} {
		if got := Shelter(c.gap, c.ahead); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%.0f m behind %d: %.3f, want %.3f", c.gap, c.ahead, got, c.want)
		}
	}
}

// The costs that Minetti et al. 2002 have for these slopes.
func TestRunningCost(t *testing.T) {
	for slope, want := range map[float64]float64{-0.2: 1.8000, -0.1: 2.1517, 0: 3.6, 0.05: 4.6852, 0.1: 5.9682, 0.2: 9.0067} {
		if got := RunningCost(slope); math.Abs(got-want) > 5e-5 {
			t.Errorf("slope %+.2f: %.4f J/kg/m, want %.4f", slope, got, want)
		}
	}
	if f := RunningCost(0.1) / RunningCost(0); math.Abs(f-1.6578) > 5e-5 {
		t.Errorf("factor at 10 %%: %.4f", f)
	}
	runner := Body{MassKg: 70}
	if v := runner.RunningSpeed(4*70*3.6, 0); math.Abs(v-4) > 1e-9 {
		t.Errorf("%.4f m/s on the flat, want 4", v)
	}
	if v := runner.RunningSpeed(4*70*3.6, 0.1); math.Abs(v-4/1.65783) > 1e-4 {
		t.Errorf("%.4f m/s at 10 %%", v)
	}
	if v := runner.RunningSpeed(4*70*3.6, -0.2); v != 5 {
		t.Errorf("%.4f m/s downhill: the legs allow 5", v)
	}
}

// 250 W critical, 20 kJ: after 60 s at 400 W 11,000 J are left, after 60 s more at 100 W 14,271.07 J (steps of a second).
func TestTank(t *testing.T) {
	b := Body{CriticalW: 250, ReserveJ: 20_000}
	tank := Tank{LeftJ: b.ReserveJ}
	for range 60 {
		tank.Spend(&b, 400, 1)
	}
	if math.Abs(tank.LeftJ-11_000) > 1e-6 {
		t.Errorf("%.2f J after the effort", tank.LeftJ)
	}
	for range 60 {
		tank.Spend(&b, 100, 1)
	}
	if math.Abs(tank.LeftJ-14_271.07) > 0.01 {
		t.Errorf("%.2f J after the rest", tank.LeftJ)
	}
	tank.Spend(&b, 5000, 60)
	if tank.LeftJ != 0 {
		t.Errorf("%.2f J in an empty tank", tank.LeftJ)
	}
}
