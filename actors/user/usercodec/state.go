package usercodec

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/user"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// StateFormat is the first byte of a stored state. Raise it with every change of what a state holds: a snapshot of
// another format is not read, the journal is.
const StateFormat = 2

// ErrState is a snapshot that this build does not read.
var ErrState = fault.New(fault.Internal, "user.state_unknown", "A snapshot of a user is of a form that this program does not know.")

// EncodeState is the stored form of a state.
func EncodeState(s *user.State) ([]byte, error) {
	m := &userv1.SavedState{Version: s.Version, Registered: s.Registered, Profile: ProfileToProto(s.Profile), Inbox: s.Inbox}
	for _, c := range s.Cheers {
		m.Cheers = append(m.Cheers, &userv1.SavedCheer{AtMs: int64(c.At), From: c.From})
	}
	for _, r := range s.Races {
		m.Races = append(m.Races, &userv1.SavedRace{CompetitionId: r.Competition, Cheers: r.Cheers})
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{StateFormat}, m)
}

// DecodeState reads what EncodeState wrote.
func DecodeState(b []byte) (*user.State, error) {
	if len(b) == 0 || b[0] != StateFormat {
		return nil, ErrState
	}
	var m userv1.SavedState
	if err := proto.Unmarshal(b[1:], &m); err != nil {
		return nil, ErrState.With("%v", err)
	}
	s := &user.State{Version: m.Version, Registered: m.Registered, Profile: ProfileFromProto(m.Profile), Inbox: m.Inbox}
	for _, c := range m.Cheers {
		s.Cheers = append(s.Cheers, user.PastCheer{At: unit.InstantMs(c.AtMs), From: c.From})
	}
	for _, r := range m.Races {
		s.Races = append(s.Races, user.Race{Competition: r.CompetitionId, Cheers: r.Cheers})
	}
	return s, nil
}
