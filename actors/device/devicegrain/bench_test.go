package devicegrain

import (
	"testing"

	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// quick carries a shell whose store is done before it was asked: what is left is the shell's own cost.
type quick struct {
	shell  *Shell
	now    step.Now
	next   uint64
	msg    func(from uint64) any
	answer call
}

// newQuick is a shell with an open stream, fed with frames of n samples.
func newQuick(t testing.TB, n int) *quick {
	r := newRig(t)
	a := r.registered()
	a.open("x")
	frame := frameMsg("x", samples(1, uint64(n)))
	base := frame.Telemetry.BaseTimeMs
	for i := range frame.Telemetry.AtDeltaMs {
		frame.Telemetry.AtDeltaMs[i] = 1
	}
	return &quick{shell: a.shell, now: r.now(), next: 1, msg: func(from uint64) any {
		// The same samples again, later.
		frame.Telemetry.FirstSeq = from
		frame.Telemetry.BaseTimeMs = base + int64(from)
		return frame
	}}
}

func (q *quick) frame(n int) {
	q.carry(q.shell.Step(q.now, q.msg(q.next), &q.answer))
	q.next += uint64(n)
	if q.answer.err != nil {
		panic(q.answer.err)
	}
}

func (q *quick) carry(outs []step.Out) {
	for _, o := range outs {
		switch o := o.(type) {
		case persistence.Do:
			q.carry(q.shell.Step(q.now, persistence.Done{Tag: o.Tag, Result: persistence.BlockKey{}}, nil))
		case step.Reply:
			q.answer.msg, q.answer.err = o.Msg, o.Err
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, n := range []int{1, 10, sample.MaxBatch} {
		b.Run(map[int]string{1: "1 sample", 10: "10 samples", sample.MaxBatch: "512 samples"}[n], func(b *testing.B) {
			q := newQuick(b, n)
			b.ReportAllocs()
			report := testkit.CPU(b)
			for b.Loop() {
				q.frame(n)
			}
			report()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sample")
		})
	}
}

// A frame costs some allocations, a sample none.
func TestNoAllocationForEachSample(t *testing.T) {
	perFrame := func(n int) float64 {
		q := newQuick(t, n)
		return testing.AllocsPerRun(200, func() { q.frame(n) })
	}
	few, many := perFrame(8), perFrame(360) // of a bucket's tenth, so that a frame is one block
	if many > few+20 {                      // pools forget now and then

		t.Errorf("%v allocations for a frame of 360 samples, %v for one of 8", many, few)
	}
	t.Logf("%v allocations for a frame of 8 samples, %v for one of 360", few, many)
}
