package devicecodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/device"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// The kinds, as stored. Append only.
const (
	KindRegistered     uint32 = 1
	KindClaimed        uint32 = 2
	KindReleased       uint32 = 3
	KindStreamOpened   uint32 = 4
	KindClockSet       uint32 = 5
	KindSkipped        uint32 = 6
	KindStreamClosed   uint32 = 7
	KindStreamRecorded uint32 = 8
	KindFenced         uint32 = 9
)

// Format is the payload format that Encode writes, and the only one that Decode knows.
const Format uint32 = 1

// What cannot be read.
var (
	ErrUnknown = fault.New(fault.Internal, "device.event_unknown", "A stored event of a device is of a kind that this program does not know.")
	ErrCorrupt = fault.New(fault.Internal, "device.event_corrupt", "A stored event of a device cannot be read.")
)

var marshal = proto.MarshalOptions{Deterministic: true}

// Encode gives an event its stored form.
func Encode(e device.Event) (kind, format uint32, payload []byte, err error) {
	kind, m := message(e)
	if kind == 0 {
		return 0, 0, nil, ErrUnknown.With("%T", e)
	}
	if m != nil {
		if payload, err = marshal.Marshal(m); err != nil {
			return 0, 0, nil, fmt.Errorf("encode %T: %w", e, err)
		}
	}
	return kind, Format, payload, nil
}

func message(e device.Event) (uint32, proto.Message) {
	switch e := e.(type) {
	case device.Registered:
		return KindRegistered, RegisteredToProto(e)
	case device.Claimed:
		return KindClaimed, &devicev1.Claimed{Person: e.Person, UntilMs: int64(e.Until)}
	case device.Released:
		return KindReleased, &devicev1.Released{Person: e.Person}
	case device.StreamOpened:
		return KindStreamOpened, &devicev1.StreamOpened{
			StreamId: e.Stream, Training: e.Training, Person: e.Person,
			WindowFromMs: int64(e.WindowFrom), WindowToMs: int64(e.WindowTo), LimitsVersion: e.LimitsVersion,
			Clock: livev1.ClockKind(e.Clock), Channels: ChannelsToProto(e.Channels), Sport: e.Sport,
		}
	case device.ClockSet:
		return KindClockSet, &devicev1.ClockSet{StreamId: e.Stream, FromSeq: e.FromSeq,
			OffsetMs: int64(e.Offset), ErrorMs: uint32(e.Error), Source: e.Source}
	case device.Skipped:
		spans := make([]*devicev1.SkipSpan, len(e.Spans))
		for i, s := range e.Spans {
			spans[i] = &devicev1.SkipSpan{FromSeq: s.From, ToSeq: s.To}
		}
		return KindSkipped, &devicev1.Skipped{StreamId: e.Stream, Spans: spans, Reason: e.Reason}
	case device.StreamClosed:
		return KindStreamClosed, &devicev1.StreamClosed{StreamId: e.Stream, LastSeq: e.LastSeq}
	case device.StreamRecorded:
		return KindStreamRecorded, &devicev1.StreamRecorded{StreamId: e.Stream, ThroughSeq: e.Through,
			Digest: e.Digest[:], Recording: e.Recording[:]}
	case device.Fenced:
		return KindFenced, nil
	}
	return 0, nil
}

// Decode reads a stored event.
func Decode(kind, format uint32, payload []byte) (device.Event, error) {
	if format != Format {
		return nil, ErrUnknown.With("kind %d, format %d", kind, format)
	}
	decode := decoders[kind]
	if decode == nil {
		return nil, ErrUnknown.With("kind %d", kind)
	}
	e, err := decode(payload)
	if err != nil {
		return nil, ErrCorrupt.With("kind %d: %v", kind, err)
	}
	return e, nil
}

var decoders = map[uint32]func([]byte) (device.Event, error){
	KindRegistered:     decodeRegistered,
	KindClaimed:        decodeClaimed,
	KindReleased:       decodeReleased,
	KindStreamOpened:   decodeStreamOpened,
	KindClockSet:       decodeClockSet,
	KindSkipped:        decodeSkipped,
	KindStreamClosed:   decodeStreamClosed,
	KindStreamRecorded: decodeStreamRecorded,
	KindFenced:         decodeFenced,
}

func decodeRegistered(b []byte) (device.Event, error) {
	var m devicev1.Registered
	err := proto.Unmarshal(b, &m)
	return RegisteredFromProto(&m), err
}

func decodeClaimed(b []byte) (device.Event, error) {
	var m devicev1.Claimed
	err := proto.Unmarshal(b, &m)
	return device.Claimed{Person: m.Person, Until: unit.InstantMs(m.UntilMs)}, err
}

