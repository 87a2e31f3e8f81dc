package devicecodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/device"
	devicev1 "paceline/api/gen/paceline/device/v1"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// StateFormat is the first byte of a stored state. Raise it with every change of what a state holds: a snapshot of
// another format is not read, the journal is.
const StateFormat = 1

// ErrState is a snapshot that this build does not read.
var ErrState = fault.New(fault.Internal, "device.state_unknown", "A snapshot of a device is of a form that this program does not know.")

// EncodeState is the stored form of a state.
func EncodeState(s *device.State) ([]byte, error) {
	m := &devicev1.SavedState{Version: s.Version, FactsVersion: s.FactsVersion, Registered: s.Registered,
		Device: RegisteredToProto(s.Device), Claim: &devicev1.Claimed{Person: s.Claim.Person, UntilMs: int64(s.Claim.Until)}}
	for _, id := range s.StreamIDs() {
		m.Streams = append(m.Streams, savedStream(s.Streams[id]))
	}
	return marshal.MarshalAppend([]byte{StateFormat}, m)
}

func savedStream(f *device.StreamFacts) *devicev1.SavedStream {
	m := &devicev1.SavedStream{StreamId: f.Stream, Version: f.Version, Closed: f.Closed, ClosedAtSeq: f.ClosedAt}
	if f.Opened {
		_, opening := message(f.Opening)
		m.Opening = opening.(*devicev1.StreamOpened)
	}
	for _, c := range f.Clocks {
		_, clock := message(c)
		m.Clocks = append(m.Clocks, clock.(*devicev1.ClockSet))
	}
	_, skips := message(device.Skipped{Spans: f.Skips})
	m.Skips = skips.(*devicev1.Skipped).Spans
	if f.Floor != (device.Floor{}) {
		m.Floor = &devicev1.StreamRecorded{ThroughSeq: f.Floor.Through, Digest: f.Floor.Digest[:], Recording: f.Floor.Recording[:]}
	}
	return m
}

// DecodeState reads what EncodeState wrote.
func DecodeState(b []byte) (*device.State, error) {
	if len(b) == 0 || b[0] != StateFormat {
		return nil, ErrState
	}
	var m devicev1.SavedState
	if err := proto.Unmarshal(b[1:], &m); err != nil {
		return nil, ErrState.With("%v", err)
	}
	s := device.New()
	s.Version, s.FactsVersion, s.Registered = m.Version, m.FactsVersion, m.Registered
	s.Device = RegisteredFromProto(m.Device)
	s.Claim = device.Claimed{Person: m.Claim.GetPerson(), Until: unit.InstantMs(m.Claim.GetUntilMs())}
	if len(m.Streams) > 0 {
		s.Streams = make(map[string]*device.StreamFacts, len(m.Streams))
	}
	for _, x := range m.Streams {
		f, err := streamOf(x)
		if err != nil {
			return nil, ErrState.With("%v", err)
		}
		s.Streams[f.Stream] = f
	}
	return s, nil
}

func streamOf(m *devicev1.SavedStream) (*device.StreamFacts, error) {
	f := device.NewStreamFacts(m.StreamId)
	f.Version, f.Closed, f.ClosedAt = m.Version, m.Closed, m.ClosedAtSeq
	if m.Opening != nil {
		e, err := openedFromProto(m.Opening)
		if err != nil {
			return nil, err
		}
		f.Opened, f.Opening = true, e
	}
	for _, c := range m.Clocks {
		f.Clocks = append(f.Clocks, clockFromProto(c))
	}
	for _, k := range m.Skips {
		f.Skips = append(f.Skips, device.Span{From: k.FromSeq, To: k.ToSeq})
	}
	if r := m.Floor; r != nil {
		f.Floor.Through = r.ThroughSeq
		if len(r.Digest) != len(f.Floor.Digest) || len(r.Recording) != len(f.Floor.Recording) {
			return nil, fmt.Errorf("digests of %d and %d bytes", len(r.Digest), len(r.Recording))
		}
		copy(f.Floor.Digest[:], r.Digest)
		copy(f.Floor.Recording[:], r.Recording)
	}
	return f, nil
}
