package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
)

// The datacenter that all nodes write through is a row of the table of records, in a partition of its own. LOCAL_SERIAL
// decides within one datacenter: two nodes that write through two could both be told that a version is theirs.
const throughScope = "datacenter"

// through is the datacenter that is kept; "": no node has written through any yet. Read in this datacenter alone, so that
// a node starts while another one is away: what is there was decided over all of them, and changes only in all servers
// at once (Move). What is not there may only not have come yet: keep asks all.
func (t Target) through(ctx context.Context, db asker) (string, error) {
	rows, err := db.ask(ctx, "", `SELECT name FROM `+t.Keyspace+"."+recordTable+` WHERE scope = ? AND number = 1`, throughScope)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return text(rows[0], "name"), nil
}

// sameDatacenter refuses to write through another datacenter than the nodes before.
func (t Target) sameDatacenter(ctx context.Context, db asker, st *State) error {
	if t.Datacenter == "" && several(db.hosts()) {
		return nil // the driver says that one must be named
	}
	var err error
	if st.Datacenter, err = t.nearest(ctx, db); err != nil {
		return err
	}
	if st.Through, err = t.through(ctx, db); err != nil {
		return err
	}
	return t.compare(st.Through, st.Datacenter)
}

func several(hosts []host) bool {
	return slices.ContainsFunc(hosts, func(h host) bool { return h.datacenter != hosts[0].datacenter })
}

func (t Target) compare(through, mine string) error {
	if through == "" || through == mine {
		return nil
	}
	return troubled(ErrElsewhere, "the nodes on keyspace %s write through datacenter %s, and this one would through %s: two datacenters decide apart, so set --cql-datacenter=%s",
		t.Keyspace, through, mine, through)
}

// Keep notes the datacenter that the first node writes through, over all datacenters; or says that another was faster.
func (t Target) Keep(ctx context.Context, datacenter, who string, now time.Time) error {
	db, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	var other string
	err = db.again(ctx, func() error {
		seen := map[string]any{}
		stmt := "INSERT INTO " + t.Keyspace + "." + recordTable + " (scope, number, name, who, begun_at) VALUES (?, 1, ?, ?, ?) IF NOT EXISTS"
		applied, err := db.query(ctx, "", stmt, throughScope, datacenter, who, now).MapScanCAS(seen)
		if other = text(seen, "name"); applied {
			other = ""
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("note that the nodes write through datacenter %s (over all datacenters, a majority of the copies must answer): %w", datacenter, err)
	}
	return t.compare(other, datacenter)
}

// Move has the nodes write through another datacenter from now on. None may serve.
func (t Target) Move(ctx context.Context, o Options) error {
	if t.Datacenter == "" {
		return errors.New("--move-datacenter: name the datacenter with --cql-datacenter")
	}
	db, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	if err := t.place(ctx, db); err != nil {
		return err
	}
	if _, _, err := replication(ctx, db, t.Keyspace, t.Datacenter); err != nil {
		return err
	}
	names, err := t.serving(ctx, db, &o)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return troubled(ErrServed, "nodes serve on keyspace %s (%s): end them all before they write through another datacenter", t.Keyspace, few(names))
	}
	// In every server when it is answered, so that none of them still tells of the one before.
	stmt := "UPDATE " + t.Keyspace + "." + recordTable + " SET name = ?, who = ?, begun_at = ? WHERE scope = ? AND number = 1 IF name != ''" // always: an attempt without an answer too is brought to all
	err = db.again(ctx, func() error {
		_, err := db.query(ctx, "", stmt, t.Datacenter, o.Who, o.Now(), throughScope).Consistency(gocql.All).MapScanCAS(map[string]any{})
		return err
	})
	if err != nil {
		return fmt.Errorf("note that the nodes write through datacenter %s (every server must answer): %w", t.Datacenter, err)
	}
	o.Say(fmt.Sprintf("nodes on keyspace %s write through datacenter %s from now on", t.Keyspace, t.Datacenter))
	return nil
}
