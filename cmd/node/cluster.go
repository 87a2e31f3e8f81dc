package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"paceline/cluster"
	"paceline/cluster/gossip"
	"paceline/cluster/level"
	"paceline/domain/fault"
	"paceline/domain/unit"
	"paceline/gateway/session"
)

// errRestart: this run of the process cannot go on, a new one can.
var errRestart = errors.New("the others have gone on without this run; a new one is needed")

// errCutOff is what readiness says meanwhile.
var errCutOff = fault.Later("node.cut_off", "This node is cut off from those that serve.")

// startCluster makes this process a member, and waits until it serves: a node that only cannot see those who do would
// take their grains from them.
func (n *node) startCluster(ctx context.Context) error {
	cfg, err := n.cfg.cluster()
	if err != nil {
		return err
	}
	cfg.Log, cfg.Level = n.log, &n.level
	if cfg.Many != nil {
		if err := n.claimName(); err != nil {
			return err
		}
		cfg.Many.Rows, cfg.Many.Now = n.store.rows, func() time.Time { return wallNow().Time() }
		cfg.Many.Gossip.Self.Public, cfg.Many.Gossip.Self.Level = n.publicURL(), level.This.Reads
		cfg.Many.Describe = n.describe
		cfg.Many.StepDown, cfg.Many.Restart = n.stepDown, n.restart
	}
	n.cluster, err = cluster.Start(ctx, cfg, func(c *cluster.Cluster) []cluster.Kind {
		n.cluster = c // grains use it once they are activated, that is, after Start
		return n.kinds()
	})
	if err != nil {
		return err
	}
	n.later(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, n.cfg.DrainWithin)
		defer cancel()
		if n.down.Load() {
			n.cluster.Abandon()
		}
		return n.cluster.Stop(ctx, n.endWakeups)
	})
	patience := time.NewTicker(patienceWith)
	defer patience.Stop()
	for round := 1; ; round++ {
		select {
		case <-n.cluster.Serves():
			return nil
		case err := <-n.failed:
			return err
		case <-ctx.Done():
			return errors.New("asked to end before the start was complete")
		case <-patience.C:
			if err := n.cluster.Refused(); err != nil {
				return err
			}
			if round%2 == 1 {
				continue
			}
			n.log.Warn("waiting to serve: members that serve have rows in the store, and this node does not see them")
		}
	}
}

// patienceWith is how long a node that does not serve waits for somebody who would have it, while another one surely
// would not: of nodes that start together the right ones find each other meanwhile.
const patienceWith = 5 * time.Second

// clusterName is where a store keeps whose it is.
const clusterName = "cluster"

// claimName notes the cluster's name at its first start. Members of two names on one store would not see each other, and
// each side would serve all of it.
func (n *node) claimName() error {
	err := n.store.folder.PutMeta(clusterName, []byte(n.cfg.ClusterName))
	if err == nil {
		return nil
	}
	if !errors.Is(err, errThere) {
		return fmt.Errorf("store the cluster's name: %w", err)
	}
	name, _, err := n.store.folder.GetMeta(clusterName)
	if err != nil {
		return fmt.Errorf("read the cluster's name: %w", err)
	}
	if string(name) != n.cfg.ClusterName {
		return fmt.Errorf("this keyspace is of the cluster %q, and --cluster-name says %q: two clusters cannot share one", name, n.cfg.ClusterName)
	}
	return nil
}

func (n *node) publicURL() string {
	if n.cfg.PublicURL != "" {
		return n.cfg.PublicURL
	}
	return n.URL()
}

// stepDown stops serving because others do: clients are sent to them, grains are dropped as in a crash.
func (n *node) stepDown(others []gossip.Member) {
	if n.down.Swap(true) {
		return
	}
	n.instead.Store(&others)
	go func() {
		n.cluster.Abandon()
		n.goodbye(context.Background(), "cut_off", others)
	}()
}

// restart ends this run, so that the process can begin a new one.
func (n *node) restart(string) {
	n.down.Store(true)
	select {
	case n.failed <- errRestart:
	default:
	}
}

// goodbye sends the clients to other nodes, or has them come back here if there are none.
func (n *node) goodbye(ctx context.Context, reason string, others []gossip.Member) {
	door := n.door.Load()
	if door == nil {
		return // nobody has come in yet, and open says it to whoever does
	}
	var addresses []string
	for _, m := range others {
		if m.Public != "" {
			addresses = append(addresses, liveAddress(m.Public))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, n.cfg.GoodbyeWithin)
	defer cancel()
	door.Goodbye(ctx, session.Leave{Reason: reason}, unit.DurationMs(n.cfg.GoodbyeDelay.Milliseconds()), addresses...)
}

// liveAddress is where clients of the live protocol reach a node that has this public URL: they dial what they are told.
func liveAddress(public string) string {
	public = strings.TrimSuffix(public, "/")
	if rest, ok := strings.CutPrefix(public, "http"); ok { // https becomes wss
		public = "ws" + rest
	}
	return public + "/live"
}
