package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/gateway/auth"
	"paceline/gateway/hub"
	"paceline/gateway/lookup"
	"paceline/gateway/rest"
	"paceline/gateway/ws"
	"paceline/pipeline/bundle"
	"paceline/web"
)

// edge is everything between the sockets and the grains.
type edge struct {
	hub  *hub.Node
	live *ws.Server
}

var errStarting = fault.Later("node.starting", "This node is still reading what it left behind.")

// startGateway makes the hub and the live server; serve opens the door to them.
func (n *node) startGateway(ctx context.Context) error {
	source := lookup.New(n.views, n.cluster.Caller())
	verifier := auth.NewVerifier(n.keys, n.listener.Addr().String())
	n.edge.hub = hub.NewNode(hub.New(hub.Config{Node: n.cluster.Member()}),
		hub.Deps{Clock: n.now, Tell: n.cluster.Caller(), Views: source})
	live := ws.Default()
	live.UnderBytes = n.cfg.UnackedMB << 20
	standby := lookup.NewStandby(source, n.edge.hub.Hub().Holds, func() bool { return n.behind() != 0 })
	n.edge.live = ws.New(live, ws.Deps{
		Node: n.cluster.Member(), Clock: n.now, Calls: n.cluster.Caller(), Hub: n.edge.hub, Topics: standby,
		Verify: verifier.Verify, NewID: func() string { return newID(n.clock.now()) }, Log: n.log,
	})
	n.cluster.Link().Attach(&n.edge)
	n.answerStatus()
	// Interests are said again at once: the grain that publishes may live on another node now and know of none.
	n.cluster.Watch(func() { n.edge.hub.Post(hub.MembersChanged{}) })

	run, end := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { n.edge.hub.Run(run) })
	running.Go(func() { n.edge.live.Run(run) })
	n.later(func(context.Context) error {
		end()
		running.Wait()
		return nil
	})

	handler := rest.Handler(rest.Deps{
		Calls: n.cluster.Caller(), Views: n.views, Anew: rebuilder{n}, Races: source, Export: exporter{n}, Backup: backuper{n}, Cluster: operating{n}, Verify: verifier.Verify,
		Clock: n.clock.now, Rate: n.clock.Rate, NewID: func() string { return newID(n.clock.now()) },
		Live: n.edge.live, Pages: web.Files(), Ready: n.ready, Alive: n.alive, Log: n.log,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", n.counters)
	mux.Handle("/", handler)
	n.server = rest.NewServer(mux)
	return nil
}

// Deliver implements link.Handler.
func (e *edge) Deliver(msg proto.Message) {
	switch m := msg.(type) {
	case *clusterv1.TopicUpdate:
		e.hub.Update(m)
	case *clusterv1.SessionNotice:
		e.live.Notice(m)
	}
}

// Resync implements link.Handler.
func (e *edge) Resync(topic string) { e.hub.Post(hub.Resync{Topic: topic}) }

// exporter writes bundles.
type exporter struct{ n *node }

// Export implements rest.Exporter.
func (e exporter) Export(ctx context.Context, competition string, w io.Writer) error {
	return bundle.Write(ctx, e.n.runtime.Store, competition, w)
}

// open lets clients in. A node that has stepped down before sends them on.
func (n *node) open(ctx context.Context) {
	n.door.Store(n.edge.live)
	if others := n.instead.Load(); others != nil {
		n.goodbye(ctx, "cut_off", *others)
	}
}

// serve opens the door.
func (n *node) serve(ctx context.Context) error {
	n.count()
	n.open(ctx)
	go func() {
		if err := n.server.Serve(n.listener); !errors.Is(err, http.ErrServerClosed) {
			n.failed <- err
		}
	}()
	n.later(func(ctx context.Context) error {
		n.leaving.Store(true)
		ctx, cancel := context.WithTimeout(ctx, n.cfg.GoodbyeWithin)
		defer cancel()
		n.goodbye(ctx, "leaving", n.cluster.Others())
		err := n.server.Shutdown(ctx)
		n.edge.live.Shut(ctx) // whoever came meanwhile was told as well
		if err != nil {
			return n.server.Close()
		}
		return nil
	})
	return nil
}
