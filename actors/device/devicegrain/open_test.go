package devicegrain

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// sentOf is all messages of a type that went to trainings.
func sentOf[M proto.Message](r *rig) (out []M) {
	for _, m := range r.sent {
		if v, ok := m.(M); ok {
			out = append(out, v)
		}
	}
	return out
}

func TestNothingOpensBeforeTheTrainingKnows(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		answer := r.training
		r.training = nil
		a := r.registered()
		c := a.ask(openMsg("x"))
		f := a.ask(frameMsg("x", samples(1, 3)))
		f.refusedWith(t, "stream.not_open")
		r.pass(1900)
		if c.answers != 0 {
			t.Fatalf("opened although the training knows nothing")
		}
		if n := len(sentOf[*trainingv1.Attach](r)); n != 4 {
			t.Fatalf("attached %d times in 1.9 s, want 4", n)
		}
		r.training = answer
		r.pass(500)
		if _, ok := c.msg.(*devicev1.OpenDone); !ok {
			t.Fatalf("answered %v, %v", c.msg, c.err)
		}
		n := len(sentOf[*trainingv1.Attach](r))
		r.pass(3000)
		if len(sentOf[*trainingv1.Attach](r)) != n {
			t.Fatalf("still attaching")
		}
	}
	testkit.NeedsRule(t, step.RuleAttachFirst, scenario)
}

func TestOpenEndsWithoutATraining(t *testing.T) {
	r := newRig(t)
	r.training = nil
	a := r.registered()
	c := a.ask(openMsg("x"))
	r.pass(11_000)
	c.refusedWith(t, "training.no_answer")
	n := len(r.sent)
	r.pass(5000)
	if len(r.sent) != n {
		t.Error("still attaching although nobody waits")
	}
	r.training = func(from *act, m proto.Message) {
		from.tell(&devicev1.Attached{Training: "u1/w1", StreamId: "s1",
			Refused: &clusterv1.Fault{Kind: 4, Code: "training.not_started", Message: "Start it first.", Retry: true}})
	}
	d := a.ask(openMsg("x"))
	d.refusedWith(t, "training.not_started")
	a.ask(frameMsg("x", samples(1, 3))).refusedWith(t, "stream.not_open")
}

func TestOpenRefusals(t *testing.T) {
	r := newRig(t)
	a := r.activate()
	a.ask(openMsg("x")).refusedWith(t, "device.not_registered")
	a = r.registered()
	foreign := openMsg("x")
	foreign.Open.PersonId = "u2"
	a.ask(foreign).refusedWith(t, "device.not_yours")
	thief := openMsg("x")
	thief.Call.By = "athlete:u9"
	a.ask(thief).refusedWith(t, "device.not_yours")
	noSession := openMsg("")
	a.ask(noSession).refusedWith(t, "device.message")
	wild := openMsg("x")
	wild.Open.Channels[0].Channel = 300
	a.ask(wild).refusedWith(t, "stream.channels")
	a.open("x")
	other := openMsg("x")
	other.Open.WorkoutId = "w2"
	a.ask(other).refusedWith(t, "stream.differs")
}

func TestLastOpenStreams(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 5))).through(t)
	if got := a.open("y"); got != 5 {
		t.Errorf("the second open begins behind %d", got)
	}
	if len(r.notices) != 1 || r.notices[0].Session != "x" || r.notices[0].GetReplaced().GetStreamId() != "s1" {
		t.Errorf("notices %v", r.notices)
	}
	a.ask(frameMsg("x", samples(6, 7))).refusedWith(t, "stream.replaced")
	a.ask(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 6, ToSeq: 7}}).refusedWith(t, "stream.replaced")
	a.ask(frameMsg("y", samples(6, 7))).through(t)
	a.open("y")
	if len(r.notices) != 1 {
		t.Error("a session was told that it replaced itself")
	}
}

