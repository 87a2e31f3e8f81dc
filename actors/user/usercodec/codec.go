// Package usercodec is the stored form of a user's events: explicit kinds, protobuf payloads.
//
// It is not the wire. Kinds are append only; an unknown kind or format is an error, never skipped.
package usercodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/user"
	livev1 "paceline/api/gen/paceline/live/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// The kinds, as stored. Append only.
const (
	KindRegistered     uint32 = 1
	KindProfileChanged uint32 = 2
	KindFenced         uint32 = 3
	KindReacted        uint32 = 4
)

// Format is the payload format that Encode writes, and the only one that Decode knows.
const Format uint32 = 1

// What cannot be read.
var (
	ErrUnknown = fault.New(fault.Internal, "user.event_unknown", "A stored event of a user is of a kind that this program does not know.")
	ErrCorrupt = fault.New(fault.Internal, "user.event_corrupt", "A stored event of a user cannot be read.")
)

// Encode gives an event its stored form.
func Encode(e user.Event) (kind, format uint32, payload []byte, err error) {
	var m proto.Message
	switch e := e.(type) {
	case user.Registered:
		kind, m = KindRegistered, &userv1.Registered{Profile: ProfileToProto(e.Profile)}
	case user.ProfileChanged:
		kind, m = KindProfileChanged, &userv1.ProfileChanged{Profile: ProfileToProto(e.Profile)}
	case user.Reacted:
		kind, m = KindReacted, &userv1.Reacted{CompetitionId: e.Competition, Entry: e.Entry, Reaction: e.Reaction, From: e.From, AtMs: int64(e.At)}
	case user.Fenced:
		return KindFenced, Format, nil, nil
	default:
		return 0, 0, nil, ErrUnknown.With("%T", e)
	}
	payload, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("encode %T: %w", e, err)
	}
	return kind, Format, payload, nil
}

// Decode reads a stored event.
func Decode(kind, format uint32, payload []byte) (user.Event, error) {
	if format != Format {
		return nil, ErrUnknown.With("kind %d, format %d", kind, format)
	}
	switch kind {
	case KindRegistered:
		var m userv1.Registered
		if err := proto.Unmarshal(payload, &m); err != nil {
			return nil, ErrCorrupt.With("kind %d: %v", kind, err)
		}
		return user.Registered{Profile: ProfileFromProto(m.Profile)}, nil
	case KindProfileChanged:
		var m userv1.ProfileChanged
		if err := proto.Unmarshal(payload, &m); err != nil {
			return nil, ErrCorrupt.With("kind %d: %v", kind, err)
		}
		return user.ProfileChanged{Profile: ProfileFromProto(m.Profile)}, nil
	case KindReacted:
		var m userv1.Reacted
		if err := proto.Unmarshal(payload, &m); err != nil {
			return nil, ErrCorrupt.With("kind %d: %v", kind, err)
		}
		return user.Reacted{Competition: m.CompetitionId, Entry: m.Entry, Reaction: m.Reaction, From: m.From, At: unit.InstantMs(m.AtMs)}, nil
	case KindFenced:
		if len(payload) != 0 {
			return nil, ErrCorrupt.With("kind %d: %d bytes where none belong", kind, len(payload))
		}
		return user.Fenced{}, nil
	}
	return nil, ErrUnknown.With("kind %d", kind)
}

// EventOf is the entry of the inbox that an event is, committed as a version; nil: it is none. Shell and projector
// both make it here, so that history and live say the same.
func EventOf(e user.Event, version uint64) *livev1.Event {
	if e, ok := e.(user.Reacted); ok {
		return &livev1.Event{Kind: "reaction", Text: e.Reaction, AtMs: int64(e.At), Version: version, CompetitionId: e.Competition, Entry: e.Entry}
	}
	return nil
}

// ProfileToProto is the profile as messages carry it.
func ProfileToProto(p user.Profile) *userv1.Profile {
	return &userv1.Profile{Handle: p.Handle, Name: p.Name, Club: p.Club, Flag: p.Flag,
		Visibility: userv1.Visibility(p.Visibility), Minor: p.Minor}
}

// ProfileFromProto reads what ProfileToProto writes; a visibility that no byte can hold becomes one that no rule
// accepts.
func ProfileFromProto(m *userv1.Profile) user.Profile {
	v := m.GetVisibility()
	if v < 0 || v > 255 {
		v = 255
	}
	return user.Profile{Handle: m.GetHandle(), Name: m.GetName(), Club: m.GetClub(), Flag: m.GetFlag(),
		Visibility: user.Visibility(v), Minor: m.GetMinor()}
}
