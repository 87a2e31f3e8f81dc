package main

import (
	"bytes"
	"testing"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
)

// TestClusterStatusText: a node of each kind, as a person reads it.
func TestClusterStatusText(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	begun := now.Add(-3*time.Hour - 2*time.Minute).UnixMilli()
	member := func(name string, m *managev1.ClusterMember) *managev1.ClusterMember {
		m.Id, m.Address, m.Gossip, m.Public, m.StartedMs = "run-"+name, "10.0.0.1:7000", "10.0.0.1:7946", "https://"+name, begun
		return m
	}
	says := func(unready, reason string, shards uint32) *clusterv1.NodeStatus {
		return &clusterv1.NodeStatus{Follows: 2, Reads: 2, Unready: unready, Reason: reason, Shards: shards, Swept: true, Connections: 1200, Wakeups: 7,
			Grains: []*clusterv1.GrainCount{{Kind: "competition", Active: 1}, {Kind: "device", Active: 300}, {Kind: "training", Active: 299}}}
	}
	slow := says("store.slow", "This node's store does not keep up.", 100)
	slow.Unpublished, slow.OutboxLagMs = 2, 75_000
	s := &managev1.GetClusterStatusResponse{Cluster: "paceline", Store: "cql", Level: 2, Reads: 3, TopologyAgeMs: 60_000,
		Owner: &managev1.GrainOwner{Grain: "competition/cup", Member: "run-a", Public: "https://a", Known: true, Active: true},
		Members: []*managev1.ClusterMember{
			member("a", &managev1.ClusterMember{Seen: true, Member: true, Serves: true, Reads: 3, Follows: 2, RowAgeMs: 400, Says: says("", "", 100)}),
			member("b", &managev1.ClusterMember{Seen: true, Member: true, Serves: true, Reads: 3, Follows: 2, RowAgeMs: 400, Says: slow}),
			member("c", &managev1.ClusterMember{Seen: true, Member: true, Serves: true, Reads: 3, Follows: 2, RowAgeMs: 2_400, Silent: "The member does not answer."}),
			member("d", &managev1.ClusterMember{CutOff: true, Reads: 3, Follows: 2, RowAgeMs: 900, Unready: "node.cut_off", Silent: "is not seen by gossip"}),
			member("e", &managev1.ClusterMember{Reads: 3, Follows: 2, RowAgeMs: 200_000, Silent: "is not seen by gossip"}),
			member("f", &managev1.ClusterMember{Seen: true, Reads: 3, RowAgeMs: -1, Silent: "is no member in the view of the node that was asked"}),
		}}
	var out bytes.Buffer
	if err := printStatus(&out, s, now); err != nil {
		t.Fatal(err)
	}
	const want = `cluster paceline on cql, feature level 2, members unchanged for 1m

NODE       STATE       UP     LEVEL       CLIENTS  COMPETITION  DEVICE  TRAINING  USER  SHARDS  WAKE-UPS  OUTBOX
https://a  serves      3h02m  2, reads 3  1200     1            300     299       0     100     7         empty
https://b  store.slow  3h02m  2, reads 3  1200     1            300     299       0     100     7         2 grains, 1m15s
https://c  silent      3h02m  2, reads 3  ?        ?            ?       ?         ?     ?       ?         ?
https://d  cut off     -      2, reads 3  ?        ?            ?       ?         ?     ?       ?         ?
https://e  gone        -      2, reads 3  ?        ?            ?       ?         ?     ?       ?         ?
https://f  joins       3h02m  reads 3     ?        ?            ?       ?         ?     ?       ?         ?
                              total       2400     2            600     598       0     200     14

competition/cup lives on https://a (active)

NODE       RUN    NODES' PORT    GOSSIP         STARTED               ROW RENEWED
https://a  run-a  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  0.4s ago
https://b  run-b  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  0.4s ago
https://c  run-c  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  2.4s ago
https://d  run-d  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  0.9s ago
https://e  run-e  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  3m20s ago
https://f  run-f  10.0.0.1:7000  10.0.0.1:7946  2027-01-15T04:58:00Z  -

! https://b: This node's store does not keep up
! https://b: 2 grains have events that views and feeds have not taken for 1m15s
! https://c: The member does not answer
! https://d: is not seen by gossip
! https://e is gone: not seen by gossip, and its row stands still (it is forgotten after 10 minutes)
! https://f: is no member in the view of the node that was asked
! every member can read feature level 3: paceline cluster raise
`
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "-", 0: "0.0s", 9940 * time.Millisecond: "9.9s", 10 * time.Second: "10s", time.Minute: "1m", 75 * time.Second: "1m15s",
		59*time.Minute + 59*time.Second: "59m59s", 90 * time.Minute: "1h30m", 47 * time.Hour: "47h00m", 50 * time.Hour: "2d2h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
