package swarm

import (
	"paceline/cluster/placement"
	"paceline/domain/id"
)

// Owner is which of the nodes a race lives on, by the rule that places grains; addresses are those of the nodes' own
// traffic. It holds once all of them have been members for a moment.
func Owner(race string, addresses []string) int {
	return OwnerOf(id.Of(id.Competition, race), addresses)
}

// OwnerOf is the same for any grain.
func OwnerOf(g id.Grain, addresses []string) int { return OwnerOfAffinity(g.Affinity(), addresses) }

// OwnerOfAffinity is the same for whatever is placed by that rule.
func OwnerOfAffinity(affinity string, addresses []string) int {
	at := make(map[string]int, len(addresses))
	all := make([]placement.Member, 0, len(addresses))
	for i, address := range addresses {
		at[address] = i
		all = append(all, placement.Member{ID: address, Address: address})
	}
	owner, _ := placement.NewMembers(all).Owner(affinity)
	return at[owner.Address]
}
