package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/cluster"
	"paceline/cluster/level"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/gateway/rest"
)

// statusWithin is how long a member may take to say what it does; those that take longer are named as silent.
const statusWithin = 1500 * time.Millisecond

// statusAtOnce bounds how many answers a node works on at once; whoever comes beyond them asks again.
const statusAtOnce = 4

var errStatusBusy = fault.Later("node.status_busy", "This node says what it does to several others at once; ask again.")

// operating is what an operator asks of the cluster through this node.
type operating struct{ n *node }

var _ rest.Operating = operating{}

// answerStatus lets other members ask what this node does.
func (n *node) answerStatus() {
	room := make(chan struct{}, statusAtOnce)
	n.cluster.AnswerStatus(func(ask *clusterv1.NodeStatusAsk, done func(proto.Message, error)) {
		select {
		case room <- struct{}{}:
		default:
			done(nil, errStatusBusy)
			return
		}
		go func() {
			defer func() { <-room }()
			ctx, cancel := context.WithTimeout(context.Background(), statusWithin)
			defer cancel()
			s, err := n.status(ctx, ask.GetGrain())
			if err != nil {
				done(nil, err)
				return
			}
			done(s, nil)
		}()
	})
}

// describe is what this node's row tells others.
func (n *node) describe() (follows uint32, unready string) {
	if err := n.ready(); err != nil {
		unready = fault.Of(err).Code
	}
	return n.level.At(), unready
}

// status is what this node does, and whether a grain is active here.
func (n *node) status(ctx context.Context, grain string) (*clusterv1.NodeStatus, error) {
	counted, err := n.cluster.Placement().Counted(ctx)
	if err != nil {
		return nil, err
	}
	known, changed := n.cluster.Report()
	waiting, lag := n.published.lag()
	s := &clusterv1.NodeStatus{
		Member: n.cluster.Member(), StartedMs: n.began.UnixMilli(), NowMs: time.Now().UnixMilli(),
		Follows: n.level.At(), Reads: level.This.Reads,
		Shards: uint32(n.sweeper.shards.Load()), Swept: n.sweeper.swept.Load(), Wakeups: uint64(n.sweeper.rows.Load()),
		Unpublished: uint64(waiting), OutboxLagMs: lag.Milliseconds(),
	}
	if !changed.IsZero() {
		s.TopologyAgeMs = time.Since(changed).Milliseconds()
	}
	for _, k := range known {
		if k.Among {
			s.Members++
		}
	}
	if door := n.door.Load(); door != nil {
		s.Connections = uint64(door.Connections())
	}
	if err := n.ready(); err != nil {
		s.Unready, s.Reason = fault.Of(err).Code, fault.Of(err).Message
	}
	for kind, active := range counted {
		s.Grains = append(s.Grains, &clusterv1.GrainCount{Kind: string(kind), Active: uint64(active)})
	}
	slices.SortFunc(s.Grains, func(a, b *clusterv1.GrainCount) int { return cmp.Compare(a.Kind, b.Kind) })
	if grain != "" {
		s.Active, err = n.cluster.Placement().Active(ctx, grain)
	}
	return s, err
}

// Status implements rest.Operating.
func (o operating) Status(ctx context.Context, owned *id.Grain) (*managev1.GetClusterStatusResponse, error) {
	n := o.n
	known, changed := n.cluster.Report()
	all := &managev1.GetClusterStatusResponse{
		Cluster: n.cfg.ClusterName, Store: n.cfg.Store, Asked: n.cluster.Member(), Level: n.level.At(), Reads: level.This.Reads,
	}
	if !changed.IsZero() {
		all.TopologyAgeMs = time.Since(changed).Milliseconds()
	}
	grain := ""
	if owned != nil {
		all.Owner = o.owner(*owned, known)
		grain = owned.Identity()
	}
	slices.SortFunc(known, func(a, b cluster.Known) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(b.StartedMs, a.StartedMs), cmp.Compare(a.ID, b.ID))
	})
	var asking sync.WaitGroup
	for _, k := range known {
		m := memberOf(k)
		all.Members = append(all.Members, m)
		if k.Seen {
			all.Reads = min(all.Reads, level.Said(k.Level))
		}
		asking.Go(func() { o.ask(ctx, k, grain, m) })
	}
	asking.Wait()
	for _, m := range all.Members {
		if all.Owner != nil && m.Id == all.Owner.Member && m.Says != nil {
			all.Owner.Known, all.Owner.Active = true, m.Says.Active
		}
	}
	return all, nil
}

func (o operating) owner(g id.Grain, known []cluster.Known) *managev1.GrainOwner {
	member, _, _ := o.n.cluster.Placement().Owner(g)
	owner := &managev1.GrainOwner{Grain: g.String(), Member: member}
	for _, k := range known {
		if k.ID == member {
			owner.Address, owner.Public = k.Address, k.Public
		}
	}
	return owner
}

func memberOf(k cluster.Known) *managev1.ClusterMember {
	m := &managev1.ClusterMember{
		Id: k.ID, Address: k.Address, Gossip: k.Gossip, Public: k.Public, StartedMs: k.StartedMs,
		Reads: level.Said(k.Level), Follows: k.Follows, Seen: k.Seen, Member: k.Among, Serves: k.Serves, CutOff: k.CutOff,
		RowAgeMs: -1, Unready: k.Unready,
	}
	if k.RowAge >= 0 {
		m.RowAgeMs = k.RowAge.Milliseconds()
	}
	return m
}

// ask has a member say what it does; why it does not is said in its place.
func (o operating) ask(ctx context.Context, k cluster.Known, grain string, m *managev1.ClusterMember) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	var err error
	switch {
	case k.ID == o.n.cluster.Member():
		m.Says, err = o.n.status(ctx, grain)
	case !k.Seen:
		m.Silent = "is not seen by gossip"
		return
	case !k.Among:
		m.Silent = "is no member in the view of the node that was asked"
		return
	case k.Level < level.NodeStatus:
		m.Silent = "runs a release that does not say more"
		return
	default:
		m.Says, err = o.n.cluster.AskStatus(ctx, k.ID, &clusterv1.NodeStatusAsk{Grain: grain})
	}
	if err != nil {
		m.Says, m.Silent = nil, fault.Of(err).Message
	}
}

// Raise implements rest.Operating.
func (o operating) Raise(ctx context.Context, to uint32) (*managev1.RaiseLevelResponse, error) {
	from, at, err := o.n.raise(ctx, to)
	if err != nil {
		return nil, err
	}
	return &managev1.RaiseLevelResponse{From: from, To: at}, nil
}

// nameOf is a member for a person.
func nameOf(k cluster.Known) string {
	if k.Public != "" {
		return k.Public
	}
	return k.Address
}
