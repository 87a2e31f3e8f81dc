package devicegrain

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/telemetry"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// fatal is what the rig needs of a test, and of a rapid one.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// fate is what becomes of one I/O.
type fate int

const (
	works   fate = iota
	held         // nothing yet: release decides
	lost         // done, but its outcome is unknown
	dropped      // not done, and its outcome is unknown
	away         // not done, and known not to be
)

// rig is one device on one store, any number of activations of it, a training that answers, and a clock.
type rig struct {
	t        fatal
	rows     *memory.Rows
	wall     unit.InstantMs
	full     bool // the store says so
	grain    id.Grain
	acts     []*act
	ids      int
	training func(from *act, m proto.Message) // what it does with what it is sent
	sent     []proto.Message                  // to trainings, in order
	notices  []*clusterv1.SessionNotice
}

// act is one activation with its own way to the store.
type act struct {
	r       *rig
	shell   *Shell
	store   *persistence.RowStore
	fate    func(op persistence.Op) fate // nil: works
	inbox   []func()
	held    []persistence.Do
	timers  map[string]unit.InstantMs
	stopped string
	wrote   []persistence.BlockKey // PutBlocks that were asked for, whatever became of them
}

// call is one request and its answer.
type call struct {
	msg     any
	err     error
	answers int
}

type events struct{}

func (events) Publish(_ context.Context, _ id.Grain, records []persistence.Record) (uint64, error) {
	return records[len(records)-1].Version, nil
}

func newRig(t fatal) *rig {
	r := &rig{t: t, rows: memory.New(), wall: 1_718_462_000_000, grain: id.Scoped(id.Device, "u1", "d1")}
	r.training = func(from *act, m proto.Message) {
		if a, ok := m.(*trainingv1.Attach); ok {
			from.tell(&devicev1.Attached{Training: "u1/w1", StreamId: a.Stream.StreamId})
		}
	}
	return r
}

