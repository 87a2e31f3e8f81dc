package persistence

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

// TestFramesOfARecording: what is longer than one frame may be is cut, and read back; what is longer than a reader takes
// is refused by him, and was refused by the writer before.
func TestFramesOfARecording(t *testing.T) {
	raw := make([]byte, 10_000)
	for i := range raw {
		raw[i] = byte(i * i >> 3)
	}
	for _, c := range []struct{ size, single, frame, frames int }{
		{0, 100, 30, 0}, {100, 100, 30, 0}, {101, 100, 30, 4}, {120, 100, 30, 4}, {121, 100, 30, 5}, {10_000, 100, 3_000, 4},
	} {
		b := packRecording(raw[:c.size], c.single, c.frame)
		if want := map[bool]byte{true: recordingFormat, false: recordingFrames}[c.frames == 0]; b[0] != want {
			t.Errorf("%d bytes: format %d, want %d", c.size, b[0], want)
		}
		if got, err := unpackRecording(b, c.size); err != nil || !bytes.Equal(got, raw[:c.size]) {
			t.Errorf("%d bytes: %d came back, %v", c.size, len(got), err)
		}
		if c.size == 0 {
			continue
		}
		if _, err := unpackRecording(b, c.size-1); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes were read by who takes one less: %v", c.size, err)
		}
		if _, err := unpackRecording(b[:len(b)-1], c.size); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes without the last: %v", c.size, err)
		}
	}
}

// TestALongRecording writes and reads one of more than 128 MiB: days of several streams. PACELINE_LONG only: it takes a
// gigabyte of memory.
func TestALongRecording(t *testing.T) {
	if os.Getenv("PACELINE_LONG") == "" {
		t.Skip("takes a gigabyte of memory: set PACELINE_LONG=1 (make test-all does)")
	}
	r := Recording{Workout: "u/w"}
	x := uint64(1)
	for s := range 4 {
		one := RecordedStream{Key: SeriesKey{Device: "u/d", Stream: string(rune('a' + s)), Subject: "u"}}
		d := sample.NewDigest()
		for first := uint64(1); first < 600_000; first += sample.MaxBatch {
			b := sample.Batch{FirstSeq: first, AtMs: make([]unit.InstantMs, sample.MaxBatch)}
			for c := sample.HeartRateBpm; c <= sample.LonE7; c++ {
				b.Columns[c].Grow(sample.MaxBatch)
			}
			for i := range b.AtMs {
				b.AtMs[i] = unit.InstantMs(first+uint64(i)) * 1000
				for c := sample.HeartRateBpm; c <= sample.LonE7; c++ {
					x ^= x << 13
					x ^= x >> 7
					x ^= x << 17
					b.Columns[c].Set(i, int64(x>>1))
				}
			}
			d.Add(&b, 0, b.Len())
			one.Batches, one.Through = append(one.Batches, b), b.LastSeq()
		}
		one.Digest = d.Sum()
		r.Streams = append(r.Streams, one)
	}
	raw := rawRecording(&r)
	if len(raw) <= maxRecordingRaw {
		t.Fatalf("%d bytes: this shows nothing", len(raw))
	}
	got, err := DecodeRecording(EncodeRecording(&r))
	if err != nil || !EqualRecordings(&got, &r) {
		t.Fatalf("%d bytes: %v", len(raw), err)
	}
}
