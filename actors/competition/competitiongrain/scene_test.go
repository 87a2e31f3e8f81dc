package competitiongrain

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

const began unit.InstantMs = 1_700_000_000_000

// scene is a store and a clock for activations of one race, and the trainings of its athletes.
type scene struct {
	t         testing.TB
	rows      *memory.Rows
	store     persistence.Store
	wall      unit.InstantMs
	stale     unit.InstantMs // since when the node says that its store does not keep up
	grain     id.Grain
	lives     int
	rand      *rand.Rand
	trainings map[string]*fakeTraining
	silent    bool // trainings do not answer by themselves
	unchecked bool // too large to check at every step
	cfg       Config
}

func newScene(t testing.TB) *scene {
	rows := memory.New()
	cfg := Default()
	cfg.SettleDelay = 0
	return &scene{t: t, rows: rows, store: persistence.Over(rows), wall: began, grain: id.Of(id.Competition, "race"),
		rand: rand.New(rand.NewPCG(1, 2)), trainings: map[string]*fakeTraining{}, cfg: cfg}
}

func (s *scene) Publish(_ context.Context, _ id.Grain, r []persistence.Record) (uint64, error) {
	return r[len(r)-1].Version, nil
}

func (s *scene) now() step.Now {
	return step.Now{Wall: s.wall, Node: s.wall, StaleSince: s.stale, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
}

// life is one activation and what it asked for.
type life struct {
	s       *scene
	sh      *Shell
	ops     []persistence.Do
	sent    []step.Send // not yet delivered
	log     []step.Send // all
	nodes   []step.ToNode
	replies map[string]step.Reply
	timers  map[string]unit.InstantMs
	stopped string
	asked   int
}

func (s *scene) live() *life {
	s.lives++
	name := fmt.Sprintf("act%d", s.lives)
	ids := 0
	cfg := s.cfg
	cfg.Grain, cfg.Activation, cfg.Member, cfg.Random = s.grain, name, "node-"+name, s.rand.Uint64
	cfg.NewID = func(step.Now) string { ids++; return fmt.Sprintf("%s-%d", name, ids) }
	l := &life{s: s, sh: New(cfg), replies: map[string]step.Reply{}, timers: map[string]unit.InstantMs{}}
	l.step(machine.StartMsg{}, nil)
	return l
}

func (l *life) step(msg any, from step.Return) {
	if l.stopped != "" {
		return
	}
	for _, o := range l.sh.Step(l.s.now(), msg, from) {
		switch o := o.(type) {
		case persistence.Do:
			l.ops = append(l.ops, o)
		case step.Send:
			l.sent, l.log = append(l.sent, o), append(l.log, o)
		case step.ToNode:
			l.nodes = append(l.nodes, o)
		case step.Reply:
			l.replies[o.To.(string)] = o
		case step.After:
			l.timers[o.Key] = o.At
		case step.Stop:
			l.stopped = o.Why
		}
	}
	if l.sh.shown != nil && !l.s.unchecked {
		if err := l.sh.shown.Check(); err != nil {
			l.s.t.Fatalf("shown: %v", err)
		}
		if err := l.sh.m.State().Check(); err != nil {
			l.s.t.Fatalf("state: %v", err)
		}
	}
}

// ask sends a request and returns its answer once everything is stored.
func (l *life) ask(msg any) step.Reply {
	l.s.t.Helper()
	l.asked++
	who := fmt.Sprintf("asker-%d", l.asked)
	l.step(msg, who)
	for i := 0; i < 40; i++ {
		l.store()
		if r, ok := l.replies[who]; ok {
			return r
		}
		l.pass(50)
	}
	l.s.t.Fatalf("no answer to %T %v", msg, msg)
	return step.Reply{}
}

// do runs a command that must be accepted.
func (l *life) do(c *competitionv1.Command) *competitionv1.CommandDone {
	l.s.t.Helper()
	r := l.ask(c)
	if r.Err != nil {
		l.s.t.Fatalf("%v refused: %v", c, r.Err)
	}
	return r.Msg.(*competitionv1.CommandDone)
}

func (l *life) state() *competitionv1.State {
	l.s.t.Helper()
	r := l.ask(&competitionv1.Get{})
	if r.Err != nil {
		l.s.t.Fatalf("Get refused: %v", r.Err)
	}
	return r.Msg.(*competitionv1.State)
}

func (l *life) perform(d persistence.Do) {
	r, err := d.Op.Run(context.Background(), l.s.store, l.s)
	l.step(persistence.Done{Tag: d.Tag, Result: r, Err: err}, nil)
}

// store performs everything that is asked for until nothing is.
func (l *life) store() {
	for len(l.ops) > 0 && l.stopped == "" {
		d := l.ops[0]
		l.ops = l.ops[1:]
		l.perform(d)
	}
}

// deliver hands the sent messages to the trainings.
func (l *life) deliver() {
	sent := l.sent
	l.sent = nil
	if l.s.silent {
		return
	}
	for _, m := range sent {
		if f := l.s.trainings[m.To.ID]; f != nil {
			for _, back := range f.hear(m.Msg) {
				l.step(back, nil)
			}
		}
	}
}

// rest lets store and trainings work until nothing moves.
func (l *life) rest() {
	for i := 0; i < 200 && (len(l.ops) > 0 || len(l.sent) > 0); i++ {
		l.store()
		l.deliver()
	}
}

// pass moves the clock and fires what became due, in order.
func (l *life) pass(d unit.DurationMs) {
	l.rest()
	end := l.s.wall.Add(d)
	for {
		keys := slices.SortedFunc(maps.Keys(l.timers), func(x, y string) int {
			return cmp.Or(cmp.Compare(l.timers[x], l.timers[y]), cmp.Compare(x, y))
		})
		if len(keys) == 0 || l.timers[keys[0]] > end {
			break
		}
		l.s.wall = max(l.s.wall, l.timers[keys[0]])
		delete(l.timers, keys[0])
		l.step(step.Tick{Key: keys[0]}, nil)
		l.store()
		l.deliver()
		l.store()
	}
	l.s.wall = end
}

// sentOf are the messages of one type sent so far.
func sentOf[T any](l *life) []T {
	var all []T
	for _, m := range l.log {
		if one, ok := m.Msg.(T); ok {
			all = append(all, one)
		}
	}
	return all
}

// fakeTraining answers as a training does.
type fakeTraining struct {
	name, device string
	entry        uint32
	binding      uint64
	through      uint64
	facts        uint64
	gates        []competition.GateTime
	flags        []string
	finished     bool
	progress     unit.DistanceMm
	at           unit.InstantMs
	echoed       uint64 // folded_through of the last echo
	mute         bool
	freshGates   func(f *fakeTraining) // what a settle's read finds
}

func (f *fakeTraining) report() *competitionv1.Report {
	return &competitionv1.Report{CompetitionId: "race", Entry: f.entry, Training: f.name, BindingVersion: f.binding, RulesVersion: 1,
		Basis: []*competitionv1.StreamBasis{{Device: f.device, StreamId: "s", FoldedThrough: f.through, FactsVersion: f.facts}},
		Gates: competitioncodec.GatesToProto(f.gates), Finished: f.finished, Flags: f.flags, ProgressMm: int64(f.progress), ProgressAtMs: int64(f.at)}
}

func (f *fakeTraining) hear(msg any) []any {
	if f.mute {
		return nil
	}
	switch msg := msg.(type) {
	case *trainingv1.Bind:
		if msg.Unbind {
			return nil
		}
		f.entry, f.binding = msg.Bound.Entry, max(f.binding, msg.Bound.BindingVersion)
		return []any{f.report()}
	case *trainingv1.ReportRequest:
		return []any{f.report()}
	case *trainingv1.ReportEcho:
		f.echoed = track.BasisFrom(msg.Basis).Stream(f.device, "s").FoldedThrough
	case *trainingv1.Settle:
		if f.freshGates != nil {
			f.freshGates(f)
		}
		a := &competitionv1.SettleAnswer{CompetitionId: "race", Number: msg.Number, Report: f.report(),
			Streams: []*competitionv1.InputStream{{Device: f.device, StreamId: "s", ThroughSeq: f.through, FactsVersion: f.facts, Digest: make([]byte, 32)}}}
		if msg.Final {
			a.Recording = make([]byte, 32)
		}
		return []any{a}
	}
	return nil
}

// say is a report after moving on: a gate is (number, seconds after the gun).
func (f *fakeTraining) say(gun unit.InstantMs, progressM int64, gates ...int64) *competitionv1.Report {
	f.through++
	f.progress = unit.DistanceMm(progressM * 1000)
	for i := 0; i+1 < len(gates); i += 2 {
		f.gates = append(f.gates, competition.GateTime{Gate: uint32(gates[i]), At: gun.Add(unit.DurationMs(gates[i+1]) * 1000).Us()})
		f.at = gun.Add(unit.DurationMs(gates[i+1]) * 1000)
	}
	return f.report()
}

// definition is a distance race of 5 km with a gate in the middle: gate 0 is the split, gate 1 the finish.
func definition() competition.Definition {
	return competition.Definition{Name: "Test", RankBy: leaderboard.Gun, Public: true, CutoffAfter: unit.Hour, Grace: unit.Minute, AutoOfficialAfter: -1,
		Track: course.Track{Format: course.Distance, Sport: "run", DistanceMm: 5_000_000, Gates: []geo.Gate{
			{ID: "half", Kind: geo.SplitGate, AtMm: 2_500_000}, {ID: "finish", Kind: geo.FinishGate, AtMm: 5_000_000},
		}}}
}

func cmd(by string, c *competitionv1.Command) *competitionv1.Command {
	c.Call = &clusterv1.Call{By: by}
	return c
}

const operator = "operator:op"

func create(d competition.Definition) *competitionv1.Command {
	return cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Create{Create: competitioncodec.DefinitionToProto(d)}})
}

