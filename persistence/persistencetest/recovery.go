package persistencetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"paceline/domain/sample"
	"paceline/persistence"
	"paceline/persistence/faulty"
)

func runRecovery(t *testing.T, open Open) {
	const bucket = persistence.SeriesBucket
	for _, tt := range []struct {
		name    string
		rows    [][2]uint64 // from, to
		skips   []persistence.Span
		floor   uint64
		through uint64
		tail    []uint64
	}{
		{name: "nothing"},
		{name: "nothing above a floor", floor: 3599, through: 3599},
		{name: "a few", rows: [][2]uint64{{1, 10}}, through: 10, tail: upTo(1, 10)},
		{name: "long", rows: [][2]uint64{{1, 8000}}, through: 8000, tail: upTo(8000-511, 8000)},
		{name: "ends with a bucket", rows: [][2]uint64{{1, 3599}}, through: 3599, tail: upTo(3599-511, 3599)},
		{name: "begins a bucket", rows: [][2]uint64{{1, 3600}}, through: 3600, tail: upTo(3600-511, 3600)},
		{name: "hole", rows: [][2]uint64{{1, 10}, {12, 20}}, through: 10, tail: upTo(1, 10)},
		{name: "hole at the start", rows: [][2]uint64{{2, 20}}},
		{name: "hole far behind the last row", rows: [][2]uint64{{1, 100}, {102, 3000}}, through: 100, tail: upTo(1, 100)},
		{name: "skip", rows: [][2]uint64{{1, 10}, {12, 20}}, skips: []persistence.Span{{From: 11, To: 11}}, through: 20,
			tail: append(upTo(1, 10), upTo(12, 20)...)},
		{name: "skip at the end", rows: [][2]uint64{{1, 10}}, skips: []persistence.Span{{From: 11, To: 30}}, through: 30, tail: upTo(1, 10)},
		{name: "skip first", rows: [][2]uint64{{6, 10}}, skips: []persistence.Span{{From: 1, To: 5}}, through: 10, tail: upTo(6, 10)},
		{name: "a row under a skip", rows: [][2]uint64{{1, 30}}, skips: []persistence.Span{{From: 11, To: 20}}, through: 30,
			tail: append(upTo(1, 10), upTo(21, 30)...)},
		{name: "skip over empty buckets", rows: [][2]uint64{{1, 100}, {3*bucket + 1, 3*bucket + 10}},
			skips: []persistence.Span{{From: 101, To: 3 * bucket}}, through: 3*bucket + 10, tail: append(upTo(1, 100), upTo(3*bucket+1, 3*bucket+10)...)},
		{name: "two skips over empty buckets", rows: [][2]uint64{{1, 100}, {3 * bucket, 3*bucket + 10}},
			skips:   []persistence.Span{{From: 2*bucket + 1, To: 3*bucket - 1}, {From: 101, To: 2 * bucket}},
			through: 3*bucket + 10, tail: append(upTo(1, 100), upTo(3*bucket, 3*bucket+10)...)},
		{name: "floor", rows: [][2]uint64{{1, 4000}}, floor: 3800, through: 4000, tail: upTo(3801, 4000)},
		{name: "floor in an older bucket", rows: [][2]uint64{{1, 4000}}, floor: 10, through: 4000, tail: upTo(4000-511, 4000)},
		{name: "hole above the floor", rows: [][2]uint64{{3000, 4000}}, floor: 100, through: 100},
		{name: "rows begin at the floor", rows: [][2]uint64{{101, 150}}, floor: 100, through: 150, tail: upTo(101, 150)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := persistence.Over(open(t))
			for i, r := range tt.rows {
				putAll(t, s, r[0], r[1], 100+i, 0)
			}
			end := must(s.RecoverSeries(context.Background(), stream, tt.floor, tt.skips))(t)
			if end.Through != tt.through {
				t.Errorf("through %d, want %d", end.Through, tt.through)
			}
			if have := seqs(t, end.Tail, plain); !slices.Equal(have, tt.tail) {
				t.Errorf("tail of %d samples, want %d", len(have), len(tt.tail))
			}
			for _, r := range tt.rows {
				if r[1] > tt.through && !slices.ContainsFunc(end.Blocks, func(k persistence.BlockKey) bool { return k.Last == r[1] }) {
					t.Errorf("the row that ends at %d is not named", r[1])
				}
			}
		})
	}
}

func runRecordings(t *testing.T, open Open) {
	each(t, open, []table{{"round trip", testRecording}, {"contradictions", testBadRecordings}, {"half a recording", testHalfRecording}})
}