func TestBindingIsCarried(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.tell(&devicev1.Attached{Training: "u1/w1", StreamId: "s1", CompetitionId: "c1", Entry: 17})
	r.settle()
	c := a.ask(frameMsg("x", samples(1, 5)))
	c.through(t)
	if d := c.msg.(*devicev1.FrameDone); d.CompetitionId != "c1" || d.Entry != 17 {
		t.Errorf("FrameDone %v", d)
	}
	if len(r.notices) != 1 || r.notices[0].GetBinding().GetEntry() != 17 {
		t.Errorf("notices %v", r.notices)
	}
	a.tell(&devicev1.Attached{Training: "u9/w9", StreamId: "s1", CompetitionId: "c9", Entry: 1})
	a.tell(&devicev1.Attached{Training: "u1/w1", StreamId: "s9"})
	a.tell(&devicev1.Attached{Training: "u1/w1", StreamId: "s1", Refused: &clusterv1.Fault{Kind: 4, Code: "training.not_started"}})
	d := a.ask(openMsg("x"))
	if got := d.msg.(*devicev1.OpenDone); got.CompetitionId != "c1" || got.Training != "u1/w1" {
		t.Errorf("OpenDone %v", got)
	}
}

// The series ends at a hole, not at its last row.
func TestOpenFindsTheEndOfTheCover(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		r.registered().open("x")
		r.put(samples(1, 10))
		r.put(samples(21, 30))
		a := r.activate()
		if got := a.open("y"); got != 10 {
			t.Fatalf("through %d, want 10", got)
		}
		a.ask(frameMsg("y", samples(11, 30))).through(t)
		r.holds(30)
	}
	testkit.NeedsRule(t, step.RuleUnbrokenCover, scenario)
}

// A late row of a dead activation lands after the takeover: it is read before anything is answered.
func TestOpenReadsAgain(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.ask(frameMsg("x", samples(1, 5))).through(t)
		r.put(samples(6, 9))
		if got := a.open("y"); got != 9 {
			t.Fatalf("opened behind %d, want 9", got)
		}
		blocks := sentOf[*trainingv1.Block](r)
		if b := blocks[len(blocks)-1]; b.LastSeq != 9 {
			t.Fatalf("the training was not told of the late row: %v", b)
		}
	}
	testkit.NeedsRule(t, step.RuleReadBeforeRefuse, scenario)
}

// Two activations take frames of one client at once, cut differently: all is stored once, and the one whose
// journal has moved on stops before it refuses anything.
func TestTwoActivationsAtOnce(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 7))).through(t)
	b := r.activate()
	b.open("y")
	b.ask(frameMsg("y", samples(1, 20))).through(t)
	a.ask(frameMsg("x", samples(8, 12))).through(t) // a row that overlaps b's, with the same values
	a.ask(frameMsg("x", samples(13, 25))).through(t)
	b.ask(frameMsg("y", samples(26, 40))).through(t) // would be a gap without a look
	if b.stopped != "" || a.stopped != "" {
		t.Fatalf("stopped: %q %q", a.stopped, b.stopped)
	}
	r.holds(40)
	b.ask(&devicev1.SkipSeqs{Session: "y", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 41, ToSeq: 50}}).through(t)
	c := a.ask(frameMsg("x", samples(51, 55)))
	c.refusedWith(t, "machine.moved")
	if a.stopped == "" {
		t.Error("an activation lives on behind its journal")
	}
	b.ask(frameMsg("y", samples(51, 55))).through(t)
	a.ask(frameMsg("x", samples(56, 57))).refusedWith(t, "machine.moved")
}

func TestSkipSparesWhatIsHeld(t *testing.T) {
	scenario := func(t testing.TB) {
		r := newRig(t)
		a := r.registered()
		a.open("x")
		a.ask(frameMsg("x", samples(1, 10))).through(t)
		r.put(samples(11, 14)) // another activation's, acknowledged by it
		r.put(samples(18, 19))
		c := a.ask(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 5, ToSeq: 20, Reason: "flash"}})
		if got := c.through(t); got != 20 {
			t.Fatalf("through %d behind the skip, want 20", got)
		}
		skips := a.shell.stream("s1").Skips
		if len(skips) != 2 || skips[0].From != 15 || skips[0].To != 17 || skips[1].From != 20 || skips[1].To != 20 {
			t.Fatalf("skipped %v, want 15-17 and 20", skips)
		}
		a.ask(frameMsg("x", samples(21, 25))).through(t)
		blocks := sentOf[*trainingv1.Block](r)
		if b := blocks[len(blocks)-1]; b.FactsVersion != 3 { // registered, opened, skipped
			t.Fatalf("facts version %d of the hint, want 3", b.FactsVersion)
		}
		late := r.activate()
		if got := late.open("y"); got != 25 {
			t.Fatalf("recovered through %d, want 25", got)
		}
	}
	testkit.NeedsRule(t, step.RuleReadBeforeRefuse, scenario)
}

