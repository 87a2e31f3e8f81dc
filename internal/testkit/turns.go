package testkit

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// InTurns runs b.N of each, so many writers at a time. The ratio is the median over the rounds of each round's own.
func InTurns(b *testing.B, writers int, ours, bare func(w, n int) error) {
	const each = 10 // writes of one writer in one turn
	var wall, cpu [2]time.Duration
	turn := func(which, from int, f func(w, n int) error) time.Duration {
		var wg sync.WaitGroup
		began, spent := time.Now(), Spent()
		for w := range writers {
			wg.Go(func() {
				for n := from; n < from+each; n++ {
					if err := f(w, n); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		took := time.Since(began)
		wall[which] += took
		cpu[which] += Spent() - spent
		return took
	}
	turn(0, 0, ours) // prepares the statements and fills the pool
	turn(1, 0, bare)
	wall, cpu = [2]time.Duration{}, [2]time.Duration{}
	b.ResetTimer()
	var ratios []float64
	done := 0
	for round := 1; done < b.N && !b.Failed(); round++ {
		var a, z time.Duration
		if round%2 == 0 {
			a = turn(0, each*round, ours)
			z = turn(1, each*round, bare)
		} else {
			z = turn(1, each*round, bare)
			a = turn(0, each*round, ours)
		}
		ratios = append(ratios, z.Seconds()/a.Seconds())
		done += writers * each
	}
	slices.Sort(ratios)
	b.ReportMetric(100*ratios[len(ratios)/2], "%-of-bare")
	b.ReportMetric(float64(done)/wall[0].Seconds(), "rows/s")
	b.ReportMetric(float64(done)/wall[1].Seconds(), "bare-rows/s")
	b.ReportMetric(float64(cpu[0].Nanoseconds())/float64(done), "cpu-ns/op")
	b.ReportMetric(float64(cpu[1].Nanoseconds())/float64(done), "bare-cpu-ns/op")
}
