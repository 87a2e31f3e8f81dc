package project_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/persistence/memory"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

var race = id.Of(id.Competition, "race")

// bench is a projector whose projection counts: one feed entry for each event.
type bench struct {
	faults *faulty.Rows
	store  *persistence.RowStore
	tables *view.Tables
	p      *project.Projector
	broken bool
}

var errBroken = errors.New("an event that nobody can read")

func newBench() *bench {
	b := &bench{faults: faulty.Over(memory.New())}
	b.store = persistence.Over(b.faults)
	b.tables = view.New(b.faults)
	b.p = project.New(b.store, b.tables, map[id.Kind]project.Projection{id.Competition: b.count})
	return b
}

// count keeps the number of events in the race's name: a sum that shows an event taken twice or not at all.
func (b *bench) count(ctx context.Context, c *view.Change, r persistence.Record) error {
	if b.broken {
		return errBroken
	}
	race, _, err := c.Competition(ctx, c.Grain().ID)
	if err != nil {
		return err
	}
	race.ID = c.Grain().ID
	race.Entries++
	race.Version = r.Version
	c.PutFeed(race.ID, view.FeedEntry{Version: r.Version, Kind: fmt.Sprint(r.Kind)})
	return c.PutCompetition(ctx, race)
}

// write appends n events and returns them.
func (b *bench) write(t testing.TB, n int) []persistence.Record {
	t.Helper()
	ctx := context.Background()
	head, err := b.store.Head(ctx, race)
	if err != nil {
		t.Fatal(err)
	}
	a := persistence.Append{Grain: race, Expected: head.Version, AppendID: fmt.Sprint(head.Version)}
	for i := range n {
		a.Records = append(a.Records, persistence.Record{Version: head.Version + 1 + uint64(i), Kind: 1, Format: 1})
	}
	if ok, _, err := b.store.Append(ctx, a); err != nil || !ok {
		t.Fatal(ok, err)
	}
	return a.Records
}

func (b *bench) publish(t testing.TB, records []persistence.Record, want uint64) {
	t.Helper()
	if got, err := b.p.Publish(context.Background(), race, records); err != nil || got != want {
		t.Fatalf("Publish = %d, %v; want %d", got, err, want)
	}
}

// once wants each of n events to have taken effect exactly once.
func (b *bench) once(t testing.TB, n uint32) {
	t.Helper()
	ctx := context.Background()
	r, _, err := b.tables.Competition(ctx, race.ID)
	if err != nil || r.Entries != n {
		t.Fatalf("%d events took effect (%v), want %d", r.Entries, err, n)
	}
	feed, more, err := b.tables.Feed(ctx, race.ID, 0, 1<<20)
	if err != nil || more || len(feed) != int(n) {
		t.Fatalf("feed of %d (%v, %v), want %d", len(feed), more, err, n)
	}
	if through, err := b.tables.Cursor(ctx, race); err != nil || through != uint64(n) {
		t.Fatalf("cursor %d, %v; want %d", through, err, n)
	}
}

func TestPublish(t *testing.T) {
	b := newBench()
	first := b.write(t, 3)
	b.publish(t, first, 3)
	b.publish(t, first, 3) // again
	b.publish(t, nil, 3)
	second := b.write(t, 5)
	b.publish(t, append(first[1:], second...), 8) // some old, some new
	b.write(t, 300)                               // published to nobody
	b.publish(t, b.write(t, 2), 310)              // a hole: read the journal
	b.publish(t, first, 310)
	b.publish(t, b.write(t, 700), 1010) // more than one write
	b.once(t, 1010)
}

func TestKindWithoutViews(t *testing.T) {
	b := newBench()
	g := id.Scoped(id.Device, "u", "d")
	for want, records := range map[uint64][]persistence.Record{0: nil, 7: {{Version: 6}, {Version: 7}}} {
		if got, err := b.p.Publish(context.Background(), g, records); err != nil || got != want {
			t.Errorf("Publish = %d, %v; want %d", got, err, want)
		}
	}
}

// TestAheadOfTheJournal: events whose predecessors the journal does not show (yet) are not taken.
func TestAheadOfTheJournal(t *testing.T) {
	b := newBench()
	b.publish(t, b.write(t, 2), 2)
	got, err := b.p.Publish(context.Background(), race, []persistence.Record{{Version: 5}})
	if got != 2 || !errors.Is(err, persistence.ErrUnavailable) {
		t.Fatalf("Publish = %d, %v; want 2 and ErrUnavailable", got, err)
	}
	b.once(t, 2)
}

// TestLostOutcomes: whatever becomes of a write, publishing again until it is synced takes each event once.
func TestLostOutcomes(t *testing.T) {
	for _, fate := range []faulty.Fate{faulty.Away, faulty.LostNo, faulty.LostYes} {
		b := newBench()
		records := b.write(t, 400)
		b.faults.Decide = func(w faulty.Write) faulty.Fate {
			if w.N%7 == 0 {
				return fate
			}
			return faulty.Done
		}
		synced := uint64(0)
		for tries := 0; synced < 400; tries++ {
			if tries > 60 {
				t.Fatalf("fate %d: synced %d after %d tries", fate, synced, tries)
			}
			got, err := b.p.Publish(context.Background(), race, records)
			if got < synced {
				t.Fatalf("fate %d: synced went back from %d to %d", fate, synced, got)
			}
			if synced = got; err == nil && synced != 400 {
				t.Fatalf("fate %d: %d without an error", fate, synced)
			}
			if through, err := b.tables.Cursor(context.Background(), race); err != nil || through < synced {
				t.Fatalf("fate %d: synced %d, but the cursor is at %d (%v)", fate, synced, through, err)
			}
		}
		b.faults.Decide = nil
		b.once(t, 400)
	}
}

func TestUnreadableEventStops(t *testing.T) {
	b := newBench()
	b.publish(t, b.write(t, 2), 2)
	b.broken = true
	if got, err := b.p.Publish(context.Background(), race, b.write(t, 1)); got != 2 || !errors.Is(err, errBroken) {
		t.Fatalf("Publish = %d, %v", got, err)
	}
	b.broken = false
	if got, err := b.p.CatchUp(context.Background(), race); got != 3 || err != nil {
		t.Fatalf("CatchUp = %d, %v", got, err)
	}
	b.once(t, 3)
}

// TestAnew: views made anew take each event once, again and again.
func TestAnew(t *testing.T) {
	b := newBench()
	b.publish(t, b.write(t, 500), 500)
	b.write(t, 7)
	for range 2 {
		if err := b.p.Rebuild(context.Background(), b.store, quick(id.Competition)); err != nil {
			t.Fatal(err)
		}
		b.once(t, 507)
	}
}

// quick is a rebuild that does not spare anybody.
func quick(k id.Kind) project.Rebuild {
	return project.Rebuild{Kind: k, EachSecond: 1_000_000, Linger: 1, Token: "test"}
}

// TestErasedPerson: views of somebody whose key is gone stand still, and nobody waits for them.
func TestErasedPerson(t *testing.T) {
	b := newBench()
	records := b.write(t, 5)
	b.p = project.New(erasedJournal{}, b.tables, map[id.Kind]project.Projection{
		id.Competition: func(context.Context, *view.Change, persistence.Record) error { return persistence.ErrErased },
	})
	b.publish(t, records[3:], 5)
}

type erasedJournal struct{}

func (erasedJournal) ReadJournal(context.Context, id.Grain, uint64, int) ([]persistence.Record, bool, error) {
	return nil, false, persistence.ErrErased
}
