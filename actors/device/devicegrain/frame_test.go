package devicegrain

import (
	"testing"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
)

func TestFrameIsStoredAcknowledgedAndTold(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	if got := a.open("x"); got != 0 {
		t.Fatalf("through %d of an empty stream", got)
	}
	c := a.ask(frameMsg("x", samples(1, 10)))
	if got := c.through(t); got != 10 {
		t.Errorf("acknowledged %d, want 10", got)
	}
	r.holds(10)
	block, ok := r.sent[len(r.sent)-1].(*trainingv1.Block)
	if !ok || block.FirstSeq != 1 || block.LastSeq != 10 || block.StreamId != "s1" || block.Device != "u1/d1" || block.FactsVersion == 0 {
		t.Fatalf("the training was told %v", r.sent[len(r.sent)-1])
	}
	b, err := persistence.DecodeBlock(block.Samples)
	if err != nil || b.Len() != 10 {
		t.Errorf("samples of the hint: %d, %v", b.Len(), err)
	}
}

func TestRefusedSamplesAreStoredAndNamed(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	bad := samples(1, 3)
	bad.Columns[sample.HeartRateBpm].Set(1, 999)
	c := a.ask(frameMsg("x", bad))
	c.through(t)
	refused := c.msg.(*devicev1.FrameDone).Refused
	if len(refused) != 1 || refused[0].Seq != 2 || refused[0].Reason != "out_of_range" {
		t.Errorf("refused %v", refused)
	}
	if b := r.stored().Batches[0]; b.Mark(1) != sample.OutOfRange || b.Mark(0) != 0 {
		t.Errorf("stored marks %v", b.Refused)
	}
	again := a.ask(frameMsg("x", bad))
	again.through(t)
	if got := again.msg.(*devicev1.FrameDone).Refused; len(got) != 1 {
		t.Errorf("the duplicate names %v", got)
	}
}

func TestNotOpen(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.ask(frameMsg("x", samples(1, 3))).refusedWith(t, "stream.not_open")
	a.open("x")
	b := r.activate()
	b.ask(frameMsg("x", samples(1, 3))).refusedWith(t, "stream.not_open")
	a.ask(&livev1.Ping{}).refusedWith(t, "device.message")
	a.ask(&devicev1.Frame{Session: "x", Telemetry: &livev1.Telemetry{StreamId: "s1"}}).refusedWith(t, "telemetry.samples")
}

func TestAckWaitsUntilDurable(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.fate = func(op persistence.Op) fate {
			if isPut(op) {
				return held
			}
			return works
		}
		c := a.frame("x", 1, 5)
		r.settle()
		if c.answers != 0 {
			t.Fatalf("acknowledged before it was stored")
		}
		a.release(works)
		if c.through(t) != 5 {
			t.Fatalf("acknowledged %v", c.msg)
		}
	}
	testkit.NeedsRule(t, step.RuleAckAfterDurable, scenario)
}

func TestDuplicatesAndRecutFramesAreTrimmed(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		for _, cut := range [][2]uint64{{1, 10}, {1, 10}, {5, 15}, {3, 3}, {11, 40}, {2, 60}} {
			if c := a.ask(frameMsg("x", samples(cut[0], cut[1]))); c.through(t) < cut[1] {
				t.Fatalf("%v acknowledged through %v", cut, c.msg)
			}
		}
		r.holds(60)
		end := uint64(0)
		for _, k := range r.stored().Blocks {
			if k.First <= end {
				t.Fatalf("row %d..%d holds a seq at or below %d", k.First, k.Last, end)
			}
			end = k.Last
		}
	}
	testkit.NeedsRule(t, step.RuleTrim, scenario)
}

func TestGapIsRefused(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.ask(frameMsg("x", samples(1, 10))).through(t)
		c := a.ask(frameMsg("x", samples(12, 20)))
		c.refusedWith(t, "stream.gap")
		if want := "(expected 11)"; c.err.Error()[len(c.err.Error())-len(want):] != want {
			t.Fatalf("%v, want %s", c.err, want)
		}
		r.holds(10)
	}
	testkit.NeedsRule(t, step.RuleGapRefused, scenario)
}

// Another activation has stored what this one would call missing.
func TestRowsAreReadBeforeAGapIsRefused(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.ask(frameMsg("x", samples(1, 10))).through(t)
		r.put(samples(11, 30))
		c := a.ask(frameMsg("x", samples(31, 35)))
		if c.err != nil || c.through(t) != 35 {
			t.Fatalf("a frame behind another activation's row: %v", c.err)
		}
		r.holds(35)
	}
	testkit.NeedsRule(t, step.RuleReadBeforeRefuse, scenario)
}

