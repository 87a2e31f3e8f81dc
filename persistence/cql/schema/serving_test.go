package schema

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// beating is a keyspace with rows of nodes, of which some move.
type beating struct {
	pretended
	moving, still []string
	asked         int
}

func (b *beating) ask(ctx context.Context, host, stmt string, args ...any) ([]map[string]any, error) {
	if strings.Contains(stmt, "table_name") {
		return rowOf("table_name", nodeTable), nil
	}
	b.asked++
	var rows []map[string]any
	for _, n := range b.moving {
		rows = append(rows, rowOf("part", []byte("c"), "cluster", []byte(n), "cell", fmt.Append(nil, n, b.asked))...)
	}
	for _, n := range b.still {
		rows = append(rows, rowOf("part", []byte("c"), "cluster", []byte(n), "cell", []byte(n))...)
	}
	return rows, nil
}

// TestOlderNodes: a migration that a node which serves may not read is not run under it.
func TestOlderNodes(t *testing.T) {
	noted := []Record{{Number: 1, Name: "first", MinReader: 1, Finished: time.Now()}, {Number: 2, Name: "second", MinReader: 1, Finished: time.Now()}}
	breaking, between, mild := Migration{Number: 3, Name: "third", MinReader: 3}, Migration{Number: 3, Name: "third", MinReader: 2}, Migration{Number: 3, Name: "third", MinReader: 1}
	for name, tc := range map[string]struct {
		pending       Set
		moving, still []string
		force         bool
		says          string // a piece of the sentence; empty: it may be run
	}{
		"breaking, two serve":      {Set{breaking}, []string{"a", "b"}, nil, false, `migration 0003 third wants binaries that know 3, and nodes serve that may be older ("a", "b")`},
		"breaking, one was killed": {Set{breaking}, []string{"a"}, []string{"dead"}, false, `("a")`},
		"breaking, none serves":    {Set{breaking}, nil, nil, false, ""},
		"breaking, all are dead":   {Set{breaking}, nil, []string{"dead"}, false, ""},
		"breaking, all the same":   {Set{breaking}, []string{"a"}, nil, true, ""},
		"some may be at 1":         {Set{between}, []string{"a"}, nil, false, "binaries that know 2"},
		"all can read it":          {Set{mild}, []string{"a"}, nil, false, ""},
		"the second breaks":        {Set{mild, {Number: 4, Name: "fourth", MinReader: 4}}, []string{"a"}, nil, false, "migration 0004 fourth"},
		"nothing is pending":       {nil, []string{"a"}, nil, false, ""},
	} {
		db := &beating{moving: tc.moving, still: tc.still}
		err := tc.pending.older(t.Context(), db, Target{Keyspace: "k"}, noted, &Options{BreakOlder: tc.force, Watch: 200 * time.Millisecond})
		if tc.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: it is run", name)
			continue
		}
		wantErr(t, err, ErrServed, tc.says, "--break-older-nodes")
		if strings.Contains(err.Error(), "dead") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestABreakingMigrationWaits on a real server: nothing is noted and no table changed while a node's row moves.
func TestABreakingMigrationWaits(t *testing.T) {
	target := keyspace(t)
	set := folder(t, map[string]string{
		"0001_first.cql":    `CREATE TABLE IF NOT EXISTS node (part blob, cluster blob, cell blob, PRIMARY KEY (part, cluster));`,
		"0002_breaking.cql": `CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY);`,
	})
	migrate(t, set[:1], target)
	db := session(t, target)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			err := db.session.Query("INSERT INTO "+target.Keyspace+".node (part, cluster, cell) VALUES (?, ?, ?)", []byte("c"), []byte("m"), fmt.Append(nil, n)).Exec()
			if err != nil || ctx.Err() != nil {
				ended <- err
				return
			}
		}
	}()
	o := by("a newer one", &lines{})
	o.Watch, o.NodeName = 2*time.Second, func([]byte) string { return "10.0.0.1:8080" }
	wantErr(t, set.Migrate(t.Context(), target, o), ErrServed, "0002 breaking", "(10.0.0.1:8080)")
	if noted, err := records(t.Context(), db, target.Keyspace); err != nil || len(noted) != 1 {
		t.Errorf("noted %+v, %v: want the first alone", noted, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := set.Migrate(t.Context(), target, o); err != nil {
		t.Errorf("its row stands still: %v", err)
	}
}
