package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/telemetry"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/wire"
	"paceline/internal/testkit"
)

func TestDecodeRefusesJSON(t *testing.T) {
	telemetryWith := func(fields string) string {
		return `{"telemetry":{"stream_id":"s","first_seq":"1","base_time_ms":"1","at_delta_ms":["0"],"columns":[{"channel":"CHANNEL_POWER_W",` + fields + `}]}}`
	}
	tests := []struct {
		name, frame string
		want        error
	}{
		{"empty", "", wire.ErrMalformed},
		{"not JSON", "hello", wire.ErrMalformed},
		{"truncated", `{"hello":{"client":"x"`, wire.ErrMalformed},
		{"not UTF-8", "{\"hello\":{\"client\":\"\xff\xfe\"}}", wire.ErrMalformed},
		{"an array", `[]`, wire.ErrMalformed},
		{"two messages", `{"ping":{},"hello":{}}`, wire.ErrMalformed},
		{"NaN", telemetryWith(`"values":[NaN]`), wire.ErrMalformed},
		{"NaN as a string", telemetryWith(`"values":["NaN"]`), wire.ErrMalformed},
		{"infinite", telemetryWith(`"values":["Infinity"]`), wire.ErrMalformed},
		{"1e400", telemetryWith(`"values":[1e400]`), wire.ErrMalformed},
		{"a fraction", telemetryWith(`"values":[1.5]`), wire.ErrMalformed},
		{"beyond 64 bits", telemetryWith(`"values":["9223372036854775808"]`), wire.ErrMalformed},
		{"negative seq", `{"telemetry":{"stream_id":"s","first_seq":"-1"}}`, wire.ErrMalformed},
		{"deep", strings.Repeat(`{"hello":`, 2000) + strings.Repeat("}", 2000), wire.ErrMalformed},
		{"nothing", `{}`, wire.ErrUnknownMessage},
		{"a message of the future", `{"teleport":{"to":"finish"}}`, wire.ErrUnknownMessage},
		{"a command of the future", `{"command":{"command_id":"c","fly":{}}}`, wire.ErrUnknownMessage},
		{"too large", `{"hello":{"client":"` + strings.Repeat("x", wire.MaxFrameBytes) + `"}}`, wire.ErrTooLarge},
		{"a long token", `{"hello":{"token":"` + strings.Repeat("x", wire.MaxTokenBytes+1) + `"}}`, wire.ErrTooLong},
		{"an unknown channel", `{"telemetry":{"stream_id":"s","first_seq":"1","at_delta_ms":["0"],"columns":[{"channel":99,"values":["1"]}]}}`, telemetry.ErrChannel},
		{"a channel by an unknown name", `{"telemetry":{"stream_id":"s","first_seq":"1","at_delta_ms":["0"],"columns":[{"channel":"CHANNEL_AURA","values":["1"]}]}}`, telemetry.ErrChannel},
		{"an empty stream id", `{"telemetry":{"first_seq":"1","at_delta_ms":["0"]}}`, id.ErrMalformed},
		{"a stream id with a slash", `{"close_stream":{"stream_id":"a/b"}}`, id.ErrMalformed},
		{"a device without affinity", `{"open_stream":{"device_id":"watch","stream_id":"s","workout_id":"w","clock":1}}`, id.ErrMalformed},
		{"no kind of clock", `{"open_stream":{"device_id":"a/watch","stream_id":"s","workout_id":"w"}}`, wire.ErrClockKind},
		{"a skip backwards", `{"skip":{"stream_id":"s","from_seq":"9","to_seq":"5"}}`, wire.ErrSpan},
		{"a skip from 0", `{"skip":{"stream_id":"s","to_seq":"5"}}`, wire.ErrSpan},
		{"a command without id", `{"command":{"workout_id":"w","lap":{}}}`, id.ErrMalformed},
		{"a long cut", `{"subscribe":{"topic":"x","cut":"` + strings.Repeat("y", 300) + `"}}`, wire.ErrTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wire.Decode(wire.JSON, []byte(tt.frame))
			if !errors.Is(err, tt.want) {
				t.Errorf("Decode = %v, want %v", err, tt.want)
			}
			strike := errors.Is(tt.want, wire.ErrMalformed) || errors.Is(tt.want, wire.ErrTooLarge)
			if wire.Strike(err) != strike {
				t.Errorf("Strike(%v) = %v", err, !strike)
			}
		})
	}
}

