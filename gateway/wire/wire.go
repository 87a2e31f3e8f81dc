// Package wire is the live protocol's frames: bytes of a WebSocket message to a ClientMessage, a ServerMessage to
// bytes, in both subprotocols, with the limits, error codes and close codes that clients see.
//
// It is not a connection (gateway/ws) and knows no state (gateway/session): the same bytes always give the same
// answer. What a client sends is checked here as far as a frame can be checked alone.
//
// Invariants: Decode never panics, whatever the bytes; it allocates in proportion to the frame, never for each
// sample. A message that Decode returns has a body, and telemetry in it is whole (api/telemetry.Check).
package wire

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
)

// Limits of the protocol; the ones a client must know are in welcome.
const (
	MaxFrameBytes    = 64 << 10 // a frame from a client
	MaxTokenBytes    = 4 << 10
	MaxIDBytes       = 129 // "<affinity>/<id>", 64 each
	MaxTopicBytes    = 160
	MaxTextBytes     = 256 // names, reasons, cuts
	MaxChannels      = 32  // of open_stream
	MaxStreamEnds    = 64  // of finish_workout
	MaxStrikes       = 3   // malformed frames until the connection is closed
	maxUnmarshalDeep = 16  // nesting; the deepest message that is declared has 4 levels
)

// Encoding is one of the two subprotocols.
type Encoding uint8

// The encodings. Encodings is their number: what is encoded once for each is an array of this length.
const (
	Proto     Encoding = 0
	JSON      Encoding = 1
	Encodings          = 2
)

// The subprotocols by name, in the order in which a server prefers them.
const (
	SubprotocolProto = "paceline.v1.proto"
	SubprotocolJSON  = "paceline.v1.json"
)

// Subprotocols lists them for the handshake.
func Subprotocols() []string { return []string{SubprotocolProto, SubprotocolJSON} }

// EncodingOf is the encoding of a subprotocol; false if it is none of ours.
func EncodingOf(subprotocol string) (Encoding, bool) {
	switch subprotocol {
	case SubprotocolProto:
		return Proto, true
	case SubprotocolJSON:
		return JSON, true
	}
	return 0, false
}

// String is the subprotocol's name.
func (e Encoding) String() string {
	if e == JSON {
		return SubprotocolJSON
	}
	return SubprotocolProto
}

var (
	fromProto = proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxUnmarshalDeep}
	fromJSON  = protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxUnmarshalDeep}
	toJSON    = protojson.MarshalOptions{UseProtoNames: true}
)

// Decode reads a client's frame. The errors are faults: ErrTooLarge and ErrMalformed count as strikes,
// ErrUnknownMessage and what a whole frame says wrongly do not.
func Decode(e Encoding, frame []byte) (*livev1.ClientMessage, error) {
	if len(frame) > MaxFrameBytes {
		return nil, ErrTooLarge.With("%d bytes, at most %d", len(frame), MaxFrameBytes)
	}
	m := &livev1.ClientMessage{}
	if e == JSON {
		if !utf8.Valid(frame) {
			return nil, ErrMalformed.With("not UTF-8")
		}
		if err := fromJSON.Unmarshal(frame, m); err != nil {
			return nil, ErrMalformed
		}
	} else if err := fromProto.Unmarshal(frame, m); err != nil {
		return nil, ErrMalformed
	}
	if m.Message == nil {
		return nil, ErrUnknownMessage
	}
	if err := check(m); err != nil {
		return m, err
	}
	return m, nil
}

// DecodeServer reads a node's frame; clients and tests use it.
func DecodeServer(e Encoding, frame []byte) (*livev1.ServerMessage, error) {
	m := &livev1.ServerMessage{}
	var err error
	if e == JSON {
		err = fromJSON.Unmarshal(frame, m)
	} else {
		err = fromProto.Unmarshal(frame, m)
	}
	if err != nil {
		return nil, ErrMalformed
	}
	return m, nil
}

// Encode writes a message in an encoding. It cannot fail for messages of ours: strings are checked on their way
// in; if it does, the answer is empty and the caller drops it.
func Encode(e Encoding, m proto.Message) []byte {
	if e == JSON {
		b, err := toJSON.Marshal(m)
		if err != nil {
			return nil
		}
		return b
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil
	}
	return b
}

// check looks at what a single message can say wrongly.
func check(m *livev1.ClientMessage) error {
	switch v := m.Message.(type) {
	case *livev1.ClientMessage_Hello:
		return within(MaxTokenBytes, v.Hello.GetToken(), MaxTextBytes, v.Hello.GetClient())
	case *livev1.ClientMessage_OpenStream:
		return checkOpen(v.OpenStream)
	case *livev1.ClientMessage_CloseStream:
		return checkID(v.CloseStream.GetStreamId())
	case *livev1.ClientMessage_Telemetry:
		if err := checkID(v.Telemetry.GetStreamId()); err != nil {
			return err
		}
		return telemetry.Check(v.Telemetry)
	case *livev1.ClientMessage_Skip:
		return checkSkip(v.Skip)
	case *livev1.ClientMessage_Command:
		return checkCommand(v.Command)
	case *livev1.ClientMessage_Subscribe:
		return within(MaxTopicBytes, v.Subscribe.GetTopic(), MaxTextBytes, v.Subscribe.GetCut())
	case *livev1.ClientMessage_Unsubscribe:
		return within(MaxTopicBytes, v.Unsubscribe.GetTopic(), MaxTextBytes, v.Unsubscribe.GetCut())
	case *livev1.ClientMessage_Ping:
		return within(MaxIDBytes, v.Ping.GetStreamId())
	case *livev1.ClientMessage_ControlResult:
		return checkControlResult(v.ControlResult)
	}
	return ErrUnknownMessage
}
