package telemetry_test

import (
	"errors"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

func whole() *livev1.Telemetry {
	return &livev1.Telemetry{
		StreamId: "s", FirstSeq: 7, BaseTimeMs: 1000, AtDeltaMs: []int64{0, 1000, 1000},
		Columns: []*livev1.Column{
			{Channel: livev1.Channel_CHANNEL_HEART_RATE_BPM, Values: []int64{140, 141, 142}},
			{Channel: livev1.Channel_CHANNEL_POWER_W, Present: []byte{0b101}, Values: []int64{200, -1}},
		},
	}
}

func TestToBatch(t *testing.T) {
	var b sample.Batch
	b.Columns[sample.EnergyJ].Grow(9) // left over from a frame before
	if err := telemetry.ToBatch(&b, whole()); err != nil {
		t.Fatal(err)
	}
	if b.FirstSeq != 7 || b.Len() != 3 || b.AtMs[2] != 3000 {
		t.Errorf("batch = %d+%d at %v, want 7+3 at 1000 2000 3000", b.FirstSeq, b.Len(), b.AtMs)
	}
	if v, ok := b.Value(sample.HeartRateBpm, 2); !ok || v != 142 {
		t.Errorf("heart rate of 2 = %d %v, want 142", v, ok)
	}
	if _, ok := b.Value(sample.PowerW, 1); ok {
		t.Error("power of 1 is there, want absent")
	}
	if v, ok := b.Value(sample.PowerW, 2); !ok || v != -1 {
		t.Errorf("power of 2 = %d %v, want -1", v, ok)
	}
	if b.Columns[sample.EnergyJ].Present != nil {
		t.Error("energy of an older frame is still there")
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*livev1.Telemetry)
		want  error
	}{
		{"no samples", func(f *livev1.Telemetry) { f.AtDeltaMs = nil }, telemetry.ErrSamples},
		{"513 samples", func(f *livev1.Telemetry) { f.AtDeltaMs = make([]int64, 513) }, telemetry.ErrSamples},
		{"seq 0", func(f *livev1.Telemetry) { f.FirstSeq = 0 }, telemetry.ErrSeq},
		{"seq at the end", func(f *livev1.Telemetry) { f.FirstSeq = math.MaxUint64 }, telemetry.ErrSeq},
		{"time overflows", func(f *livev1.Telemetry) { f.BaseTimeMs = math.MaxInt64 }, telemetry.ErrTime},
		{"time underflows", func(f *livev1.Telemetry) { f.BaseTimeMs, f.AtDeltaMs[0] = math.MinInt64, -1 }, telemetry.ErrTime},
		{"channel 0", func(f *livev1.Telemetry) { f.Columns[0].Channel = 0 }, telemetry.ErrChannel},
		{"channel below", func(f *livev1.Telemetry) { f.Columns[0].Channel = -3 }, telemetry.ErrChannel},
		{"channel of the future", func(f *livev1.Telemetry) { f.Columns[0].Channel = 99 }, telemetry.ErrChannel},
		{"nil column", func(f *livev1.Telemetry) { f.Columns[0] = nil }, telemetry.ErrChannel},
		{"channel twice", func(f *livev1.Telemetry) { f.Columns[1].Channel = f.Columns[0].Channel }, telemetry.ErrTwice},
		{"value missing", func(f *livev1.Telemetry) { f.Columns[0].Values = f.Columns[0].Values[:2] }, telemetry.ErrColumn},
		{"value too many", func(f *livev1.Telemetry) { f.Columns[1].Values = []int64{1, 2, 3} }, telemetry.ErrColumn},
		{"presence too long", func(f *livev1.Telemetry) { f.Columns[1].Present = []byte{5, 0} }, telemetry.ErrColumn},
		{"presence beyond", func(f *livev1.Telemetry) { f.Columns[1].Present = []byte{0b1001} }, telemetry.ErrColumn},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := whole()
			tt.spoil(f)
			var b sample.Batch
			if err := telemetry.ToBatch(&b, f); !errors.Is(err, tt.want) {
				t.Errorf("ToBatch = %v, want %v", err, tt.want)
			}
			if b.Len() != 0 {
				t.Error("the batch was touched")
			}
		})
	}
}

func batches(t *rapid.T) *sample.Batch {
	n := rapid.IntRange(1, sample.MaxBatch).Draw(t, "n")
	b := &sample.Batch{FirstSeq: rapid.Uint64Range(1, 1<<40).Draw(t, "first")}
	for range n {
		b.AtMs = append(b.AtMs, unit.InstantMs(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "at")))
	}
	for c := 1; c < sample.Channels; c++ {
		share := rapid.IntRange(0, 3).Draw(t, "share")
		if share == 0 {
			continue
		}
		b.Columns[c].Grow(n)
		for i := range n {
			if share == 3 || (i*7+c)%share == 0 {
				b.Columns[c].Set(i, int64(i*c)-300)
			}
		}
	}
	return b
}

func TestThereAndBack(t *testing.T) {
	var got sample.Batch // reused over all cases, as a connection does
	var frame livev1.Telemetry
	rapid.Check(t, func(t *rapid.T) {
		want := batches(t)
		telemetry.FromBatch(&frame, "s", want)
		bytes, err := proto.Marshal(&frame)
		if err != nil {
			t.Fatal(err)
		}
		var received livev1.Telemetry
		if err := proto.Unmarshal(bytes, &received); err != nil {
			t.Fatal(err)
		}
		if err := telemetry.ToBatch(&got, &received); err != nil {
			t.Fatal(err)
		}
		if got.Len() != want.Len() || got.FirstSeq != want.FirstSeq {
			t.Fatalf("got %d+%d, want %d+%d", got.FirstSeq, got.Len(), want.FirstSeq, want.Len())
		}
		for i := range want.AtMs {
			if !got.Same(i, want, i) {
				t.Fatalf("sample %d differs", i)
			}
		}
	})
}

// FuzzCheck: what Check accepts converts, and comes back the same.
func FuzzCheck(f *testing.F) {
	seed, err := proto.Marshal(whole())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var frame livev1.Telemetry
		if proto.Unmarshal(data, &frame) != nil {
			return
		}
		var b, again sample.Batch
		if telemetry.Check(&frame) != nil {
			return
		}
		if err := telemetry.ToBatch(&b, &frame); err != nil {
			t.Fatalf("Check accepts, ToBatch says %v", err)
		}
		var back livev1.Telemetry
		telemetry.FromBatch(&back, frame.StreamId, &b)
		// A delta between extremes may not fit; then FromBatch's frame is refused, never misread.
		if telemetry.ToBatch(&again, &back) != nil {
			return
		}
		for i := range b.AtMs {
			if !b.Same(i, &again, i) {
				t.Fatalf("sample %d differs", i)
			}
		}
	})
}

func BenchmarkToBatch(b *testing.B) {
	f := &livev1.Telemetry{StreamId: "s", FirstSeq: 1, BaseTimeMs: 1}
	for i := range 512 {
		f.AtDeltaMs = append(f.AtDeltaMs, int64(i))
	}
	for c := 1; c <= 8; c++ {
		f.Columns = append(f.Columns, &livev1.Column{Channel: livev1.Channel(c), Values: make([]int64, 512)})
	}
	var dst sample.Batch
	b.ReportAllocs()
	for b.Loop() {
		if err := telemetry.ToBatch(&dst, f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/sample")
}
