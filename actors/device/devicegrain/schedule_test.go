package devicegrain

import (
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/machine"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// client is a truthful device: it keeps what is not acknowledged, and sends it again, cut anew. It talks to one activation at a time, as a connection does.
type client struct {
	r       *rig
	at      *act
	session int
	open    *call
	frames  []*call
	acked   uint64
}

const clientEnd = 400

func (c *client) name() string {
	return "c" + string(rune('a'+c.session%26)) + string(rune('a'+c.session/26))
}

// connect opens the stream at an activation, as a new session.
func (c *client) connect(a *act) {
	c.session++
	c.at, c.frames = a, nil
	c.open = a.send(openMsg(c.name()))
}

func (c *client) ready() bool {
	if c.open == nil || c.open.answers == 0 {
		return false
	}
	done, ok := c.open.msg.(*devicev1.OpenDone)
	if !ok || c.open.err != nil {
		return false
	}
	c.acked = max(c.acked, done.ThroughSeq)
	return true
}

// hear takes the answers of this connection.
func (c *client) hear() {
	for _, f := range c.frames {
		if done, ok := f.msg.(*devicev1.FrameDone); ok && f.err == nil && f.answers > 0 {
			c.acked = max(c.acked, done.ThroughSeq)
		}
	}
}

// chaos is one drawn schedule: any of the ways in which the store, the network and placement can behave.
func chaos(t *rapid.T, f fatal) {
	r := newRig(f)
	first := r.registered()
	c := &client{r: r}
	c.connect(first)
	fates := rapid.SampledFrom([]fate{works, works, works, works, held, lost, dropped, away})
	for _, a := range r.acts {
		a.fate = drawFate(t, fates)
	}
	for range rapid.IntRange(10, 60).Draw(t, "steps") {
		switch rapid.IntRange(0, 12).Draw(t, "what") {
		case 0:
			a := r.activate()
			a.fate = drawFate(t, fates)
		case 1:
			c.connect(r.acts[rapid.IntRange(0, len(r.acts)-1).Draw(t, "act")])
		case 2: // a crash: what was under way may still apply, later
			a := r.acts[rapid.IntRange(0, len(r.acts)-1).Draw(t, "act")]
			a.stopped = "killed"
		case 3:
			a := r.acts[rapid.IntRange(0, len(r.acts)-1).Draw(t, "act")]
			a.release(rapid.SampledFrom([]fate{works, lost, dropped}).Draw(t, "late"))
		case 4:
			r.pass(unit.DurationMs(rapid.IntRange(10, 800).Draw(t, "time")))
		case 5:
			r.settle()
		default:
			c.sendSome(t)
		}
		c.hear()
		checkAcked(f, c)
	}
	r.finish(f, c)
}

// sendSome sends frames from what is acknowledged on, cut anyhow, sometimes with something again.
func (c *client) sendSome(t *rapid.T) {
	if !c.ready() {
		return
	}
	from := c.acked + 1 - min(c.acked, uint64(rapid.IntRange(0, 20).Draw(t, "again")))
	for range rapid.IntRange(1, 4).Draw(t, "frames") {
		to := min(from+uint64(rapid.IntRange(0, 60).Draw(t, "length")), clientEnd)
		if from > to {
			return
		}
		if rapid.IntRange(0, 5).Draw(t, "network") > 0 { // else the frame is lost on its way
			c.frames = append(c.frames, c.at.frame(c.name(), from, to))
		}
		from = to + 1
	}
	if rapid.Bool().Draw(t, "carry") {
		c.r.settle()
	}
}

// drawFate gives every write of samples a fate of its own; reads and the journal work or are away.
func drawFate(t *rapid.T, fates *rapid.Generator[fate]) func(op persistence.Op) fate {
	return func(op persistence.Op) fate {
		switch op.(type) {
		case persistence.PutBlockOp:
			return fates.Draw(t, "fate")
		case persistence.RecoverSeriesOp, persistence.HeadOp, persistence.ReadSeriesOp:
			if rapid.IntRange(0, 4).Draw(t, "read") == 0 {
				return away
			}
		case persistence.AppendOp:
			return rapid.SampledFrom([]fate{works, works, works, lost, dropped, away}).Draw(t, "append")
		}
		return works
	}
}

// checkAcked: whatever was acknowledged is durable now, each seq with the client's value.
func checkAcked(f fatal, c *client) {
	next := uint64(1)
	for _, b := range c.r.stored().Batches {
		if b.FirstSeq > next {
			break
		}
		next = b.LastSeq() + 1
	}
	if c.acked >= next {
		f.Fatalf("acknowledged through %d, stored through %d", c.acked, next-1)
	}
}

// finish lets a healthy store and one client end the stream: all must be there, once.
func (r *rig) finish(f fatal, c *client) {
	for _, a := range r.acts {
		a.fate = nil
	}
	for round := 0; c.acked < clientEnd; round++ {
		if round > 20 {
			f.Fatalf("stuck at %d", c.acked)
		}
		a := c.at
		if a.stopped != "" || round > 10 {
			a = r.activate()
		}
		c.connect(a)
		a.release(works)
		r.pass(3000)
		for c.ready() && c.acked < clientEnd {
			to := min(c.acked+50, clientEnd)
			call := a.frame(c.name(), c.acked+1, to)
			c.frames = append(c.frames, call)
			r.pass(3000)
			c.hear()
			if call.err != nil || call.answers == 0 {
				break
			}
		}
	}
	for _, a := range r.acts {
		a.release(works) // late rows of the dead
	}
	r.holds(clientEnd)
	if n := r.stored().Conflicts; len(n) > 0 {
		f.Fatalf("conflicts at %v", n)
	}
}

// Any schedule: what is acknowledged is stored, and in the end all is stored once.
func TestAnySchedule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { chaos(t, t) })
}

