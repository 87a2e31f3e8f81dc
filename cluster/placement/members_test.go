package placement

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func view(addresses ...string) *Members {
	var all []Member
	for i, a := range addresses {
		all = append(all, Member{ID: fmt.Sprintf("m%d", i), Address: a})
	}
	return NewMembers(all)
}

func owner(t *testing.T, m *Members, affinity string) string {
	t.Helper()
	o, ok := m.Owner(affinity)
	if !ok {
		t.Fatal("nobody owns it")
	}
	return o.Address
}

func TestNobodyOwnsWithoutMembers(t *testing.T) {
	if o, ok := view().Owner("ann"); ok {
		t.Fatalf("Owner() = %v, want none", o)
	}
}

// TestSharesAreEven: also where addresses differ in their last character only.
func TestSharesAreEven(t *testing.T) {
	for _, addresses := range [][]string{
		{"10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"},
		{"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"},
		{"node-0:1", "node-1:1", "node-2:1", "node-3:1", "node-4:1"},
	} {
		const grains = 30_000
		m, share := view(addresses...), map[string]int{}
		for i := range grains {
			share[owner(t, m, fmt.Sprintf("user-%d", i))]++
		}
		even := grains / len(addresses)
		for a, n := range share {
			if n < even*9/10 || n > even*11/10 {
				t.Errorf("%s owns %d of %d, want about %d", a, n, grains, even)
			}
		}
	}
}

// TestOnlyTheShareMoves: a member that comes takes only what becomes its own, and the order of members in a view
// means nothing.
func TestOnlyTheShareMoves(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		addresses := rapid.SliceOfNDistinct(rapid.StringMatching(`10\.0\.[0-9]{1,2}\.[0-9]{1,2}:70[0-9]{2}`), 2, 6, rapid.ID).Draw(rt, "members")
		last := addresses[len(addresses)-1]
		before, after := view(addresses[:len(addresses)-1]...), view(addresses...)
		reversed := make([]string, 0, len(addresses))
		for i := len(addresses) - 1; i >= 0; i-- {
			reversed = append(reversed, addresses[i])
		}
		turned := view(reversed...)
		for i := range 200 {
			g := fmt.Sprintf("u%d", i)
			was, is := owner(t, before, g), owner(t, after, g)
			if is != was && is != last {
				t.Fatalf("%s moved from %s to %s when %s came", g, was, is, last)
			}
			if o := owner(t, turned, g); o != is {
				t.Fatalf("%s belongs to %s or %s, depending on the order", g, is, o)
			}
		}
	})
}
