package persistence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"paceline/domain/fault"
	"paceline/domain/sample"
)

const (
	recordingFormat = 1 // one frame
	recordingFrames = 2 // several: what is longer than maxRecordingRaw
	// maxRecordingRaw bounds what reading one frame may allocate: a day of seven streams takes a sixth.
	maxRecordingRaw = 128 << 20
	// recordingFrame is how long the frames are of which a longer recording is made.
	recordingFrame = 16 << 20
	// maxRecordingWhole bounds what reading one recording may allocate: nine days of 16 streams with one sample a second
	// take a third. What could not be read is not written.
	maxRecordingWhole = 1 << 30
)

// What is not stored.
var (
	// ErrRecordingInvalid: what was to be stored contradicts the digests that it names, or its own order.
	ErrRecordingInvalid = fault.New(fault.Internal, "persistence.recording_invalid", "This recording contradicts itself.")
	// ErrRecordingTooLarge: nobody could read it back.
	ErrRecordingTooLarge = fault.New(fault.Internal, "persistence.recording_too_large", "This workout has more samples than one recording can hold.")
)

// RecordingDigest is what names a recording: the SHA-256 over its streams in order of device and stream, each
// with its names, how far it goes, its skips, and its digest.
func RecordingDigest(r *Recording) [32]byte {
	h := sha256.New()
	k := Key{}
	for _, s := range sortedStreams(r) {
		k.b = k.b[:0]
		k.Str(s.Key.Device).Str(s.Key.Stream).U64(s.Through).U64(uint64(len(s.Skips)))
		for _, sk := range s.Skips {
			k.U64(sk.From).U64(sk.To)
		}
		h.Write(append(k.b, s.Digest[:]...))
	}
	return [32]byte(h.Sum(nil))
}

func sortedStreams(r *Recording) []RecordedStream {
	streams := slices.Clone(r.Streams)
	slices.SortFunc(streams, func(a, b RecordedStream) int {
		if c := strings.Compare(a.Key.Device, b.Key.Device); c != 0 {
			return c
		}
		return strings.Compare(a.Key.Stream, b.Key.Stream)
	})
	return streams
}

// check recomputes the digests and looks at the order of the samples.
func (r *Recording) check() error {
	for i := range r.Streams {
		s := &r.Streams[i]
		skips := newSpans(s.Skips)
		d := sample.NewDigest()
		for j := range s.Batches {
			b := &s.Batches[j]
			if b.Len() == 0 || b.FirstSeq <= d.Last || b.LastSeq() > s.Through {
				return ErrRecordingInvalid.With("%s: samples from %d after %d, through %d", s.Key.Stream, b.FirstSeq, d.Last, s.Through)
			}
			for _, sk := range skips {
				if b.FirstSeq <= sk.To && sk.From <= b.LastSeq() {
					return ErrRecordingInvalid.With("%s: samples from %d inside a skip", s.Key.Stream, b.FirstSeq)
				}
			}
			d.Add(b, 0, b.Len())
		}
		if d.Sum() != s.Digest {
			return ErrRecordingInvalid.With("%s: digest of %d samples", s.Key.Stream, d.Samples)
		}
	}
	return nil
}

func recordingPart(subject, workout string, digest [32]byte, part uint32) Part {
	k := Key{}
	k.Str(workout).b = append(k.b, digest[:]...)
	return Part{Table: TableRecording, Key: k.U32(part).String(), Subject: subject}
}

// PutRecording implements Recordings. The first part goes last: a recording whose first part is there is whole.
func (s *RowStore) PutRecording(ctx context.Context, subject string, r Recording) ([32]byte, error) {
	if err := r.check(); err != nil {
		return [32]byte{}, err
	}
	digest := RecordingDigest(&r)
	if _, ok, err := s.rows.Get(ctx, recordingPart(subject, r.Workout, digest, 0), ""); err == nil && ok {
		return digest, nil // never overwritten
	}
	raw := rawRecording(&r)
	if len(raw) > maxRecordingWhole {
		return [32]byte{}, ErrRecordingTooLarge.With("%d bytes, at most %d", len(raw), maxRecordingWhole)
	}
	whole := packRecording(raw, maxRecordingRaw, recordingFrame)
	parts := (len(whole) + ChunkBytes - 1) / ChunkBytes
	for i := parts - 1; i >= 0; i-- {
		cell := binary.AppendUvarint(make([]byte, 0, ChunkBytes+4), uint64(parts))
		cell = append(cell, whole[i*ChunkBytes:min((i+1)*ChunkBytes, len(whole))]...)
		m := Mutation{Part: recordingPart(subject, r.Workout, digest, uint32(i)), Row: Row{Cell: cell}}
		if err := s.put(ctx, []Mutation{m}); err != nil {
			return [32]byte{}, fmt.Errorf("recording of %s: %w", r.Workout, err)
		}
	}
	return digest, nil
}

