package competitiongrain

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// announced is an effect of the rules with the instant of its command, which events do not carry.
type announced struct {
	effect competition.Effect
	at     unit.InstantMs
}

// ready begins with what the journal says; what it does not say comes from the checkpoint and from the trainings.
func (sh *Shell) ready(now step.Now) []step.Out {
	sh.shown = sh.m.State().Clone()
	for _, e := range sh.shown.Entries() {
		sh.addLine(e, now)
	}
	running := sh.shown.Phase == competition.PhaseCountdown || sh.shown.Phase == competition.PhaseRunning
	for _, l := range sh.board.lines {
		if running && l.entry.Training != "" && !l.entry.TrainingFinished && !step.RuleNewEpochAsks.Off() {
			l.asked = true
			sh.asking++
		}
	}
	if sh.asking > 0 {
		sh.askAt = now.Wall
	}
	sh.bindAt = now.Wall
	if sh.shown.Settle.Open {
		sh.settleAt, sh.settleLimitAt = now.Wall, now.Wall.Add(sh.cfg.SettleLimit)
	}
	if sh.shown.Phase == competition.PhaseProvisional {
		sh.provisionalSince = now.Wall
	}
	if !sh.shown.Started() {
		return nil
	}
	return []step.Out{sh.loadBoard()}
}

func (sh *Shell) loadBoard() step.Out {
	sh.loads++
	return persistence.Do{Tag: tagLoadBoard, Op: persistence.LoadOp{Grain: sh.cfg.Grain, Name: checkpointName}}
}

// due: a timer or a wake-up. drive looks at what is to be done; here a race that only waits for its officials asks to
// be woken less often.
func (sh *Shell) due(now step.Now, _ string) []step.Out {
	s := sh.m.State()
	if s.Phase == competition.PhaseProvisional && !s.Settle.Open && s.Publishing == nil && s.Definition.AutoOfficialAfter < 0 {
		return sh.m.Postpone(now, now.Wall.Add(sh.cfg.WaitForOfficial))
	}
	return nil
}

// committed takes over one event into what is shown, and lets follow what follows.
func (sh *Shell) committed(now step.Now, ev competition.Event, version uint64, effects []machine.Effect) []step.Out {
	var outs []step.Out
	feedBase := sh.shown.FeedVersion
	if b, ok := ev.(competition.EntryBound); ok {
		outs = append(outs, sh.released(b)...)
	}
	wasLive := !sh.journalled()
	sh.shown.Apply(ev)
	if e := sh.shown.Entry(competition.EntryOf(ev)); e != nil {
		if sh.board.line(e.Number) == nil {
			sh.addLine(e, now)
		}
		sh.touch(sh.board.line(e.Number))
	}
	switch ev.(type) {
	case competition.Opened:
		sh.opened = true
		sh.board.freshen()
	case competition.RaceStarted, competition.ResultPublished:
		sh.touchAll()
	case competition.Cancelled:
		sh.touchAll()
		outs = append(outs, sh.unbindAll()...)
	}
	sh.turn(wasLive, version)
	sh.schedule(now, ev)
	for _, f := range effects {
		if f, ok := f.(announced); ok {
			outs = append(outs, sh.feed(now, ev, version, feedBase, f.at)...)
		}
	}
	return outs
}

// schedule sets the clocks that an event starts.
func (sh *Shell) schedule(now step.Now, ev competition.Event) {
	switch ev := ev.(type) {
	case competition.EntryBound, competition.RaceStarted:
		sh.bindAt = now.Wall
	case competition.SettleBegun:
		sh.settleAt, sh.settleLimitAt = now.Wall, now.Wall.Add(sh.cfg.SettleLimit)
		sh.stopAsking()
	case competition.ResultPublished:
		sh.settleAt, sh.settleLimitAt, sh.provisionalSince = 0, 0, 0
		if ev.Status == competition.ResultProvisional {
			sh.provisionalSince = now.Wall
		}
	case competition.Cancelled:
		sh.settleAt, sh.settleLimitAt, sh.provisionalSince, sh.bindAt = 0, 0, 0, 0
		sh.stopAsking()
	}
}

// feed tells the interested nodes; who comes later reads the journal's view.
func (sh *Shell) feed(now step.Now, ev competition.Event, version, base uint64, at unit.InstantMs) []step.Out {
	sh.forgetInterests(now)
	nodes := sh.board.feeds
	item := competitioncodec.FeedItem(ev, version, at)
	if len(nodes) == 0 || item == nil {
		return nil
	}
	content, err := proto.Marshal(item)
	if err != nil {
		return nil // a message of numbers and short texts; the journal's view has it
	}
	var outs []step.Out
	for _, n := range nodes {
		outs = append(outs, step.ToNode{Node: n.node, Msg: &clusterv1.TopicUpdate{Topic: sh.topic(topicFeed), Epoch: 1, Version: version, Base: base, Content: content}})
	}
	return outs
}

// training names the grain of an entry's training.
func training(name string) id.Grain { return id.Grain{Kind: id.Training, ID: name} }

