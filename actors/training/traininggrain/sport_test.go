package traininggrain

import (
	"testing"

	"paceline/actors/training/trainingcodec"
	devicev1 "paceline/api/gen/paceline/device/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
)

// A stream that is judged by another sport than the workout's is never attached, so nothing of it is acknowledged;
// its device is told why, each time it asks.
func TestAStreamOfAnotherSportIsRefused(t *testing.T) {
	r := newRig(t)
	var refusals []string
	r.heard = func(a *devicev1.Attached) {
		if a.StreamId == "s2" {
			refusals = append(refusals, a.Refused.GetCode())
		}
	}
	r.start()
	r.until("attached", func() bool { return r.attached })
	other := attachment()
	other.Key.Stream = "s2"
	for range 2 {
		r.tell(&trainingv1.Attach{Stream: trainingcodec.StreamToProto(other), Sport: "ride"}, nil)
	}
	r.until("two answers", func() bool { return len(refusals) == 2 })
	if refusals[0] != "stream.sport_differs" || refusals[1] != "stream.sport_differs" || len(r.state().Streams) != 1 {
		t.Errorf("told %v, %d streams are attached", refusals, len(r.state().Streams))
	}
	r.tell(&trainingv1.Attach{Stream: trainingcodec.StreamToProto(other), Sport: "run"}, nil)
	r.until("attached", func() bool { return len(refusals) == 3 })
	if refusals[2] != "" || len(r.state().Streams) != 2 {
		t.Errorf("the right sport: %v, %d streams", refusals, len(r.state().Streams))
	}
}
