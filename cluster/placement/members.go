package placement

import (
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
)

// Member is one node of the cluster.
type Member struct {
	ID      string // of this run of the process
	Address string // host:port
}

// Members is one view of the cluster; it does not change.
type Members struct {
	all    []Member // by address
	hashes []uint64
}

// NewMembers makes a view.
func NewMembers(all []Member) *Members {
	m := &Members{all: append([]Member(nil), all...)}
	sort.Slice(m.all, func(i, j int) bool { return m.all[i].Address < m.all[j].Address })
	for _, one := range m.all {
		m.hashes = append(m.hashes, xxhash.Sum64String(one.Address))
	}
	return m
}

// All members, by address.
func (m *Members) All() []Member { return m.all }

// Owner of an affinity; false if there are no members.
func (m *Members) Owner(affinity string) (Member, bool) {
	if len(m.all) == 0 {
		return Member{}, false
	}
	a := xxhash.Sum64String(affinity)
	best, most := 0, uint64(0)
	for i, h := range m.hashes {
		if score := mix(a ^ h); i == 0 || score > most {
			best, most = i, score
		}
	}
	return m.all[best], true
}

// ownerBut is who would own an affinity without those members.
func (m *Members) ownerBut(affinity string, but func(Member) bool) (owner Member, ok bool) {
	most := uint64(0)
	for _, one := range m.all {
		if score := claim(affinity, one); (!ok || score > most) && !but(one) {
			owner, most, ok = one, score, true
		}
	}
	return owner, ok
}

// claim is how much a member has of an affinity in every view: of those in it the one with the most is the owner.
func claim(affinity string, m Member) uint64 {
	return mix(xxhash.Sum64String(affinity) ^ xxhash.Sum64String(m.Address))
}

// ByID finds a member.
func (m *Members) ByID(id string) (Member, bool) {
	for _, one := range m.all {
		if one.ID == id {
			return one, true
		}
	}
	return Member{}, false
}

// without is the view as it was without that member.
func (m *Members) without(id string) *Members {
	return NewMembers(slices.DeleteFunc(slices.Clone(m.all), func(one Member) bool { return one.ID == id }))
}

// mix spreads what differs in few bits over all of them (the finalizer of splitmix64): addresses that differ in
// their last character would otherwise share unevenly.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
