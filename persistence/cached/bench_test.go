package cached_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence/cached"
	"paceline/persistence/embedded"
	"paceline/persistence/view"
)

// BenchmarkCached reads a race of 500 entries, its roster and a page of 50 races over the embedded store, bare and
// through the cache in turn: "bare/cached" is how many times faster a hit is.
func BenchmarkCached(b *testing.B) {
	cfg := embedded.Default()
	cfg.Folder = b.TempDir()
	rows, err := embedded.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = rows.Close() })
	tables := view.New(rows)
	v, err := cached.Over(tables, cached.Config{MaxBytes: 32 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(v.Close)
	ctx := context.Background()
	for i := range 50 {
		race := fmt.Sprint("race", i)
		c := tables.Begin(b.Context(), id.Of(id.Competition, race))
		err := c.PutCompetition(ctx, view.Competition{ID: race, OrganizationID: "club", Name: "Race", State: "open", ScheduledAt: unit.InstantMs(i)})
		if err != nil {
			b.Fatal(err)
		}
		for e := uint32(1); i == 0 && e <= 500; e++ {
			c.PutEntry(race, view.RosterEntry{Entry: e, UserID: fmt.Sprint("user", e), Category: "w40"})
		}
		if err := c.Commit(ctx, 1); err != nil {
			b.Fatal(err)
		}
	}
	for name, read := range map[string]func(view.Reader) error{
		"race":   func(r view.Reader) error { _, _, err := r.Competition(ctx, "race0"); return err },
		"roster": func(r view.Reader) error { _, err := r.Roster(ctx, "race0"); return err },
		"list": func(r view.Reader) error {
			_, _, err := r.Competitions(ctx, view.CompetitionQuery{OrganizationID: "club"})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var spent [2]time.Duration
			for b.Loop() {
				for i, r := range []view.Reader{tables, v} {
					began := time.Now()
					if err := read(r); err != nil {
						b.Fatal(err)
					}
					spent[i] += time.Since(began)
				}
			}
			b.ReportMetric(float64(spent[0].Nanoseconds())/float64(b.N), "bare-ns/op")
			b.ReportMetric(float64(spent[1].Nanoseconds())/float64(b.N), "cached-ns/op")
			b.ReportMetric(float64(spent[0])/float64(spent[1]), "bare/cached")
			b.ReportMetric(0, "ns/op")
		})
	}
}
