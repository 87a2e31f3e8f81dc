package world

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func seeds(t testing.TB) (from, n uint64) {
	if s := os.Getenv("PACELINE_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PACELINE_SEED=%q: %v", s, err)
		}
		return seed, 1
	}
	n = 1000
	if s := os.Getenv("PACELINE_SEEDS"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("PACELINE_SEEDS=%q: %v", s, err)
		}
		n = v
	}
	return 1, n
}

// check plays a seed calmly and roughly, and says what is wrong.
func check(seed uint64, f Faults) (rough Outcome, failure string) {
	calm := New(seed, Calm(), nil).Run()
	if len(calm.Failures) > 0 {
		return calm, "calm: " + strings.Join(calm.Failures, "\n")
	}
	rough = New(seed, f, nil).Run()
	if len(rough.Failures) > 0 {
		return rough, "rough: " + strings.Join(rough.Failures, "\n")
	}
	if rough.Result != calm.Result {
		return rough, fmt.Sprintf("the disturbed result differs:\n%s\nundisturbed:\n%s", rough.Result, calm.Result)
	}
	return rough, ""
}

// TestSeed plays 1,000 seeds (PACELINE_SEEDS; one with PACELINE_SEED), two worlds at a time. A seed that fails names
// itself; played alone it prints every step.
func TestSeed(t *testing.T) {
	from, n := seeds(t)
	var (
		mu    sync.Mutex
		total = map[string]int{}
		steps int
		next  atomic.Uint64
		wg    sync.WaitGroup
		bad   atomic.Bool
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !bad.Load() {
				seed := from + next.Add(1) - 1
				if seed >= from+n {
					return
				}
				o, failure := check(seed, Rough(seed))
				mu.Lock()
				if failure != "" {
					bad.Store(true)
					t.Errorf("seed %d: %s\nreproduce: make sim SEED=%d", seed, failure, seed)
				}
				for k, v := range o.Counts {
					total[k] += v
				}
				steps += o.Steps
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if t.Failed() && n == 1 {
		New(from, Rough(from), os.Stdout).Run()
	}
	for _, k := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%8d %s", total[k], k)
	}
	t.Logf("%8d steps", steps)
}