func startAt(gun unit.InstantMs) *competitionv1.Command {
	return cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(gun)}}})
}

// prepare creates a race with n bound athletes and locks it: entry i is user ui with training ui/w.
func (s *scene) prepare(l *life, d competition.Definition, n int) {
	s.t.Helper()
	l.do(create(d))
	for i := 1; i <= n; i++ {
		user := fmt.Sprintf("u%d", i)
		l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{UserId: user}}}))
	}
	l.do(cmd(operator, &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}}))
	for i := 1; i <= n; i++ {
		user := fmt.Sprintf("u%d", i)
		f := &fakeTraining{name: user + "/w", device: user + "/d"}
		s.trainings[f.name] = f
		l.do(cmd("athlete:"+user, &competitionv1.Command{Command: &competitionv1.Command_Join{Join: &competitionv1.Join{UserId: user, Training: f.name}}}))
	}
	l.rest()
}

// race prepares and starts: the gun is 10 s ahead, and then passes.
func (s *scene) race(l *life, d competition.Definition, n int) (gun unit.InstantMs) {
	s.t.Helper()
	s.prepare(l, d, n)
	gun = s.wall.Add(10_000)
	l.do(startAt(gun))
	l.rest()
	l.pass(10_000)
	l.rest()
	return gun
}

