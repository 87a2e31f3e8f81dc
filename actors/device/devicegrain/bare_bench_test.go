package devicegrain

import (
	"testing"

	"paceline/actors/device"
	devicev1 "paceline/api/gen/paceline/device/v1"
	"paceline/api/telemetry"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// BenchmarkFrameBare is the baseline of BenchmarkFrame: the same frames turned into batches, judged and encoded once
// for the training, without queue, comparison, acknowledgement or memory of what came.
func BenchmarkFrameBare(b *testing.B) {
	for _, n := range []int{1, 10, sample.MaxBatch} {
		b.Run(map[int]string{1: "1 sample", 10: "10 samples", sample.MaxBatch: "512 samples"}[n], func(b *testing.B) {
			q := newQuick(b, n)
			facts := q.shell.stream("s1")
			var tail device.Tail
			var batch sample.Batch
			var block []byte
			b.ReportAllocs()
			report := testkit.CPU(b)
			for b.Loop() {
				frame := q.msg(q.next).(*devicev1.Frame)
				q.next += uint64(n)
				if err := telemetry.ToBatch(&batch, frame.Telemetry); err != nil {
					b.Fatal(err)
				}
				device.Accept(facts, &tail, &batch)
				block = persistence.AppendBlock(block[:0], &batch)
			}
			report()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sample")
		})
	}
}

// TestFrameOf512AllocatesAsOneOf1: from the decoded frame to the bytes of the block, 512 samples cost a handful of
// allocations more than one sample (columns that grow with the frame, a second block at a bucket's border), not
// hundreds.
func TestFrameOf512AllocatesAsOneOf1(t *testing.T) {
	allocations := func(n int) float64 {
		q := newQuick(t, n)
		var cell []byte
		return testing.AllocsPerRun(300, func() {
			outs := q.shell.Step(q.now, q.msg(q.next), &q.answer)
			q.next += uint64(n)
			for len(outs) > 0 {
				var more []step.Out
				for _, o := range outs {
					do, ok := o.(persistence.Do)
					if !ok {
						continue
					}
					if put, ok := do.Op.(persistence.PutBlockOp); ok {
						cell = persistence.AppendBlock(cell[:0], put.Batch)
					}
					more = append(more, q.shell.Step(q.now, persistence.Done{Tag: do.Tag, Result: persistence.BlockKey{}}, nil)...)
				}
				outs = more
			}
		})
	}
	one, many := allocations(1), allocations(sample.MaxBatch)
	t.Logf("%v allocations for a frame of 1 sample, %v for one of 512", one, many)
	if many > one+30 {
		t.Errorf("%v allocations for a frame of 512 samples, %v for one of 1", many, one)
	}
}
