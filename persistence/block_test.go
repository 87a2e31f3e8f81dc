package persistence

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden compares stored bytes with those of the first release that wrote them.
func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	if *rewrite {
		if err := os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// ride is n seconds of a ride, some of it without heart rate, the last sample refused.
func goldenRide(n int) *sample.Batch {
	b := &sample.Batch{FirstSeq: 3590 - 3590%uint64(n+1), Refused: make([]sample.Refusal, n)}
	b.FirstSeq = max(b.FirstSeq, 1)
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.DistanceMm, sample.LatE7, sample.LonE7} {
		b.Columns[c].Grow(n)
	}
	for i := range n {
		b.AtMs = append(b.AtMs, unit.InstantMs(1_718_462_760_000+1000*i))
		b.Columns[sample.PowerW].Set(i, int64(200+i*7%30))
		b.Columns[sample.DistanceMm].Set(i, int64(5123*i))
		b.Columns[sample.LatE7].Set(i, int64(535_600_000-431*i))
		b.Columns[sample.LonE7].Set(i, int64(98_000_000+1200*i))
		if i%5 != 2 {
			b.Columns[sample.HeartRateBpm].Set(i, int64(140+i%3))
		}
	}
	b.Refused[n-1] = sample.OutOfRange
	return b
}

func sameBatch(t testing.TB, a, b *sample.Batch) {
	t.Helper()
	if a.FirstSeq != b.FirstSeq || a.Len() != b.Len() {
		t.Fatalf("%d samples from %d, want %d from %d", b.Len(), b.FirstSeq, a.Len(), a.FirstSeq)
	}
	for i := range a.Len() {
		if !a.Same(i, b, i) || a.Mark(i) != b.Mark(i) {
			t.Fatalf("sample %d differs", i)
		}
	}
}

func TestBlockGolden(t *testing.T) {
	for name, n := range map[string]int{"block-1-one": 1, "block-1-packed": 120} {
		b := goldenRide(n)
		cell := AppendBlock(nil, b)
		want := golden(t, name, cell)
		got, err := DecodeBlock(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameBatch(t, b, &got)
		// The packing of a later release may give other bytes, the columns in it must not.
		raw := new(blockScratch).appendColumns(nil, b)
		if want := golden(t, name+"-columns", raw); !bytes.Equal(raw, want) {
			t.Errorf("%s: columns are written as %x, want %x", name, raw, want)
		}
	}
}

func TestRecordGolden(t *testing.T) {
	r := Record{Version: 7, Kind: 3, Format: 1, Payload: []byte("payload"), Meta: Meta{At: 1_718_462_760_000, By: "user", CommandID: "c", Trace: "t"}}
	cell := appendRecord(nil, &r)
	if want := golden(t, "record-1", cell); !bytes.Equal(cell, want) {
		t.Errorf("a record is written as %x, want %x", cell, want)
	}
	var got Record
	if err := got.decode(7, cell); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read back %+v, %v", got, err)
	}
}

func goldenRecording() *Recording {
	b := goldenRide(120)
	d := sample.NewDigest()
	d.Add(b, 0, b.Len())
	return &Recording{Workout: "u/w", Streams: []RecordedStream{{Key: SeriesKey{Device: "u/d", Stream: "s", Subject: "u"},
		Through: b.LastSeq() + 5, Skips: []Span{{b.LastSeq() + 1, b.LastSeq() + 5}}, Digest: d.Sum(), Batches: []sample.Batch{*b}}}}
}

func TestRecordingGolden(t *testing.T) {
	r := goldenRecording()
	got, err := DecodeRecording(golden(t, "recording-1", EncodeRecording(r)))
	if err != nil || !EqualRecordings(&got, r) {
		t.Fatalf("read back: %v", err)
	}
	digest := RecordingDigest(r)
	if want := golden(t, "recording-1-digest", digest[:]); !bytes.Equal(digest[:], want) {
		t.Errorf("digest %x, want %x", digest, want)
	}
}

