package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paceline/domain/unit"
	"paceline/simulations/process"
	"paceline/simulations/swarm"
)

// makeNodes makes what the nodes need to find and trust each other; none runs yet.
func (r *run) makeNodes(ctx context.Context) error {
	for i := range r.o.Nodes {
		name, port := "node", r.o.Port+i
		if r.o.Nodes > 1 {
			name = fmt.Sprintf("node-%d", i+1)
		}
		if r.o.Port == 0 {
			port = usualPort + i
		}
		c, err := newChild(r.o.Binary, r.folder, name, port, r.o.Port == 0)
		if err != nil {
			return err
		}
		r.nodes = append(r.nodes, c)
	}
	r.show = r.nodes[0]
	if len(r.nodes) == 1 {
		return nil
	}
	return r.makeCluster(ctx)
}

// makeCluster gives each node its addresses, a certificate and the gossip's key, as `make cluster` does.
func (r *run) makeCluster(ctx context.Context) error {
	certs := filepath.Join(r.folder, "certs")
	args := []string{"certs", "--dir=" + certs}
	var gossips []string
	for _, c := range r.nodes {
		args = append(args, c.name)
		gossip, err := process.FreeAddress()
		if err != nil {
			return err
		}
		if c.among, err = process.FreeAddress(); err != nil {
			return err
		}
		gossips = append(gossips, gossip)
	}
	if said, err := exec.CommandContext(ctx, r.o.Binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("demo: paceline certs: %w: %s", err, bytes.TrimSpace(said))
	}
	for i, c := range r.nodes {
		var seeds []string
		for k, other := range gossips {
			if k != i {
				seeds = append(seeds, other)
			}
		}
		file := filepath.Join(certs, c.name)
		c.flags = append(c.flags, "--cluster-listen="+c.among, "--gossip-listen="+gossips[i], "--seeds="+strings.Join(seeds, ","),
			"--gossip-key-file="+filepath.Join(certs, "gossip.key"), "--node-ca="+filepath.Join(certs, "ca.pem"),
			"--node-cert="+file+".pem", "--node-key="+file+".key")
	}
	return nil
}

// startNodes starts all and waits until they serve, and see each other. The first one is alone at first: it makes the
// keys that all share, and its clock is that of all.
func (r *run) startNodes(ctx context.Context) error {
	origin := r.plan.Gun.Add(-unit.DurationMs(r.rate * float64(r.o.lead()/time.Millisecond)))
	if err := r.nodes[0].start(origin, r.rate); err != nil {
		return err
	}
	if err := r.nodes[0].up(ctx); err != nil {
		return err
	}
	for _, c := range r.nodes[1:] {
		if err := c.start(0, 0); err != nil {
			return err
		}
	}
	for _, c := range r.nodes[1:] {
		if err := c.up(ctx); err != nil {
			return err
		}
	}
	if len(r.nodes) == 1 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	for _, c := range r.nodes {
		for !c.sees(len(r.nodes)) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("demo: %s did not see %d nodes within %v; its log is %s", c.name, len(r.nodes), upWithin, c.log.Name())
			case <-time.After(25 * time.Millisecond):
			}
		}
	}
	r.say("\n  %d nodes are one cluster; each shows the race:\n", len(r.nodes))
	return nil
}

// sees reports whether the last word of the node's log about its members names so many.
func (c *child) sees(n int) bool {
	b, err := os.ReadFile(c.log.Name())
	if err != nil {
		return false
	}
	const said = "msg=members "
	i := bytes.LastIndex(b, []byte(said))
	return i >= 0 && bytes.HasPrefix(b[i+len(said):], fmt.Appendf(nil, "count=%d ", n))
}

// stopNodes ends whatever runs, all at once.
func (r *run) stopNodes() error {
	errs := make([]error, len(r.nodes))
	var wg sync.WaitGroup
	for i, c := range r.nodes {
		wg.Go(func() { errs[i] = c.stop() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *run) otherURLs() []string {
	var all []string
	for _, c := range r.nodes[1:] {
		all = append(all, c.url())
	}
	return all
}

// home is the node that the race lives on.
func (r *run) home() *child {
	if len(r.nodes) == 1 {
		return r.nodes[0]
	}
	var among []string
	for _, c := range r.nodes {
		among = append(among, c.among)
	}
	return r.nodes[swarm.Owner(r.race.competition, among)]
}

// called is how the reader knows a node.
func (r *run) called(c *child) string {
	if len(r.nodes) == 1 {
		return "the node"
	}
	return fmt.Sprintf("%s (%s), on which the race lives,", c.name, c.url())
}

func (r *run) stays() string {
	if len(r.nodes) == 1 {
		return "The node stays up"
	}
	return "The nodes stay up"
}

// sayPages says where the race can be watched. The page that is named is not of the node that is going to be killed.
func (r *run) sayPages() {
	if len(r.nodes) == 1 {
		r.say("\n  Live page: %s\n\n", r.page(r.show))
		return
	}
	home := r.home()
	if r.o.Kill && r.show == home {
		r.show = r.nodes[1]
	}
	for _, c := range r.nodes {
		note := ""
		switch {
		case c == home && r.o.Kill:
			note = "  (the race lives here; this node is going to be killed)"
		case c == home:
			note = "  (the race lives here)"
		}
		r.say("  Live page: %s%s\n", r.page(c), note)
	}
	r.say("\n")
}

// nodeEnded says which node has ended by itself.
func (r *run) nodeEnded() error {
	for _, c := range r.nodes {
		select {
		case <-c.gone():
			return fmt.Errorf("demo: the node has ended (%w); its log is %s", c.exitErr(), c.log.Name())
		default:
		}
	}
	return nil
}

func (r *run) newestEpoch() uint64 {
	newest := uint64(0)
	for _, v := range r.viewers {
		newest = max(newest, v.Now().Epoch)
	}
	return newest
}

// carriedOn waits until every viewer has a whole board of the node that has taken the race over: of a later epoch.
func (r *run) carriedOn(ctx context.Context, dead *child, before uint64, killed time.Time) error {
	c := swarm.Check{Name: "another node took the race over"}
	defer func() { r.checks = append(r.checks, c) }()
	var first, last time.Duration
	back := make([]bool, len(r.viewers))
	for left := len(back); left > 0; {
		for i, v := range r.viewers {
			if b := v.Now(); !back[i] && b.Epoch > before && !b.Recovering {
				back[i], last = true, time.Since(killed)
				if left--; first == 0 {
					first = last
				}
			}
		}
		if time.Since(killed) > backWithin {
			c.Detail = fmt.Sprintf("%d of %d viewers had no new board within %v", left, len(back), backWithin)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	r.say("  The race lives on another node: first whole board %.1f s after the kill, on all %d viewers after %.1f s. %s stays dead.\n",
		first.Seconds(), len(back), last.Seconds(), dead.name)
	c.OK, c.Detail = true, fmt.Sprintf("first whole board after %.1f s, all %d viewers after %.1f s", first.Seconds(), len(back), last.Seconds())
	return nil
}
