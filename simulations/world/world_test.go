package world

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
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

func TestSeed(t *testing.T) {
	from, n := seeds(t)
	total := map[string]int{}
	steps := 0
	for seed := from; seed < from+n; seed++ {
		o, failure := check(seed, Rough(seed))
		if failure != "" {
			t.Errorf("seed %d: %s\nreproduce: make sim SEED=%d", seed, failure, seed)
			if n == 1 {
				New(seed, Rough(seed), os.Stdout).Run()
			}
			if t.Failed() && n > 1 {
				break
			}
		}
		for k, v := range o.Counts {
			total[k] += v
		}
		steps += o.Steps
	}
	var names []string
	for k := range total {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		t.Logf("%8d %s", total[k], k)
	}
	t.Logf("%8d steps", steps)
}
