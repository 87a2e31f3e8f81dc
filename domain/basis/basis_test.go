package basis_test

import (
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/basis"
)

func s(stream string, folded, facts uint64) basis.StreamBasis {
	return basis.StreamBasis{Device: "u/d", Stream: stream, FoldedThrough: folded, FactsVersion: facts}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b basis.Basis
		want bool
	}{
		{"nothing and nothing", nil, nil, false},
		{"a stream less", nil, basis.Of(s("a", 1, 1)), true},
		{"a stream less that holds nothing", nil, basis.Of(s("a", 0, 0)), false},
		{"fewer samples", basis.Of(s("a", 1, 1)), basis.Of(s("a", 2, 1)), true},
		{"more samples", basis.Of(s("a", 2, 1)), basis.Of(s("a", 1, 1)), false},
		{"fewer facts, more samples", basis.Of(s("a", 9, 1)), basis.Of(s("a", 2, 2)), true},
		{"more facts, fewer samples", basis.Of(s("a", 2, 2)), basis.Of(s("a", 9, 1)), false},
		{"each in one", basis.Of(s("a", 1, 1), s("b", 2, 1)), basis.Of(s("a", 2, 1), s("b", 1, 1)), true},
		{"the same", basis.Of(s("b", 1, 1), s("a", 1, 1)), basis.Of(s("a", 1, 1), s("b", 1, 1)), false},
	} {
		if got := basis.Older(c.a, c.b); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func anyBasis(t *rapid.T, label string) basis.Basis {
	n := rapid.IntRange(0, 5).Draw(t, label)
	var all []basis.StreamBasis
	for range n {
		all = append(all, s(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream"),
			rapid.Uint64Range(0, 4).Draw(t, "folded"), rapid.Uint64Range(0, 3).Draw(t, "facts")))
	}
	return basis.Of(all...)
}

func TestJoinIsOlderThanNeither(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyBasis(t, "a"), anyBasis(t, "b")
		j := basis.Join(a, b)
		if basis.Older(j, a) || basis.Older(j, b) {
			t.Fatalf("%v joined from %v and %v", j, a, b)
		}
		if !basis.Equal(j, basis.Join(b, a)) {
			t.Fatal("the order counts")
		}
		if basis.Older(a, j) && a.Version() == j.Version() {
			t.Fatalf("%v and %v have one version", a, j)
		}
	})
}
