package competitiongrain

import (
	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// command hands a person's command to the rules.
func (sh *Shell) command(now step.Now, msg *competitionv1.Command, from step.Return) []step.Out {
	meta := step.Meta{At: now.Node, By: msg.GetCall().GetBy(), CommandID: msg.GetCall().GetCommandId(), Trace: msg.GetCall().GetTrace()}
	c := sh.commandOf(now, meta, msg)
	if c == nil {
		if from == nil {
			return nil
		}
		return []step.Out{step.Reply{To: from, Err: ErrMessage.With("a command without content")}}
	}
	return sh.m.Submit(now, c, from)
}

func (sh *Shell) commandOf(now step.Now, meta step.Meta, msg *competitionv1.Command) competition.Command {
	switch c := msg.GetCommand().(type) {
	case *competitionv1.Command_Create:
		return competition.Create{Meta: meta, Definition: competitioncodec.DefinitionFromProto(c.Create)}
	case *competitionv1.Command_AddEntry:
		return competition.AddEntry{Meta: meta, Number: c.AddEntry.GetEntry(), User: c.AddEntry.GetUserId(), Category: c.AddEntry.GetCategory(),
			Heat: c.AddEntry.GetHeat(), Wave: c.AddEntry.GetWave(), Offset: unit.DurationMs(c.AddEntry.GetStartOffsetMs()),
			InOne: sh.cfg.Parts != nil && !sh.cfg.Parts()}
	case *competitionv1.Command_Withdraw:
		return competition.Withdraw{Meta: meta, Number: c.Withdraw.GetEntry(), Reason: c.Withdraw.GetReason()}
	case *competitionv1.Command_Leave:
		return competition.Leave{Meta: meta, User: c.Leave.GetUserId()}
	case *competitionv1.Command_Lock:
		return competition.Lock{Meta: meta}
	case *competitionv1.Command_Join:
		return competition.Join{Meta: meta, User: c.Join.GetUserId(), Training: c.Join.GetTraining(), Primary: c.Join.GetPrimaryStreamId()}
	case *competitionv1.Command_Ready:
		return competition.Ready{Meta: meta, User: c.Ready.GetUserId()}
	case *competitionv1.Command_Start:
		return competition.Start{Meta: meta, GunAt: unit.InstantMs(c.Start.GetGunAtMs())}
	case *competitionv1.Command_Decide:
		return competition.Rule{Meta: meta, Number: c.Decide.GetEntry(), Decision: c.Decide.GetDecision(), Reason: c.Decide.GetReason()}
	case *competitionv1.Command_Penalty:
		return competition.Penalize{Meta: meta, Number: c.Penalty.GetEntry(), Penalty: unit.DurationMs(c.Penalty.GetPenaltyMs()), Reason: c.Penalty.GetReason()}
	case *competitionv1.Command_Provisional:
		return competition.PublishProvisional{Meta: meta, PartBytes: sh.cfg.PartBytes}
	case *competitionv1.Command_Official:
		return competition.MakeOfficial{Meta: meta, FinalAllowed: sh.finalAllowed(now)}
	case *competitionv1.Command_Correct:
		return competition.Correct{Meta: meta, Reason: c.Correct.GetReason()}
	case *competitionv1.Command_Cancel:
		return competition.Cancel{Meta: meta, Reason: c.Cancel.GetReason()}
	}
	return nil
}

func answer(a competition.Answer) *competitionv1.CommandDone {
	return &competitionv1.CommandDone{Version: a.Version, Entry: a.Entry, GunAtMs: int64(a.GunAt)}
}

// maxEntriesTold bounds one answer: a large field is asked for page by page.
const maxEntriesTold = 1000

// stateMessage is what Get is answered with.
func (sh *Shell) stateMessage(s *competition.State, version uint64, now step.Now, get *competitionv1.Get) (any, error) {
	if s.Phase == competition.PhaseNone {
		return nil, competition.ErrNotFound
	}
	m := &competitionv1.State{
		Id: sh.cfg.Grain.ID, Definition: competitioncodec.DefinitionToProto(s.Definition), State: livev1.RaceState(s.PhaseAt(now.Node)),
		GunAtMs: int64(s.GunAt), CutoffAtMs: int64(s.CutoffAt), Version: version, RulesVersion: s.RulesVersion,
		EntryCount: uint32(len(s.Entries())),
	}
	entries := s.EntriesAfter(get.GetAfterEntry())
	if user := get.GetUserId(); user != "" {
		entries = nil
		if e := s.EntryOfUser(user); e != nil {
			entries = append(entries, e)
		}
	}
	for _, e := range entries {
		if m.MoreEntries = len(m.Entries) == maxEntriesTold; m.MoreEntries {
			break
		}
		m.Entries = append(m.Entries, &competitionv1.EntryState{
			Entry: e.Number, UserId: e.User, Category: e.Category, Heat: e.Heat, Wave: e.Wave, StartOffsetMs: int64(e.Offset), Training: e.Training,
			Status: livev1.EntryStatus(e.Status()), UnderReview: e.UnderReview(), ReviewReason: first(e.Review), Ready: e.Ready,
		})
	}
	if s.Result != nil {
		r := *s.Result
		if r.Parts > 0 {
			r.Rows, r.Inputs = nil, nil // the views have them by pages
		}
		m.Result = competitioncodec.ResultToProto(r)
	}
	return m, nil
}

func first(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0]
}
