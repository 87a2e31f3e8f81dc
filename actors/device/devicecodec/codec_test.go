package devicecodec

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

	"paceline/actors/device"
	"paceline/domain/sample"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew; never for a format that was released")

// examples has one event of each kind with every field set, and their order is that of the golden file.
var examples = []device.Event{
	device.Registered{Owner: "u1", Name: "Watch", Model: "W2", Organization: "default"},
	device.Claimed{Person: "u2", Until: 1718463600000},
	device.Released{Person: "u2"},
	device.StreamOpened{Stream: "s1", Training: "u1/w1", Person: "u1", WindowFrom: 1, WindowTo: 2, LimitsVersion: 1,
		Clock: sample.GNSS, Sport: "run", Channels: []device.ChannelSpec{{Channel: sample.HeartRateBpm, Trust: sample.Measured},
			{Channel: sample.LatE7, Trust: sample.Measured}, {Channel: sample.LonE7, Trust: sample.Estimated}}},
	device.ClockSet{Stream: "s1", FromSeq: 7, Offset: -1250, Error: 20, Source: "ping"},
	device.Skipped{Stream: "s1", Spans: []device.Span{{From: 3, To: 4}, {From: 6, To: 600}}, Reason: "flash"},
	device.StreamClosed{Stream: "s1", LastSeq: 7200},
	device.StreamRecorded{Stream: "s1", Through: 7200, Digest: [32]byte{1, 2, 3}, Recording: [32]byte{9, 8, 31: 7}},
	device.Fenced{},
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
	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		var kind, format uint32
		var text string
		fmt.Sscanf(line, "%d %d %s", &kind, &format, &text)
		payload, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(kind, format, payload)
		if err != nil || !reflect.DeepEqual(e, examples[i]) {
			t.Errorf("Decode(%s) = %+v, %v, want %+v", line, e, err, examples[i])
		}
	}
	if len(decoders) != len(examples) {
		t.Errorf("%d kinds, %d examples: each kind needs golden bytes", len(decoders), len(examples))
	}
}

func TestUnknownRefused(t *testing.T) {
	tests := []struct {
		name         string
		kind, format uint32
		payload      string
		want         error
	}{
		{"kind", 99, Format, "", ErrUnknown},
		{"kind zero", 0, Format, "", ErrUnknown},
		{"format", KindClaimed, 2, "", ErrUnknown},
		{"bytes", KindClaimed, Format, "\xff", ErrCorrupt},
		{"short digest", KindStreamRecorded, Format, "\x1a\x01x", ErrCorrupt},
		{"fenced with payload", KindFenced, Format, "x", ErrCorrupt},
	}
	for _, tt := range tests {
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
		if err != nil || k != kind {
			t.Fatalf("Encode(Decode(%d, %x)) = kind %d, %v", kind, payload, k, err)
		}
		e2, err := Decode(k, Format, again)
		if err != nil || !reflect.DeepEqual(e, e2) {
			t.Fatalf("%+v became %+v, %v", e, e2, err)
		}
		if _, _, third, _ := Encode(e2); !bytes.Equal(again, third) {
			t.Fatalf("%x became %x", again, third)
		}
	})
}
