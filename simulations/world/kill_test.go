package world

import (
	"maps"
	"slices"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/actors/training"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/device/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// killTable is architecture 5a's table, a row each; several ways to one row are several scenes.
var killTable = map[string]scene{
	"before the append/samples": {script: func(w *World, s *script) {
		s.out("block not written", w.victim().streams[0].grain(), is[persistence.PutBlockOp], dies).after(4)
	}},
	"before the append/device": {script: func(w *World, s *script) {
		s.out("open not journalled", w.victim().streams[0].grain(), appends[device.StreamOpened], dies)
	}},
	"before the append/training": {script: func(w *World, s *script) {
		s.out("gate not journalled", w.victim().grain(), appends[training.Passed], dies)
	}},
	"before the append/competition": {script: func(w *World, s *script) {
		s.out("start not journalled", w.raceGrain(), appends[competition.RaceStarted], dies)
		s.out("result not journalled", w.raceGrain(), appends[competition.ResultPublished], dies)
	}},
	"after append, before ack": {script: func(w *World, s *script) {
		s.out("block without an ack", w.victim().streams[0].grain(), is[persistence.PutBlockOp], goesThenDies).after(4)
	}},
	"after append, before ack/the ack is lost": {script: func(w *World, s *script) {
		s.out("ack lost", w.victim().streams[0].grain(), frameDone, lost).after(3)
	}},
	"after append, before ack/journals": {script: func(w *World, s *script) {
		r := w.victim()
		s.out("opened, not told", r.streams[0].grain(), appends[device.StreamOpened], goesThenDies)
		s.out("bound, not told", r.grain(), appends[training.Bound], goesThenDies)
		s.out("entered, not told", w.raceGrain(), appends[competition.EntryAdded], goesThenDies)
		s.out("started, not told", w.raceGrain(), appends[competition.RaceStarted], goesThenDies)
	}},
	"after ack, before training got it": {script: func(w *World, s *script) {
		r := w.victim()
		last := lastBlock(r)
		s.in("last block never seen", r.grain(), where(func(m *trainingv1.Block) bool { return m.LastSeq == last }), dies)
		s.in("and its copies", r.grain(), where(func(m *trainingv1.Block) bool { return m.LastSeq == last }), lost).always()
		w.deserted(r)
	}},
	"folded, not reported": {script: func(w *World, s *script) {
		r := w.victim()
		s.out("finish not reported", r.grain(), w.reportsFinish(), dies)
		w.deserted(r)
	}},
	"folded, not reported/the report is lost": {needs: []step.Rule{step.RuleReportUntilEcho}, script: func(w *World, s *script) {
		r := w.victim()
		reports, end := w.reportsFinish(), unit.InstantMs(r.streams[0].atMs[lastBlock(r)-1])
		s.out("finish lost", r.grain(), func(m any) bool { return reports(m) && w.now().Node < end.Add(5*unit.Second) }, lost).always()
		w.deserted(r)
	}},
	"report there, gate append in flight/not written": {script: func(w *World, s *script) {
		s.out("gate not written", w.raceGrain(), appends[competition.GateTaken], dies)
		w.deserted(w.victim())
	}},
	"report there, gate append in flight/written": {script: func(w *World, s *script) {
		s.out("gate written", w.raceGrain(), appends[competition.GateTaken], goesThenDies)
		w.deserted(w.victim())
	}},
	"report there, gate append in flight/written late": {script: func(w *World, s *script) {
		s.out("gate written late", w.raceGrain(), appends[competition.GateTaken], then((*activation).kill, appliesLate(700)))
		w.deserted(w.victim())
	}},
	"report there, gate append in flight/echoed in time": {needs: []step.Rule{step.RuleEchoAfterJournal}, script: func(w *World, s *script) {
		s.out("gate under way", w.raceGrain(), appends[competition.GateTaken], held(3*unit.Second)).always()
	}},
	"wake-up written, append not": {script: func(w *World, s *script) {
		r := w.victim()
		s.out("start of the workout", r.grain(), appends[training.Started], dies)
		s.out("registration", r.streams[0].grain(), appends[device.Registered], dies)
		s.out("creation", w.raceGrain(), appends[competition.Created], dies)
	}},
	"wake-up written, append not/nobody comes again": {script: func(w *World, s *script) {
		stray := w.stray()
		s.out("registration", stray, appends[device.Registered], dies)
	}},
	"appended, effects or publication not done": {script: func(w *World, s *script) {
		s.out("registered, not published", w.stray(), is[persistence.PublishOp], dies)
		s.out("gate taken, not published", w.raceGrain(), publishes[competition.GateTaken], dies)
	}},
	"published, cursor not moved": {script: func(w *World, s *script) {
		s.out("published", w.stray(), is[persistence.PutCursorOp], dies)
		s.out("published too", w.victim().grain(), is[persistence.PutCursorOp], dies).after(2)
		s.out("published as well", w.raceGrain(), is[persistence.PutCursorOp], dies).after(6)
	}},
	"start timer due, node dead": {needs: []step.Rule{step.RuleGunAnnounced}, script: func(w *World, s *script) {
		w.at(w.plan.gun.Add(-unit.Second), func() {
			w.crash(w.owner(w.raceGrain()))
			w.place(w.raceGrain(), nil)
		})
		w.at(w.plan.gun.Add(15*unit.Second), func() { w.placed = nil })
	}},
	"competition's node": {script: func(w *World, s *script) {
		w.openGates()
		w.watch("viewer 0", w.gates[0])
		w.watch("viewer 1", w.gates[1])
		w.at(w.plan.gun.Add(20*unit.Second), func() {
			w.count("struck: race's node dead")
			w.crash(w.owner(w.raceGrain()))
		})
	}},
	"event stream loses its tail": {needs: []step.Rule{step.RuleCursorAfterSync}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("taken, never synced", stray, is[persistence.PublishOp], lost)
		w.in(2*unit.Second, func() { w.killAll(stray) })
	}},
}

