package trainingcodec

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/training"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// StateFormat is the first byte of a stored state. Raise it with every change of what a state holds: a snapshot of
// another format is not read, the journal is.
const StateFormat = 2

// ErrState is a snapshot that this build does not read.
var ErrState = fault.New(fault.Internal, "training.state_unknown", "A snapshot of a workout is of a form that this program does not know.")

// EncodeState is the stored form of a state.
func EncodeState(s *training.State) ([]byte, error) {
	m := &trainingv1.SavedState{Phase: uint32(s.Phase), Started: StartedToProto(s.Started), Basis: track.TrainingBasis(s.Basis),
		Totals: TotalsToProto(s.Totals), Incomplete: s.Incomplete}
	for _, x := range s.Streams {
		m.Streams = append(m.Streams, StreamToProto(x))
	}
	if s.Bound != nil {
		m.Bound = BoundToProto(*s.Bound)
	}
	for _, g := range s.Gates {
		m.Gates = append(m.Gates, &trainingv1.SavedGate{Taken: g.Taken, AtUs: int64(g.At)})
	}
	for _, f := range s.Flags {
		_, x := message(training.Flagged{Flag: f})
		m.Flags = append(m.Flags, x.(*trainingv1.Flagged))
	}
	for _, b := range s.Breaks {
		m.Breaks = append(m.Breaks, &trainingv1.SavedBreak{FromMs: int64(b.From), ToMs: int64(b.To)})
	}
	for _, l := range s.Laps {
		_, x := message(l)
		m.Laps = append(m.Laps, x.(*trainingv1.LapMarked))
	}
	if s.Finish != nil {
		_, x := message(*s.Finish)
		m.Finish = x.(*trainingv1.FinishRequested)
	}
	if s.Recording != nil {
		_, x := message(*s.Recording)
		m.Recording = x.(*trainingv1.RecordingWritten)
	}
	for _, u := range s.Unbound {
		_, x := message(u)
		m.Unbound = append(m.Unbound, x.(*trainingv1.Unbound))
	}
	return marshal.MarshalAppend([]byte{StateFormat}, m)
}

// DecodeState reads what EncodeState wrote; compile makes the race's course, as for training.NewWith.
func DecodeState(b []byte, compile training.Compile) (*training.State, error) {
	if len(b) == 0 || b[0] != StateFormat {
		return nil, ErrState
	}
	var m trainingv1.SavedState
	if err := proto.Unmarshal(b[1:], &m); err != nil {
		return nil, ErrState.With("%v", err)
	}
	if m.Phase > uint32(training.PhaseOver) {
		return nil, ErrState.With("phase %d", m.Phase)
	}
	s := training.NewWith(compile)
	s.Phase, s.Started, s.Basis, s.Totals, s.Incomplete = training.Phase(m.Phase), StartedFromProto(m.Started), track.BasisFrom(m.Basis),
		TotalsFromProto(m.Totals), m.Incomplete
	for _, x := range m.Streams {
		one, err := StreamFromProto(x)
		if err != nil {
			return nil, ErrState.With("%v", err)
		}
		s.Streams = append(s.Streams, one)
	}
	if m.Bound != nil {
		b := BoundFromProto(m.Bound)
		s.Bound = &b
	}
	for _, g := range m.Gates {
		s.Gates = append(s.Gates, training.Gate{Taken: g.Taken, At: unit.InstantUs(g.AtUs)})
	}
	for _, f := range m.Flags {
		s.Flags = append(s.Flags, flagFromProto(f))
	}
	for _, x := range m.Breaks {
		s.Breaks = append(s.Breaks, training.Break{From: unit.InstantMs(x.FromMs), To: unit.InstantMs(x.ToMs)})
	}
	for _, l := range m.Laps {
		s.Laps = append(s.Laps, training.LapMarked{Lap: l.Lap, At: unit.InstantMs(l.AtMs)})
	}
	if m.Finish != nil {
		f := finishFromProto(m.Finish)
		s.Finish = &f
	}
	if m.Recording != nil {
		e, err := recordingFromProto(m.Recording)
		if err != nil {
			return nil, ErrState.With("%v", err)
		}
		r := e.(training.RecordingWritten)
		s.Recording = &r
	}
	for _, u := range m.Unbound {
		s.Unbound = append(s.Unbound, training.Unbound{Competition: u.CompetitionId, Version: u.BindingVersion})
	}
	if err := s.Resume(compile); err != nil {
		return nil, ErrState.With("%v", err)
	}
	return s, nil
}
