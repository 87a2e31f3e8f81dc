package gossip

import (
	"encoding/json"
	"fmt"
	"sort"

	"github.com/hashicorp/memberlist"
)

// Member is one run of a node as the others see it.
type Member struct {
	ID        string // of the run
	Address   string // host:port of the nodes' own port
	Gossip    string // host:port
	Public    string // where clients reach it: URL
	StartedMs int64  // wall clock of the node; of two runs on one address the newer counts
	Level     uint32 // the newest feature level that it knows
	Suspect   bool   // it does not answer; seen all the same, until others agree or time has passed
}

// meta is what memberlist carries with each member: at most 512 bytes, so its names are short.
type meta struct {
	Cluster string `json:"c"`
	Address string `json:"a"`
	Public  string `json:"p,omitempty"`
	Started int64  `json:"s"`
	Level   uint32 `json:"l,omitempty"`
}

func (m meta) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err == nil && len(b) > memberlist.MetaMaxSize {
		err = fmt.Errorf("a member's addresses take %d bytes, at most %d can be gossiped: use shorter host names", len(b), memberlist.MetaMaxSize)
	}
	return b, err
}

// seen are the members among the nodes that memberlist knows: of this cluster, one for each address, by id.
func seen(cluster string, nodes []*memberlist.Node) []Member {
	newest := make(map[string]Member, len(nodes))
	for _, n := range nodes {
		var m meta
		if n.State != memberlist.StateAlive && n.State != memberlist.StateSuspect {
			continue
		}
		if json.Unmarshal(n.Meta, &m) != nil || m.Cluster != cluster || m.Address == "" {
			continue
		}
		one := Member{ID: n.Name, Address: m.Address, Gossip: n.Address(), Public: m.Public, StartedMs: m.Started, Level: m.Level,
			Suspect: n.State == memberlist.StateSuspect}
		if other, twice := newest[m.Address]; !twice || newer(one, other) {
			newest[m.Address] = one
		}
	}
	all := make([]Member, 0, len(newest))
	for _, m := range newest {
		all = append(all, m)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	return all
}

func newer(a, b Member) bool {
	if a.StartedMs != b.StartedMs {
		return a.StartedMs > b.StartedMs
	}
	return a.ID > b.ID
}