// A row that lands under the skip after the second look does not count: the skip is final.
func TestLateRowUnderASkip(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 10))).through(t)
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.AppendOp); ok {
			return held
		}
		return works
	}
	c := a.send(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 11, ToSeq: 20}})
	f := a.frame("x", 21, 25)
	r.settle()
	r.put(samples(11, 15))
	if c.answers != 0 || f.answers != 0 {
		t.Fatal("answered before the skip is in the journal")
	}
	a.fate = nil
	a.release(works)
	if c.through(t) != 20 || f.through(t) != 25 {
		t.Fatalf("through %v and %v", c.msg, f.msg)
	}
	n := 0
	for _, b := range r.stored(persistence.Span{From: 11, To: 20}).Batches {
		n += b.Len()
	}
	if n != 15 {
		t.Errorf("%d samples count, want 15", n)
	}
	if got := r.activate().open("y"); got != 25 {
		t.Errorf("recovered through %d", got)
	}
	// What comes again under the skip is handled; it is not stored and no conflict.
	a2 := r.acts[len(r.acts)-1]
	if got := a2.ask(frameMsg("y", samples(9, 13))).through(t); got != 25 {
		t.Errorf("through %d", got)
	}
}

func TestFrameAcrossASkip(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 5, ToSeq: 7}}).through(t)
	if got := a.ask(frameMsg("x", samples(1, 12))).through(t); got != 12 {
		t.Errorf("through %d", got)
	}
	if len(a.wrote) != 2 || a.wrote[0].Last != 4 || a.wrote[1].First != 8 {
		t.Errorf("wrote %v", a.wrote)
	}
}

func TestClose(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 10))).through(t)
	a.ask(&devicev1.Close{StreamId: "s1", LastSeq: 9}).refusedWith(t, "stream.close_below")
	a.ask(&devicev1.Close{StreamId: "s2", LastSeq: 9}).refusedWith(t, "stream.unknown")
	if got := a.ask(&devicev1.Close{StreamId: "s1", LastSeq: 20}).through(t); got != 10 {
		t.Errorf("through %d", got)
	}
	blocks := sentOf[*trainingv1.Block](r)
	if b := blocks[len(blocks)-1]; !b.Closed || b.ClosedAtSeq != 20 {
		t.Errorf("the training was told %v", b)
	}
	a.ask(frameMsg("x", samples(11, 21))).refusedWith(t, "stream.closed")
	a.ask(frameMsg("x", samples(11, 20))).through(t)
	a.ask(&devicev1.Close{StreamId: "s1", LastSeq: 20}).through(t)
	a.ask(&devicev1.Close{StreamId: "s1", LastSeq: 22}).refusedWith(t, "stream.closed")
	b := r.activate() // closes without having opened
	if got := b.ask(&devicev1.Close{StreamId: "s1", LastSeq: 20}).through(t); got != 20 {
		t.Errorf("through %d in a new activation", got)
	}
}

func TestClockCountsFromBehindWhatIsDurable(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	free := openMsg("x")
	free.Open.Clock = livev1.ClockKind_CLOCK_KIND_FREE
	clock := func(offset int64, err uint32) *devicev1.Clock {
		return &devicev1.Clock{StreamId: "s1", OffsetMs: offset, ErrorMs: err, Source: "ping"}
	}
	a.ask(clock(1, 1)).refusedWith(t, "stream.not_open")
	if c := a.ask(free); c.err != nil {
		t.Fatal(c.err)
	}
	for _, c := range []*devicev1.Clock{clock(-400, 20), clock(-410, 20)} {
		if got := a.ask(c); got.err != nil {
			t.Fatal(got.err)
		}
	}
	a.ask(frameMsg("x", samples(1, 10))).through(t)
	if got := a.ask(clock(100, 20)); got.err != nil {
		t.Fatal(got.err)
	}
	a.ask(clock(100*24*3600*1000, 20)).refusedWith(t, "clock.implausible")
	f := a.shell.stream("s1")
	if len(f.Clocks) != 2 || f.Clocks[0].FromSeq != 1 || f.Clocks[0].Offset != -400 || f.Clocks[1].FromSeq != 11 {
		t.Fatalf("clocks %+v", f.Clocks)
	}
	if got := f.EventMs(10, 5000); got != 4600 {
		t.Errorf("event time of seq 10 is %d", got)
	}
	if got := f.EventMs(11, 5000); got != 5100 {
		t.Errorf("event time of seq 11 is %d", got)
	}
}