func drawBatch(t *rapid.T) *sample.Batch {
	n := rapid.IntRange(1, sample.MaxBatch).Draw(t, "n")
	b := &sample.Batch{FirstSeq: rapid.Uint64Range(1, 1<<40).Draw(t, "first")}
	value := rapid.OneOf(rapid.Int64Range(-300, 300), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, 0, -1}))
	at := unit.InstantMs(rapid.Int64().Draw(t, "at"))
	for range n {
		at += unit.InstantMs(rapid.Int64Range(-5, 2000).Draw(t, "step"))
		b.AtMs = append(b.AtMs, at)
	}
	if rapid.Bool().Draw(t, "marks") {
		b.Refused = make([]sample.Refusal, n)
		for i := range b.Refused {
			b.Refused[i] = sample.Refusal(rapid.IntRange(0, 6).Draw(t, "mark"))
		}
	}
	for c := 1; c < sample.Channels; c++ {
		if !rapid.Bool().Draw(t, "channel") {
			continue
		}
		b.Columns[c].Grow(n)
		all := rapid.Bool().Draw(t, "all")
		for i := range n {
			if all || rapid.Bool().Draw(t, "present") {
				b.Columns[c].Set(i, value.Draw(t, "value"))
			}
		}
	}
	return b
}

func TestBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		got, err := DecodeBlock(AppendBlock(nil, b))
		if err != nil {
			t.Fatal(err)
		}
		if got.FirstSeq != b.FirstSeq || got.Len() != b.Len() {
			t.Fatalf("%d samples from %d", got.Len(), got.FirstSeq)
		}
		for i := range b.Len() {
			if !b.Same(i, &got, i) || b.Mark(i) != got.Mark(i) {
				t.Fatalf("sample %d differs", i)
			}
		}
	})
}

// TestRecut: however samples are cut, the batches of a recording are the same.
func TestRecut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBatch(t)
		whole := Recording{Streams: []RecordedStream{{Batches: []sample.Batch{*b}}}}
		var cut []sample.Batch
		for at := 0; at < b.Len(); {
			n := rapid.IntRange(1, b.Len()-at).Draw(t, "cut")
			cut = append(cut, b.Slice(at, at+n))
			at += n
		}
		other := Recording{Streams: []RecordedStream{{Batches: cut}}}
		if !EqualRecordings(&whole, &other) {
			t.Fatal("the cut shows")
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	f.Add(AppendBlock(nil, goldenRide(1)))
	f.Add(AppendBlock(nil, goldenRide(120)))
	f.Add([]byte{blockFormat, packPlain, 1, 1, 0, 2, 0, 0})
	f.Add([]byte{blockFormat, packS2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, cell []byte) {
		b, err := DecodeBlock(cell)
		if err != nil {
			return
		}
		if b.Len() == 0 || b.Len() > sample.MaxBatch || b.Refused != nil && len(b.Refused) != b.Len() {
			t.Fatalf("%d samples, %d marks", b.Len(), len(b.Refused))
		}
		again, err := DecodeBlock(AppendBlock(nil, &b))
		if err != nil {
			t.Fatal(err)
		}
		sameBatch(t, &b, &again)
	})
}

func FuzzDecodeRecording(f *testing.F) {
	f.Add(EncodeRecording(goldenRecording()), false)
	raw, err := zstdDecoder().DecodeAll(EncodeRecording(goldenRecording())[1:], nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, true)
	f.Fuzz(func(t *testing.T, b []byte, unpacked bool) {
		decode := DecodeRecording
		if unpacked {
			decode = decodeStreams
		}
		r, err := decode(b)
		if err != nil || r.check() != nil {
			return
		}
		again, err := DecodeRecording(EncodeRecording(&r))
		if err != nil || !EqualRecordings(&r, &again) {
			t.Fatalf("written again it cannot be read: %v", err)
		}
	})
}

func BenchmarkAppendBlock(b *testing.B) {
	ride := goldenRide(120)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendBlock(dst[:0], ride)
	}
	b.ReportMetric(float64(len(dst))/120, "bytes/sample")
}

func BenchmarkDecodeBlock(b *testing.B) {
	cell := AppendBlock(nil, goldenRide(120))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBlock(cell); err != nil {
			b.Fatal(err)
		}
	}
}
