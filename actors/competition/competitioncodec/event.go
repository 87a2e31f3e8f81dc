package competitioncodec

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/track"
	"paceline/domain/unit"
)

func toProto(e competition.Event) (uint32, proto.Message, error) {
	switch e := e.(type) {
	case competition.Opened:
		return KindOpened, &competitionv1.Opened{Member: e.Member}, nil
	case competition.Created:
		return KindCreated, &competitionv1.Created{Definition: DefinitionToProto(e.Definition)}, nil
	case competition.EntryAdded:
		return KindEntryAdded, &competitionv1.EntryAdded{Entry: e.Entry, UserId: e.User, Category: e.Category, Heat: e.Heat,
			Wave: e.Wave, StartOffsetMs: int64(e.Offset)}, nil
	case competition.EntryWithdrawn:
		return KindEntryWithdrawn, &competitionv1.EntryWithdrawn{Entry: e.Entry, Reason: e.Reason}, nil
	case competition.EntryReady:
		return KindEntryReady, &competitionv1.EntryReady{Entry: e.Entry}, nil
	case competition.StartListLocked:
		return KindStartListLocked, &competitionv1.StartListLocked{RulesVersion: e.RulesVersion}, nil
	case competition.EntryBound:
		return KindEntryBound, &competitionv1.EntryBound{Entry: e.Entry, Training: e.Training, PrimaryStreamId: e.Primary}, nil
	case competition.RaceStarted:
		return KindRaceStarted, &competitionv1.RaceStarted{GunAtMs: int64(e.GunAt), CutoffAtMs: int64(e.CutoffAt)}, nil
	case competition.GateTaken:
		return KindGateTaken, &competitionv1.GateTaken{Entry: e.Entry, Gate: e.Gate, AtUs: int64(e.At)}, nil
	case competition.GateRevised:
		return KindGateRevised, &competitionv1.GateRevised{Entry: e.Entry, Gate: e.Gate, FromUs: int64(e.From), ToUs: int64(e.To), None: e.None, Why: e.Why}, nil
	case competition.ReportNoted:
		return KindReportNoted, &competitionv1.ReportNoted{Entry: e.Entry, Basis: track.CompetitionBasis(e.Basis), Finished: e.Finished}, nil
	}
	return rulingToProto(e)
}

func rulingToProto(e competition.Event) (uint32, proto.Message, error) {
	switch e := e.(type) {
	case competition.StatusChanged:
		return KindStatusChanged, &competitionv1.StatusChanged{Entry: e.Entry, Status: livev1.EntryStatus(e.Status), Reason: e.Reason}, nil
	case competition.ReviewChanged:
		return KindReviewChanged, &competitionv1.ReviewChanged{Entry: e.Entry, UnderReview: e.Review, Reason: e.Reason}, nil
	case competition.PenaltyAdded:
		return KindPenaltyAdded, &competitionv1.PenaltyAdded{Entry: e.Entry, PenaltyMs: int64(e.Penalty), Reason: e.Reason}, nil
	case competition.Decided:
		return KindDecided, &competitionv1.Decided{Entry: e.Entry, Decision: e.Decision, Reason: e.Reason}, nil
	case competition.SettleBegun:
		return KindSettleBegun, &competitionv1.SettleBegun{Number: e.Number, Final: e.Final, Why: e.Why}, nil
	case competition.SettleAnswered:
		return KindSettleAnswered, &competitionv1.SettleAnswered{Number: e.Number, Input: inputToProto(e.Input, true)}, nil
	case competition.LateInput:
		return KindLateInput, &competitionv1.LateInput{Entry: e.Entry, StreamId: e.Stream, Basis: track.CompetitionBasis(e.Basis), ChangesResult: e.ChangesResult}, nil
	case competition.ResultPublished:
		return KindResultPublished, ResultToProto(e), nil
	case competition.ResultPart:
		return KindResultPart, PartToProto(e), nil
	case competition.Cancelled:
		return KindCancelled, &competitionv1.Cancelled{Reason: e.Reason}, nil
	case competition.Fenced:
		return KindFenced, &competitionv1.Fenced{}, nil
	}
	return 0, nil, ErrKind.With("%T", e)
}