// record writes the recording of s1 as its training would, and says so.
func (r *rig) record(through uint64, skips ...persistence.Span) *devicev1.Recorded {
	r.t.Helper()
	read := r.stored(skips...)
	d := sample.NewDigest()
	for i := range read.Batches {
		d.Add(&read.Batches[i], 0, read.Batches[i].Len())
	}
	rec := persistence.Recording{Workout: "u1/w1", Streams: []persistence.RecordedStream{{Key: key1, Through: through,
		Skips: skips, Digest: d.Sum(), Batches: read.Batches}}}
	name, err := persistence.Over(r.rows).PutRecording(context.Background(), "u1", rec)
	if err != nil {
		r.t.Fatalf("put recording: %v", err)
	}
	sum := d.Sum()
	return &devicev1.Recorded{Training: "u1/w1", StreamId: "s1", ThroughSeq: through, Digest: sum[:], Recording: name[:]}
}

func TestRecordedBecomesTheFloor(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 500))).through(t)
	a.ask(frameMsg("x", samples(501, 600))).through(t)
	m := r.record(600)
	a.ask(frameMsg("x", samples(601, 603))).through(t)
	forged := proto.Clone(m).(*devicev1.Recorded)
	forged.Digest = append([]byte{^m.Digest[0]}, m.Digest[1:]...)
	absent := proto.Clone(m).(*devicev1.Recorded)
	absent.Recording = append([]byte{^m.Recording[0]}, m.Recording[1:]...)
	a.tell(forged)
	a.tell(absent)
	a.tell(&devicev1.Recorded{Training: "u1/w1", StreamId: "s1", ThroughSeq: 600})
	r.settle()
	if n := len(sentOf[*trainingv1.RecordedEcho](r)); n != 0 || a.shell.stream("s1").Floor.Through != 0 {
		t.Fatalf("%d echoes of what cannot be read back", n)
	}
	a.tell(m)
	a.tell(m)
	r.settle()
	echoes := sentOf[*trainingv1.RecordedEcho](r)
	if len(echoes) == 0 || echoes[0].ThroughSeq != 600 || string(echoes[0].Digest) != string(m.Digest) {
		t.Fatalf("echoes %v", echoes)
	}
	if rows := r.stored().Blocks; len(rows) != 1 || rows[0].First != 601 {
		t.Fatalf("rows left: %v", rows)
	}
	a.ask(frameMsg("x", samples(604, 610))).through(t)

	// A new activation knows the samples below the floor from the recording: a clock that goes back is seen.
	b := r.activate()
	if got := b.open("y"); got != 610 {
		t.Fatalf("recovered through %d, want 610", got)
	}
	conflict := samples(600, 600)
	conflict.AtMs[0]++
	b.ask(frameMsg("y", conflict)).refusedWith(t, "stream.conflict")
	n := len(sentOf[*trainingv1.RecordedEcho](r))
	b.tell(m)
	r.settle()
	if len(sentOf[*trainingv1.RecordedEcho](r)) != n+1 {
		t.Error("a repeated Recorded was not echoed")
	}
}

func TestTailComesFromTheRecording(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 100))).through(t)
	a.tell(r.record(100))
	r.settle()
	b := r.activate()
	if got := b.open("y"); got != 100 {
		t.Fatalf("recovered through %d, want 100", got)
	}
	back := samples(101, 102)
	back.AtMs[0] = samples(50, 50).AtMs[0]
	c := b.ask(frameMsg("y", back))
	c.through(t)
	if got := c.msg.(*devicev1.FrameDone).Refused; len(got) != 1 || got[0].Reason != "time_not_rising" {
		t.Errorf("refused %v", got)
	}
}

// A recording made without a skip that the journal has is not the truth.
func TestStaleRecordingIsNotTaken(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 10))).through(t)
	r.put(samples(13, 20))
	a.ask(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 11, ToSeq: 12}}).through(t)
	stale := r.record(20, persistence.Span{From: 11, To: 12})
	a.ask(&devicev1.SkipSeqs{Session: "x", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 21, ToSeq: 22}}).through(t)
	a.tell(stale)
	r.settle()
	if a.shell.stream("s1").Floor.Through != 20 {
		t.Error("a skip above the recording's end made it stale")
	}
	r.put(samples(23, 30))
	bad := r.record(30, persistence.Span{From: 11, To: 12})
	a.tell(bad)
	r.settle()
	if a.shell.stream("s1").Floor.Through != 20 {
		t.Error("a recording without the skip 21-22 was taken")
	}
}

