package competitioncodec

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/track"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// StateFormat is the first byte of a stored state. Raise it with every change of what a state holds: a snapshot of
// another format is not read, the journal is.
const StateFormat = 3

// ErrState is a snapshot that this build does not read.
var ErrState = fault.New(fault.Internal, "competition.state_unknown", "A snapshot of a race is of a form that this program does not know.")

// EncodeState is the stored form of a state.
func EncodeState(s *competition.State) ([]byte, error) {
	m := &competitionv1.SavedState{
		Version: s.Version, Member: s.Member, Phase: uint32(s.Phase), Definition: DefinitionToProto(s.Definition), RulesVersion: s.RulesVersion,
		GunAtMs: int64(s.GunAt), CutoffAtMs: int64(s.CutoffAt), FeedVersion: s.FeedVersion, LockedCount: uint32(s.LockedCount),
		Settle: &competitionv1.SavedSettle{Number: s.Settle.Number, Final: s.Settle.Final, Why: s.Settle.Why, Open: s.Settle.Open, Begun: s.Settle.Begun},
	}
	if s.Result != nil {
		m.Result = ResultToProto(*s.Result)
	}
	if p := s.Publishing; p != nil {
		m.Publishing = &competitionv1.SavedPublication{Parts: p.Parts, Last: p.Last, Result: ResultToProto(competition.ResultPublished{
			Version: p.Version, Status: p.Status, Why: p.Why, At: p.At, JournalVersion: p.Base, Rows: p.Rows, Inputs: p.Inputs})}
	}
	for _, e := range s.Entries() {
		m.Entries = append(m.Entries, savedEntry(e))
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{StateFormat}, m)
}

func savedEntry(e *competition.Entry) *competitionv1.SavedEntry {
	return &competitionv1.SavedEntry{
		Added: &competitionv1.EntryAdded{Entry: e.Number, UserId: e.User, Category: e.Category, Heat: e.Heat, Wave: e.Wave, StartOffsetMs: int64(e.Offset)},
		Ready: e.Ready, Training: e.Training, PrimaryStreamId: e.Primary, BindingVersion: e.BindingVersion, Ran: livev1.EntryStatus(e.Ran),
		Gates: GatesToProto(e.Gates), Basis: track.CompetitionBasis(e.Basis), TrainingFinished: e.TrainingFinished, Withdrawn: e.Withdrawn,
		Ruling: livev1.EntryStatus(e.Ruling), Review: e.Review, Cleared: e.Cleared, PenaltyMs: int64(e.Penalty), Answered: e.Answered,
		Input: inputToProto(e.Input, true), Late: e.Late, LateChanges: e.LateChanges, LateBasis: track.CompetitionBasis(e.LateBasis),
	}
}

// DecodeState reads what EncodeState wrote.
func DecodeState(b []byte) (*competition.State, error) {
	if len(b) == 0 || b[0] != StateFormat {
		return nil, ErrState
	}
	var m competitionv1.SavedState
	if err := proto.Unmarshal(b[1:], &m); err != nil {
		return nil, ErrState.With("%v", err)
	}
	if m.Phase > 255 {
		return nil, ErrState.With("phase %d", m.Phase)
	}
	s := competition.New()
	s.Version, s.Member, s.Phase, s.Definition, s.RulesVersion = m.Version, m.Member, competition.Phase(m.Phase), DefinitionFromProto(m.Definition), m.RulesVersion
	s.GunAt, s.CutoffAt, s.FeedVersion, s.LockedCount = unit.InstantMs(m.GunAtMs), unit.InstantMs(m.CutoffAtMs), m.FeedVersion, int(m.LockedCount)
	s.Settle = competition.Settle{Number: m.Settle.GetNumber(), Final: m.Settle.GetFinal(), Why: m.Settle.GetWhy(), Open: m.Settle.GetOpen(), Begun: m.Settle.GetBegun()}
	if m.Result != nil {
		r := ResultFromProto(m.Result)
		s.Result = &r
	}
	if p := m.Publishing; p != nil {
		r := ResultFromProto(p.GetResult())
		s.Publishing = &competition.Publication{Version: r.Version, Status: r.Status, Why: r.Why, At: r.At, Base: r.JournalVersion,
			Parts: p.GetParts(), Last: p.GetLast(), Rows: r.Rows, Inputs: r.Inputs}
	}
	entries := make([]*competition.Entry, len(m.Entries))
	for i, e := range m.Entries {
		entries[i] = entryOf(e)
	}
	restored, err := competition.Restore(s, entries)
	if err != nil {
		return nil, ErrState.With("%v", err)
	}
	return restored, nil
}

func entryOf(m *competitionv1.SavedEntry) *competition.Entry {
	a := m.GetAdded()
	return &competition.Entry{
		Number: a.GetEntry(), User: a.GetUserId(), Category: a.GetCategory(), Heat: a.GetHeat(), Wave: a.GetWave(), Offset: unit.DurationMs(a.GetStartOffsetMs()),
		Ready: m.Ready, Training: m.Training, Primary: m.PrimaryStreamId, BindingVersion: m.BindingVersion, Ran: leaderboard.Status(clip(int32(m.Ran))),
		Gates: GatesFromProto(m.Gates), Basis: track.BasisFrom(m.Basis), TrainingFinished: m.TrainingFinished, Withdrawn: m.Withdrawn,
		Ruling: leaderboard.Status(clip(int32(m.Ruling))), Review: m.Review, Cleared: m.Cleared, Penalty: unit.DurationMs(m.PenaltyMs), Answered: m.Answered,
		Input: inputFromProto(m.Input), Late: m.Late, LateChanges: m.LateChanges, LateBasis: track.BasisFrom(m.LateBasis),
	}
}