// GetRecording implements Recordings.
func (s *RowStore) GetRecording(ctx context.Context, subject, workout string, digest [32]byte) (Recording, bool, error) {
	fail := func(err error) (Recording, bool, error) {
		return Recording{}, false, fmt.Errorf("recording of %s: %w", workout, err)
	}
	var whole []byte
	for i, parts := uint32(0), uint64(1); uint64(i) < parts; i++ {
		cell, ok, err := s.rows.Get(ctx, recordingPart(subject, workout, digest, i), "")
		if err != nil {
			return fail(err)
		}
		if !ok && i == 0 {
			return Recording{}, false, nil
		}
		k := KeyReader{b: cell}
		n := k.uvarint()
		if !ok || k.bad || i > 0 && n != parts || n > maxRecordingWhole/ChunkBytes {
			return fail(fmt.Errorf("%w: part %d of %d", ErrCorrupt, i, parts))
		}
		parts = n
		whole = append(whole, k.b...)
	}
	r, err := DecodeRecording(whole)
	if err != nil {
		return fail(err)
	}
	if err := r.check(); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrCorrupt, err))
	}
	if r.Workout != workout || RecordingDigest(&r) != digest {
		return fail(fmt.Errorf("%w: another recording under this digest", ErrCorrupt))
	}
	return r, true, nil
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // only for impossible options
	}
	return e
})

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRecordingRaw))
	if err != nil {
		panic(err) // only for impossible options
	}
	return d
})

// EncodeRecording is the stored form: a format byte, then the packed streams. It depends on the samples alone,
// not on how they were cut into batches.
func EncodeRecording(r *Recording) []byte {
	return packRecording(rawRecording(r), maxRecordingRaw, recordingFrame)
}

// packRecording makes one frame of at most single bytes, or several of frame bytes, each behind its packed length.
func packRecording(raw []byte, single, frame int) []byte {
	if len(raw) <= single {
		return zstdEncoder().EncodeAll(raw, []byte{recordingFormat})
	}
	out := []byte{recordingFrames}
	for at := 0; at < len(raw); at += frame {
		packed := zstdEncoder().EncodeAll(raw[at:min(at+frame, len(raw))], nil)
		out = append(binary.AppendUvarint(out, uint64(len(packed))), packed...)
	}
	return out
}

// unpackRecording reads what packRecording wrote, at most whole bytes of it.
func unpackRecording(b []byte, whole int) ([]byte, error) {
	switch {
	case len(b) > 0 && b[0] == recordingFormat:
		return unpackFrame(nil, b[1:], whole)
	case len(b) == 0 || b[0] != recordingFrames:
		return nil, fmt.Errorf("%w: recording format", ErrCorrupt)
	}
	var raw []byte
	k := KeyReader{b: b[1:]}
	for len(k.b) > 0 {
		n := k.uvarint()
		if k.bad || n > uint64(len(k.b)) {
			return nil, fmt.Errorf("%w: frame of a recording", ErrCorrupt)
		}
		var err error
		if raw, err = unpackFrame(raw, k.b[:n], whole); err != nil {
			return nil, err
		}
		k.b = k.b[n:]
	}
	return raw, nil
}

func unpackFrame(raw, packed []byte, whole int) ([]byte, error) {
	one, err := zstdDecoder().DecodeAll(packed, nil)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: recording: %w", ErrCorrupt, err)
	case len(raw)+len(one) > whole:
		return nil, fmt.Errorf("%w: recording of more than %d bytes", ErrCorrupt, whole)
	case raw == nil:
		return one, nil
	}
	return append(raw, one...), nil
}

