package usercodec

import (
	"google.golang.org/protobuf/proto"

	"paceline/actors/user"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
)

// StateFormat is the first byte of a stored state. Raise it with every change of what a state holds: a snapshot of
// another format is not read, the journal is.
const StateFormat = 1

// ErrState is a snapshot that this build does not read.
var ErrState = fault.New(fault.Internal, "user.state_unknown", "A snapshot of a user is of a form that this program does not know.")

// EncodeState is the stored form of a state.
func EncodeState(s *user.State) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{StateFormat},
		&userv1.SavedState{Version: s.Version, Registered: s.Registered, Profile: ProfileToProto(s.Profile)})
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
	return &user.State{Version: m.Version, Registered: m.Registered, Profile: ProfileFromProto(m.Profile)}, nil
}
