package competitioncodec

import (
	"paceline/actors/competition"
	"paceline/actors/leaderboard"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/track"
	"paceline/domain/unit"
)

// DefinitionToProto is the wire and stored form of a definition.
func DefinitionToProto(d competition.Definition) *competitionv1.Definition {
	return &competitionv1.Definition{
		OrganizationId: d.Organization, Name: d.Name, Track: track.ToProto(d.Track), Start: competitionv1.StartKind(d.Start),
		RankBy: competitionv1.RankBy(d.RankBy), Categories: d.Categories, Public: d.Public, ScheduledAtMs: int64(d.ScheduledAt),
		CutoffAfterMs: int64(d.CutoffAfter), GraceMs: int64(d.Grace), AutoOfficialAfterMs: int64(d.AutoOfficialAfter),
		Audiences: audiencesToProto(d.Audiences),
	}
}

func audiencesToProto(a competition.Audiences) *competitionv1.Audiences {
	if a == (competition.Audiences{}) {
		return nil // of a time before there were any
	}
	return &competitionv1.Audiences{Public: audienceToProto(a.Public), Entrant: audienceToProto(a.Entrant)}
}

func audienceToProto(a competition.Audience) *competitionv1.Audience {
	return &competitionv1.Audience{Columns: competitionv1.Columns(a.Columns), DelayMs: int64(a.Delay)}
}

func audienceFromProto(m *competitionv1.Audience) competition.Audience {
	return competition.Audience{Columns: competition.Columns(clip(int32(m.GetColumns()))), Delay: unit.DurationMs(m.GetDelayMs())}
}

// DefinitionFromProto reads a definition; nil is the empty one.
func DefinitionFromProto(m *competitionv1.Definition) competition.Definition {
	return competition.Definition{
		Organization: m.GetOrganizationId(), Name: m.GetName(), Track: track.FromProto(m.GetTrack()), Start: competition.StartKind(clip(int32(m.GetStart()))),
		RankBy: leaderboard.Base(clip(int32(m.GetRankBy()))), Categories: m.GetCategories(), Public: m.GetPublic(), ScheduledAt: unit.InstantMs(m.GetScheduledAtMs()),
		CutoffAfter: unit.DurationMs(m.GetCutoffAfterMs()), Grace: unit.DurationMs(m.GetGraceMs()), AutoOfficialAfter: unit.DurationMs(m.GetAutoOfficialAfterMs()),
		Audiences: competition.Audiences{Public: audienceFromProto(m.GetAudiences().GetPublic()), Entrant: audienceFromProto(m.GetAudiences().GetEntrant())},
	}
}

// clip keeps an unknown enum value unknown in a byte.
func clip(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// GatesToProto are gate times on the wire.
func GatesToProto(gates []competition.GateTime) []*competitionv1.GateTime {
	var out []*competitionv1.GateTime
	for _, g := range gates {
		out = append(out, &competitionv1.GateTime{Gate: g.Gate, AtUs: int64(g.At)})
	}
	return out
}

// GatesFromProto reads gate times.
func GatesFromProto(gates []*competitionv1.GateTime) []competition.GateTime {
	var out []competition.GateTime
	for _, g := range gates {
		out = append(out, competition.GateTime{Gate: g.GetGate(), At: unit.InstantUs(g.GetAtUs())})
	}
	return out
}

// StreamsFromProto reads the streams of an input.
func StreamsFromProto(streams []*competitionv1.InputStream) []competition.InputStream {
	var out []competition.InputStream
	for _, x := range streams {
		out = append(out, competition.InputStream{Device: x.GetDevice(), Stream: x.GetStreamId(), Through: x.GetThroughSeq(), FactsVersion: x.GetFactsVersion(), Digest: x.GetDigest()})
	}
	return out
}

// inputToProto leaves the gates out where they stand in a row.
func inputToProto(in competition.Input, gates bool) *competitionv1.EntryInput {
	m := &competitionv1.EntryInput{Entry: in.Entry, Training: in.Training, Recording: in.Recording, Unanswered: in.Unanswered,
		Flags: in.Flags, BindingVersion: in.BindingVersion}
	for _, x := range in.Streams {
		m.Streams = append(m.Streams, &competitionv1.InputStream{Device: x.Device, StreamId: x.Stream, ThroughSeq: x.Through, FactsVersion: x.FactsVersion, Digest: x.Digest})
	}
	if gates {
		m.Gates = GatesToProto(in.Gates)
	}
	return m
}

func inputFromProto(m *competitionv1.EntryInput) competition.Input {
	return competition.Input{Entry: m.GetEntry(), Training: m.GetTraining(), Streams: StreamsFromProto(m.GetStreams()), Recording: m.GetRecording(),
		Unanswered: m.GetUnanswered(), Gates: GatesFromProto(m.GetGates()), Flags: m.GetFlags(), BindingVersion: m.GetBindingVersion()}
}

// ReportFromProto reads what the rules need of a report; where somebody is on the course is the board's.
func ReportFromProto(m *competitionv1.Report) competition.Report {
	return competition.Report{Entry: m.GetEntry(), Training: m.GetTraining(), BindingVersion: m.GetBindingVersion(), Basis: track.BasisFrom(m.GetBasis()),
		Gates: GatesFromProto(m.GetGates()), Finished: m.GetFinished(), Flags: m.GetFlags()}
}

// FeedItem is the feed item of an event that was committed as a version at an instant; nil: it is no news. Shell and
// projector both make it here, so that history and live say the same.
func FeedItem(e competition.Event, version uint64, at unit.InstantMs) *livev1.FeedItem {
	item, ok := competition.FeedOf(e)
	if !ok {
		return nil
	}
	m := &livev1.FeedItem{Version: version, AtMs: int64(at), Kind: item.Kind, Entry: item.Entry, Gate: item.Gate, Text: item.Text}
	if item.At != 0 {
		m.AtMs = int64(item.At)
	}
	if item.GateAt != 0 {
		m.GateAtMs = int64(item.GateAt.CutMs())
	}
	return m
}