func (s *scene) training(n int) *fakeTraining { return s.trainings[fmt.Sprintf("u%d/w", n)] }

// rows are the newest result in short: "entry:place/status!review".
func short(r *competitionv1.ResultPublished) string {
	out := fmt.Sprintf("v%d %s", r.GetVersion(), competitionv1.ResultStatus_name[int32(r.GetStatus())][len("RESULT_STATUS_"):])
	for _, row := range r.GetRows() {
		out += fmt.Sprintf(" %d:%d/%s", row.Entry, row.Place, leaderboard.Status(row.Status))
		if row.UnderReview {
			out += "!"
		}
		if row.Disputed {
			out += "?"
		}
	}
	return out
}

// Kinds that tests count.
const (
	kindGate = competitioncodec.KindGateTaken
	kindLate = competitioncodec.KindLateInput
)

// events counts the journal's events of a kind.
func (s *scene) events(kind uint32) (n int) {
	for _, r := range s.journal() {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

func (s *scene) journal() []persistence.Record {
	records, _, err := s.store.ReadJournal(context.Background(), s.grain, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

func (s *scene) wakeups() []persistence.Wakeup {
	var all []persistence.Wakeup
	for minute := int64(s.wall)/60000 - 30; minute < int64(s.wall)/60000+90; minute++ {
		rows, err := s.store.ReadWakeups(context.Background(), persistence.ShardOf(s.grain), minute)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, rows...)
	}
	return all
}

func tick(key string) step.Tick { return step.Tick{Key: key} }

// contentOf is what an update carries.
func contentOf(o step.Out) []byte {
	if n, ok := o.(step.ToNode); ok {
		return n.Msg.(*clusterv1.TopicUpdate).GetContent()
	}
	return nil
}
