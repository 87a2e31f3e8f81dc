package cluster

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/split"
	"paceline/persistence"
)

// nodes are the members' rows in the store.
type nodes struct {
	rows persistence.Rows
	part persistence.Part
}

func nodesOf(rows persistence.Rows, cluster string) nodes {
	return nodes{rows: rows, part: persistence.Part{Table: persistence.TableNode, Key: cluster}}
}

// put renews a row.
func (n nodes) put(ctx context.Context, r *clusterv1.NodeRow) error {
	cell, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	return n.rows.Put(ctx, []persistence.Mutation{{Part: n.part, Row: persistence.Row{Cluster: r.GetId(), Cell: cell}}})
}

// drop deletes a row: its member has left, or has been dead for long.
func (n nodes) drop(ctx context.Context, id string) error {
	return n.rows.Put(ctx, []persistence.Mutation{{Part: n.part, Row: persistence.Row{Cluster: id}, Delete: true}})
}

// all reads the rows of all members.
func (n nodes) all(ctx context.Context) ([]*clusterv1.NodeRow, error) {
	found, err := n.rows.Range(ctx, n.part, persistence.Range{})
	if err != nil {
		return nil, err
	}
	rows := make([]*clusterv1.NodeRow, 0, len(found))
	for _, f := range found {
		r := &clusterv1.NodeRow{}
		if err := proto.Unmarshal(f.Cell, r); err != nil {
			return nil, fmt.Errorf("the row of member %q: %w", f.Cluster, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// forRule are rows as the rule takes them. Not nil: they were read.
func forRule(rows []*clusterv1.NodeRow) []split.Row {
	out := make([]split.Row, 0, len(rows))
	for _, r := range rows {
		out = append(out, split.Row{
			Member: r.GetId(), Address: r.GetAddress(), Started: r.GetStartedMs(), Beat: r.GetBeat(),
			Sees: r.GetSees(), Serves: r.GetServes(), Down: r.GetDown(),
		})
	}
	return out
}

const (
	renewEvery   = time.Second
	renewWithin  = 2 * time.Second
	readsPerBeat = 2
	// forgetAfter is how long a row must stand still to be deleted: its member is dead and nobody waits for it.
	forgetAfter = 10 * time.Minute
)
