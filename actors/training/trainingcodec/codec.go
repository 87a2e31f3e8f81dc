package trainingcodec

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/training"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/api/track"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

// The kinds, as stored. Append only.
const (
	KindStarted          uint32 = 1
	KindStreamAttached   uint32 = 2
	KindBound            uint32 = 3
	KindUnbound          uint32 = 4
	KindPaused           uint32 = 5
	KindResumed          uint32 = 6
	KindLapMarked        uint32 = 7
	KindPassed           uint32 = 8
	KindRevised          uint32 = 9
	KindFlagged          uint32 = 10
	KindFlagCleared      uint32 = 11
	KindFinishRequested  uint32 = 12
	KindFinished         uint32 = 13
	KindTotalsRevised    uint32 = 14
	KindRecordingWritten uint32 = 15
	KindFenced           uint32 = 16
)

// Format is the payload format that Encode writes, and the only one that Decode knows.
const Format uint32 = 1

// What cannot be read.
var (
	ErrUnknown = fault.New(fault.Internal, "training.event_unknown", "A stored event of a workout is of a kind that this program does not know.")
	ErrCorrupt = fault.New(fault.Internal, "training.event_corrupt", "A stored event of a workout cannot be read.")
)

var marshal = proto.MarshalOptions{Deterministic: true}

// Encode gives an event its stored form.
func Encode(e training.Event) (kind, format uint32, payload []byte, err error) {
	kind, m := message(e)
	if kind == 0 {
		return 0, 0, nil, ErrUnknown.With("%T", e)
	}
	payload, err = marshal.Marshal(m)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("encode %T: %w", e, err)
	}
	return kind, Format, payload, nil
}

func message(e training.Event) (uint32, proto.Message) {
	switch e := e.(type) {
	case training.Started:
		return KindStarted, StartedToProto(e)
	case training.StreamAttached:
		return KindStreamAttached, StreamToProto(e.Stream)
	case training.Bound:
		return KindBound, BoundToProto(e)
	case training.Unbound:
		return KindUnbound, &trainingv1.Unbound{CompetitionId: e.Competition, BindingVersion: e.Version}
	case training.Paused:
		return KindPaused, &trainingv1.Paused{AtMs: int64(e.At)}
	case training.Resumed:
		return KindResumed, &trainingv1.Resumed{AtMs: int64(e.At)}
	case training.LapMarked:
		return KindLapMarked, &trainingv1.LapMarked{Lap: e.Lap, AtMs: int64(e.At)}
	case training.Passed:
		return KindPassed, &trainingv1.Passed{Gate: e.Gate, AtUs: int64(e.At), BindingVersion: e.Binding}
	case training.Revised:
		return KindRevised, &trainingv1.Revised{Gate: e.Gate, FromUs: int64(e.From), ToUs: int64(e.To), None: e.None,
			Why: e.Why, BindingVersion: e.Binding}
	case training.Flagged:
		return KindFlagged, &trainingv1.Flagged{Reason: e.Flag.Reason, StreamId: e.Flag.Stream, Seq: e.Flag.Seq, AtMs: int64(e.Flag.At)}
	case training.FlagCleared:
		return KindFlagCleared, &trainingv1.FlagCleared{Reason: e.Reason}
	case training.FinishRequested:
		return KindFinishRequested, &trainingv1.FinishRequested{By: e.By, Reason: e.Reason, DeviceTimeMs: int64(e.DeviceTime),
			AtMs: int64(e.At), Streams: EndsToProto(e.Streams), RequestedAtMs: int64(e.RequestedAt)}
	case training.Finished:
		return KindFinished, &trainingv1.Finished{Basis: track.TrainingBasis(e.Basis), Totals: TotalsToProto(e.Totals), Incomplete: e.Incomplete}
	case training.TotalsRevised:
		return KindTotalsRevised, &trainingv1.TotalsRevised{Replaces: track.TrainingBasis(e.Replaces),
			Basis: track.TrainingBasis(e.Basis), Totals: TotalsToProto(e.Totals)}
	case training.RecordingWritten:
		m := &trainingv1.RecordingWritten{Recording: e.Recording[:]}
		for _, s := range e.Streams {
			m.Streams = append(m.Streams, &trainingv1.RecordedStream{Device: s.Key.Device, StreamId: s.Key.Stream,
				ThroughSeq: s.Through, Digest: s.Digest[:]})
		}
		return KindRecordingWritten, m
	case training.Fenced:
		return KindFenced, &trainingv1.Fenced{}
	}
	return 0, nil
}

