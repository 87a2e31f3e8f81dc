package wire_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/gateway/wire"
	"paceline/internal/testkit"
)

// BenchmarkDecodeBare is the baseline of BenchmarkDecode: the library reads the same bytes, and nothing is checked.
func BenchmarkDecodeBare(b *testing.B) {
	read := map[wire.Encoding]func([]byte, proto.Message) error{wire.Proto: proto.Unmarshal, wire.JSON: protojson.Unmarshal}
	for _, n := range []int{1, 5, 512} {
		for _, e := range []wire.Encoding{wire.Proto, wire.JSON} {
			frame := wire.Encode(e, benchFrame(n))
			if len(frame) > wire.MaxFrameBytes {
				continue // such a frame is above the limit in JSON
			}
			b.Run(fmt.Sprintf("%v/%d", e, n), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(frame)))
				report := testkit.CPU(b)
				for b.Loop() {
					m := &livev1.ClientMessage{}
					if err := read[e](frame, m); err != nil || len(m.GetTelemetry().GetAtDeltaMs()) != n {
						b.Fatal(err)
					}
				}
				report()
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sample")
			})
		}
	}
}
