package project_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// TestSweep: views that were lost come back from the journals alone, also when the sweep is broken off.
func TestSweep(t *testing.T) {
	ctx := context.Background()
	b := newBench()
	races := make([]id.Grain, 150)
	for i := range races {
		races[i] = id.Of(id.Competition, fmt.Sprint("r", i))
		a := persistence.Append{Grain: races[i], AppendID: "a"}
		for v := range uint64(i%5 + 1) {
			a.Records = append(a.Records, persistence.Record{Version: v + 1, Kind: 1, Format: 1})
		}
		if ok, _, err := b.store.Append(ctx, a); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	whole := func(want bool) {
		t.Helper()
		for i, g := range races {
			r, _, err := b.tables.Competition(ctx, g.ID)
			if err != nil || (r.Entries == uint32(i%5+1)) != want {
				t.Fatalf("%v: %d events took effect (%v)", g, r.Entries, err)
			}
		}
	}
	whole(false)
	plan := project.SweepPlan{EachSecond: 1_000_000}
	writes := 0
	b.faults.Decide = func(faulty.Write) faulty.Fate {
		if writes++; writes%40 == 0 {
			return faulty.Away
		}
		return faulty.Done
	}
	for tries := 0; ; tries++ {
		after, err := b.p.Sweep(ctx, b.store, plan)
		if err == nil {
			if tries == 0 || after != "" {
				t.Fatalf("the sweep was not broken off once (%d), or ends at %q", tries, after)
			}
			break
		}
		if !errors.Is(err, persistence.ErrUnavailable) {
			t.Fatal(err)
		}
		plan.After = after
	}
	whole(true)
	b.faults.Decide = nil
	if _, err := b.p.Sweep(ctx, b.store, project.SweepPlan{EachSecond: 1_000_000, Anew: true}); err != nil {
		t.Fatal(err)
	}
	whole(true)
	if list, _, err := b.tables.Competitions(ctx, view.CompetitionQuery{PageSize: 500}); err != nil || len(list) != len(races) {
		t.Fatalf("%d races in the list, %v", len(list), err)
	}
}