// Decode reads a stored event.
func Decode(kind, format uint32, payload []byte) (training.Event, error) {
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

// reading turns a message into an event.
func reading[M any, P interface {
	*M
	proto.Message
}](f func(P) (training.Event, error)) func([]byte) (training.Event, error) {
	return func(b []byte) (training.Event, error) {
		m := P(new(M))
		if err := proto.Unmarshal(b, m); err != nil {
			return nil, err
		}
		return f(m)
	}
}

var decoders = map[uint32]func([]byte) (training.Event, error){
	KindStarted: reading(func(m *trainingv1.Started) (training.Event, error) { return StartedFromProto(m), nil }),
	KindStreamAttached: reading(func(m *trainingv1.StreamAttached) (training.Event, error) {
		s, err := StreamFromProto(m)
		return training.StreamAttached{Stream: s}, err
	}),
	KindBound: reading(func(m *trainingv1.Bound) (training.Event, error) { return BoundFromProto(m), nil }),
	KindUnbound: reading(func(m *trainingv1.Unbound) (training.Event, error) {
		return training.Unbound{Competition: m.CompetitionId, Version: m.BindingVersion}, nil
	}),
	KindPaused: reading(func(m *trainingv1.Paused) (training.Event, error) {
		return training.Paused{At: unit.InstantMs(m.AtMs)}, nil
	}),
	KindResumed: reading(func(m *trainingv1.Resumed) (training.Event, error) {
		return training.Resumed{At: unit.InstantMs(m.AtMs)}, nil
	}),
	KindLapMarked: reading(func(m *trainingv1.LapMarked) (training.Event, error) {
		return training.LapMarked{Lap: m.Lap, At: unit.InstantMs(m.AtMs)}, nil
	}),
	KindPassed: reading(func(m *trainingv1.Passed) (training.Event, error) {
		return training.Passed{Gate: m.Gate, At: unit.InstantUs(m.AtUs), Binding: m.BindingVersion}, nil
	}),
	KindRevised: reading(func(m *trainingv1.Revised) (training.Event, error) {
		return training.Revised{Gate: m.Gate, From: unit.InstantUs(m.FromUs), To: unit.InstantUs(m.ToUs), None: m.None,
			Why: m.Why, Binding: m.BindingVersion}, nil
	}),
	KindFlagged: reading(func(m *trainingv1.Flagged) (training.Event, error) {
		return training.Flagged{Flag: flagFromProto(m)}, nil
	}),
	KindFlagCleared: reading(func(m *trainingv1.FlagCleared) (training.Event, error) {
		return training.FlagCleared{Reason: m.Reason}, nil
	}),
	KindFinishRequested: reading(func(m *trainingv1.FinishRequested) (training.Event, error) {
		return finishFromProto(m), nil
	}),
	KindFinished: reading(func(m *trainingv1.Finished) (training.Event, error) {
		return training.Finished{Basis: track.BasisFrom(m.Basis), Totals: TotalsFromProto(m.Totals), Incomplete: m.Incomplete}, nil
	}),
	KindTotalsRevised: reading(func(m *trainingv1.TotalsRevised) (training.Event, error) {
		return training.TotalsRevised{Replaces: track.BasisFrom(m.Replaces), Basis: track.BasisFrom(m.Basis), Totals: TotalsFromProto(m.Totals)}, nil
	}),
	KindRecordingWritten: reading(recordingFromProto),
	KindFenced:           reading(func(*trainingv1.Fenced) (training.Event, error) { return training.Fenced{}, nil }),
}

func flagFromProto(m *trainingv1.Flagged) training.Flag {
	return training.Flag{Reason: m.Reason, Stream: m.StreamId, Seq: m.Seq, At: unit.InstantMs(m.AtMs)}
}

func finishFromProto(m *trainingv1.FinishRequested) training.FinishRequested {
	return training.FinishRequested{By: m.By, Reason: m.Reason, DeviceTime: unit.InstantMs(m.DeviceTimeMs),
		At: unit.InstantMs(m.AtMs), Streams: EndsFromProto(m.Streams), RequestedAt: unit.InstantMs(m.RequestedAtMs)}
}

func recordingFromProto(m *trainingv1.RecordingWritten) (training.Event, error) {
	e := training.RecordingWritten{}
	var err error
	if e.Recording, err = Digest(m.Recording); err != nil {
		return nil, err
	}
	for _, s := range m.Streams {
		d, err := Digest(s.Digest)
		if err != nil {
			return nil, err
		}
		e.Streams = append(e.Streams, training.RecordedStream{
			Key: training.StreamKey{Device: s.Device, Stream: s.StreamId}, Through: s.ThroughSeq, Digest: d})
	}
	return e, nil
}

// Digest is a digest of 32 bytes.
func Digest(b []byte) (d [32]byte, err error) {
	if len(b) != len(d) {
		return d, fmt.Errorf("digest of %d bytes", len(b))
	}
	return [32]byte(b), nil
}
