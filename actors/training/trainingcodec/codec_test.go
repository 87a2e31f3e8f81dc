package trainingcodec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"paceline/actors/training"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew; never for a format that was released")

func watch() training.Stream {
	s := training.Stream{Key: training.StreamKey{Device: "u1/d1", Stream: "s1"}, Clock: sample.GNSS}
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.LatE7, sample.LonE7} {
		s.Declared[c], s.Trust[c] = true, sample.Measured
	}
	s.Trust[sample.LonE7] = sample.Estimated
	return s
}

func line() course.Track {
	gate := geo.Gate{ID: "start", Kind: geo.StartGate, Mandatory: true}.Eastward(80_000_000, 499_000_000, 501_000_000)
	finish := geo.Gate{ID: "finish", Kind: geo.FinishGate, Mandatory: true, AtMm: geo.Unplaced}.Eastward(81_000_000, 499_000_000, 501_000_000)
	return course.Track{Format: course.Line, Sport: geo.Row, Name: "lake", Laps: 1, CorridorMm: 50_000,
		Line: []geo.Point{geo.Degrees(50, 8), geo.Degrees(50, 8.1)}, Gates: []geo.Gate{gate, finish}}
}

var some = basis.Of(basis.StreamBasis{Device: "u1/d1", Stream: "s1", FoldedThrough: 60, FactsVersion: 3})

// examples has an event of each kind, between them every field set, and their order is that of the golden file: what is added
// later comes last, so that the bytes of before stay.
var examples = []training.Event{
	training.Started{WorkoutID: "w1", Sport: "row", Zone: "Europe/Berlin", UTCOffsetS: 7200, DeviceTime: 1718463600000},
	training.StreamAttached{Stream: watch()},
	training.Bound{Competition: "c1", Entry: 17, Version: 9, Primary: "s1", Track: line(), Gun: 1718463600000, Rules: 1,
		Cutoff: 1718470800000, Grace: 30_000},
	training.Unbound{Competition: "c1", Version: 11},
	training.Paused{At: 1718463601000},
	training.Resumed{At: 1718463602000},
	training.LapMarked{Lap: 2, At: 1718463603000},
	training.Passed{Gate: 3, At: 1718463604000123, Binding: 9},
	training.Revised{Gate: 3, From: 1718463604000123, To: 1718463604000456, None: true, Why: "clock", Binding: 9},
	training.Flagged{Flag: training.Flag{Reason: training.FlagDistanceStep, Stream: "s1", Seq: 44, At: 1718463605000}},
	training.FlagCleared{Reason: training.FlagDistanceStep},
	training.FinishRequested{By: training.ByPerson, Reason: "done", DeviceTime: 1718463606000, At: 1718463606100,
		Streams: []training.StreamEnd{{Stream: "s1", LastSeq: 60}}, RequestedAt: 1718463606200},
	training.Finished{Basis: some, Totals: training.Totals{ElapsedMs: 1, DistanceMm: 2, AscentMm: 3, WorkJ: 4, HeartBpm: 5, PowerW: 6, Samples: 7}, Incomplete: true},
	training.TotalsRevised{Replaces: some, Basis: some, Totals: training.Totals{Samples: 8}},
	training.RecordingWritten{Recording: [32]byte{1, 31: 2}, Streams: []training.RecordedStream{
		{Key: training.StreamKey{Device: "u1/d1", Stream: "s1"}, Through: 60, Digest: [32]byte{3, 31: 4}}}},
	training.Fenced{},
	training.Started{WorkoutID: "w1", Sport: "ride", DeviceTime: 1718463600000, Plan: []training.PlanStep{{ForS: 600, PowerW: 150}, {ForS: 60, PowerW: 300}}},
}

func TestGolden(t *testing.T) {
	var got strings.Builder
	for _, e := range examples {
		kind, format, payload, err := Encode(e)
		if err != nil {
			t.Fatalf("Encode(%T): %v", e, err)
		}
		fmt.Fprintf(&got, "%d %d %s\n", kind, format, hex.EncodeToString(payload))
	}
	file := filepath.Join("testdata", "events-1.txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("stored bytes have changed:\n%s\nwant\n%s", got.String(), want)
	}
	for i, l := range strings.Split(strings.TrimRight(string(want), "\n"), "\n") {
		fields := strings.Split(l, " ")
		var kind, format uint32
		fmt.Sscan(fields[0], &kind)
		fmt.Sscan(fields[1], &format)
		payload, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(kind, format, payload)
		if err != nil || !reflect.DeepEqual(e, examples[i]) {
			t.Errorf("Decode(%s) = %+v, %v, want %+v", l, e, err, examples[i])
		}
	}
	captured := map[uint32]bool{}
	for _, e := range examples {
		kind, _, _, _ := Encode(e)
		captured[kind] = true
	}
	if len(decoders) != len(captured) {
		t.Errorf("%d kinds, %d of them in the examples: each kind needs golden bytes", len(decoders), len(captured))
	}
}

func TestUnknownRefused(t *testing.T) {
	for _, tt := range []struct {
		name         string
		kind, format uint32
		payload      string
		want         error
	}{
		{"kind", 99, Format, "", ErrUnknown},
		{"kind zero", 0, Format, "", ErrUnknown},
		{"format", KindStarted, 2, "", ErrUnknown},
		{"bytes", KindStarted, Format, "\xff", ErrCorrupt},
		{"short digest", KindRecordingWritten, Format, "\x0a\x01x", ErrCorrupt},
		{"channel 99", KindStreamAttached, Format, "\x22\x02\x08\x63", ErrCorrupt},
	} {
		if _, err := Decode(tt.kind, tt.format, []byte(tt.payload)); !errors.Is(err, tt.want) {
			t.Errorf("%s: Decode = %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range examples {
		kind, _, payload, _ := Encode(e)
		f.Add(kind, payload)
	}
	f.Fuzz(func(t *testing.T, kind uint32, payload []byte) {
		e, err := Decode(kind, Format, payload)
		if err != nil {
			return
		}
		k, _, again, err := Encode(e)
		if err != nil {
			return // text that is not UTF-8
		}
		e2, err := Decode(k, Format, again)
		if err != nil || k != kind {
			t.Fatalf("%+v: %d became %d, %v", e, kind, k, err)
		}
		if _, _, third, _ := Encode(e2); !bytes.Equal(again, third) {
			t.Fatalf("%x became %x", again, third)
		}
	})
}