// frameDone matches the answer to a frame.
func frameDone(what any) bool {
	r, ok := what.(step.Reply)
	return ok && is[*devicev1.FrameDone](r.Msg)
}

// publishes matches a publication that holds an event of type E.
func publishes[E any](what any) bool {
	op, ok := what.(persistence.PublishOp)
	if !ok {
		return false
	}
	for _, r := range op.Records {
		if _, ok := decode(op.Grain.Kind, r).(E); ok {
			return true
		}
	}
	return false
}

// victim is the rider to whom things happen.
func (w *World) victim() *rider { return &w.plan.riders[0] }

func lastBlock(r *rider) uint64 { return uint64(len(r.streams[0].atMs)) }

// reportsFinish matches the victim's reports that tell of the finish.
func (w *World) reportsFinish() func(any) bool {
	finish := uint32(len(w.plan.definition.Track.Gates) - 1)
	return where(func(r *competitionv1.Report) bool {
		for _, g := range r.Gates {
			if g.Gate == finish {
				return true
			}
		}
		return false
	})
}

// deserted: the client goes away with its last ack and never finishes the workout. The race must know of the finish
// long before the cut-off, where the settle would find it.
func (w *World) deserted(r *rider) { w.desertedFor(r, 2*unit.Minute) }

func (w *World) desertedFor(r *rider, within unit.DurationMs) {
	w.restFor = 8 * unit.Hour // a workout that nobody finishes is over after six
	w.onFinish = func(f *rider) bool {
		if f != r {
			return false
		}
		w.mustKnow(r, within)
		return true
	}
}

// at does f at an instant of the node clock.
func (w *World) at(t unit.InstantMs, f func()) { w.in(t.Sub(w.node(w.wall)), f) }

// stray registers a device that has nothing to do with the race, once, and nobody asks again.
func (w *World) stray() id.Grain {
	g := w.victim().streams[0].grain()
	g.ID = g.Affinity() + "/" + id.New(originMs, random10(w.clock.rand))
	w.plan.others = append(w.plan.others, g)
	w.ask(g, &devicev1.Register{Call: w.call("operator:world"), Device: &devicev1.Registered{Owner: g.Affinity(), Name: "stray",
		OrganizationId: id.DefaultOrganization}}, func(any, error) {})
	return g
}

func TestKillTable(t *testing.T) {
	for _, table := range []map[string]scene{killTable, lateTable} {
		for _, name := range slices.Sorted(maps.Keys(table)) {
			t.Run(name, func(t *testing.T) { table[name].playAll(t, name) })
		}
	}
}
