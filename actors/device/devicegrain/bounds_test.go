package devicegrain

import (
	"fmt"
	"testing"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
)

// TestWorkOnAStreamIsBounded: while a stream's write is under way so many may ask for other work on it; the next one is told
// at once that there is too much, and all the others get their answer.
func TestWorkOnAStreamIsBounded(t *testing.T) {
	const bound = 256
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = holdPuts
	a.frame("x", 1, 10)
	r.settle()
	var calls []*call
	for i := range bound + 1 {
		calls = append(calls, a.send(openMsg(fmt.Sprint("y", i))))
	}
	r.settle()
	for i, c := range calls[:bound] {
		if c.answers != 0 {
			t.Fatalf("request %d was answered while the write is under way: %v", i+1, c.err)
		}
	}
	calls[bound].refusedWith(t, "device.overloaded")
	// The opens share one job; other work has a job each.
	var skips []*call
	for range bound {
		skips = append(skips, a.send(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 100, ToSeq: 101}}))
	}
	r.settle()
	for i, c := range skips[:bound-1] {
		if c.answers != 0 {
			t.Fatalf("skip %d was answered while the write is under way: %v", i+1, c.err)
		}
	}
	skips[bound-1].refusedWith(t, "device.overloaded")
	a.fate = nil
	for len(a.held) > 0 {
		a.release(works)
	}
	for i, c := range calls[:bound] {
		if c.answers != 1 {
			t.Fatalf("request %d was answered %d times in the end", i+1, c.answers)
		}
	}
	if err := calls[bound-1].err; err != nil {
		t.Errorf("the last one that found room: %v", err)
	}
}
