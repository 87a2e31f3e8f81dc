package devicegrain

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/persistence"
)

// What a hint says of the journal is committed: a close that is only decided may never have happened.
func TestAHintDoesNotTellOfACloseThatIsNotCommitted(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	free := openMsg("x")
	free.Open.Clock = livev1.ClockKind_CLOCK_KIND_FREE
	if c := a.ask(free); c.err != nil {
		t.Fatal(c.err)
	}
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.AppendOp); ok {
			return held
		}
		return works
	}
	a.send(&devicev1.Clock{Call: &clusterv1.Call{By: "device:u1/d1"}, StreamId: "s1", OffsetMs: 60_000, Source: "ping"})
	a.send(&devicev1.Close{Call: &clusterv1.Call{By: "device:u1/d1"}, StreamId: "s1", LastSeq: 100})
	r.settle()
	r.sent = nil
	a.release(works) // the clock's append; that of the close is held
	r.settle()
	told := 0
	for _, b := range sentOf[*trainingv1.Block](r) {
		if told++; b.Closed {
			t.Errorf("closed at %d, before it is in the journal", b.ClosedAtSeq)
		}
	}
	if told == 0 {
		t.Fatal("no hint of the clock")
	}
	r.sent = nil
	a.fate = nil
	a.release(works)
	r.settle()
	b := sentOf[*trainingv1.Block](r)
	if len(b) == 0 || !b[len(b)-1].Closed || b[len(b)-1].ClosedAtSeq != 100 {
		t.Errorf("after the commit: %v", b)
	}
}