func TestDecodeRefusesBinary(t *testing.T) {
	for name, m := range clientFrames() {
		whole := wire.Encode(wire.Proto, m)
		for n := range len(whole) {
			// A prefix of a message may be a shorter message; it must never be the whole one, nor a panic.
			if got, err := wire.Decode(wire.Proto, whole[:n]); err == nil && proto.Equal(got, m) {
				t.Errorf("%s cut to %d of %d bytes is still whole", name, n, len(whole))
			}
		}
	}
	notUTF8 := wire.Encode(wire.Proto, &livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{Client: "abcd"}}})
	notUTF8 = bytes.Replace(notUTF8, []byte("abcd"), []byte("\xff\xfe\xfd\xfc"), 1)
	if _, err := wire.Decode(wire.Proto, notUTF8); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("Decode(not UTF-8) = %v, want ErrMalformed", err)
	}
	if _, err := wire.Decode(wire.Proto, make([]byte, wire.MaxFrameBytes+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("Decode(too large) = %v, want ErrTooLarge", err)
	}
	if _, err := wire.Decode(wire.Proto, []byte{0xfa, 0x3f, 0x00}); !errors.Is(err, wire.ErrUnknownMessage) {
		t.Errorf("Decode(a message of the future) = %v, want ErrUnknownMessage", err)
	}
}

func TestRandomFrames(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
			if m, err := wire.Decode(e, b); err == nil && m.Message == nil {
				t.Fatalf("Decode(%v, %x) = an empty message", e, b)
			}
		}
	}
}

