package traininggrain

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"testing"

	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/actors/machine"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

const (
	nodeOrigin = unit.InstantMs(1_718_000_000_000) // node clock at wall 0
	wallOrigin = unit.InstantMs(600_000)
	deviceID   = "u1/watch"
)

var (
	grain   = id.Grain{Kind: id.Training, ID: "u1/w1"}
	theRace = id.Of(id.Competition, "c1")
)

type event struct {
	at unit.InstantMs
	n  int
	do func()
}
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

// rig is a training's shell on a virtual clock, with a store, its devices, its competition and a sweeper of
// wake-ups around it: all of them repeat what the protocol repeats.
type rig struct {
	t      testing.TB
	rows   *memory.Rows
	store  persistence.Store
	wall   unit.InstantMs
	agenda agenda
	n      int

	shell       *Shell
	gen         int // of the activation: what belongs to an older one is gone
	timers      map[string]unit.InstantMs
	steps       int
	crashAt     int // throw the activation away behind this step; 0: never
	activations int
	// What a crash leaves behind.
	writesArrive, cachesLost bool
	inShell                  bool // a write of the shell's own is being done

	splitEvery int // every so many messages goes to another activation, which lives on
	told       int
	other      *life
	drop       func(msg any) bool // messages on their way to the shell, or from it

	facts     uint64
	offered   uint64 // samples stored so far
	echoes    bool
	held      *competitionv1.Report
	reports   int
	attached  bool
	heard     func(m *devicev1.Attached) // nil: nobody
	targeted  func(m *devicev1.Target)
	answers   map[uint64]*competitionv1.SettleAnswer
	replies   map[string]error
	recorded  int
	floor     uint64
	shown     []*clusterv1.TopicUpdate
	stopped   []string
	recordLog [][32]byte
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, rows: memory.New(), wall: wallOrigin, echoes: true, answers: map[uint64]*competitionv1.SettleAnswer{},
		replies: map[string]error{}, drop: func(any) bool { return false }}
	r.store = persistence.Over(r.rows)
	r.every(30*unit.Second, r.sweep)
	r.journal(device.Registered{Owner: "u1", Name: "Watch"})
	return r
}

func (r *rig) now() step.Now {
	return step.Now{Wall: r.wall, Node: nodeOrigin + r.wall, WallOfNode: func(n unit.InstantMs) unit.InstantMs { return n - nodeOrigin }}
}

func (r *rig) at(at unit.InstantMs, do func()) {
	r.n++
	heap.Push(&r.agenda, event{max(at, r.wall), r.n, do})
}

func (r *rig) after(d unit.DurationMs, do func()) { r.at(r.wall.Add(d), do) }

// every repeats until do says that it is done.
func (r *rig) every(d unit.DurationMs, do func() bool) {
	var again func()
	again = func() {
		if !do() {
			r.after(d, again)
		}
	}
	r.after(0, again)
}

// until runs the world until the condition holds; it fails when an hour has passed.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	if !r.within(unit.Hour, holds) {
		r.t.Fatalf("never: %s (through %d, reports %d, stopped %v)", what, r.through(), r.reports, r.stopped)
	}
}

func (r *rig) within(d unit.DurationMs, holds func() bool) bool {
	end := r.wall.Add(d)
	for !holds() {
		if len(r.agenda) == 0 || r.agenda[0].at > end {
			r.wall = end
			return holds()
		}
		e := heap.Pop(&r.agenda).(event)
		r.wall = e.at
		e.do()
	}
	return true
}

func (r *rig) through() uint64 {
	if r.held == nil || len(r.held.Basis) == 0 {
		return 0
	}
	return r.held.Basis[0].FoldedThrough
}

// tell sends a message to the training, which is activated if it is not.
func (r *rig) tell(msg any, from step.Return) {
	if r.drop(msg) {
		return
	}
	r.after(1, func() {
		if r.told++; r.splitEvery > 0 && r.told%r.splitEvery == 0 {
			r.swap()
		}
		r.activate()
		r.step(msg, from)
	})
}

// life is what belongs to one activation.
type life struct {
	shell  *Shell
	gen    int
	timers map[string]unit.InstantMs
}

// swap makes the other activation the one that hears; both live on.
func (r *rig) swap() {
	now := &life{r.shell, r.gen, r.timers}
	if r.other == nil {
		r.other = &life{}
	}
	r.shell, r.gen, r.timers = r.other.shell, r.other.gen, r.other.timers
	r.other = now
}

// as runs do as the activation gen, wherever it is now; nothing if it is gone.
func (r *rig) as(gen int, do func()) {
	switch {
	case r.shell != nil && r.gen == gen:
		do()
	case r.other != nil && r.other.shell != nil && r.other.gen == gen:
		r.swap()
		do()
		r.swap()
	}
}

