package schema

import (
	"testing"
	"time"
)

// TestDatacenter: the first node notes what it writes through, and nobody writes through another one afterwards.
func TestDatacenter(t *testing.T) {
	target := keyspace(t)
	set := folder(t, three)
	migrate(t, set, target)
	st, err := set.Check(t.Context(), target)
	if err != nil || st.Through != "" || st.Datacenter == "" {
		t.Fatalf("before a node has started: %+v, %v", st, err)
	}
	mine := st.Datacenter
	errs := make(chan error, 2)
	for _, dc := range []string{mine, "elsewhere"} {
		go func() { errs <- target.Keep(t.Context(), dc, "a node", time.Now()) }()
	}
	one, other := <-errs, <-errs
	if (one == nil) == (other == nil) {
		t.Fatalf("two at once through two datacenters: %v, %v; want one of them", one, other)
	}
	if one == nil {
		one = other
	}
	wantErr(t, one, ErrElsewhere, "two datacenters decide apart, so set --cql-datacenter=")

	there := target
	there.Datacenter = mine
	var said lines
	if err := there.Move(t.Context(), by("an operator", &said)); err != nil {
		t.Fatal(err)
	}
	if st, err = set.Check(t.Context(), target); err != nil || st.Through != mine {
		t.Errorf("after the move: through %q, %v", st.Through, err)
	}
	if err := target.Keep(t.Context(), mine, "the same again", time.Now()); err != nil {
		t.Error(err)
	}
	wantErr(t, target.Keep(t.Context(), "elsewhere", "a node", time.Now()), ErrElsewhere, "through datacenter "+mine+", and this one would through elsewhere")
	if noted, err := records(t.Context(), session(t, target), target.Keyspace); err != nil || len(noted) != len(set) {
		t.Errorf("migrations noted %+v, %v", noted, err)
	}
}

// TestOtherDatacenter is for what one real Cassandra cannot be: servers in several datacenters.
func TestOtherDatacenter(t *testing.T) {
	both := []host{{"1", "10.0.0.1", "east", false}, {"2", "10.0.0.2", "west", false}}
	kept := map[string][]map[string]any{throughScope: rowOf("name", "east"), "system.local": rowOf("data_center", "west")}
	for name, tc := range map[string]struct {
		db   pretended
		mine string
		want error
	}{
		"the same":                    {pretended{rows: kept, nodes: both}, "east", nil},
		"another":                     {pretended{rows: kept, nodes: both}, "west", ErrElsewhere},
		"none is kept":                {pretended{nodes: both}, "west", nil},
		"none is named, of two":       {pretended{rows: kept, nodes: both}, "", nil}, // the driver refuses
		"none is named, there is one": {pretended{rows: kept, nodes: both[1:]}, "", ErrElsewhere},
	} {
		err := Target{Keyspace: "k", Datacenter: tc.mine}.sameDatacenter(t.Context(), tc.db, &State{})
		switch {
		case tc.want == nil && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.want != nil:
			wantErr(t, err, tc.want, "keyspace k write through datacenter east, and this one would through west")
		}
	}
	silent := pretended{rows: kept, nodes: both, fails: throughScope}
	if err := (Target{Keyspace: "k", Datacenter: "east"}).sameDatacenter(t.Context(), silent, &State{}); err == nil {
		t.Error("what is kept cannot be read, and the node starts")
	}
}
