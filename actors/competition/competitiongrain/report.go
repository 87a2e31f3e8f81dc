package competitiongrain

import (
	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/basis"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// echo says to a training that everything in its report is in the journal, once that is so.
type echo struct {
	needs   uint64 // version through which the journal must reach
	entry   uint32
	to      string
	basis   basis.Basis
	binding uint64
}

// report takes what a training says of its race. Whatever is not taken here comes again: the training repeats news until
// it is echoed.
func (sh *Shell) report(now step.Now, msg *competitionv1.Report) []step.Out {
	if !sh.m.Ready() || sh.shown == nil {
		return nil
	}
	if msg.GetBindingVersion() > sh.m.Version() {
		return sh.overtaken(now)
	}
	l := sh.board.line(msg.GetEntry())
	if l == nil || l.entry.Training != msg.GetTraining() || sh.shown.Phase == competition.PhaseCancelled {
		return sh.notOurs(msg)
	}
	if msg.GetBindingVersion() < l.entry.BindingVersion {
		if !sh.open() || !sh.unconfirmed(l) {
			return nil
		}
		return []step.Out{sh.bindOne(l)}
	}
	r := competitioncodec.ReportFromProto(msg)
	if basis.Older(r.Basis, l.held) && !step.RuleOlderReportDropped.Off() {
		if !sh.open() {
			return nil
		}
		epoch, _ := sh.epoch()
		return []step.Out{sh.request(l, epoch)}
	}
	sh.heard(now, l, r.Basis, msg)
	c := competition.TakeReport{Meta: step.Meta{At: now.Node, By: "grain:" + training(r.Training).String()}, Report: r}
	return sh.takeAndEcho(now, c, r)
}

// takeAndEcho journals what is new and echoes it then; with nothing new it echoes when all that the state contains is
// committed. What could not be accepted is not echoed.
func (sh *Shell) takeAndEcho(now step.Now, c competition.TakeReport, r competition.Report) []step.Out {
	events, err := competition.Decide(sh.m.State(), c)
	if err != nil {
		return nil
	}
	var outs []step.Out
	if len(events) > 0 {
		before := sh.m.Version()
		outs = sh.m.Submit(now, c, nil)
		if sh.m.Version() == before {
			return outs // too busy; the training repeats it
		}
	}
	sh.queueEcho(echo{needs: sh.m.Version(), entry: r.Entry, to: r.Training, basis: r.Basis, binding: r.BindingVersion})
	return outs
}

// queueEcho keeps the newest echo of each entry.
func (sh *Shell) queueEcho(e echo) {
	l := sh.board.line(e.entry)
	if l == nil {
		return
	}
	if l.echo.needs == 0 {
		sh.echoes = append(sh.echoes, l)
	}
	l.echo = e
}

func (sh *Shell) flushEchoes() []step.Out {
	if len(sh.echoes) == 0 {
		return nil
	}
	var outs []step.Out
	committed := sh.m.Committed()
	kept := sh.echoes[:0]
	for _, l := range sh.echoes {
		e := l.echo
		if e.needs > committed && !step.RuleEchoAfterJournal.Off() {
			kept = append(kept, l)
			continue
		}
		l.echo = echo{}
		outs = append(outs, step.Send{To: training(e.to), Msg: &trainingv1.ReportEcho{
			CompetitionId: sh.cfg.Grain.ID, Entry: e.entry, Basis: track.TrainingBasis(e.basis), BindingVersion: e.binding,
		}})
	}
	sh.echoes = kept
	return outs
}

// notOurs frees a training that believes to be in this race.
func (sh *Shell) notOurs(msg *competitionv1.Report) []step.Out {
	if !sh.open() || id.CheckScoped(msg.GetTraining()) != nil {
		return nil
	}
	return []step.Out{sh.unbind(msg.GetTraining(), msg.GetEntry())}
}

// answered takes a settle's answer. It is asked for again until it is journalled.
func (sh *Shell) answered(now step.Now, msg *competitionv1.SettleAnswer) []step.Out {
	if !sh.m.Ready() || sh.shown == nil {
		return nil
	}
	if msg.GetNumber() > sh.m.State().Settle.Number {
		return sh.overtaken(now)
	}
	l := sh.board.line(msg.GetReport().GetEntry())
	if l == nil || l.entry.Training != msg.GetReport().GetTraining() || msg.GetNumber() != sh.shown.Settle.Number || !sh.shown.Awaited(l.entry) {
		return nil
	}
	if msg.GetReport().GetBindingVersion() < l.entry.BindingVersion {
		if !sh.open() || !sh.unconfirmed(l) {
			return nil
		}
		return []step.Out{sh.bindOne(l)}
	}
	r := competitioncodec.ReportFromProto(msg.GetReport())
	sh.heard(now, l, r.Basis, msg.GetReport())
	before := sh.m.Version()
	outs := sh.m.Submit(now, competition.TakeAnswer{
		Meta:   step.Meta{At: now.Node, By: "grain:" + training(r.Training).String()},
		Number: msg.GetNumber(), Report: r, Streams: competitioncodec.StreamsFromProto(msg.GetStreams()), Recording: msg.GetRecording(),
	}, nil)
	if sh.m.Version() != before {
		sh.queueEcho(echo{needs: sh.m.Version(), entry: r.Entry, to: r.Training, basis: r.Basis, binding: r.BindingVersion})
	}
	return outs
}

// overtaken: a message knows of an event that this activation does not. Another one has written it; an append tells, and
// ends this one, which would otherwise stand in the way for as long as messages reach it.
func (sh *Shell) overtaken(now step.Now) []step.Out {
	if sh.suspected {
		return nil
	}
	sh.suspected = true
	return sh.m.Submit(now, competition.Fence{Meta: sh.meta(now)}, nil)
}

// heard notes what is not journalled: where somebody is, and that it has spoken.
func (sh *Shell) heard(now step.Now, l *line, b basis.Basis, msg *competitionv1.Report) {
	l.held, l.confirmed = b, max(l.confirmed, msg.GetBindingVersion())
	l.heardWall, l.heardNode, l.spoke, l.binds, l.asks = now.Wall, now.Node, true, 0, 0
	if l.asked {
		l.asked = false
		sh.asking--
		if sh.asking == 0 {
			sh.board.freshRecovering = true // the mark goes away with the next update
		}
	}
	if sh.journalled() {
		return
	}
	l.progress, l.progressAt = unit.DistanceMm(msg.GetProgressMm()), unit.InstantMs(msg.GetProgressAtMs())
	l.lat, l.lon, l.offCourse = msg.GetLatE7(), msg.GetLonE7(), msg.GetOffCourse()
	if l.progressAt != 0 {
		l.curve.Add(markOf(l))
	}
	sh.boardDirty = true
	sh.touch(l)
}