func (r *rig) activate() {
	if r.shell != nil {
		return
	}
	r.activations++
	r.gen = r.activations
	r.timers = map[string]unit.InstantMs{}
	n, gen := 0, r.gen
	r.shell = New(Config{Grain: grain, Activation: fmt.Sprintf("a%d", gen), Member: "m1", Random: func() uint64 { return 7 },
		NewID: func(step.Now) string { n++; return fmt.Sprintf("id-%d-%d", gen, n) }})
	r.step(machine.StartMsg{}, nil)
}

func (r *rig) step(msg any, from step.Return) {
	if r.shell == nil {
		return
	}
	r.steps++
	outs := r.shell.Step(r.now(), msg, from)
	if st := r.shell.machine.State(); st.Check() != nil {
		r.t.Fatalf("after %T: %v", msg, st.Check())
	}
	if r.steps == r.crashAt {
		for _, o := range outs {
			if do, ok := o.(persistence.Do); ok && r.writesArrive {
				_, _ = do.Op.Run(context.Background(), r.store, synced{}) // nobody hears what became of it
			}
		}
		r.crash()
		if r.cachesLost {
			r.rows.Drop(persistence.TableSnapshot)
		}
		return
	}
	for _, o := range outs {
		r.perform(o)
	}
}

func (r *rig) crash() {
	r.shell, r.gen = nil, -1
}

func (r *rig) perform(o step.Out) {
	gen, timers := r.gen, r.timers
	switch o := o.(type) {
	case persistence.Do:
		r.after(1, func() { // it arrives even if the activation dies meanwhile
			r.inShell = true
			result, err := o.Op.Run(context.Background(), r.store, synced{})
			r.inShell = false
			r.as(gen, func() { r.step(persistence.Done{Tag: o.Tag, Result: result, Err: err}, nil) })
		})
	case step.After:
		timers[o.Key] = o.At
		r.at(o.At, func() {
			if timers[o.Key] == o.At {
				delete(timers, o.Key)
				r.as(gen, func() { r.step(step.Tick{Key: o.Key}, nil) })
			}
		})
	case step.Reply:
		if o.To != nil {
			r.replies[o.To.(string)] = o.Err
			if o.Err == nil {
				r.replies[o.To.(string)+"/ok"] = nil
			}
		}
	case step.Send:
		r.grounded(o.Msg)
		if !r.drop(o.Msg) {
			r.after(1, func() { r.receive(o.Msg) })
		}
	case step.ToNode:
		r.shown = append(r.shown, o.Msg.(*clusterv1.TopicUpdate))
	case step.Stop:
		r.stopped = append(r.stopped, o.Why)
		r.crash()
	default:
		r.t.Fatalf("%T", o)
	}
}

// grounded: what leaves rests on the journal.
func (r *rig) grounded(msg any) {
	st := r.state()
	switch m := msg.(type) {
	case *competitionv1.Report:
		r.groundedReport(st, m)
	case *competitionv1.SettleAnswer:
		r.groundedReport(st, m.Report)
		if len(m.Recording) > 0 && (st.Recording == nil || st.Recording.Recording != [32]byte(m.Recording)) {
			r.t.Error("an answer names a recording that the journal does not have")
		}
	case *devicev1.Attached:
		if m.Refused == nil && len(st.Streams) == 0 {
			r.t.Error("a device is told of an attachment that the journal does not have")
		}
	case *devicev1.Recorded:
		if st.Recording == nil || st.Recording.Recording != [32]byte(m.Recording) {
			r.t.Error("a device is told of a recording that the journal does not have")
		}
	}
}

func (r *rig) groundedReport(st *training.State, m *competitionv1.Report) {
	if st.Bound == nil || st.Bound.Version < m.BindingVersion || m.Finished && st.Phase != training.PhaseOver {
		r.t.Errorf("reported binding %d, finished %v; the journal has %+v", m.BindingVersion, m.Finished, st.Phase)
	}
	if r.splitEvery > 0 {
		return // the other activation may have gone further
	}
	var got []training.Passage
	for _, g := range m.Gates {
		got = append(got, training.Passage{Gate: g.Gate, At: unit.InstantUs(g.AtUs)})
	}
	if !slices.Equal(got, st.Passages()) {
		r.t.Errorf("reported %v, the journal has %v", got, st.Passages())
	}
}

// synced is an event stream that has always synced.
type synced struct{}

func (synced) Publish(_ context.Context, _ id.Grain, records []persistence.Record) (uint64, error) {
	return records[len(records)-1].Version, nil
}