func fromProto(m proto.Message) (competition.Event, error) {
	switch m := m.(type) {
	case *competitionv1.Opened:
		return competition.Opened{Member: m.Member}, nil
	case *competitionv1.Created:
		return competition.Created{Definition: DefinitionFromProto(m.Definition)}, nil
	case *competitionv1.EntryAdded:
		return competition.EntryAdded{Entry: m.Entry, User: m.UserId, Category: m.Category, Heat: m.Heat, Wave: m.Wave,
			Offset: unit.DurationMs(m.StartOffsetMs)}, nil
	case *competitionv1.EntryWithdrawn:
		return competition.EntryWithdrawn{Entry: m.Entry, Reason: m.Reason}, nil
	case *competitionv1.EntryReady:
		return competition.EntryReady{Entry: m.Entry}, nil
	case *competitionv1.StartListLocked:
		return competition.StartListLocked{RulesVersion: m.RulesVersion}, nil
	case *competitionv1.EntryBound:
		return competition.EntryBound{Entry: m.Entry, Training: m.Training, Primary: m.PrimaryStreamId}, nil
	case *competitionv1.RaceStarted:
		return competition.RaceStarted{GunAt: unit.InstantMs(m.GunAtMs), CutoffAt: unit.InstantMs(m.CutoffAtMs)}, nil
	case *competitionv1.GateTaken:
		return competition.GateTaken{Entry: m.Entry, Gate: m.Gate, At: unit.InstantUs(m.AtUs)}, nil
	case *competitionv1.GateRevised:
		return competition.GateRevised{Entry: m.Entry, Gate: m.Gate, From: unit.InstantUs(m.FromUs), To: unit.InstantUs(m.ToUs), None: m.None, Why: m.Why}, nil
	case *competitionv1.ReportNoted:
		return competition.ReportNoted{Entry: m.Entry, Basis: track.BasisFrom(m.Basis), Finished: m.Finished}, nil
	}
	return rulingFromProto(m)
}

func rulingFromProto(m proto.Message) (competition.Event, error) {
	switch m := m.(type) {
	case *competitionv1.StatusChanged:
		return competition.StatusChanged{Entry: m.Entry, Status: leaderboard.Status(clip(int32(m.Status))), Reason: m.Reason}, nil
	case *competitionv1.ReviewChanged:
		return competition.ReviewChanged{Entry: m.Entry, Review: m.UnderReview, Reason: m.Reason}, nil
	case *competitionv1.PenaltyAdded:
		return competition.PenaltyAdded{Entry: m.Entry, Penalty: unit.DurationMs(m.PenaltyMs), Reason: m.Reason}, nil
	case *competitionv1.Decided:
		return competition.Decided{Entry: m.Entry, Decision: m.Decision, Reason: m.Reason}, nil
	case *competitionv1.SettleBegun:
		return competition.SettleBegun{Number: m.Number, Final: m.Final, Why: m.Why}, nil
	case *competitionv1.SettleAnswered:
		return competition.SettleAnswered{Number: m.Number, Input: inputFromProto(m.Input)}, nil
	case *competitionv1.LateInput:
		return competition.LateInput{Entry: m.Entry, Stream: m.StreamId, Basis: track.BasisFrom(m.Basis), ChangesResult: m.ChangesResult}, nil
	case *competitionv1.ResultPublished:
		return ResultFromProto(m), nil
	case *competitionv1.ResultPart:
		return PartFromProto(m), nil
	case *competitionv1.Cancelled:
		return competition.Cancelled{Reason: m.Reason}, nil
	case *competitionv1.Fenced:
		return competition.Fenced{}, nil
	}
	return nil, ErrKind.With("%T", m)
}
