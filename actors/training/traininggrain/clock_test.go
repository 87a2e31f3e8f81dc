package traininggrain

import (
	"testing"

	"paceline/actors/device"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/unit"
)

// An instant that a person gives is by the clock of the device, which its journal corrects: an activation that has not
// read it yet does not guess.
func TestACommandsInstantIsCorrectedAlsoRightAfterACrash(t *testing.T) {
	r := newRig(t)
	r.start()
	r.until("attached", func() bool { return r.attached })
	const behind = 5 * unit.Minute // the device's clock
	r.journal(device.ClockSet{Stream: "s1", FromSeq: 1, Offset: behind, Source: "ping"})
	r.stream(1, 20)
	r.within(unit.Minute, func() bool { return false })
	r.crash()
	real := nodeOrigin + r.wall
	r.command("lap", &trainingv1.Command{Command: &trainingv1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: int64(real.Add(-behind))}}})
	r.until("a lap", func() bool { _, ok := r.replies["lap/ok"]; return ok })
	if got := r.state().Laps[0].At; got != real {
		t.Errorf("the lap is %d s off", got.Sub(real)/1000)
	}
	r.crash()
	real = nodeOrigin + r.wall
	r.command("finish", &trainingv1.Command{Command: &trainingv1.Command_Finish{Finish: &livev1.FinishWorkout{DeviceTimeMs: int64(real.Add(-behind))}}})
	r.until("a finish", func() bool { _, ok := r.replies["finish/ok"]; return ok })
	if got := r.state().Finish.At; got != real {
		t.Errorf("the finish is %d s off", got.Sub(real)/1000)
	}
}
