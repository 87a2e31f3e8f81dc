package main

import (
	"strings"
	"testing"
)

const twoRounds = `goos: linux
pkg: paceline/domain/rank
BenchmarkUpdateRank/any/10000-2   100  200 cpu-ns/op  44.0 B/entry
BenchmarkUpdateRankRedis/any/10000-2   100  2000 cpu-ns/op
PASS
pkg: paceline/domain/rank
BenchmarkUpdateRank/any/10000-2   100  400 cpu-ns/op  44.0 B/entry
BenchmarkUpdateRankRedis/any/10000-2   100  2400 cpu-ns/op
`

func TestReport(t *testing.T) {
	found, err := read(strings.NewReader(twoRounds))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := print(&out, found); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for what, wants := range map[string][]string{
		"board, 10k: update": {"300", "2200", "8.00×", "(6.00–10.00)", "≥ 5 ×"},
		"board, 10k: memory": {"44", "≤ 64 B"},
		"board, 1M: update":  {"not measured"},
	} {
		line := ""
		for _, l := range lines {
			if strings.HasPrefix(l, what) {
				line = l
			}
		}
		for _, w := range wants {
			if !strings.Contains(line, w) {
				t.Errorf("line %q has no %q", line, w)
			}
		}
	}
}

func TestNamesKeepTheirOwnDashes(t *testing.T) {
	for name, want := range map[string]string{"A/b-2": "A/b", "A/b": "A/b", "A/x-y": "A/x-y", "A/x-y-16": "A/x-y"} {
		if got := withoutProcs(name); got != want {
			t.Errorf("withoutProcs(%q) = %q, want %q", name, got, want)
		}
	}
}