func rawRecording(r *Recording) []byte {
	k := Key{}
	k.Str(r.Workout)
	streams := sortedStreams(r)
	k.b = binary.AppendUvarint(k.b, uint64(len(streams)))
	var scratch blockScratch
	for i := range streams {
		s := &streams[i]
		k.Str(s.Key.Device).Str(s.Key.Stream).Str(s.Key.Subject)
		k.b = binary.AppendUvarint(k.b, s.Through)
		k.b = binary.AppendUvarint(k.b, uint64(len(s.Skips)))
		for _, sk := range s.Skips {
			k.b = binary.AppendUvarint(k.b, sk.From)
			k.b = binary.AppendUvarint(k.b, sk.To)
		}
		k.b = append(k.b, s.Digest[:]...)
		batches := Recut(s.Batches)
		k.b = binary.AppendUvarint(k.b, uint64(len(batches)))
		for j := range batches {
			k.b = scratch.appendColumns(k.b, &batches[j])
		}
	}
	return k.b
}

// DecodeRecording reads the stored form. It does not check digests.
func DecodeRecording(b []byte) (Recording, error) {
	raw, err := unpackRecording(b, maxRecordingWhole)
	if err != nil {
		return Recording{}, err
	}
	return decodeStreams(raw)
}

func decodeStreams(raw []byte) (Recording, error) {
	k := KeyReader{b: raw}
	r := Recording{Workout: k.Str()}
	for n := k.uvarint(); n > 0 && !k.bad; n-- {
		s, err := decodeStream(&k)
		if err != nil {
			return Recording{}, err
		}
		r.Streams = append(r.Streams, s)
	}
	if k.bad || len(k.b) > 0 {
		return Recording{}, fmt.Errorf("%w: recording", ErrCorrupt)
	}
	return r, nil
}

func decodeStream(k *KeyReader) (RecordedStream, error) {
	s := RecordedStream{Key: SeriesKey{Device: k.Str(), Stream: k.Str(), Subject: k.Str()}, Through: k.uvarint()}
	for n := k.uvarint(); n > 0 && !k.bad; n-- {
		s.Skips = append(s.Skips, Span{From: k.uvarint(), To: k.uvarint()})
	}
	if k.bad || len(k.b) < len(s.Digest) {
		return s, fmt.Errorf("%w: stream of a recording", ErrCorrupt)
	}
	k.b = k.b[copy(s.Digest[:], k.b):]
	for n := k.uvarint(); n > 0 && !k.bad; n-- {
		b, err := readColumns(k, sample.MaxBatch)
		if err != nil {
			return s, err
		}
		s.Batches = append(s.Batches, b)
	}
	if k.bad {
		return s, fmt.Errorf("%w: stream of a recording", ErrCorrupt)
	}
	return s, nil
}

// Recut joins consecutive batches and cuts them anew into batches of MaxBatch samples, so that equal samples
// give equal batches. Batches must be ascending and must not overlap.
func Recut(batches []sample.Batch) []sample.Batch {
	var out []sample.Batch
	for i := 0; i < len(batches); {
		j, n := i, 0
		for j < len(batches) && batches[j].FirstSeq == batches[i].FirstSeq+uint64(n) {
			n += batches[j].Len()
			j++
		}
		run := join(batches[i:j], n)
		for at := 0; at < n; at += sample.MaxBatch {
			out = append(out, run.Slice(at, min(at+sample.MaxBatch, n)))
		}
		i = j
	}
	return out
}

func join(batches []sample.Batch, n int) *sample.Batch {
	var whole sample.Batch
	whole.FirstSeq = batches[0].FirstSeq
	for i := range batches {
		b := &batches[i]
		at := len(whole.AtMs)
		whole.AtMs = append(whole.AtMs, b.AtMs...)
		for j := range b.Refused {
			if b.Refused[j] == sample.Accepted {
				continue
			}
			if whole.Refused == nil {
				whole.Refused = make([]sample.Refusal, n)
			}
			whole.Refused[at+j] = b.Refused[j]
		}
		for c := range b.Columns {
			if b.Columns[c].Present == nil {
				continue
			}
			if whole.Columns[c].Present == nil {
				whole.Columns[c].Grow(n)
			}
			for j := range b.Len() {
				if b.Columns[c].Has(j) {
					whole.Columns[c].Set(at+j, b.Columns[c].Values[j])
				}
			}
		}
	}
	return &whole
}

// EqualRecordings reports whether two recordings say the same, however they are cut.
func EqualRecordings(a, b *Recording) bool {
	return bytes.Equal(EncodeRecording(a), EncodeRecording(b))
}
