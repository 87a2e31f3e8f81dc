package world

import (
	"testing"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/actors/training"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/device/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// moreRules is further schedules that show one rule each: bindings, settles, ends, wake-ups.
var moreRules = map[string]scene{
	"a state long gone refuses": {needs: []step.Rule{step.RuleRefusalLooks}, script: func(w *World, s *script) {
		s.out("created", w.raceGrain(), publishes[competition.Created], func(*activation, any, func()) bool {
			_, other := w.home(w.raceGrain())
			w.tell(other, w.raceGrain(), &competitionv1.Get{}, func(any, error) {})
			return false
		})
		s.out("locked", w.raceGrain(), publishes[competition.StartListLocked], func(*activation, any, func()) bool {
			_, other := w.home(w.raceGrain())
			w.place(w.raceGrain(), other)
			return false
		})
	}},
	"a binding is not heard": {needs: []step.Rule{step.RuleBindUntilEcho}, script: func(w *World, s *script) {
		s.in("bind lost", w.victim().grain(), is[*trainingv1.Bind], lost).left = 2
	}},
	"a settle's answer is lost": {needs: []step.Rule{step.RuleSettleUntilAnswered}, script: func(w *World, s *script) {
		s.out("answer lost", w.victim().grain(), is[*competitionv1.SettleAnswer], lost).left = 2
	}},
	"a settle that one does not answer": {needs: []step.Rule{step.RuleSettleGivesUp}, other: true, script: func(w *World, s *script) {
		w.noOracle = true
		r := w.victim()
		s.out("settle", w.raceGrain(), appends[competition.SettleBegun], then(func(*activation) {
			w.killAll(r.grain())
			w.place(r.grain(), nil)
		}, passes)).always()
		s.out("official", w.raceGrain(), publishes[competition.ResultPublished], then(func(a *activation) { w.placed = nil }, passes)).always()
	}, after: func(t testing.TB, w *World, _ string) {
		if e := w.entry(w.victim()); !e.UnderReview() || !e.Input.Unanswered {
			t.Errorf("the entry that did not answer: %+v", e)
		}
	}},
	"acknowledged late, while activations may overlap": {needs: []step.Rule{step.RuleSettleDelay}, settle: true, script: func(w *World, s *script) {
		r := w.victim()
		w.sourceKeeps(r, len(r.streams[0].atMs)/2)
		s.out("provisional", w.raceGrain(), appends[competition.ResultPublished], then(func(*activation) {
			w.in(30*unit.Second, func() { w.release(r) })
		}, passes))
	}},
	"somebody never comes": {needs: []step.Rule{step.RuleCutoffEnds}, script: func(w *World, s *script) {
		r := w.victim()
		w.restFor = 8 * unit.Hour
		w.onFinish = func(f *rider) bool { return f == r }
	}},
	"the finish comes before the samples": {needs: []step.Rule{step.RuleFinishWaits}, script: func(w *World, s *script) {
		r := w.victim()
		w.sourceKeeps(r, len(r.streams[0].atMs)/2)
		late := w.onFinish
		w.onFinish = func(f *rider) bool {
			w.at(unit.InstantMs(r.streams[0].atMs[lastBlock(r)-1]).Add(2*unit.Second), func() {
				w.try(r.grain(), &trainingv1.Command{Call: w.call("athlete:" + r.user), Command: &trainingv1.Command_Finish{
					Finish: &livev1.FinishWorkout{DeviceTimeMs: int64(w.now().Node), Streams: []*livev1.StreamEnd{
						{StreamId: r.streams[0].id, LastSeq: lastBlock(r)}}}}}, w.must("finish", nil))
				w.in(15*unit.Second, func() { w.release(r) })
			})
			return f == r
		}
		_ = late
	}},
	"what is found again": {needs: []step.Rule{step.RuleFactsKeyed}, script: func(w *World, s *script) {
		w.in(90*unit.Second, func() { w.killAll(w.victim().grain()) })
	}, after: func(t testing.TB, w *World, _ string) {
		passed := map[uint32]int{}
		for _, r := range w.journal(w.victim().grain()) {
			if p, ok := decode(w.victim().grain().Kind, r).(training.Passed); ok {
				if passed[p.Gate]++; passed[p.Gate] > 1 {
					t.Errorf("gate %d is passed again at version %d", p.Gate, r.Version)
				}
			}
		}
	}},
	"a row's write takes a quarter of an hour": {needs: []step.Rule{step.RuleRowMargin}, plan: marks(20), script: func(w *World, s *script) {
		w.onMark = func(c *source) bool { w.in(16*unit.Minute, c.pump); return true } // the race goes on for so long
		stray := w.stray()
		s.out("row", stray, is[persistence.PutWakeupOp], func(a *activation, what any, forth func()) bool {
			w.in(15*unit.Minute, forth)
			row := content(what).(persistence.PutWakeupOp).Wakeup // lies in a minute that nobody reads any more, and harms nobody
			w.in(18*unit.Minute, func() { w.apply(persistence.DeleteWakeupOp{Wakeup: row}) })
			return true
		})
		s.out("not published", stray, is[persistence.PublishOp], dies)
	}},
	"the first wake-ups are lost": {needs: []step.Rule{step.RuleFiresAgain}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("not published", stray, is[persistence.PublishOp], then(func(*activation) { w.place(stray, nil) }, dies))
		w.in(50*unit.Second, func() { w.placed = nil })
	}},
	"both nodes die long after a row was due": {needs: []step.Rule{step.RuleLowWaterLags}, script: func(w *World, s *script) {
		stray := w.stray()
		s.out("not published", stray, is[persistence.PublishOp], then(func(*activation) { w.place(stray, nil) }, dies))
		w.restFor = unit.Hour
		w.in(25*unit.Minute, func() {
			for _, n := range w.nodes {
				w.crash(n)
			}
		})
		w.in(26*unit.Minute, func() { w.placed = nil })
	}},
	"a skip that says too much": {needs: []step.Rule{step.RuleSkipTrimmed}, plan: func(p *plan) {
		loses(20, 24)(p)
		marks(20)(p)
	}, script: func(w *World, s *script) {
		w.onMark = func(c *source) bool {
			w.in(15*unit.Second, func() {
				w.ask(c.grain(), &devicev1.SkipSeqs{Call: w.call("device:" + c.s.device), Session: c.session, Skip: &livev1.Skip{
					StreamId: c.s.id, FromSeq: 12, ToSeq: 24, Reason: "lost"}}, func(any, error) { c.pump() })
			})
			return true
		}
		s.out("skip", w.victim().streams[0].grain(), appends[device.Skipped], passes)
	}},
}
