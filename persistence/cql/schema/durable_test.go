package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// pretended is a cluster that answers as it is told; what it was not told has no rows.
type pretended struct {
	rows  map[string][]map[string]any // by a piece of the statement
	fails string                      // statements with this piece fail
	nodes []host
}

func (p pretended) ask(_ context.Context, _, stmt string, args ...any) ([]map[string]any, error) {
	asked := fmt.Sprint(stmt, args)
	if p.fails != "" && strings.Contains(asked, p.fails) {
		return nil, errors.New("no answer")
	}
	for piece, rows := range p.rows {
		if strings.Contains(asked, piece) {
			return rows, nil
		}
	}
	return nil, nil
}

func (p pretended) hosts() []host { return p.nodes }

func rowOf(pairs ...any) []map[string]any {
	row := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		row[pairs[i].(string)] = pairs[i+1]
	}
	return []map[string]any{row}
}

// TestWarnings is for what one real Cassandra cannot be at once: ScyllaDB, several datacenters, odd settings.
func TestWarnings(t *testing.T) {
	nts := func(pairs ...string) []map[string]any {
		m := map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return rowOf("replication", m, "durable_writes", true)
	}
	const copies, sync = "SELECT replication", "'commitlog_sync'"
	scylla := rowOf("table_name", "scylla_tables")
	for name, tc := range map[string]struct {
		rows  map[string][]map[string]any
		fails string
		want  []string // a piece of each warning, in order; none: nothing to warn of
		more  []host
	}{
		"as it should be": {map[string][]map[string]any{copies: nts("east", "3"), sync: rowOf("value", "batch")}, "", nil, nil},
		"two copies":      {map[string][]map[string]any{copies: nts("east", "2"), sync: rowOf("value", "group")}, "", []string{"keeps 2 copies"}, nil},
		"one is transient": {map[string][]map[string]any{copies: nts("east", "3/2"), sync: rowOf("value", "group")}, "",
			[]string{"keeps 1 copy"}, nil},
		"one copy, periodic": {map[string][]map[string]any{copies: nts("east", "1"), sync: rowOf("value", "periodic")}, "",
			[]string{"keeps 1 copy", "with 1 copy a server's power cut loses it"}, nil},
		"periodic": {map[string][]map[string]any{copies: nts("east", "3", "west", "1"), sync: rowOf("value", "periodic")}, "",
			[]string{"10.0.0.1, 10.0.0.2 acknowledge a write before their commit log is synced"}, nil},
		"silent": {map[string][]map[string]any{copies: nts("east", "3")}, sync, []string{"10.0.0.1, 10.0.0.2 do not say when"}, nil},
		"fix off": {map[string][]map[string]any{copies: nts("east", "3"), sync: rowOf("value", "batch"), "system_properties": rowOf("value", "true")}, "",
			[]string{"disable-serial-reads-linearizability"}, nil},
		"ScyllaDB": {map[string][]map[string]any{copies: nts("east", "3"), "system.config": rowOf("value", "batch"), "= 'scylla_tables'": scylla}, "", nil, nil},
		"ScyllaDB, periodic, tablets": {map[string][]map[string]any{copies: nts("east", "3"), "system.config": rowOf("value", "periodic"), "= 'scylla_tables'": scylla,
			"initial_tablets": rowOf("initial_tablets", 64)}, "", []string{"commitlog_sync: periodic", "uses tablets"}, nil},
		"ScyllaDB that does not say": {map[string][]map[string]any{copies: nts("east", "3"), "system.config": rowOf("value", "batch"), "= 'scylla_tables'": scylla},
			"initial_tablets", []string{"do not say whether keyspace k uses tablets, with which conditional writes do not work before ScyllaDB 2025.4 (no answer)"}, nil},
		"the fix is not said": {map[string][]map[string]any{copies: nts("east", "3"), sync: rowOf("value", "batch")}, "system_properties",
			[]string{"10.0.0.1, 10.0.0.2 do not say whether they run with cassandra.unsafe"}, nil},
		"one is away": {map[string][]map[string]any{copies: nts("east", "3"), sync: rowOf("value", "batch")}, "",
			[]string{"10.0.0.4 do not answer, so what they are told to do is not known"}, []host{{"4", "10.0.0.4", "east", true}}},
	} {
		db := pretended{rows: tc.rows, fails: tc.fails, nodes: slices.Concat([]host{{"1", "10.0.0.1", "east", false}, {"2", "10.0.0.2", "east", false}, {"3", "10.0.0.3", "west", true}}, tc.more)}
		got, err := warnings(t.Context(), db, Target{Keyspace: "k", Datacenter: "east"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: warns %q, want %q", name, got, tc.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s: warns %q, want %q", name, got[i], tc.want[i])
			}
		}
	}
	away := pretended{rows: map[string][]map[string]any{copies: nts("west", "3")}}
	_, err := warnings(t.Context(), away, Target{Keyspace: "k", Datacenter: "east"})
	wantErr(t, err, ErrKeyspace, "keeps no copy in datacenter east", "west: 3")
}