func recorded(name string, batches ...sample.Batch) persistence.RecordedStream {
	s := persistence.RecordedStream{Key: persistence.SeriesKey{Device: "user-1/watch", Stream: name, Subject: "user-1"}, Batches: batches}
	d := sample.NewDigest()
	for i := range batches {
		d.Add(&batches[i], 0, batches[i].Len())
		s.Through = max(s.Through, batches[i].LastSeq())
	}
	s.Digest = d.Sum()
	return s
}

func testRecording(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	s := persistence.Over(rows)
	if _, ok, err := s.GetRecording(ctx, "user-1", workout.ID, [32]byte{1}); ok || err != nil {
		t.Fatalf("a recording of nothing: %v, %v", ok, err)
	}
	marked := ride(1, 300, 0)
	marked.Refused = make([]sample.Refusal, 300)
	marked.Refused[299] = sample.OutOfRange
	two := recorded("two", *marked, *noisy(301))
	two.Through, two.Skips = two.Through+10, []persistence.Span{{From: two.Through + 1, To: two.Through + 10}}
	r := persistence.Recording{Workout: workout.ID, Streams: []persistence.RecordedStream{two, recorded("one", *ride(5, 3, 0), *ride(10, 3, 0)), recorded("none")}}
	digest := must(s.PutRecording(ctx, "user-1", r))(t)
	if again := must(s.PutRecording(ctx, "user-1", r))(t); again != digest {
		t.Fatal("the same recording has another digest")
	}
	got, ok, err := s.GetRecording(ctx, "user-1", workout.ID, digest)
	if err != nil || !ok || !persistence.EqualRecordings(&got, &r) {
		t.Fatalf("read back: %v, %v, %d streams", ok, err, len(got.Streams))
	}
	if _, ok, err := s.GetRecording(ctx, "user-1", "user-1/other", digest); ok || err != nil {
		t.Fatalf("under another workout: %v, %v", ok, err)
	}
	r.Streams[0].Through++
	if other := must(s.PutRecording(ctx, "user-1", r))(t); other == digest {
		t.Fatal("another recording has the same digest")
	}
}

// noisy does not pack: a recording of it has several parts.
func noisy(first uint64) *sample.Batch {
	b := ride(first, 60_000, 0)
	x := uint64(1)
	for i := range b.AtMs {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.Columns[sample.PowerW].Values[i] = int64(x)
	}
	return b
}

// testHalfRecording: a writer that dies between two parts leaves nothing that can be taken for a recording, and
// the same again completes it.
func testHalfRecording(t *testing.T, rows persistence.Rows) {
	ctx := context.Background()
	f := faulty.Over(rows)
	s := persistence.Over(f)
	r := persistence.Recording{Workout: workout.ID, Streams: []persistence.RecordedStream{recorded("s", *noisy(1))}}
	digest := persistence.RecordingDigest(&r)
	for left := 0; ; left++ {
		n := 0
		f.Decide = func(w faulty.Write) faulty.Fate {
			if w.Table != persistence.TableRecording {
				return faulty.Done
			}
			if n++; n > left {
				return faulty.Away
			}
			return faulty.Done
		}
		if _, err := s.PutRecording(ctx, "user-1", r); err == nil {
			if left < 2 {
				t.Fatalf("only %d parts: this test shows nothing", left)
			}
			break
		}
		if _, ok, err := s.GetRecording(ctx, "user-1", workout.ID, digest); ok || err != nil {
			t.Fatalf("after %d parts: %v, %v; want none", left, ok, err)
		}
	}
	if got, ok, err := s.GetRecording(ctx, "user-1", workout.ID, digest); err != nil || !ok || !persistence.EqualRecordings(&got, &r) {
		t.Fatalf("completed: %v, %v", ok, err)
	}
}

func testBadRecordings(t *testing.T, rows persistence.Rows) {
	s := persistence.Over(rows)
	wrong := recorded("s", *ride(1, 3, 0))
	wrong.Digest[0]++
	reverse := recorded("s", *ride(10, 3, 0), *ride(1, 3, 0))
	beyond := recorded("s", *ride(1, 3, 0))
	beyond.Through = 2
	skipped := recorded("s", *ride(1, 3, 0))
	skipped.Skips = []persistence.Span{{From: 3, To: 3}}
	for i, bad := range []persistence.RecordedStream{wrong, reverse, beyond, skipped} {
		r := persistence.Recording{Workout: workout.ID, Streams: []persistence.RecordedStream{bad}}
		if _, err := s.PutRecording(context.Background(), "user-1", r); !errors.Is(err, persistence.ErrRecordingInvalid) {
			t.Errorf("%d: %v", i, err)
		}
	}
}
