package athlete

import "math"

// Constants of the physics.
const (
	gravity         = 9.80665 // m/s²
	airDensity      = 1.226   // kg/m³, 15 °C at sea level
	drivetrain      = 0.976   // share of a rider's power that reaches the road
	joulesPerMetreK = 3.6     // J/(kg·m) of running on the flat: Minetti's C(0)
)

// Body is what an athlete is. A rider uses all of it, a runner mass, critical power and reserve.
type Body struct {
	MassKg     float64 // with what is carried: the bicycle, the clothes
	CdA        float64 // m², the frontal area with its form
	Crr        float64 // rolling resistance
	CriticalW  float64 // what can be held; of a runner the metabolic power
	ReserveJ   float64 // what can be spent above it
	HeartRest  float64 // bpm
	HeartMax   float64
	CadenceRpm float64 // preferred; of a runner steps of one leg
}

// Resistance is the force against a rider at a speed on a slope (rise over run). shelter is the share of the air
// drag that is left behind others: 1 alone.
func (b *Body) Resistance(speed, slope, shelter float64) float64 {
	cos := 1 / math.Sqrt(1+slope*slope)
	return b.MassKg*gravity*(slope*cos+b.Crr*cos) + 0.5*airDensity*b.CdA*shelter*speed*math.Abs(speed)
}

// SteadyPower is what a rider needs to hold a speed.
func (b *Body) SteadyPower(speed, slope, shelter float64) float64 {
	return b.Resistance(speed, slope, shelter) * speed / drivetrain
}

// Roll is a rider's speed after a time at a power, by the work that is left for the kinetic energy.
func (b *Body) Roll(speed, power, slope, shelter, seconds float64) float64 {
	left := 0.5*b.MassKg*speed*speed + (power*drivetrain-b.Resistance(speed, slope, shelter)*speed)*seconds
	// A standing rider has no kinetic energy to begin with: the first push is a force, not a power.
	if speed < 1 && power > 0 {
		left = math.Max(left, 0.5*b.MassKg*math.Pow(speed+1.5*seconds, 2))
	}
	if left <= 0 {
		return 0
	}
	return math.Sqrt(2 * left / b.MassKg)
}

// Shelter is the share of the air drag that is left in the wake of somebody gapM ahead. Right behind one rider it is
// 0.71, with which 300 W alone become 225 W on the flat; behind a group 0.62. The wake ends after 12 m.
func Shelter(gapM float64, ahead int) float64 {
	const wakeM, closeM = 12.0, 2.0
	if ahead == 0 || gapM >= wakeM || gapM < 0 {
		return 1
	}
	least := 0.71
	if ahead > 2 {
		least = 0.62
	}
	far := math.Max(0, gapM-closeM) / (wakeM - closeM)
	return least + (1-least)*far
}

// RunningCost is the energy of a metre of running on a slope, in J/kg (Minetti et al. 2002), for slopes up to
// ±0.45.
func RunningCost(slope float64) float64 {
	i := math.Min(0.45, math.Max(-0.45, slope))
	return ((((155.4*i-30.4)*i-43.3)*i+46.3)*i+19.5)*i + joulesPerMetreK
}

// RunningSpeed is what a runner makes of a metabolic power on a slope; downhill the legs set a limit before the
// lungs do.
func (b *Body) RunningSpeed(power, slope float64) float64 {
	flat := power / (b.MassKg * joulesPerMetreK)
	return math.Min(power/(b.MassKg*RunningCost(slope)), 1.25*flat)
}

// Tank is the reserve above the critical power: spent above, refilled below the faster the emptier it is.
type Tank struct{ LeftJ float64 }

// Spend moves the tank on by a time at a power.
func (t *Tank) Spend(b *Body, power, seconds float64) {
	if power > b.CriticalW {
		t.LeftJ = math.Max(0, t.LeftJ-(power-b.CriticalW)*seconds)
		return
	}
	t.LeftJ += (b.CriticalW - power) * (b.ReserveJ - t.LeftJ) / b.ReserveJ * seconds
}

// heartTowards is the heart rate after a time at an effort (share of the critical power): it follows with a time
// constant of half a minute and drifts up with the hours.
func (b *Body) heartTowards(bpm, effort, sinceStartS, seconds float64) float64 {
	drift := 1 + 0.04*math.Min(1, sinceStartS/3600)
	want := b.HeartRest + (b.HeartMax-b.HeartRest)*math.Min(0.99, 0.86*math.Pow(math.Max(0, effort), 0.8)*drift)
	return bpm + (want-bpm)*(1-math.Exp(-seconds/30))
}