// sweep fires what is due, of the grain's shard.
func (r *rig) sweep() bool {
	shard := persistence.ShardOf(grain)
	for minute := int64(0); minute <= int64(r.wall)/60_000; minute++ {
		due, err := r.store.ReadWakeups(context.Background(), shard, minute)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, w := range due {
			if w.Due <= r.wall {
				r.tell(&clusterv1.Wake{Kind: string(w.Grain.Kind), Id: w.Grain.ID, DueMs: int64(w.Due), Reason: w.Reason, Activation: w.Activation}, nil)
			}
		}
	}
	return false
}

// journal appends to the device's journal, as its grain would, and says so by a hint.
func (r *rig) journal(e device.Event) {
	g := deviceGrain(deviceID)
	head, err := r.store.Head(context.Background(), g)
	if err != nil {
		r.t.Fatal(err)
	}
	kind, format, payload, err := devicecodec.Encode(e)
	if err != nil {
		r.t.Fatal(err)
	}
	ok, _, err := r.store.Append(context.Background(), persistence.Append{Grain: g, Expected: head.Version, AppendID: fmt.Sprint(head.Version),
		Records: []persistence.Record{{Version: head.Version + 1, Kind: kind, Format: format, Payload: payload}}})
	if err != nil || !ok {
		r.t.Fatal(ok, err)
	}
	if device.IsFact(e) {
		r.facts = head.Version + 1
	}
	if head.Version > 0 {
		r.tell(&trainingv1.Block{Device: deviceID, StreamId: "s1", FactsVersion: r.facts}, nil)
	}
}

// command asks until it is answered.
func (r *rig) command(name string, c *trainingv1.Command) {
	c.Call = &clusterv1.Call{CommandId: name, By: "athlete:u1"}
	r.every(unit.Second, func() bool {
		if _, ok := r.replies[name+"/ok"]; ok {
			return true
		}
		r.tell(c, name)
		return false
	})
}

func (r *rig) start() {
	r.command("start", &trainingv1.Command{Command: &trainingv1.Command_Start{Start: &trainingv1.Start{
		WorkoutId: "w1", Start: &livev1.StartWorkout{Sport: "run", Zone: "Europe/Berlin", DeviceTimeMs: int64(nodeOrigin + r.wall)}}}})
	r.journal(device.StreamOpened{Stream: "s1", Training: grain.ID, Person: "u1", WindowTo: 1 << 50, LimitsVersion: 1,
		Clock: sample.NTP, Channels: []device.ChannelSpec{{Channel: sample.HeartRateBpm, Trust: sample.Measured}, {Channel: sample.DistanceMm, Trust: sample.Measured}}})
	r.every(500, func() bool {
		if !r.attached {
			r.tell(&trainingv1.Attach{FactsVersion: r.facts, Stream: trainingcodec.StreamToProto(attachment())}, nil)
		}
		return r.attached
	})
}

func attachment() training.Stream {
	s := training.Stream{Key: training.StreamKey{Device: deviceID, Stream: "s1"}, Clock: sample.NTP}
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.DistanceMm} {
		s.Declared[c], s.Trust[c] = true, sample.Measured
	}
	return s
}

// bind binds until a report shows the binding.
func (r *rig) bind(version uint64, gun unit.InstantMs) {
	r.every(unit.Second, func() bool {
		if r.held != nil && r.held.BindingVersion >= version {
			return true
		}
		r.tell(&trainingv1.Bind{Bound: binding(version, gun)}, nil)
		return false
	})
}

func binding(version uint64, gun unit.InstantMs) *trainingv1.Bound {
	track := &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "run", Name: "1 km", DistanceMm: 1_000_000,
		Gates: []*competitionv1.Gate{{Id: "half", Kind: competitionv1.GateKind_GATE_KIND_SPLIT, AtMm: 290_000},
			{Id: "finish", Kind: competitionv1.GateKind_GATE_KIND_FINISH, AtMm: 1_000_000}}}
	b := &trainingv1.Bound{CompetitionId: theRace.ID, Entry: 7, BindingVersion: version, Track: track, RulesVersion: 1, GraceMs: 60_000}
	if gun != 0 {
		b.GunAtMs, b.CutoffAtMs = int64(gun), int64(gun.Add(unit.Hour))
	}
	return b
}

// run is one second of the runner's samples: uneven, so that a hole shows.
func runner(first uint64, n int, from unit.InstantMs) *sample.Batch {
	b := &sample.Batch{FirstSeq: first, AtMs: make([]unit.InstantMs, n)}
	b.Columns[sample.DistanceMm].Grow(n)
	b.Columns[sample.HeartRateBpm].Grow(n)
	for i := range n {
		seq := int64(first) + int64(i)
		b.AtMs[i] = from + unit.InstantMs(seq*1000)
		b.Columns[sample.DistanceMm].Set(i, seq*4000+(seq*seq*37)%2003+seq*seq*3)
		b.Columns[sample.HeartRateBpm].Set(i, 120+seq%40)
	}
	return b
}