func (r *rig) now() step.Now {
	return step.Now{Wall: r.wall, Node: r.wall, Full: r.full, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
}

// activate starts an activation and lets it recover.
func (r *rig) activate() *act {
	a := &act{r: r, store: persistence.Over(r.rows), timers: map[string]unit.InstantMs{}}
	n := len(r.acts) + 1
	a.shell = New(Config{Grain: r.grain, Activation: fmt.Sprintf("a%d", n), Member: fmt.Sprintf("m%d", n),
		Random: func() uint64 { return 7 }, NewID: func(step.Now) string { r.ids++; return fmt.Sprintf("append-%d-%d", n, r.ids) }})
	r.acts = append(r.acts, a)
	a.step(machine.StartMsg{}, nil)
	r.settle()
	return a
}

// registered is an activation of a device that u1 owns.
func (r *rig) registered() *act {
	r.t.Helper()
	a := r.activate()
	if c := a.ask(&devicev1.Register{Call: &clusterv1.Call{By: "athlete:u1"}, Device: &devicev1.Registered{Owner: "u1"}}); c.err != nil {
		r.t.Fatalf("register: %v", c.err)
	}
	return a
}

func (a *act) step(msg any, from step.Return) {
	if a.stopped != "" {
		if c, ok := from.(*call); ok {
			c.err = machine.ErrStopped
			c.answers++
		}
		return
	}
	for _, o := range a.shell.Step(a.r.now(), msg, from) {
		switch o := o.(type) {
		case persistence.Do:
			a.do(o)
		case step.Send:
			m := o.Msg.(proto.Message)
			a.r.sent = append(a.r.sent, m)
			if o.To.Kind == id.Training && a.r.training != nil {
				a.r.training(a, m)
			}
		case step.ToNode:
			a.r.notices = append(a.r.notices, o.Msg.(*clusterv1.SessionNotice))
		case step.Reply:
			c := o.To.(*call)
			c.msg, c.err = o.Msg, o.Err
			c.answers++
			if c.answers > 1 {
				a.r.t.Errorf("a request was answered %d times", c.answers)
			}
		case step.After:
			a.timers[o.Key] = o.At
		case step.Stop:
			a.stopped = o.Why
		default:
			a.r.t.Fatalf("the shell asks for %T", o)
		}
	}
}

func (a *act) do(d persistence.Do) {
	f := works
	if a.fate != nil {
		f = a.fate(d.Op)
	}
	if p, ok := d.Op.(persistence.PutBlockOp); ok {
		a.wrote = append(a.wrote, persistence.BlockKey{First: p.Batch.FirstSeq, Last: p.Batch.LastSeq()})
	}
	if f == held {
		a.held = append(a.held, d)
		return
	}
	a.finish(d, f)
}

// finish gives an I/O its fate; the outcome arrives when the rig settles.
func (a *act) finish(d persistence.Do, f fate) {
	done := persistence.Done{Tag: d.Tag}
	switch f {
	case dropped:
		done.Err = fmt.Errorf("test: %w", persistence.ErrUnknown)
	case away:
		done.Err = fmt.Errorf("test: %w", persistence.ErrUnavailable)
	default:
		done.Result, done.Err = d.Op.Run(context.Background(), a.store, events{})
		if f == lost {
			done.Result, done.Err = nil, fmt.Errorf("test: %w", persistence.ErrUnknown)
		}
	}
	a.inbox = append(a.inbox, func() { a.step(done, nil) })
}

// release gives everything held its fate, in order, and settles.
func (a *act) release(f fate) {
	h := a.held
	a.held = nil
	for _, d := range h {
		a.finish(d, f)
	}
	a.r.settle()
}

// tell sends a one-way message.
func (a *act) tell(m any) { a.inbox = append(a.inbox, func() { a.step(m, nil) }) }

// send sends a request and does not settle.
func (a *act) send(m any) *call {
	c := &call{}
	a.inbox = append(a.inbox, func() { a.step(m, c) })
	return c
}

// ask sends a request and settles.
func (a *act) ask(m any) *call {
	c := a.send(m)
	a.r.settle()
	return c
}

// settle carries messages until there are none.
func (r *rig) settle() {
	for moved := true; moved; {
		moved = false
		for _, a := range r.acts {
			for len(a.inbox) > 0 {
				f := a.inbox[0]
				a.inbox = a.inbox[1:]
				f()
				moved = true
			}
		}
	}
}

// pass lets wall time go by, ten milliseconds at a time, and fires timers.
func (r *rig) pass(d unit.DurationMs) {
	for end := r.wall.Add(d); r.wall < end; {
		r.wall = r.wall.Add(10)
		for _, a := range r.acts {
			for _, key := range sortedKeys(a.timers) {
				if at, ok := a.timers[key]; ok && at <= r.wall {
					delete(a.timers, key)
					a.step(step.Tick{Key: key}, nil)
				}
			}
		}
		r.settle()
	}
}

func sortedKeys(m map[string]unit.InstantMs) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	for i := range keys {
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

func openMsg(session string) *devicev1.Open {
	return &devicev1.Open{Call: &clusterv1.Call{By: "athlete:u1"}, Node: "n-" + session, Session: session, NodeTimeMs: 1_718_462_000_000,
		Open: &livev1.OpenStream{DeviceId: "u1/d1", StreamId: "s1", WorkoutId: "w1", Clock: livev1.ClockKind_CLOCK_KIND_GNSS,
			DeviceTimeMs: 1_718_462_000_000, Channels: []*livev1.ChannelSpec{{Channel: livev1.Channel_CHANNEL_HEART_RATE_BPM,
				Trust: livev1.Trust_TRUST_MEASURED}}}}
}

// open opens stream s1 and returns through_seq.
func (a *act) open(session string) uint64 {
	a.r.t.Helper()
	c := a.ask(openMsg(session))
	done, ok := c.msg.(*devicev1.OpenDone)
	if c.err != nil || !ok {
		a.r.t.Fatalf("open = %v, %v", c.msg, c.err)
		return 0
	}
	return done.ThroughSeq
}

// heartAt is the value that a truthful client sends for a seq.
func heartAt(seq uint64) int64 { return 100 + int64(seq*7919%97) }

// samples is what a truthful client has for from..to.
func samples(from, to uint64) *sample.Batch {
	n := int(to - from + 1)
	b := &sample.Batch{FirstSeq: from}
	b.Columns[sample.HeartRateBpm].Grow(n)
	for i := range n {
		b.AtMs = append(b.AtMs, unit.InstantMs(1_718_462_000_000+1000*(from+uint64(i))))
		b.Columns[sample.HeartRateBpm].Set(i, heartAt(from+uint64(i)))
	}
	return b
}

func frameMsg(session string, b *sample.Batch) *devicev1.Frame {
	t := &livev1.Telemetry{}
	telemetry.FromBatch(t, "s1", b)
	return &devicev1.Frame{Session: session, Telemetry: t}
}

// frame sends from..to without settling.
func (a *act) frame(session string, from, to uint64) *call {
	return a.send(frameMsg(session, samples(from, to)))
}

// through is what the answer acknowledges; the test fails if it is none.
func (c *call) through(t fatal) uint64 {
	t.Helper()
	done, ok := c.msg.(*devicev1.FrameDone)
	if c.err != nil || !ok {
		t.Fatalf("answered %T %v, want FrameDone", c.msg, c.err)
		return 0
	}
	return done.ThroughSeq
}

// refusedWith fails unless the answer is this fault.
func (c *call) refusedWith(t fatal, code string) {
	t.Helper()
	if c.err == nil || !strings.HasPrefix(c.err.Error(), code+":") {
		t.Fatalf("answered %v, %v, want %s", c.msg, c.err, code)
	}
}

var key1 = persistence.SeriesKey{Device: "u1/d1", Stream: "s1", Subject: "u1"}

// stored reads the series as it is.
func (r *rig) stored(skips ...persistence.Span) persistence.SeriesRead {
	r.t.Helper()
	read, err := persistence.Over(r.rows).ReadSeries(context.Background(), persistence.SeriesQuery{Key: key1, From: 1, Skips: skips})
	if err != nil {
		r.t.Fatalf("read: %v", err)
	}
	return read
}

// put writes a row as another activation would have.
func (r *rig) put(b *sample.Batch) {
	r.t.Helper()
	if _, err := persistence.Over(r.rows).PutBlock(context.Background(), key1, b); err != nil {
		r.t.Fatalf("put: %v", err)
	}
}

// holds fails unless the series holds exactly what a truthful client has for 1..to.
func (r *rig) holds(to uint64) {
	r.t.Helper()
	next := uint64(1)
	for _, b := range r.stored().Batches {
		if b.FirstSeq != next {
			r.t.Fatalf("stored from %d, want %d", b.FirstSeq, next)
		}
		want := samples(b.FirstSeq, b.LastSeq())
		for i := range b.Len() {
			if !b.Same(i, want, i) {
				r.t.Fatalf("seq %d is not what was sent", b.FirstSeq+uint64(i))
			}
		}
		next = b.LastSeq() + 1
	}
	if next != to+1 {
		r.t.Fatalf("stored through %d, want %d", next-1, to)
	}
}

// isPut is true for writes of samples.
func isPut(op persistence.Op) bool {
	_, ok := op.(persistence.PutBlockOp)
	return ok
}
