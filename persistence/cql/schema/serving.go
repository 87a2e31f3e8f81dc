package schema

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// nodeTable has a row for every node that serves, which it renews every second or two.
const nodeTable = "node"

// older refuses migrations that a node which serves may not read the result of.
func (s Set) older(ctx context.Context, db asker, t Target, noted []Record, o *Options) error {
	knows := 0 // what every node that serves knows at least: it would not have started otherwise
	for i := range noted {
		if noted[i].finished() {
			knows = max(knows, noted[i].MinReader)
		}
	}
	at := slices.IndexFunc(s, func(m Migration) bool { return m.MinReader > knows })
	if at < 0 || o.BreakOlder {
		return nil
	}
	names, err := t.serving(ctx, db, o)
	if err != nil || len(names) == 0 {
		return err
	}
	return troubled(ErrServed, "migration %s wants binaries that know %d, and nodes serve that may be older (%s): end them first, or run it under them with --break-older-nodes",
		&s[at], s[at].MinReader, few(names))
}

// serving are the nodes whose rows move within some time, by their names for a person: a row that stands still is of one that
// was killed. No row says which schema its node knows.
func (t Target) serving(ctx context.Context, db asker, o *Options) ([]string, error) {
	tables, err := tableNames(ctx, db, t.Keyspace)
	if err != nil || !slices.Contains(tables, nodeTable) {
		return nil, err
	}
	var first map[string][]byte
	moved := map[string]string{}
	for deadline := time.Now().Add(o.Watch); ; {
		rows, err := db.ask(ctx, "", `SELECT part, cluster, cell FROM `+t.Keyspace+"."+nodeTable)
		if err != nil {
			return nil, err
		}
		now := map[string][]byte{}
		for _, r := range rows {
			part, _ := r["part"].([]byte)
			member, _ := r["cluster"].([]byte)
			cell, _ := r["cell"].([]byte)
			key := fmt.Sprintf("%x %x", part, member)
			now[key] = cell
			if was, there := first[key]; first != nil && (!there || !bytes.Equal(was, cell)) {
				moved[key] = o.nameOf(member, cell)
			}
		}
		if first == nil {
			first = now
		}
		if len(moved) == len(now) || time.Now().After(deadline) {
			return slices.Sorted(maps.Values(moved)), nil
		}
		if err := pause(ctx, o.Watch/20); err != nil {
			return nil, err
		}
	}
}
