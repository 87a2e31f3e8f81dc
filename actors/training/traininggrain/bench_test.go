package traininggrain

import (
	"runtime"
	"testing"

	"paceline/domain/unit"
)

// One sample for each block, as a watch sends them, without a race and within one.
func BenchmarkBlock(b *testing.B) {
	for _, bound := range []bool{false, true} {
		name := "alone"
		if bound {
			name = "racing"
		}
		b.Run(name, func(b *testing.B) {
			r := newRig(b)
			r.start()
			r.until("attached", func() bool { return r.attached })
			if bound {
				r.bind(6, gun)
				r.until("bound", func() bool { return r.held != nil })
			}
			r.within(unit.Minute, func() bool { return false })
			now := r.now()
			b.ReportAllocs()
			for i := range b.N {
				now.Wall, now.Node = now.Wall+1000, now.Node+1000
				m := r.block(runner(uint64(i)+1, 1, nodeOrigin+r.wall))
				r.shell.Step(now, m, nil)
			}
		})
	}
}

// An active athlete's workout in memory.
func BenchmarkMemory(b *testing.B) {
	var m runtime.MemStats
	const n = 2000
	shells := make([]*Shell, 0, n)
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	for range n {
		r := newRig(b)
		r.start()
		r.until("attached", func() bool { return r.attached })
		r.bind(6, gun)
		r.until("bound", func() bool { return r.held != nil })
		r.stream(1, 10)
		r.within(20*unit.Second, func() bool { return r.through() == 10 })
		r.shell.early, r.shell.outs = nil, nil
		shells = append(shells, r.shell)
	}
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc-before)/n, "bytes/workout")
	runtime.KeepAlive(shells)
}