// bind tells trainings of their binding until a report shows that they know it.
func (sh *Shell) bind(now step.Now) []step.Out {
	if sh.bindAt == 0 || now.Wall < sh.bindAt {
		return nil
	}
	sh.bindAt = 0
	var outs []step.Out
	for _, l := range sh.board.lines {
		if !sh.unconfirmed(l) {
			continue
		}
		sh.bindAt = now.Wall.Add(sh.cfg.BindEvery)
		if l.often(&l.binds) && (l.binds == 1 || !step.RuleBindUntilEcho.Off()) {
			outs = append(outs, sh.bindOne(l))
		}
	}
	return outs
}

// unconfirmed reports whether a training must still be told of its binding.
func (sh *Shell) unconfirmed(l *line) bool {
	s := sh.shown
	return l.entry.Training != "" && l.confirmed < l.entry.BindingVersion && (s.Phase <= competition.PhaseProvisional || s.Settle.Open)
}

func (sh *Shell) bindOne(l *line) step.Out {
	s, e := sh.shown, l.entry
	if sh.board.track == nil {
		sh.board.track = track.ToProto(s.Definition.Track)
	}
	return step.Send{To: training(e.Training), Msg: &trainingv1.Bind{Bound: &trainingv1.Bound{
		CompetitionId: sh.cfg.Grain.ID, Entry: e.Number, BindingVersion: e.BindingVersion, PrimaryStreamId: e.Primary, Track: sh.board.track,
		GunAtMs: int64(s.GunOf(e)), RulesVersion: s.RulesVersion, CutoffAtMs: int64(s.CutoffAt), GraceMs: int64(s.Definition.Grace),
	}}}
}

// released tells the training that an entry had before that it is free.
func (sh *Shell) released(b competition.EntryBound) []step.Out {
	l := sh.board.line(b.Entry)
	if l == nil {
		return nil
	}
	old := l.entry.Training
	l.forget()
	if old == "" || old == b.Training {
		return nil
	}
	return []step.Out{sh.unbind(old, b.Entry)}
}

func (sh *Shell) unbind(old string, entry uint32) step.Out {
	return step.Send{To: training(old), Msg: &trainingv1.Bind{Unbind: true, Bound: &trainingv1.Bound{
		CompetitionId: sh.cfg.Grain.ID, Entry: entry, BindingVersion: sh.shown.Version + 1,
	}}}
}

func (sh *Shell) unbindAll() []step.Out {
	var outs []step.Out
	for _, l := range sh.board.lines {
		if l.entry.Training != "" {
			outs = append(outs, sh.unbind(l.entry.Training, l.entry.Number))
		}
	}
	return outs
}

// ask asks every bound training that has not reported to this epoch.
func (sh *Shell) ask(now step.Now) []step.Out {
	if sh.askAt == 0 || now.Wall < sh.askAt {
		return nil
	}
	sh.askAt = 0
	epoch, _ := sh.epoch()
	var outs []step.Out
	for _, l := range sh.board.lines {
		if !l.asked {
			continue
		}
		sh.askAt = now.Wall.Add(sh.cfg.AskEvery)
		if l.often(&l.asks) {
			outs = append(outs, sh.request(l, epoch))
		}
	}
	return outs
}

func (sh *Shell) request(l *line, epoch uint64) step.Out {
	return step.Send{To: training(l.entry.Training), Msg: &trainingv1.ReportRequest{
		CompetitionId: sh.cfg.Grain.ID, Epoch: epoch, Basis: track.TrainingBasis(l.held),
	}}
}

func (sh *Shell) stopAsking() {
	sh.askAt, sh.asking = 0, 0
	for _, l := range sh.board.lines {
		l.asked = false
	}
}

// settle asks for what is still missing, and goes on without it when the limit is over.
func (sh *Shell) settle(now step.Now) []step.Out {
	s := sh.shown
	if !s.Settle.Open {
		return nil
	}
	if now.Wall >= sh.settleLimitAt && sh.settleLimitAt != 0 && !step.RuleSettleGivesUp.Off() {
		sh.settleAt, sh.settleLimitAt = now.Wall.Add(sh.cfg.SettleEvery), now.Wall.Add(sh.cfg.SettleEvery) // unless it is too busy
		var outs []step.Out
		for before := uint64(0); before != sh.m.Version(); { // each takes some of them
			before = sh.m.Version()
			outs = append(outs, sh.m.Submit(now, competition.GiveUpSettle{Meta: sh.meta(now), Number: s.Settle.Number}, nil)...)
		}
		return append(outs, sh.proceed(now)...)
	}
	if sh.settleAt == 0 || now.Wall < sh.settleAt {
		return nil
	}
	sh.settleAt = now.Wall.Add(sh.cfg.SettleEvery)
	if step.RuleSettleUntilAnswered.Off() {
		sh.settleAt = 0
	}
	var outs []step.Out
	for _, l := range sh.board.lines {
		if s.Awaited(l.entry) {
			outs = append(outs, step.Send{To: training(l.entry.Training), Msg: &trainingv1.Settle{
				CompetitionId: sh.cfg.Grain.ID, Number: s.Settle.Number, Final: s.Settle.Final, BindingVersion: l.entry.BindingVersion,
			}})
		}
	}
	return outs
}
