package main

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/persistence"
)

// alone tells a node that was started as the only one of a shared store when another serves there too. Nothing is lost
// or counted twice then (each journal has one writer, by its fence), but the two take grains from each other and
// viewers of one do not see what happens at the other: somebody should know. A row that another has left behind when
// it was killed says nothing; one that moves does.
type alone struct {
	rows   persistence.Rows
	log    *slog.Logger
	member string
	url    string
	every  time.Duration

	beat   uint64
	others map[string]*other
}

// other is a row of somebody else.
type other struct {
	beat  uint64 // as last seen
	still int    // rounds for which it has not moved
	told  bool
}

// aloneEvery is how often a lone node renews its row and looks for others.
const aloneEvery = 2 * time.Second

// aloneGone is for how many rounds a row stands still until it is taken away: its node was killed.
const aloneGone = 30

// alonePart is the lone nodes' own: members of a cluster have a partition by its name.
func alonePart() persistence.Part {
	return persistence.Part{Table: persistence.TableNode, Key: "\x00alone"}
}

// run goes on until the context ends, then takes the row away.
func (a *alone) run(ctx context.Context) {
	a.others = map[string]*other{}
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for {
		a.look(ctx)
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.every)
			defer cancel()
			a.drop(ctx, a.member)
			return
		case <-tick.C:
		}
	}
}

// look is one round. What fails is tried again with the next: the store's troubles are told elsewhere.
func (a *alone) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.every)
	defer cancel()
	a.beat++
	cell, err := proto.Marshal(&clusterv1.NodeRow{Id: a.member, Address: a.url, Beat: a.beat})
	if err != nil {
		return
	}
	if err := a.rows.Put(ctx, []persistence.Mutation{{Part: alonePart(), Row: persistence.Row{Cluster: a.member, Cell: cell}}}); err != nil {
		return
	}
	found, err := a.rows.Range(ctx, alonePart(), persistence.Range{Limit: 100})
	if err != nil {
		return
	}
	for _, f := range found {
		row := &clusterv1.NodeRow{}
		if f.Cluster == a.member || proto.Unmarshal(f.Cell, row) != nil {
			continue
		}
		o := a.others[f.Cluster]
		if o == nil {
			a.others[f.Cluster] = &other{beat: row.GetBeat()}
			continue
		}
		if o.beat == row.GetBeat() {
			if o.still++; o.still >= aloneGone {
				a.drop(ctx, f.Cluster)
				delete(a.others, f.Cluster)
			}
			continue
		}
		o.beat, o.still = row.GetBeat(), 0
		if !o.told {
			o.told = true
			a.log.Warn("another node serves on this keyspace, and neither was told of the other: stop one of them; nothing is lost or counted twice, but each shows only what happens at itself",
				"member", f.Cluster, "address", row.GetAddress())
		}
	}
}

// drop takes a row away. One that stays stands still, which says as much.
func (a *alone) drop(ctx context.Context, member string) {
	_ = a.rows.Put(ctx, []persistence.Mutation{{Part: alonePart(), Row: persistence.Row{Cluster: member}, Delete: true}})
}
