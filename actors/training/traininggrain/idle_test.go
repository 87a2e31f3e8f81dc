package traininggrain

import (
	"testing"

	"paceline/actors/training"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// A watch that shows local time instead of UTC begins its workout eight hours ago, and sends nothing before the start: that
// is no workout which nobody has used for six hours.
func TestAWrongClockDoesNotEndAWorkoutThatHasJustBegun(t *testing.T) {
	before := grain
	defer func() { grain = before }()
	grain = id.Scoped(id.Training, "u1", id.New(nodeOrigin+wallOrigin, [10]byte{1}))
	r := newRig(t)
	r.command("start", &trainingv1.Command{Command: &trainingv1.Command_Start{Start: &trainingv1.Start{
		Start: &livev1.StartWorkout{Sport: "run", DeviceTimeMs: int64((nodeOrigin + r.wall).Add(-8 * unit.Hour))}}}})
	r.within(10*unit.Minute, func() bool { return false })
	if st := r.state(); st.Phase != training.PhaseLive {
		t.Fatalf("after ten minutes the workout is %s: %+v", st.Phase, st.Finish)
	}
	if !r.within(7*unit.Hour, func() bool { return r.state().Phase == training.PhaseOver }) {
		t.Fatal("still open after seven hours")
	}
	if took := r.wall - wallOrigin; took < unit.InstantMs(6*unit.Hour) {
		t.Errorf("over after %d min", took/60_000)
	}
}

// Whoever marks a lap uses the workout, also without a sample.
func TestACommandKeepsAWorkoutOpen(t *testing.T) {
	r := newRig(t)
	r.start()
	r.within(5*unit.Hour, func() bool { return false })
	r.command("lap", &trainingv1.Command{Command: &trainingv1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: int64(nodeOrigin + r.wall)}}})
	r.within(2*unit.Hour, func() bool { return false })
	if st := r.state(); st.Phase != training.PhaseLive {
		t.Errorf("two hours after a lap the workout is %s", st.Phase)
	}
}