// put stores samples as the device does, without a word to the training.
func (r *rig) put(first uint64, n int) *sample.Batch {
	b := runner(first, n, nodeOrigin+wallOrigin)
	if _, err := r.store.PutBlock(context.Background(), r.seriesKey(), b); err != nil {
		r.t.Fatal(err)
	}
	r.offered = max(r.offered, b.LastSeq())
	return b
}

func (r *rig) seriesKey() persistence.SeriesKey {
	return persistence.SeriesKey{Device: deviceID, Stream: "s1", Subject: "u1"}
}

func (r *rig) block(b *sample.Batch) *trainingv1.Block {
	return &trainingv1.Block{Device: deviceID, StreamId: "s1", FirstSeq: b.FirstSeq, LastSeq: b.LastSeq(), FactsVersion: r.facts,
		Samples: persistence.AppendBlock(nil, b)}
}

// stream stores samples and tells of them.
func (r *rig) stream(first uint64, n int) { r.tell(r.block(r.put(first, n)), nil) }

func (r *rig) finish(last uint64) {
	r.command("finish", &trainingv1.Command{Command: &trainingv1.Command_Finish{Finish: &livev1.FinishWorkout{
		DeviceTimeMs: int64(nodeOrigin + wallOrigin + unit.InstantMs(last)*1000), Streams: []*livev1.StreamEnd{{StreamId: "s1", LastSeq: last}}}}})
}

func (r *rig) settle(number uint64, final bool) {
	r.every(2*unit.Second, func() bool {
		if r.answers[number] != nil {
			return true
		}
		version := uint64(0)
		if r.held != nil {
			version = r.held.BindingVersion
		}
		r.tell(&trainingv1.Settle{CompetitionId: theRace.ID, Number: number, Final: final, BindingVersion: version}, nil)
		return false
	})
}

// receive is the competition and the device.
func (r *rig) receive(msg any) {
	switch m := msg.(type) {
	case *competitionv1.Report:
		r.reports++
		r.held = m
		if r.echoes {
			r.tell(&trainingv1.ReportEcho{CompetitionId: m.CompetitionId, Entry: m.Entry, Basis: trainingBasis(m.Basis), BindingVersion: m.BindingVersion}, nil)
		}
	case *competitionv1.SettleAnswer:
		r.answers[m.Number] = m
	case *devicev1.Attached:
		if m.Refused == nil {
			r.attached = true
		}
		if r.heard != nil {
			r.heard(m)
		}
	case *devicev1.Target:
		if r.targeted != nil {
			r.targeted(m)
		}
	case *devicev1.Recorded:
		r.record(m)
	default:
		r.t.Fatalf("%T", msg)
	}
}

func trainingBasis(in []*competitionv1.StreamBasis) []*trainingv1.StreamBasis {
	var out []*trainingv1.StreamBasis
	for _, b := range in {
		out = append(out, &trainingv1.StreamBasis{Device: b.Device, StreamId: b.StreamId, FoldedThrough: b.FoldedThrough, FactsVersion: b.FactsVersion})
	}
	return out
}

func (r *rig) record(m *devicev1.Recorded) {
	r.recorded++
	rec, ok, err := r.store.GetRecording(context.Background(), "u1", m.Training, [32]byte(m.Recording))
	if err != nil || !ok || rec.Streams[0].Through != m.ThroughSeq || rec.Streams[0].Digest != [32]byte(m.Digest) {
		r.t.Fatalf("recording: %v, %v", ok, err)
	}
	if m.ThroughSeq > r.floor {
		r.floor = m.ThroughSeq
		r.recordLog = append(r.recordLog, [32]byte(m.Digest))
		r.journal(device.StreamRecorded{Stream: "s1", Through: m.ThroughSeq, Digest: [32]byte(m.Digest), Recording: [32]byte(m.Recording)})
		if err := r.store.DeleteThrough(context.Background(), r.seriesKey(), m.ThroughSeq); err != nil {
			r.t.Fatal(err)
		}
	}
	r.tell(&trainingv1.RecordedEcho{Device: deviceID, StreamId: "s1", ThroughSeq: r.floor, Digest: m.Digest}, nil)
}

// state is what the training's journal says.
func (r *rig) state() *training.State {
	st := training.New()
	recs, _, err := r.store.ReadJournal(context.Background(), grain, 0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rec := range recs {
		e, err := trainingcodec.Decode(rec.Kind, rec.Format, rec.Payload)
		if err != nil {
			r.t.Fatal(err)
		}
		st.Apply(e)
	}
	return st
}
