package placement

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/id"
	"paceline/domain/unit"
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

// addressed are members' addresses as they are given in practice: some differ in their last character only.
var addressed = map[string][]string{
	"ports":       {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
	"more ports":  {"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"},
	"hosts":       {"10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"},
	"more hosts":  {"10.0.0.8:7000", "10.0.0.9:7000", "10.0.0.10:7000", "10.0.0.11:7000", "10.0.0.12:7000", "10.0.0.13:7000", "10.0.0.14:7000"},
	"names":       {"node-0:7000", "node-1:7000", "node-2:7000", "node-3:7000"},
	"StatefulSet": {"paceline-0.paceline.race.svc:7000", "paceline-1.paceline.race.svc:7000", "paceline-2.paceline.race.svc:7000"},
}

// named are ids as they are given: in turn, and minted.
var named = map[string]func(i int) string{
	"user-n": func(i int) string { return fmt.Sprintf("user-%d", i) },
	"minted": func(i int) string {
		return id.New(unit.InstantMs(1_718_460_000_000+i), [10]byte{byte(i), byte(i >> 8), byte(7 * i)})
	},
}

// TestSharesAreEven: each member owns its share, within a tenth of it.
func TestSharesAreEven(t *testing.T) {
	for where, addresses := range addressed {
		for what, name := range named {
			const n = 30_000
			m, share := view(addresses...), map[string]int{}
			for i := range n {
				share[owner(t, m, name(i))]++
			}
			even := n / len(addresses)
			for _, a := range addresses {
				if got := share[a]; got < even*9/10 || got > even*11/10 {
					t.Errorf("%s, %s: %s owns %d of %d, want about %d", where, what, a, got, n, even)
				}
			}
		}
	}
}

// TestOneMemberFewerOrMore: only the share of the one moves, and evenly to or from all others.
func TestOneMemberFewerOrMore(t *testing.T) {
	for where, addresses := range addressed {
		const n = 30_000
		for k, gone := range addresses {
			with := view(addresses...)
			without := view(append(append([]string(nil), addresses[:k]...), addresses[k+1:]...)...)
			moved := map[string]int{}
			for i := range n {
				g := fmt.Sprintf("user-%d", i)
				was, is := owner(t, with, g), owner(t, without, g)
				if was != gone && is != was {
					t.Fatalf("%s: %s moved from %s to %s when %s left", where, g, was, is, gone)
				}
				if was == gone {
					moved[is]++
				}
			}
			even := n / len(addresses) / (len(addresses) - 1)
			for a, got := range moved {
				if got < even*8/10 || got > even*12/10 {
					t.Errorf("%s: %s takes %d of what %s had, want about %d", where, a, got, gone, even)
				}
			}
			if len(moved) != len(addresses)-1 {
				t.Errorf("%s: %d of %d others take what %s had", where, len(moved), len(addresses)-1, gone)
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
