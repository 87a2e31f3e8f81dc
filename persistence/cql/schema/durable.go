package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// warnings says where "acknowledged" is less than "durable": what the servers are told to do is theirs who run them,
// so it is no reason not to start.
func warnings(ctx context.Context, db asker, t Target) ([]string, error) {
	nearest, err := t.nearest(ctx, db)
	if err != nil {
		return nil, err
	}
	copies, all, err := replication(ctx, db, t.Keyspace, nearest)
	if err != nil {
		return nil, err
	}
	scylla, err := isScylla(ctx, db)
	if err != nil {
		return nil, err
	}
	var near []host // those of other datacenters acknowledge nothing here
	var away []string
	for _, h := range db.hosts() {
		switch {
		case h.datacenter != nearest:
		case h.down:
			away = append(away, h.address)
		default:
			near = append(near, h)
		}
	}
	if len(away) > 0 {
		all = append(all, fmt.Sprintf("%s do not answer, so what they are told to do is not known: look again when they are back (paceline migrate --status)", few(away)))
	}
	all = append(all, commitLogs(ctx, db, near, scylla, copies)...)
	if !scylla {
		return append(all, serialReads(ctx, db, near)...), nil
	}
	tablets, err := db.ask(ctx, "", `SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?`, t.Keyspace)
	if err != nil {
		all = append(all, fmt.Sprintf("the servers do not say whether keyspace %s uses tablets, with which conditional writes do not work before ScyllaDB 2025.4 (%s)", t.Keyspace, oneLine(err)))
	}
	if len(tablets) > 0 && tablets[0]["initial_tablets"] != nil && tablets[0]["initial_tablets"] != 0 {
		all = append(all, fmt.Sprintf("keyspace %s uses tablets, with which conditional writes do not work before ScyllaDB 2025.4: "+
			"a keyspace that `paceline migrate` makes switches them off", t.Keyspace))
	}
	return all, nil
}

// warned is warnings for who only looks, or has migrated: also that they cannot be told is one.
func (t Target) warned(ctx context.Context, db asker) []string {
	all, err := warnings(ctx, db, t)
	if errors.Is(err, ErrKeyspace) {
		return append(all, err.Error())
	}
	if err != nil {
		return append(all, "the servers do not say whether what is written is durable: "+oneLine(err))
	}
	return all
}

// replication is the number of copies in the nearest datacenter, and what is to be said about it.
func replication(ctx context.Context, db asker, keyspace, nearest string) (copies int, all []string, err error) {
	rows, err := db.ask(ctx, "", `SELECT replication, durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?`, keyspace)
	if err != nil || len(rows) == 0 {
		return 0, nil, err
	}
	options, _ := rows[0]["replication"].(map[string]string)
	given := options[nearest]
	if strings.HasSuffix(options["class"], "SimpleStrategy") {
		given = options["replication_factor"]
	}
	asked, transient, _ := strings.Cut(given, "/") // of "3/1" one is transient: it keeps nothing for long
	copies, _ = strconv.Atoi(asked)
	gone, _ := strconv.Atoi(transient)
	copies -= gone
	switch {
	case copies == 0:
		return 0, nil, troubled(ErrKeyspace, "keyspace %s keeps no copy in datacenter %s (its replication is %s): no quorum can answer there", keyspace, nearest, mapText(options))
	case copies == 1:
		all = append(all, fmt.Sprintf("keyspace %s keeps 1 copy of everything: when a server's disk is lost, so is what was acknowledged, however many servers there are; 3 are wanted", keyspace))
	case copies == 2:
		all = append(all, fmt.Sprintf("keyspace %s keeps 2 copies of everything: a quorum is both, so nothing can be written while one server is away; 3 are wanted", keyspace))
	}
	if durable, known := rows[0]["durable_writes"].(bool); known && !durable {
		all = append(all, fmt.Sprintf("keyspace %s has durable_writes = false: its servers write no commit log, so what was acknowledged is gone when they end", keyspace))
	}
	return copies, all, nil
}

// mapText is a short map in a fixed order.
func mapText(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+": "+m[k])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// commitLogs asks each server when it syncs: these settings are each server's own.
func commitLogs(ctx context.Context, db asker, near []host, scylla bool, copies int) []string {
	stmt := `SELECT name, value FROM system_views.settings WHERE name = 'commitlog_sync'`
	if scylla {
		stmt = `SELECT name, value FROM system.config WHERE name = 'commitlog_sync'`
	}
	var early, silent []string
	for _, h := range near {
		rows, err := db.ask(ctx, h.id, stmt)
		switch {
		case err != nil || len(rows) == 0:
			silent = append(silent, h.address)
		case strings.Contains(text(rows[0], "value"), "periodic"):
			early = append(early, h.address)
		}
	}
	var all []string
	if len(early) > 0 {
		cover := "a power cut of a quorum of servers at once loses it"
		if copies == 1 {
			cover = "with 1 copy a server's power cut loses it"
		}
		all = append(all, fmt.Sprintf("%s acknowledge a write before their commit log is synced (commitlog_sync: periodic): %s; group or batch is wanted", few(early), cover))
	}
	if len(silent) > 0 {
		all = append(all, fmt.Sprintf("%s do not say when their commit log is synced: see that commitlog_sync is group or batch", few(silent)))
	}
	return all
}

// serialReads: the fix of CASSANDRA-12126, on which recovery rests, can be switched off.
func serialReads(ctx context.Context, db asker, near []host) []string {
	const property = "cassandra.unsafe.disable-serial-reads-linearizability"
	var off, silent []string
	for _, h := range near {
		rows, err := db.ask(ctx, h.id, `SELECT name, value FROM system_views.system_properties WHERE name = ?`, property)
		switch {
		case err != nil:
			silent = append(silent, h.address)
		case len(rows) > 0 && text(rows[0], "value") == "true":
			off = append(off, h.address)
		}
	}
	var all []string
	if len(off) > 0 {
		all = append(all, fmt.Sprintf("%s run with %s: an append whose outcome is unknown could be decided twice; take it away", few(off), property))
	}
	if len(silent) > 0 {
		all = append(all, fmt.Sprintf("%s do not say whether they run with %s: see that they do not", few(silent), property))
	}
	return all
}
