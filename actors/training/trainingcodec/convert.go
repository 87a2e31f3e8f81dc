package trainingcodec

import (
	"fmt"

	"paceline/actors/training"
	livev1 "paceline/api/gen/paceline/live/v1"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// StartedToProto is the stored form, which messages carry too.
func StartedToProto(e training.Started) *trainingv1.Started {
	return &trainingv1.Started{WorkoutId: e.WorkoutID, Sport: e.Sport, Zone: e.Zone, UtcOffsetS: e.UTCOffsetS, DeviceTimeMs: int64(e.DeviceTime),
		Plan: planToProto(e.Plan)}
}

// StartedFromProto reads what StartedToProto writes.
func StartedFromProto(m *trainingv1.Started) training.Started {
	return training.Started{WorkoutID: m.GetWorkoutId(), Sport: m.GetSport(), Zone: m.GetZone(), UTCOffsetS: m.GetUtcOffsetS(),
		DeviceTime: unit.InstantMs(m.GetDeviceTimeMs()), Plan: PlanFromProto(m.GetPlan())}
}

func planToProto(plan []training.PlanStep) (out []*livev1.PlanStep) {
	for _, p := range plan {
		out = append(out, &livev1.PlanStep{ForS: p.ForS, PowerW: p.PowerW})
	}
	return out
}

// PlanFromProto reads a plan, of a stored event or as a client says it.
func PlanFromProto(plan []*livev1.PlanStep) (out []training.PlanStep) {
	for _, p := range plan {
		out = append(out, training.PlanStep{ForS: p.GetForS(), PowerW: p.GetPowerW()})
	}
	return out
}

// StreamToProto names channels in ascending order.
func StreamToProto(s training.Stream) *trainingv1.StreamAttached {
	m := &trainingv1.StreamAttached{Device: s.Key.Device, StreamId: s.Key.Stream, Clock: livev1.ClockKind(s.Clock)}
	for c, declared := range s.Declared {
		if declared {
			m.Channels = append(m.Channels, &livev1.ChannelSpec{Channel: livev1.Channel(c), Trust: livev1.Trust(s.Trust[c])})
		}
	}
	return m
}

// StreamFromProto refuses what does not fit the domain's own types, where it would become something else.
func StreamFromProto(m *trainingv1.StreamAttached) (training.Stream, error) {
	s := training.Stream{Key: training.StreamKey{Device: m.GetDevice(), Stream: m.GetStreamId()}}
	if m.GetClock() < 0 || m.GetClock() > 255 {
		return s, fmt.Errorf("clock kind %d", m.GetClock())
	}
	s.Clock = sample.ClockKind(m.GetClock())
	for _, c := range m.GetChannels() {
		if c.GetChannel() <= 0 || c.GetChannel() >= sample.Channels || c.GetTrust() < 0 || c.GetTrust() > 255 {
			return s, fmt.Errorf("channel %d, trust %d", c.GetChannel(), c.GetTrust())
		}
		s.Declared[c.GetChannel()], s.Trust[c.GetChannel()] = true, sample.Trust(c.GetTrust())
	}
	return s, nil
}

// BoundToProto is the stored form, which messages carry too.
func BoundToProto(e training.Bound) *trainingv1.Bound {
	return &trainingv1.Bound{CompetitionId: e.Competition, Entry: e.Entry, BindingVersion: e.Version, PrimaryStreamId: e.Primary,
		Track: track.ToProto(e.Track), GunAtMs: int64(e.Gun), RulesVersion: e.Rules, CutoffAtMs: int64(e.Cutoff), GraceMs: int64(e.Grace)}
}

// BoundFromProto reads what BoundToProto writes.
func BoundFromProto(m *trainingv1.Bound) training.Bound {
	return training.Bound{Competition: m.GetCompetitionId(), Entry: m.GetEntry(), Version: m.GetBindingVersion(),
		Primary: m.GetPrimaryStreamId(), Track: track.FromProto(m.GetTrack()), Gun: unit.InstantMs(m.GetGunAtMs()),
		Rules: m.GetRulesVersion(), Cutoff: unit.InstantMs(m.GetCutoffAtMs()), Grace: unit.DurationMs(m.GetGraceMs())}
}

// EndsToProto keeps the order.
func EndsToProto(in []training.StreamEnd) []*livev1.StreamEnd {
	out := make([]*livev1.StreamEnd, len(in))
	for i, e := range in {
		out[i] = &livev1.StreamEnd{StreamId: e.Stream, LastSeq: e.LastSeq}
	}
	return out
}

// EndsFromProto keeps the order; none is nil.
func EndsFromProto(in []*livev1.StreamEnd) []training.StreamEnd {
	var out []training.StreamEnd
	for _, e := range in {
		out = append(out, training.StreamEnd{Stream: e.GetStreamId(), LastSeq: e.GetLastSeq()})
	}
	return out
}

// TotalsToProto is the stored form, which messages carry too.
func TotalsToProto(t training.Totals) *trainingv1.Totals {
	return &trainingv1.Totals{ElapsedMs: int64(t.ElapsedMs), DistanceMm: int64(t.DistanceMm), AscentMm: int64(t.AscentMm),
		WorkJ: t.WorkJ, HeartRateMeanBpm: t.HeartBpm, PowerMeanW: t.PowerW, Samples: t.Samples}
}

// TotalsFromProto reads what TotalsToProto writes.
func TotalsFromProto(m *trainingv1.Totals) training.Totals {
	return training.Totals{ElapsedMs: unit.DurationMs(m.GetElapsedMs()), DistanceMm: unit.DistanceMm(m.GetDistanceMm()),
		AscentMm: unit.DistanceMm(m.GetAscentMm()), WorkJ: m.GetWorkJ(), HeartBpm: m.GetHeartRateMeanBpm(),
		PowerW: m.GetPowerMeanW(), Samples: m.GetSamples()}
}
