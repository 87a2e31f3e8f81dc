package competitioncodec

import (
	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/unit"
)

// ResultToProto is the wire and stored form of a result. The gates of an input are those of its row, and stored once.
func ResultToProto(r competition.ResultPublished) *competitionv1.ResultPublished {
	return &competitionv1.ResultPublished{Version: r.Version, Status: competitionv1.ResultStatus(r.Status), RulesVersion: r.RulesVersion,
		Rows: rowsToProto(r.Rows), Input: inputsToProto(r.Inputs), JournalVersion: r.JournalVersion, Why: r.Why, AtMs: int64(r.At), Parts: r.Parts, Digest: r.Digest}
}

// ResultFromProto reads a result.
func ResultFromProto(m *competitionv1.ResultPublished) competition.ResultPublished {
	r := competition.ResultPublished{Version: m.GetVersion(), Status: competition.ResultStatus(clip(int32(m.GetStatus()))), RulesVersion: m.GetRulesVersion(),
		JournalVersion: m.GetJournalVersion(), Why: m.GetWhy(), At: unit.InstantMs(m.GetAtMs()), Parts: m.GetParts(), Digest: m.GetDigest()}
	r.Rows, r.Inputs = rowsFromProto(m.GetRows(), m.GetInput())
	return r
}

// PartToProto is the stored form of a part of a result.
func PartToProto(p competition.ResultPart) *competitionv1.ResultPart {
	return &competitionv1.ResultPart{Version: p.Version, Status: competitionv1.ResultStatus(p.Status), Part: p.Part,
		Rows: rowsToProto(p.Rows), Input: inputsToProto(p.Inputs), JournalVersion: p.JournalVersion, Why: p.Why, AtMs: int64(p.At)}
}

// PartFromProto reads a part of a result.
func PartFromProto(m *competitionv1.ResultPart) competition.ResultPart {
	p := competition.ResultPart{Version: m.GetVersion(), Status: competition.ResultStatus(clip(int32(m.GetStatus()))), Part: m.GetPart(),
		JournalVersion: m.GetJournalVersion(), Why: m.GetWhy(), At: unit.InstantMs(m.GetAtMs())}
	p.Rows, p.Inputs = rowsFromProto(m.GetRows(), m.GetInput())
	return p
}

func rowsToProto(rows []competition.Row) []*competitionv1.ResultRow {
	var out []*competitionv1.ResultRow
	for i := range rows {
		row := &rows[i]
		out = append(out, &competitionv1.ResultRow{
			Entry: row.Entry, Place: row.Place, Status: livev1.EntryStatus(row.Status), UnderReview: row.UnderReview,
			StartUs: int64(row.Start), FinishUs: int64(row.Finish), GunUs: int64(row.Gun), NetUs: int64(row.Net), PenaltyMs: int64(row.Penalty),
			Gates: GatesToProto(row.Gates), Heat: row.Heat, Category: row.Category, PlaceNet: row.PlaceNet, PlaceGun: row.PlaceGun, Disputed: row.Disputed,
		})
	}
	return out
}

func inputsToProto(inputs []competition.Input) []*competitionv1.EntryInput {
	var out []*competitionv1.EntryInput
	for i := range inputs {
		out = append(out, inputToProto(inputs[i], false))
	}
	return out
}

func rowsFromProto(rows []*competitionv1.ResultRow, inputs []*competitionv1.EntryInput) (out []competition.Row, ins []competition.Input) {
	gates := map[uint32][]competition.GateTime{}
	for _, row := range rows {
		gates[row.GetEntry()] = GatesFromProto(row.GetGates())
		out = append(out, competition.Row{
			Entry: row.GetEntry(), Place: row.GetPlace(), Status: leaderboard.Status(clip(int32(row.GetStatus()))), UnderReview: row.GetUnderReview(),
			Start: unit.InstantUs(row.GetStartUs()), Finish: unit.InstantUs(row.GetFinishUs()), Gun: unit.DurationUs(row.GetGunUs()), Net: unit.DurationUs(row.GetNetUs()),
			Penalty: unit.DurationMs(row.GetPenaltyMs()), Gates: gates[row.GetEntry()], Heat: row.GetHeat(), Category: row.GetCategory(),
			PlaceNet: row.GetPlaceNet(), PlaceGun: row.GetPlaceGun(), Disputed: row.GetDisputed(),
		})
	}
	for _, in := range inputs {
		i := inputFromProto(in)
		i.Gates = gates[i.Entry]
		ins = append(ins, i)
	}
	return out, ins
}
