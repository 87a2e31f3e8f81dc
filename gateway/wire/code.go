package wire

import (
	"strconv"
	"strings"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
)

// Faults of frames. ErrTooLarge and ErrMalformed are strikes.
var (
	ErrTooLarge       = fault.New(fault.Exhausted, "wire.too_large", "The frame is too large.")
	ErrMalformed      = fault.New(fault.Invalid, "wire.malformed", "The frame cannot be read.")
	ErrUnknownMessage = fault.New(fault.Invalid, "wire.unknown_message", "This node does not know such a message.")
	ErrTooLong        = fault.New(fault.Invalid, "wire.too_long", "A field is too long.")
	ErrClockKind      = fault.New(fault.Invalid, "wire.clock_kind", "The kind of clock is unknown.")
	ErrTrust          = fault.New(fault.Invalid, "wire.trust", "The channel's trust is unknown.")
	ErrResult         = fault.New(fault.Invalid, "wire.control_result", "Equipment answers applied, limited or refused.")
	ErrSpan           = fault.New(fault.Invalid, "wire.span", "The range of sequence numbers is impossible.")
)

// Strike reports whether the error counts towards MaxStrikes.
func Strike(err error) bool {
	code := fault.Of(err).Code
	return code == ErrTooLarge.Code || code == ErrMalformed.Code
}

// CloseCode is a WebSocket close code of ours. Its range says what a client does: 4000-4399 reconnect after a
// jittered delay, 4400-4499 get a new token and reconnect, 4500-4999 do not come back like this.
type CloseCode uint16

// The close codes. Append only.
const (
	CloseGoing       CloseCode = 4000 // the node leaves; goodbye said where to go
	CloseIdle        CloseCode = 4001 // nothing came for three heartbeats, or no hello in time
	CloseSlow        CloseCode = 4002 // the client reads too slowly
	CloseFull        CloseCode = 4003 // this node has no room
	CloseInternal    CloseCode = 4004 // our mistake
	CloseFlood       CloseCode = 4005 // throttled and sent on regardless
	CloseTokenEnded  CloseCode = 4400 // the token has expired
	CloseMalformed   CloseCode = 4500 // three frames that could not be read
	CloseTooLarge    CloseCode = 4501 // a frame above the limit
	CloseUnauthentic CloseCode = 4502 // a token that nobody here signed, or for somebody else
	CloseReplaced    CloseCode = 4503 // another connection has opened the stream
	CloseOrder       CloseCode = 4504 // something before hello, or hello twice
	CloseSubprotocol CloseCode = 4505 // neither paceline.v1.proto nor paceline.v1.json
)

// Meaning is what a client does after a close code.
type Meaning uint8

// The meanings.
const (
	Reconnect Meaning = iota // after a jittered, growing delay
	Renew                    // with a new token
	Terminal                 // not like this: a person or a programmer has to change something
)

// String is the meaning in a word.
func (m Meaning) String() string {
	return [...]string{"reconnect", "renew", "terminal"}[min(m, Terminal)]
}

// Meaning of the code, by its range. Codes that are not ours come from WebSocket itself or from a proxy: all but
// 1002, 1003, 1007, 1008, 1009 and 1010 mean reconnect.
func (c CloseCode) Meaning() Meaning {
	switch {
	case c >= 4500 && c < 5000:
		return Terminal
	case c >= 4400 && c < 4500:
		return Renew
	case c == 1002, c == 1003, c >= 1007 && c <= 1010:
		return Terminal
	}
	return Reconnect
}

// String is the code's reason in the close frame.
func (c CloseCode) String() string {
	switch c {
	case CloseGoing:
		return "going"
	case CloseIdle:
		return "idle"
	case CloseSlow:
		return "slow"
	case CloseFull:
		return "full"
	case CloseInternal:
		return "internal"
	case CloseFlood:
		return "flood"
	case CloseTokenEnded:
		return "token_ended"
	case CloseMalformed:
		return "malformed"
	case CloseTooLarge:
		return "too_large"
	case CloseUnauthentic:
		return "unauthentic"
	case CloseReplaced:
		return "replaced"
	case CloseOrder:
		return "order"
	case CloseSubprotocol:
		return "subprotocol"
	}
	return "closed"
}

// CloseCodes lists all codes, for documents and tests.
func CloseCodes() []CloseCode {
	return []CloseCode{CloseGoing, CloseIdle, CloseSlow, CloseFull, CloseInternal, CloseFlood, CloseTokenEnded,
		CloseMalformed, CloseTooLarge, CloseUnauthentic, CloseReplaced, CloseOrder, CloseSubprotocol}
}

// ErrorOf is the fault as clients see it. What is not a fault shows as one neutral sentence.
func ErrorOf(err error) *livev1.Error {
	f := fault.Of(err)
	return &livev1.Error{Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: detail(f)}
}

// detail keeps the particulars of our own mistakes to ourselves.
func detail(f *fault.Fault) string {
	if f.Kind == fault.Internal {
		return ""
	}
	return f.Detail
}

// ExpectedSeq reads the seq that a stream.gap fault expects; 0 if it does not say.
func ExpectedSeq(f *fault.Fault) uint64 {
	last := strings.TrimRight(f.Detail, "0123456789")
	n, err := strconv.ParseUint(f.Detail[len(last):], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// FaultOf is a grain's fault from the cluster's wire.
func FaultOf(f *clusterv1.Fault) error {
	if f == nil {
		return nil
	}
	return &fault.Fault{Kind: fault.Kind(f.Kind), Code: f.Code, Message: f.Message, Retry: f.Retry, Detail: f.Detail}
}
