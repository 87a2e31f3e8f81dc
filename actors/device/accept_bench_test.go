package device

import (
	"testing"

	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// BenchmarkAcceptBare is the baseline of BenchmarkAccept: the same values compared with the same bounds, column by
// column, and nothing remembered.
func BenchmarkAcceptBare(b *testing.B) {
	limits, ok := LimitsOf(opened("run").Opening.LimitsVersion, "run")
	if !ok {
		b.Fatal("no limits")
	}
	rows := make([]row, 512)
	for i := range rows {
		rows[i] = row{unit.InstantMs(2_000_000 + 1000*i), map[sample.Channel]int64{sample.HeartRateBpm: 150,
			sample.LatE7: 530000000, sample.LonE7: 100000000, sample.SpeedMmS: 3500, sample.CadenceRpm: 85}}
	}
	frame := batch(1, rows...)
	b.ReportAllocs()
	report := testkit.CPU(b)
	for b.Loop() {
		outside := 0
		for c := range frame.Columns {
			l := &limits[c]
			for _, v := range frame.Columns[c].Values {
				if v < l.Least || v > l.Most {
					outside++
				}
			}
		}
		if outside != 0 {
			b.Fatal(outside)
		}
	}
	report()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/512, "ns/sample")
}
