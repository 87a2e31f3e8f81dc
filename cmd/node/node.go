package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	"paceline/cluster"
	"paceline/cluster/gossip"
	"paceline/cluster/level"
	"paceline/cluster/wakeup"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/auth"
	"paceline/gateway/ws"
	"paceline/internal/obs"
	"paceline/persistence"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// node is one running node. Its parts are started in the order of the fields and stopped in the opposite one.
type node struct {
	cfg      settings
	keys     *auth.Keys
	log      *slog.Logger
	counters *obs.Registry

	store      *store
	clock      clock
	tables     *view.Tables
	project    *project.Projector
	views      view.Reader // the tables, through the cache if there is one
	lanes      *machine.Lanes
	runtime    *machine.Runtime
	sweeper    *sweeping
	endWakeups func() // may be called before they have begun
	cluster    *cluster.Cluster
	level      level.Current // of features: what may be written

	published *publishing // the event stream
	began     time.Time
	leaving   atomic.Bool // asked to end
	edge      edge
	server    *http.Server
	door      atomic.Pointer[ws.Server]       // the live server, once clients come in
	instead   atomic.Pointer[[]gossip.Member] // who serves, once this node has stepped down

	listener net.Listener
	failed   chan error  // why this run ends by itself; capacity 1
	down     atomic.Bool // others serve, and this node does not see them
	undo     []func(ctx context.Context) error
}

// start opens everything and serves on the listener, which it then owns.
func start(ctx context.Context, cfg settings, keys *auth.Keys, log *slog.Logger, l net.Listener) (*node, error) {
	n := &node{cfg: cfg, keys: keys, log: log, counters: &obs.Registry{}, listener: l, failed: make(chan error, 1), began: time.Now(), endWakeups: func() {}}
	for _, part := range []func(context.Context) error{n.openStore, n.openLevel, n.startRuntime, n.watchStore, n.startCluster, n.startWakeups, n.startGateway, n.serve, n.watchAlone} {
		if err := part(ctx); err != nil {
			return nil, errors.Join(err, n.stop(context.WithoutCancel(ctx)))
		}
	}
	return n, nil
}

// later says how to stop the part that was just started.
func (n *node) later(stop func(ctx context.Context) error) { n.undo = append(n.undo, stop) }

// stop leaves in order: no new work, drained grains, flushed stores.
func (n *node) stop(ctx context.Context) error {
	var errs []error
	for i := len(n.undo) - 1; i >= 0; i-- {
		errs = append(errs, n.undo[i](ctx))
	}
	n.undo = nil
	return errors.Join(errs...)
}

// URL is where a browser finds the node.
func (n *node) URL() string { return "http://" + n.listener.Addr().String() }

func (n *node) openStore(ctx context.Context) (err error) {
	if n.store, err = openStore(ctx, n.cfg, n.log); err != nil {
		return err
	}
	n.later(func(context.Context) error { return n.store.close() })
	if n.keys, err = n.cfg.keepTokenKeys(n.keys); err != nil {
		return err
	}
	wish, err := n.cfg.clock()
	if err != nil {
		return err
	}
	n.clock, err = openClock(n.store.folder, wish, wallNow())
	return err
}

// startRuntime makes what the carriers of all grains share.
func (n *node) startRuntime(context.Context) error {
	n.lanes = machine.NewLanes(n.cfg.lanes())
	n.later(func(context.Context) error { n.lanes.Close(); return nil })
	journal := persistence.Over(n.store.rows)
	if err := n.openViews(journal); err != nil {
		return err
	}
	n.published = watchPublishing(n.project)
	n.runtime = &machine.Runtime{
		Store:  journal,
		Events: n.published,
		Lanes:  n.lanes,
		Now:    n.now,
		Log:    n.log,
		Send: func(to id.Grain, msg any) {
			if m, ok := msg.(proto.Message); ok {
				n.cluster.Caller().Tell(to, m)
				return
			}
			n.log.Error("a grain sends what is no message", "to", to.String(), "type", fmt.Sprintf("%T", msg))
		},
		ToNode: func(member string, msg any) {
			if m, ok := msg.(proto.Message); ok {
				n.cluster.Link().ToNode(member, m)
			}
		},
	}
	return nil
}

// watchAlone looks for other nodes on a store that several can reach.
func (n *node) watchAlone(ctx context.Context) error {
	if n.cfg.Store != storeCQL || n.cfg.many() {
		return nil
	}
	a := &alone{rows: n.store.under, log: n.log, member: n.cluster.Member(), url: n.URL(), every: aloneEvery}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() { defer close(ended); a.run(ctx) }()
	n.later(func(context.Context) error { cancel(); <-ended; return nil })
	return nil
}

// startWakeups fires what is due, and lets nobody write a wake-up before the shards have their low-water marks.
func (n *node) startWakeups(ctx context.Context) error {
	n.sweeper = &sweeping{s: wakeup.New(nil), known: make(chan struct{})}
	n.sweeper.turned.Store(time.Now().UnixNano())
	box := carry(n.runtime, n.sweeper, wakeup.Start{})
	n.endWakeups = box.close // when the grains are drained: until then nobody else fires what is this node's
	n.cluster.Watch(func() {
		if len(n.cluster.Placement().Members().All()) > 0 {
			shards := wakeup.Shards(n.cluster.Owns)
			n.sweeper.shards.Store(int64(len(shards)))
			box.post(wakeup.Own{Shards: shards})
		}
	})
	select {
	case <-n.sweeper.known:
		return nil
	case err := <-n.failed:
		return err
	case <-ctx.Done():
		return errors.New("asked to end before the start was complete")
	case <-time.After(30 * time.Second):
		return errors.New("the store did not answer within 30 s of the start")
	}
}

// sweeping tells when the wake-ups' marks are there.
type sweeping struct {
	s     *wakeup.Sweeper
	known chan struct{}
	told  bool
	owned bool
	swept atomic.Bool // everything from before the start has been read once

	rows, reads, failed, fired, shards atomic.Int64 // for the counters
	turned                             atomic.Int64 // its last tick: wall clock, ns
}

// Step implements machine.Stepper.
func (w *sweeping) Step(now step.Now, msg any, from step.Return) []step.Out {
	outs := w.s.Step(now, msg, from)
	if _, own := msg.(wakeup.Own); own {
		w.owned = true
	}
	if !w.told && w.owned && w.s.Known() {
		w.told = true
		close(w.known)
	}
	if _, tick := msg.(step.Tick); tick {
		c := w.s.Counts()
		w.turned.Store(time.Now().UnixNano())
		w.rows.Store(int64(w.s.Rows()))
		w.reads.Store(int64(c.Reads))
		w.failed.Store(int64(c.Failed))
		w.fired.Store(int64(c.Fired))
		w.swept.Store(w.swept.Load() || w.owned && w.s.Swept())
	}
	return outs
}
