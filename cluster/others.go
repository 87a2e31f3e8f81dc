package cluster

import (
	"slices"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/gossip"
)

// others are the members that serve, without this one, as far as clients are well sent to them.
func (m *members) others() []gossip.Member {
	m.mu.Lock()
	ids := slices.DeleteFunc(slices.Clone(m.serving), func(id string) bool { return id == m.self.ID })
	m.mu.Unlock()
	return m.fit(m.named(ids))
}

// fit leaves out those who do not answer gossip at present and those whose rows say that clients are better sent
// elsewhere: they leave themselves, or cannot store. If nobody is left all of them are better than none: such a state
// passes, and a client that meets nobody there comes back.
func (m *members) fit(all []gossip.Member) []gossip.Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	fit := slices.DeleteFunc(slices.Clone(all), func(one gossip.Member) bool {
		return one.Suspect || slices.ContainsFunc(m.lastRows, func(r *clusterv1.NodeRow) bool {
			return r.GetId() == one.ID && (r.GetUnready() != "" || r.GetDown())
		})
	})
	if len(fit) == 0 {
		return all
	}
	return fit
}