func TestFencedActivationAnswersEverything(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	b := r.activate()
	b.open("y")
	b.ask(&devicev1.SkipSeqs{Session: "y", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 1, ToSeq: 5}}).through(t)
	a.fate = holdPuts
	calls := []*call{a.frame("x", 1, 3), a.frame("x", 4, 5), a.send(&devicev1.Close{StreamId: "s1", LastSeq: 99}),
		a.send(&devicev1.Claim{Call: &clusterv1.Call{By: "athlete:u1"}, Person: "u2"})}
	r.settle()
	if a.stopped == "" {
		t.Fatal("the append of a fenced activation was applied")
	}
	for i, c := range calls {
		if c.answers != 1 {
			t.Errorf("request %d was answered %d times", i, c.answers)
		}
		c.refusedWith(t, "machine.moved")
	}
}

func TestStoreFailureAnswersEverything(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = holdPuts
	calls := []*call{a.frame("x", 1, 3), a.frame("x", 4, 5), a.send(openMsg("y")), a.send(&devicev1.Close{StreamId: "s1", LastSeq: 9})}
	r.settle()
	a.inbox = append(a.inbox, func() {
		a.step(persistence.Done{Tag: a.held[0].Tag, Err: persistence.ErrErased}, nil)
	})
	r.settle()
	for i, c := range calls {
		if c.answers != 1 {
			t.Errorf("request %d was answered %d times", i, c.answers)
		}
		c.refusedWith(t, "device.erased")
	}
}

func TestRest(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 3))).through(t)
	a.tell(step.Sweep{})
	r.settle()
	if a.stopped != "" {
		t.Fatal("rested although it was just used")
	}
	r.pass(2 * unit.Minute)
	a.fate = holdPuts
	f := a.frame("x", 4, 6)
	r.settle()
	r.wall = r.wall.Add(5 * unit.Minute)
	a.tell(step.Sweep{})
	r.settle()
	if a.stopped != "" {
		t.Fatal("rested with a write in flight")
	}
	a.release(works)
	f.through(t)
	a.tell(step.Sweep{})
	r.settle()
	if a.stopped != "rest" {
		t.Errorf("does not rest: %q", a.stopped)
	}
	b := r.activate()
	b.open("y")
	b.fate = holdPuts
	g := b.frame("y", 7, 9)
	b.tell(step.Sweep{Drain: true})
	r.settle()
	if b.stopped != "" {
		t.Fatal("drained with a frame unanswered")
	}
	b.release(works)
	if g.through(t) != 9 || b.stopped != "rest" {
		t.Errorf("drained: %q", b.stopped)
	}
}

func TestGetAndClaims(t *testing.T) {
	r := newRig(t)
	r.activate().ask(&devicev1.Get{}).refusedWith(t, "device.not_registered")
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 3))).through(t)
	call := func(by string) *clusterv1.Call { return &clusterv1.Call{By: by} }
	a.ask(&devicev1.Claim{Call: call("athlete:u2"), Person: "u2"}).refusedWith(t, "device.not_yours")
	if c := a.ask(&devicev1.Claim{Call: call("athlete:u1"), Person: "u2"}); c.err != nil || c.msg.(*clusterv1.Ack).Version != 3 {
		t.Errorf("claim = %v, %v", c.msg, c.err)
	}
	c := a.ask(&devicev1.Get{})
	s := c.msg.(*devicev1.State)
	if s.ClaimedBy != "u2" || s.Version != 3 || len(s.Streams) != 1 || s.Streams[0].ThroughSeq != 3 || s.Device.Owner != "u1" {
		t.Errorf("state %v", s)
	}
	if s.ClaimedUntilMs != 0 {
		t.Errorf("claimed until %d: what is lent is lent until it is given back", s.ClaimedUntilMs)
	}
	until := r.wall.Add(unit.Hour)
	a.ask(&devicev1.Claim{Call: call("athlete:u1"), Person: "u2", UntilMs: int64(until)})
	if s := a.ask(&devicev1.Get{}).msg.(*devicev1.State); s.ClaimedUntilMs != int64(until) {
		t.Errorf("claimed until %d, want %d", s.ClaimedUntilMs, until)
	}
	if c := a.ask(&devicev1.Release{Call: call("athlete:u2")}); c.err != nil {
		t.Error(c.err)
	}
}