// TestDecodeAllocatesInProportion: a hostile frame must not cost much more memory than it has bytes.
func TestDecodeAllocatesInProportion(t *testing.T) {
	columns := bytes.Repeat([]byte{0x2a, 0x00}, (wire.MaxFrameBytes-8)/2) // empty columns, two bytes each
	hostile := append(protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.BytesType), uint64(len(columns))), columns...)
	if _, err := wire.Decode(wire.Proto, hostile); !errors.Is(err, id.ErrMalformed) {
		t.Fatalf("Decode = %v: the frame was meant to be read", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 20
	for range times {
		_, _ = wire.Decode(wire.Proto, hostile)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 100*wire.MaxFrameBytes {
		t.Errorf("a frame of %d bytes costs %d bytes of memory", len(hostile), each)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range clientFrames() {
		f.Add(false, wire.Encode(wire.Proto, m))
		f.Add(true, wire.Encode(wire.JSON, m))
	}
	f.Fuzz(func(t *testing.T, text bool, frame []byte) {
		e := wire.Proto
		if text {
			e = wire.JSON
		}
		m, err := wire.Decode(e, frame)
		if err != nil {
			if fault.Of(err).Kind == fault.Internal {
				t.Errorf("Decode = %v: a client's mistake shows as ours", err)
			}
			return
		}
		if m.Message == nil {
			t.Error("Decode = a message without a body")
		}
		if tel := m.GetTelemetry(); tel != nil && telemetry.Check(tel) != nil {
			t.Error("Decode = telemetry that is not whole")
		}
		again, err := wire.Decode(wire.Proto, wire.Encode(wire.Proto, m))
		if err != nil || !proto.Equal(again, m) {
			t.Errorf("what was decoded does not come back: %v", err)
		}
	})
}

func TestTopics(t *testing.T) {
	for _, good := range []string{"competition/r1/board", "competition/r1/roster", "competition/r1/positions", "competition/r1/feed", "workout/w1", "inbox"} {
		topic, err := wire.ParseTopic(good)
		if err != nil || topic.String() != good {
			t.Errorf("ParseTopic(%q) = %v, %v", good, topic, err)
		}
	}
	for _, bad := range []string{"", "board", "competition", "competition/", "competition/r1", "competition//board", "competition/r1/boards",
		"competition/r1/board/x", "competition/a b/board", "workout/", "workout", "workout/ann/w1", "group/1/feed", "inbox/ann", "inbox/", "competition/" + strings.Repeat("x", 65) + "/board"} {
		if topic, err := wire.ParseTopic(bad); !errors.Is(err, wire.ErrTopic) {
			t.Errorf("ParseTopic(%q) = %v, %v, want ErrTopic", bad, topic, err)
		}
	}
	board := wire.Topic{Kind: wire.Board, ID: "r1"}
	for _, good := range []string{"", "top:1", "top:200", "category:W40", "category:a:b", "around:17"} {
		cut, err := wire.ParseCut(board, good)
		if err != nil || cut.String() != good {
			t.Errorf("ParseCut(%q) = %v, %v", good, cut, err)
		}
	}
	for _, bad := range []string{"top:", "top:0", "top:01", "top:201", "top:-1", "top:x", "around:", "around:0", "around:4294967296", "category:", "middle:3", "top"} {
		if cut, err := wire.ParseCut(board, bad); !errors.Is(err, wire.ErrCut) {
			t.Errorf("ParseCut(%q) = %v, %v, want ErrCut", bad, cut, err)
		}
	}
	positions := wire.Topic{Kind: wire.Positions, ID: "r1"}
	for _, good := range []string{"", "top:1", "audience:entrant", "audience:official", "audience:official,top:3", "audience:entrant,around:17", "audience:entrant,category:a,b"} {
		cut, err := wire.ParseCut(positions, good)
		if err != nil || cut.String() != good {
			t.Errorf("ParseCut(%q) = %v, %v", good, cut, err)
		}
	}
	for _, bad := range []string{"audience:", "audience:public", "audience:operator", "audience:entrant,", "audience:entrant,audience:official", "audience:entrant,top:0",
		"top:3,audience:entrant", "Audience:entrant", "audience:entrant ", "audience:officialtop:1"} {
		if cut, err := wire.ParseCut(positions, bad); !errors.Is(err, wire.ErrCut) {
			t.Errorf("ParseCut(%q) = %v, %v, want ErrCut", bad, cut, err)
		}
	}
	if _, err := wire.ParseCut(board, "audience:official"); !errors.Is(err, wire.ErrCut) {
		t.Errorf("a board has an audience: %v", err)
	}
	if _, err := wire.ParseCut(wire.Topic{Kind: wire.Feed, ID: "r1"}, "top:3"); !errors.Is(err, wire.ErrCut) {
		t.Errorf("a feed has a cut: %v", err)
	}
}

func TestCloseCodesSayWhatToDo(t *testing.T) {
	want := map[wire.CloseCode]wire.Meaning{
		wire.CloseGoing: wire.Reconnect, wire.CloseIdle: wire.Reconnect, wire.CloseSlow: wire.Reconnect, wire.CloseFull: wire.Reconnect,
		wire.CloseInternal: wire.Reconnect, wire.CloseFlood: wire.Reconnect, wire.CloseTokenEnded: wire.Renew,
		wire.CloseMalformed: wire.Terminal, wire.CloseTooLarge: wire.Terminal, wire.CloseUnauthentic: wire.Terminal,
		wire.CloseReplaced: wire.Terminal, wire.CloseOrder: wire.Terminal, wire.CloseSubprotocol: wire.Terminal,
	}
	names := map[string]bool{}
	for _, c := range wire.CloseCodes() {
		if c.Meaning() != want[c] {
			t.Errorf("%v means %v, want %v", c, c.Meaning(), want[c])
		}
		if c < 4000 || c > 4999 || names[c.String()] || c.String() == "closed" {
			t.Errorf("code %d %q is out of range, or its name is taken", c, c)
		}
		names[c.String()] = true
	}
	for code, meaning := range map[wire.CloseCode]wire.Meaning{1000: wire.Reconnect, 1001: wire.Reconnect, 1006: wire.Reconnect, 1009: wire.Terminal, 1002: wire.Terminal, 1011: wire.Reconnect} {
		if code.Meaning() != meaning {
			t.Errorf("%d means %v, want %v", code, code.Meaning(), meaning)
		}
	}
}

func TestErrors(t *testing.T) {
	e := wire.ErrorOf(errors.New("disk /dev/sda is on fire"))
	if e.Code != "internal" || strings.Contains(e.Message+e.Detail, "fire") {
		t.Errorf("ErrorOf = %v: our own mistakes are ours", e)
	}
	e = wire.ErrorOf(fault.New(fault.Internal, "machine.bug", "Something went wrong on our side.").With("row 17 of ann"))
	if e.Detail != "" {
		t.Errorf("ErrorOf = %v: particulars of our own mistakes are ours", e)
	}
	gap := fault.New(fault.Conflict, "stream.gap", "x")
	for detail, want := range map[string]uint64{"expected 17": 17, "17": 17, "expected": 0, "": 0, "expected 99999999999999999999999": 0} {
		if got := wire.ExpectedSeq(gap.With("%s", detail)); got != want {
			t.Errorf("ExpectedSeq(%q) = %d, want %d", detail, got, want)
		}
	}
	back := wire.FaultOf(&clusterv1.Fault{Kind: uint32(fault.Unavailable), Code: "a.b", Message: "m", Retry: true, Detail: "d"})
	if f := fault.Of(back); f.Code != "a.b" || !f.Retry || f.Kind != fault.Unavailable || wire.FaultOf(nil) != nil {
		t.Errorf("FaultOf = %+v", f)
	}
}

func benchFrame(samples int) *livev1.ClientMessage {
	f := &livev1.Telemetry{StreamId: streamID, FirstSeq: 1, BaseTimeMs: 1718462760000}
	for range samples {
		f.AtDeltaMs = append(f.AtDeltaMs, 1000)
	}
	for _, c := range []livev1.Channel{1, 2, 3, 4, 6, 7, 8} {
		col := &livev1.Column{Channel: c}
		for i := range samples {
			col.Values = append(col.Values, 535612000+int64(i)*31)
		}
		f.Columns = append(f.Columns, col)
	}
	return &livev1.ClientMessage{Message: &livev1.ClientMessage_Telemetry{Telemetry: f}}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 5, 512} {
		for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
			b.Run(fmt.Sprintf("%v/%d", e, n), func(b *testing.B) {
				frame := wire.Encode(e, benchFrame(n))
				if len(frame) > wire.MaxFrameBytes {
					b.Skip("such a frame is above the limit in JSON")
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(frame)))
				report := testkit.CPU(b)
				for b.Loop() {
					if _, err := wire.Decode(e, frame); err != nil {
						b.Fatal(err)
					}
				}
				report()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sample")
			})
		}
	}
}

// TestDecodeDoesNotAllocateForEachSample: 512 samples cost as many allocations as 16.
func TestDecodeDoesNotAllocateForEachSample(t *testing.T) {
	allocations := func(n int) float64 {
		frame := wire.Encode(wire.Proto, benchFrame(n))
		return testing.AllocsPerRun(50, func() {
			if _, err := wire.Decode(wire.Proto, frame); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(16), allocations(512); many > few+1 {
		t.Errorf("512 samples cost %v allocations, 16 cost %v", many, few)
	}
}
