package schema

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Replication is how many copies each datacenter keeps.
type Replication []Copies

// Copies of everything in one datacenter; "": the nearest one.
type Copies struct {
	Datacenter string
	N          int
}

// ParseReplication reads "3", or "dc1:3,dc2:3".
func ParseReplication(s string) (Replication, error) {
	wrong := fmt.Errorf("%q: want a number of copies, as 3, or one for each datacenter, as east:3,west:3", s)
	var all Replication
	for _, part := range strings.Split(s, ",") {
		dc, number, named := strings.Cut(strings.TrimSpace(part), ":")
		if !named {
			dc, number = "", dc
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 9 || strings.ContainsAny(dc, `'"`) || named == (dc == "") {
			return nil, wrong
		}
		if slices.ContainsFunc(all, func(c Copies) bool { return c.Datacenter == dc }) {
			return nil, wrong
		}
		all = append(all, Copies{dc, n})
	}
	if len(all) > 1 && slices.ContainsFunc(all, func(c Copies) bool { return c.Datacenter == "" }) {
		return nil, wrong
	}
	return all, nil
}

// cql is the replication as a map of the language.
func (r Replication) cql(nearest string) string {
	parts := []string{"'class': 'NetworkTopologyStrategy'"}
	for _, c := range r {
		parts = append(parts, fmt.Sprintf("'%s': %d", cmp.Or(c.Datacenter, nearest), c.N))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// ensureKeyspace makes the keyspace and the table of records where they are absent.
func (t Target) ensureKeyspace(ctx context.Context, db *server, o Options) error {
	err := t.place(ctx, db)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrKeyspace):
		if err := t.makeKeyspace(ctx, db, o); err != nil {
			return err
		}
	case !errors.Is(err, ErrNoSchema):
		return err
	}
	err = db.again(ctx, func() error {
		return db.ddl(ctx, strings.Replace(createRecord, recordTable, t.Keyspace+"."+recordTable, 1))
	})
	if err != nil {
		return fmt.Errorf("make the table of migrations in keyspace %s: %w", t.Keyspace, err)
	}
	return nil
}

func (t Target) makeKeyspace(ctx context.Context, db *server, o Options) error {
	if o.Replication == "" {
		return troubled(ErrKeyspace, "there is no keyspace %s (--cql-keyspace); to make it say how many copies it shall keep, as --cql-replication=3", t.Keyspace)
	}
	copies, err := ParseReplication(o.Replication)
	if err != nil {
		return fmt.Errorf("--cql-replication %w", err)
	}
	for _, c := range copies {
		if err := (Target{Datacenter: c.Datacenter}).knownDatacenter(db); err != nil {
			return fmt.Errorf("--cql-replication: %w", err)
		}
	}
	nearest, err := t.nearest(ctx, db)
	if err != nil {
		return err
	}
	stmt := fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = %s AND durable_writes = true", t.Keyspace, copies.cql(nearest))
	scylla, err := isScylla(ctx, db)
	if err != nil {
		return err
	}
	if scylla {
		// The journal's conditional writes do not work with tablets before ScyllaDB 2025.4.
		stmt += " AND tablets = {'enabled': false}"
	}
	if err := db.again(ctx, func() error { return db.ddl(ctx, stmt) }); err != nil {
		return fmt.Errorf("make keyspace %s: %w", t.Keyspace, err)
	}
	o.Say(fmt.Sprintf("made keyspace %s with replication %s", t.Keyspace, copies.cql(nearest)))
	return nil
}

// nearest is the datacenter whose quorum counts.
func (t Target) nearest(ctx context.Context, db asker) (string, error) {
	if t.Datacenter != "" {
		return t.Datacenter, nil
	}
	rows, err := db.ask(ctx, "", `SELECT data_center FROM system.local WHERE key = 'local'`)
	if err != nil {
		return "", err
	}
	if len(rows) == 0 || text(rows[0], "data_center") == "" {
		return "", errors.New("the CQL server does not say in which datacenter it is; name it with --cql-datacenter")
	}
	return text(rows[0], "data_center"), nil
}

func isScylla(ctx context.Context, db asker) (bool, error) {
	rows, err := db.ask(ctx, "", `SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system_schema' AND table_name = 'scylla_tables'`)
	return len(rows) > 0, err
}
