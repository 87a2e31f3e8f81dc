package cluster

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/gossip"
	"paceline/cluster/split"
)

// TestClientsAreSentToThoseWhoAreFit: not to a member that leaves too, cannot store, has stepped down or does not answer, as
// long as there is another one.
func TestClientsAreSentToThoseWhoAreFit(t *testing.T) {
	unready := func(id, code string) *clusterv1.NodeRow {
		return &clusterv1.NodeRow{Id: id, Serves: true, Unready: code}
	}
	for name, tc := range map[string]struct {
		suspect string
		rows    []*clusterv1.NodeRow
		want    string
	}{
		"all are fit":                     {"", []*clusterv1.NodeRow{unready("a", ""), unready("b", ""), unready("c", "")}, "b c"},
		"no row is known":                 {"", nil, "b c"},
		"one leaves too":                  {"", []*clusterv1.NodeRow{unready("b", "node.leaving"), unready("c", "")}, "c"},
		"one cannot store":                {"", []*clusterv1.NodeRow{unready("b", ""), unready("c", "store.full")}, "b"},
		"one has stepped down":            {"", []*clusterv1.NodeRow{{Id: "b", Down: true}, unready("c", "")}, "c"},
		"one does not answer":             {"c", []*clusterv1.NodeRow{unready("b", ""), unready("c", "")}, "b"},
		"one leaves, one does not answer": {"c", []*clusterv1.NodeRow{unready("b", "node.leaving"), unready("c", "")}, "b c"},
		"this one leaves":                 {"", []*clusterv1.NodeRow{unready("a", "node.leaving")}, "b c"},
	} {
		m := &members{self: gossip.Member{ID: "a"}, serving: []string{"a", "b", "c"}, lastRows: tc.rows, known: map[string]known{}}
		for _, id := range m.serving {
			m.known[id] = known{Member: gossip.Member{ID: id, Suspect: id == tc.suspect}, seen: true}
		}
		var got []string
		for _, one := range m.others() {
			got = append(got, one.ID)
		}
		slices.Sort(got)
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s: clients are sent to %q, want %q", name, s, tc.want)
		}
	}
}

// TestWhoStepsDownNamesThoseWhoAreFit: the others are known by their rows alone then.
func TestWhoStepsDownNamesThoseWhoAreFit(t *testing.T) {
	var named []gossip.Member
	m := &members{self: gossip.Member{ID: "a"}, log: slog.New(slog.DiscardHandler), many: Many{StepDown: func(others []gossip.Member) { named = others }},
		lastRows: []*clusterv1.NodeRow{{Id: "b", Unready: "node.leaving"}, {Id: "c"}},
		known:    map[string]known{"b": {Member: gossip.Member{ID: "b"}}, "c": {Member: gossip.Member{ID: "c"}}}}
	m.act(&view{}, split.Verdict{Kind: split.StepDown, Other: []string{"b", "c"}})
	if len(named) != 1 || named[0].ID != "c" {
		t.Errorf("clients are sent to %v, want c", named)
	}
}