func decodeReleased(b []byte) (device.Event, error) {
	var m devicev1.Released
	err := proto.Unmarshal(b, &m)
	return device.Released{Person: m.Person}, err
}

func decodeStreamOpened(b []byte) (device.Event, error) {
	var m devicev1.StreamOpened
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	return openedFromProto(&m)
}

func openedFromProto(m *devicev1.StreamOpened) (device.StreamOpened, error) {
	channels, err := ChannelsFromProto(m.Channels)
	return device.StreamOpened{
		Stream: m.StreamId, Training: m.Training, Person: m.Person,
		WindowFrom: unit.InstantMs(m.WindowFromMs), WindowTo: unit.InstantMs(m.WindowToMs),
		LimitsVersion: m.LimitsVersion, Clock: ClockFromProto(m.Clock), Channels: channels, Sport: m.Sport,
	}, err
}

func decodeClockSet(b []byte) (device.Event, error) {
	var m devicev1.ClockSet
	err := proto.Unmarshal(b, &m)
	return clockFromProto(&m), err
}

func clockFromProto(m *devicev1.ClockSet) device.ClockSet {
	return device.ClockSet{Stream: m.StreamId, FromSeq: m.FromSeq, Offset: unit.DurationMs(m.OffsetMs),
		Error: unit.DurationMs(m.ErrorMs), Source: m.Source}
}

func decodeSkipped(b []byte) (device.Event, error) {
	var m devicev1.Skipped
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	e := device.Skipped{Stream: m.StreamId, Reason: m.Reason, Spans: make([]device.Span, len(m.Spans))}
	for i, s := range m.Spans {
		e.Spans[i] = device.Span{From: s.FromSeq, To: s.ToSeq}
	}
	return e, nil
}

func decodeStreamClosed(b []byte) (device.Event, error) {
	var m devicev1.StreamClosed
	err := proto.Unmarshal(b, &m)
	return device.StreamClosed{Stream: m.StreamId, LastSeq: m.LastSeq}, err
}

func decodeStreamRecorded(b []byte) (device.Event, error) {
	var m devicev1.StreamRecorded
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	e := device.StreamRecorded{Stream: m.StreamId, Through: m.ThroughSeq}
	if len(m.Digest) != len(e.Digest) || len(m.Recording) != len(e.Recording) {
		return nil, fmt.Errorf("digests of %d and %d bytes", len(m.Digest), len(m.Recording))
	}
	copy(e.Digest[:], m.Digest)
	copy(e.Recording[:], m.Recording)
	return e, nil
}

func decodeFenced(b []byte) (device.Event, error) {
	if len(b) != 0 {
		return nil, fmt.Errorf("%d bytes where none belong", len(b))
	}
	return device.Fenced{}, nil
}

// RegisteredToProto is what a device is, as messages carry it too.
func RegisteredToProto(e device.Registered) *devicev1.Registered {
	return &devicev1.Registered{Owner: e.Owner, Name: e.Name, Model: e.Model, OrganizationId: e.Organization}
}

// RegisteredFromProto reads what RegisteredToProto writes.
func RegisteredFromProto(m *devicev1.Registered) device.Registered {
	return device.Registered{Owner: m.GetOwner(), Name: m.GetName(), Model: m.GetModel(), Organization: m.GetOrganizationId()}
}

// ChannelsToProto keeps the order.
func ChannelsToProto(in []device.ChannelSpec) []*livev1.ChannelSpec {
	out := make([]*livev1.ChannelSpec, len(in))
	for i, c := range in {
		out[i] = &livev1.ChannelSpec{Channel: livev1.Channel(c.Channel), Trust: livev1.Trust(c.Trust)}
	}
	return out
}

// ChannelsFromProto refuses what does not fit the domain's own types, where it would become another channel.
func ChannelsFromProto(in []*livev1.ChannelSpec) ([]device.ChannelSpec, error) {
	out := make([]device.ChannelSpec, len(in))
	for i, c := range in {
		if c.GetChannel() < 0 || c.GetChannel() > 255 || c.GetTrust() < 0 || c.GetTrust() > 255 {
			return nil, fmt.Errorf("channel %d, trust %d", c.GetChannel(), c.GetTrust())
		}
		out[i] = device.ChannelSpec{Channel: sample.Channel(c.GetChannel()), Trust: sample.Trust(c.GetTrust())}
	}
	return out, nil
}

// ClockFromProto is the kind of clock; one that does not fit is unknown.
func ClockFromProto(c livev1.ClockKind) sample.ClockKind {
	if c < 0 || c > 255 {
		return sample.ClockUnknown
	}
	return sample.ClockKind(c)
}
