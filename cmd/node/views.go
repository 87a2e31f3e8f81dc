package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/cached"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// viewAge is how old a cached answer may be where other nodes write too, unless its reader asks for at_least.
const viewAge = time.Second

// openViews makes what is read from, what writes it, and the cache between it and its readers.
func (n *node) openViews(journal *persistence.RowStore) error {
	n.tables = view.New(n.store.rows)
	n.project = project.New(journal, n.tables, project.Views(journal))
	n.views = n.tables
	if n.cfg.ViewCacheMB == 0 {
		return nil
	}
	cfg := cached.Config{MaxBytes: n.cfg.ViewCacheMB << 20}
	if persistence.Shared(n.store.rows) {
		cfg.Age = viewAge
	}
	c, err := cached.Over(n.tables, cfg)
	if err != nil {
		return err
	}
	n.later(func(context.Context) error { c.Close(); return nil })
	n.views = c
	return nil
}

// countViews names what an operator can watch of the cache.
func (n *node) countViews() {
	v, ok := n.views.(*cached.Views)
	if !ok {
		return
	}
	c, counts := n.counters, v.Counts()
	c.Counter("paceline_view_cache_hits_total", "Reads of views answered from memory.", counts.Hits.Load)
	c.Counter("paceline_view_cache_misses_total", "Reads of views that were not, also those that joined another's read.", counts.Misses.Load)
	c.Counter("paceline_view_cache_joined_total", "Misses that waited for another's read.", counts.Joined.Load)
	c.Counter("paceline_view_cache_stale_total", "Misses with an entry that was too old.", counts.Stale.Load)
	c.Counter("paceline_view_cache_dropped_total", "Entries that the cache did not take.", counts.Dropped.Load)
	c.Gauge("paceline_view_cache_bytes", "What the cache holds.", func() float64 { return float64(v.Bytes()) })
	c.Gauge("paceline_view_cache_hit_ratio", "Hits of all reads so far.", func() float64 {
		hits, misses := float64(counts.Hits.Load()), float64(counts.Misses.Load())
		return hits / max(hits+misses, 1)
	})
}

// rebuilder makes views anew on a serving node.
type rebuilder struct{ n *node }

// Rebuild implements rest.Rebuilder.
func (r rebuilder) Rebuild(ctx context.Context, views string, eachSecond int, tell func(phase string, grains uint64)) error {
	r.n.log.Info("rebuild of views", "views", views, "rate", eachSecond)
	err := rebuildViews(ctx, r.n.store.rows, r.n.project, views, eachSecond, tell)
	r.n.log.Info("rebuild of views has ended", "views", views, "err", err)
	return err
}

// lingerAlone is how long an old generation stays where this process alone reads: it heard of the switch at once.
const lingerAlone = 2 * time.Second

func rebuildViews(ctx context.Context, rows persistence.Rows, p *project.Projector, views string, eachSecond int, tell func(phase string, grains uint64)) error {
	kind := id.Kind("")
	for k, name := range view.Kinds {
		if name == views {
			kind = k
		}
	}
	r := project.Rebuild{Kind: kind, EachSecond: eachSecond, Token: rand.Text(), Progress: func(p project.Progress) { tell(p.Phase, p.Grains) }}
	if !persistence.Shared(rows) {
		r.Linger = lingerAlone
	}
	return p.Rebuild(ctx, persistence.Over(rows), r)
}

type viewsCmd struct {
	Rebuild viewsRebuildCmd `cmd:"" help:"Make views anew from the journals, beside the old ones, while nodes serve. Broken off, the next one goes on where it stood."`
}

type viewsRebuildCmd struct {
	settings
	View    string `help:"competitions, trainings, people, or all." default:"all" enum:"competitions,trainings,people,all"`
	Rate    int    `help:"Events a second that are read and written again." default:"2000"`
	Offline bool   `help:"Work on the data folder of a node that does not run, or on the keyspace beside the nodes that do, instead of asking a node."`
}

// Run makes the views anew, one kind after the other.
func (c viewsRebuildCmd) Run(p process) error {
	if err := c.validate(); err != nil {
		return err
	}
	if c.Rate < 1 || c.Rate > 1_000_000 {
		return errors.New("--rate: want 1 to 1000000 events a second")
	}
	views := []string{"people", "trainings", "competitions"}
	if c.View != "all" {
		views = []string{c.View}
	}
	work := c.onNode
	if c.Offline {
		work = c.onStore
	}
	for _, v := range views {
		last := ""
		err := work(p.ctx, v, func(phase string, grains uint64) {
			if phase != last {
				fmt.Fprintf(p.out, "%s: %s (%d taken)\n", v, phase, grains)
			}
			last = phase
		})
		if err != nil {
			return fmt.Errorf("rebuild of the views of %s: %w; the same command goes on", v, err)
		}
	}
	return nil
}

func (c viewsRebuildCmd) onStore(ctx context.Context, views string, tell func(string, uint64)) error {
	if _, err := os.Stat(c.DataDir); err != nil && c.Store != storeCQL {
		return fmt.Errorf("data folder: %w", err) // openStore would make it
	}
	st, err := openStore(ctx, c.settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	p := project.New(persistence.Over(st.rows), view.New(st.rows), project.Views(persistence.Over(st.rows)))
	return errors.Join(rebuildViews(ctx, st.rows, p, views, c.Rate, tell), st.close())
}

// onNode asks the node, and again when a call has lasted as long as one may.
func (c viewsRebuildCmd) onNode(ctx context.Context, views string, tell func(string, uint64)) error {
	for {
		again, err := c.call(ctx, views, tell)
		if !again || ctx.Err() != nil {
			return err
		}
	}
}

func (c viewsRebuildCmd) call(ctx context.Context, views string, tell func(string, uint64)) (again bool, err error) {
	token, err := c.operatorToken("operator:views")
	if err != nil {
		return false, err
	}
	ask := connect.NewRequest(&managev1.RebuildViewsRequest{Views: views, Rate: uint32(c.Rate)})
	ask.Header().Set("Authorization", "Bearer "+token)
	said, err := managev1.NewNodeServiceClient(http.DefaultClient, "http://"+c.Listen).RebuildViews(ctx, ask)
	if err != nil {
		return false, err
	}
	heard := false
	for said.Receive() {
		heard = true
		tell(said.Msg().Phase, said.Msg().Grains)
	}
	err = errors.Join(said.Err(), said.Close())
	if !heard && connect.CodeOf(said.Err()) == connect.CodeUnavailable {
		return false, fmt.Errorf("no node answers at %s: name its --listen, or --offline if none runs (%w)", c.Listen, err)
	}
	return lastedTooLong(said.Err()), err
}

// lastedTooLong reports whether the node ended a call because of its length alone.
func lastedTooLong(err error) bool {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return false
	}
	for _, d := range refused.Details() {
		if v, err := d.Value(); err == nil {
			if f, ok := v.(*clusterv1.Fault); ok && f.Code == "rest.deadline" {
				return true
			}
		}
	}
	return false
}