// A skip declared on the newest connection is final, whatever older activations still write under it.
func TestSkipAgainstLateRows(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.ask(frameMsg("x", samples(1, 10))).through(t)
	a.fate = holdPuts
	late := a.frame("x", 11, 20)
	r.settle()
	b := r.activate()
	b.open("y")
	b.ask(&devicev1.SkipSeqs{Session: "y", Skip: &livev1.Skip{StreamId: "s1", FromSeq: 11, ToSeq: 20}}).through(t)
	b.ask(frameMsg("y", samples(21, 30))).through(t)
	a.release(works)
	_ = late // the older connection's ack: the client ignores it
	read := r.stored(persistence.Span{From: 11, To: 20})
	n := 0
	for _, x := range read.Batches {
		n += x.Len()
	}
	if n != 20 {
		t.Errorf("%d samples count, want 20", n)
	}
	if got := r.activate().open("z"); got != 30 {
		t.Errorf("recovered through %d", got)
	}
}

// The journal's append has an unknown outcome while a look is under way: the look waits and does not take its
// own append for another activation's.
func TestLookWaitsForItsOwnAppend(t *testing.T) {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.AppendOp); ok {
			return lost
		}
		return works
	}
	claim := a.send(&devicev1.Claim{Person: "u2"})
	gap := a.frame("x", 5, 9)
	r.settle()
	if a.stopped != "" {
		t.Fatalf("stopped: %s", a.stopped)
	}
	a.fate = nil
	r.pass(2000)
	if claim.err != nil || claim.answers != 1 {
		t.Errorf("claim = %v, %v", claim.msg, claim.err)
	}
	gap.refusedWith(t, "stream.gap")
}

func TestEarlyMessagesWait(t *testing.T) {
	r := newRig(t)
	r.registered().open("x")
	a := &act{r: r, store: persistence.Over(r.rows), timers: map[string]unit.InstantMs{}}
	a.shell = New(Config{Grain: r.grain, Activation: "late", Member: "m", Random: func() uint64 { return 7 },
		NewID: func(step.Now) string { return "late-append" }})
	r.acts = append(r.acts, a)
	a.fate = func(op persistence.Op) fate {
		if _, ok := op.(persistence.LoadOp); ok {
			return held
		}
		return works
	}
	a.step(machine.StartMsg{}, nil)
	c := a.send(openMsg("y"))
	g := a.send(&devicev1.Get{})
	r.settle()
	if c.answers+g.answers != 0 {
		t.Fatal("answered before the journal was read")
	}
	a.fate = nil
	a.release(works)
	if _, ok := c.msg.(*devicev1.OpenDone); !ok || g.err != nil {
		t.Errorf("open = %v %v, get = %v", c.msg, c.err, g.err)
	}
	if n := len(sentOf[*trainingv1.Attach](r)); n != 2 {
		t.Errorf("attached %d times", n)
	}
}
