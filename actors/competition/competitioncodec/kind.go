package competitioncodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/fault"
)

// Format of all payloads so far.
const Format uint32 = 1

// The kinds of events. Stored: append only, never renumber.
const (
	KindOpened          uint32 = 1
	KindCreated         uint32 = 2
	KindEntryAdded      uint32 = 3
	KindEntryWithdrawn  uint32 = 4
	KindEntryReady      uint32 = 5
	KindStartListLocked uint32 = 6
	KindEntryBound      uint32 = 7
	KindRaceStarted     uint32 = 8
	KindGateTaken       uint32 = 9
	KindGateRevised     uint32 = 10
	KindReportNoted     uint32 = 11
	KindStatusChanged   uint32 = 12
	KindReviewChanged   uint32 = 13
	KindPenaltyAdded    uint32 = 14
	KindDecided         uint32 = 15
	KindSettleBegun     uint32 = 16
	KindSettleAnswered  uint32 = 17
	KindLateInput       uint32 = 18
	KindResultPublished uint32 = 19
	KindCancelled       uint32 = 20
	KindFenced          uint32 = 21
	KindResultPart      uint32 = 22
)

// What cannot be read.
var (
	ErrKind   = fault.New(fault.Internal, "competition.unknown_kind", "The journal holds an event that this build does not know.")
	ErrFormat = fault.New(fault.Internal, "competition.unknown_format", "The journal holds a form that this build does not know.")
	ErrBytes  = fault.New(fault.Internal, "competition.bad_event", "The journal holds bytes that are not the event they claim to be.")
)

// Encode is the stored form of an event.
func Encode(e competition.Event) (kind, format uint32, payload []byte, err error) {
	kind, m, err := toProto(e)
	if err != nil {
		return 0, 0, nil, err
	}
	payload, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return kind, Format, payload, err
}

// messages are the empty message of each kind.
var messages = map[uint32]func() proto.Message{
	KindOpened:          func() proto.Message { return &competitionv1.Opened{} },
	KindCreated:         func() proto.Message { return &competitionv1.Created{} },
	KindEntryAdded:      func() proto.Message { return &competitionv1.EntryAdded{} },
	KindEntryWithdrawn:  func() proto.Message { return &competitionv1.EntryWithdrawn{} },
	KindEntryReady:      func() proto.Message { return &competitionv1.EntryReady{} },
	KindStartListLocked: func() proto.Message { return &competitionv1.StartListLocked{} },
	KindEntryBound:      func() proto.Message { return &competitionv1.EntryBound{} },
	KindRaceStarted:     func() proto.Message { return &competitionv1.RaceStarted{} },
	KindGateTaken:       func() proto.Message { return &competitionv1.GateTaken{} },
	KindGateRevised:     func() proto.Message { return &competitionv1.GateRevised{} },
	KindReportNoted:     func() proto.Message { return &competitionv1.ReportNoted{} },
	KindStatusChanged:   func() proto.Message { return &competitionv1.StatusChanged{} },
	KindReviewChanged:   func() proto.Message { return &competitionv1.ReviewChanged{} },
	KindPenaltyAdded:    func() proto.Message { return &competitionv1.PenaltyAdded{} },
	KindDecided:         func() proto.Message { return &competitionv1.Decided{} },
	KindSettleBegun:     func() proto.Message { return &competitionv1.SettleBegun{} },
	KindSettleAnswered:  func() proto.Message { return &competitionv1.SettleAnswered{} },
	KindLateInput:       func() proto.Message { return &competitionv1.LateInput{} },
	KindResultPublished: func() proto.Message { return &competitionv1.ResultPublished{} },
	KindCancelled:       func() proto.Message { return &competitionv1.Cancelled{} },
	KindFenced:          func() proto.Message { return &competitionv1.Fenced{} },
	KindResultPart:      func() proto.Message { return &competitionv1.ResultPart{} },
}

// Message reads the stored form as the protobuf message that it is.
func Message(kind, format uint32, payload []byte) (proto.Message, error) {
	empty := messages[kind]
	switch {
	case empty == nil:
		return nil, ErrKind.With("kind %d", kind)
	case format != Format:
		return nil, ErrFormat.With("kind %d, format %d", kind, format)
	}
	m := empty()
	if err := proto.Unmarshal(payload, m); err != nil {
		return nil, fmt.Errorf("competition event of kind %d: %w", kind, ErrBytes.With("%v", err))
	}
	return m, nil
}

// Decode reads the stored form of an event.
func Decode(kind, format uint32, payload []byte) (competition.Event, error) {
	m, err := Message(kind, format, payload)
	if err != nil {
		return nil, err
	}
	return fromProto(m)
}