func TestConflictIsRefused(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		for from := uint64(1); from < 1500; from += 100 {
			a.ask(frameMsg("x", samples(from, from+99))).through(t)
		}
		for _, seq := range []uint64{1500, 1200, 3} { // the last, one that is remembered, one that must be read
			b := samples(seq, seq)
			b.Columns[sample.HeartRateBpm].Set(0, heartAt(seq)+1)
			a.ask(frameMsg("x", b)).refusedWith(t, "stream.conflict")
		}
		mixed := samples(1500, 1510)
		mixed.AtMs[0]++
		a.ask(frameMsg("x", mixed)).refusedWith(t, "stream.conflict")
		a.ask(frameMsg("x", samples(3, 3))).through(t)
		r.holds(1500)
	}
	testkit.NeedsRule(t, step.RuleConflict, scenario)
}

func TestUnknownOutcomeIsRepeated(t *testing.T) {
	for _, f := range []fate{lost, dropped, away} {
		scenario := func(t testing.TB) {
			r := newRig(t)
			a := r.registered()
			a.open("x")
			times := 0
			a.fate = func(op persistence.Op) fate {
				if isPut(op) && times < 3 {
					times++
					return f
				}
				return works
			}
			c := a.frame("x", 1, 5)
			d := a.frame("x", 6, 9)
			r.settle()
			r.pass(3000)
			if c.through(t) != 5 || d.through(t) != 9 {
				t.Fatalf("acknowledged %v and %v", c.msg, d.msg)
			}
			r.holds(9)
			for i, k := range a.wrote[:4] {
				if k != a.wrote[0] {
					t.Fatalf("write %d is %v, want %v again", i, k, a.wrote[0])
				}
			}
		}
		scenario(t)
		if f == dropped {
			testkit.NeedsRule(t, step.RuleRepeatSameWrite, scenario)
		}
	}
}

// holdPuts holds every write of samples.
func holdPuts(op persistence.Op) fate {
	if isPut(op) {
		return held
	}
	return works
}

func TestOneWriteInFlightAndTheRestIsMerged(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.fate = holdPuts
		var calls []*call
		for i := range uint64(20) {
			calls = append(calls, a.frame("x", 1+i*3, 3+i*3))
		}
		r.settle()
		if len(a.held) != 1 {
			t.Fatalf("%d writes in flight", len(a.held))
		}
		a.release(works)
		a.release(works)
		for _, c := range calls {
			c.through(t)
		}
		if len(a.wrote) != 2 || a.wrote[1] != (persistence.BlockKey{First: 4, Last: 60}) {
			t.Fatalf("wrote %v", a.wrote)
		}
		r.holds(60)
	}
	testkit.NeedsRule(t, step.RuleOneWriteInFlight, scenario)
}

func TestBlocksEndAtBucketsAndAtTheirLength(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	for from := uint64(1); from < 3500; from += 500 {
		a.ask(frameMsg("x", samples(from, from+499))).through(t)
	}
	a.ask(frameMsg("x", samples(3501, 3590))).through(t)
	a.wrote, a.fate = nil, holdPuts
	c := a.frame("x", 3591, 3900)
	d := a.frame("x", 3901, 4400)
	r.settle()
	for len(a.held) == 1 {
		if c.answers == 0 && len(a.wrote) > 2 {
			t.Error("the first frame is durable and not acknowledged")
		}
		a.release(works)
	}
	want := []persistence.BlockKey{{First: 3591, Last: 3599}, {First: 3600, Last: 4111}, {First: 4112, Last: 4400}}
	if len(a.wrote) != len(want) || a.wrote[0] != want[0] || a.wrote[1] != want[1] || a.wrote[2] != want[2] {
		t.Errorf("wrote %v, want %v", a.wrote, want)
	}
	if c.through(t) < 3900 || d.through(t) != 4400 {
		t.Errorf("acknowledged %v and %v", c.msg, d.msg)
	}
	r.holds(4400)
}

func TestWaitingBytesAreBounded(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = holdPuts
	var calls []*call
	for i := range uint64(600) {
		calls = append(calls, a.frame("x", 1+i*500, 500+i*500))
	}
	r.settle()
	last := calls[len(calls)-1]
	last.refusedWith(t, "device.overloaded")
	if a.shell.waiting > a.shell.n.QueueBytes {
		t.Errorf("%d bytes wait", a.shell.waiting)
	}
	for len(a.held) > 0 {
		a.release(works)
	}
	acked := 0
	for _, c := range calls {
		if c.answers != 1 {
			t.Fatal("a frame was not answered")
		}
		if c.err == nil {
			acked++
		}
	}
	if a.shell.waiting != 0 || acked == 0 {
		t.Errorf("%d bytes wait, %d acknowledged", a.shell.waiting, acked)
	}
	r.holds(uint64(acked) * 500)
}
