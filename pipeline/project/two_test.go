package project_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// watched tells of the reads and writes of one process before they happen.
type watched struct {
	*memory.Rows
	reading func(p persistence.Part, cluster string)
	writing func(muts []persistence.Mutation)
}

func (w *watched) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	if w.reading != nil {
		w.reading(p, cluster)
	}
	return w.Rows.Get(ctx, p, cluster)
}

func (w *watched) Put(ctx context.Context, muts []persistence.Mutation) error {
	if w.writing != nil {
		w.writing(muts)
	}
	return w.Rows.Put(ctx, muts)
}

// pair is two processes over one store, each with a projector that counts.
type pair struct {
	bench          // the first one
	slow  *watched // what it reads and writes through
	other *bench
}

func newPair() *pair {
	rows := memory.New()
	p := &pair{slow: &watched{Rows: rows}}
	p.store, p.tables = persistence.Over(p.slow), view.New(p.slow)
	p.p = project.New(p.store, p.tables, map[id.Kind]project.Projection{id.Competition: p.count})
	p.other = &bench{store: persistence.Over(rows), tables: view.New(rows)}
	p.other.p = project.New(p.other.store, p.other.tables, map[id.Kind]project.Projection{id.Competition: p.other.count})
	return p
}

// first is f the first time only.
func first(f func()) func() {
	done := false
	return func() {
		if !done {
			done = true
			f()
		}
	}
}

// TestOtherProjectorWhileReading: between a projector's look at the cursor and its look at the rows another one moves
// both on. What it then reads is of another version than it believes.
func TestOtherProjectorWhileReading(t *testing.T) {
	testkit.NeedsRule(t, step.RuleStillThere, func(t testing.TB) {
		p := newPair()
		p.publish(t, p.write(t, 5), 5)
		ahead := p.write(t, 3)
		records := append(ahead, p.write(t, 2)...)
		overtake := first(func() { p.other.publish(t, ahead, 8) })
		p.slow.reading = func(_ persistence.Part, cluster string) {
			if cluster == "s" { // the race's row
				overtake()
			}
		}
		p.publish(t, records, 10)
		p.once(t, 10)
	})
}

// TestSlowerProjectorComesLast: what a projector has computed and not yet written is overtaken; when it arrives, the
// newer rows stay, and the cursor does not go back.
func TestSlowerProjectorComesLast(t *testing.T) {
	for part := range 4 { // two lists, the feed, then the grain's own partition
		p := newPair()
		p.publish(t, p.write(t, 5), 5)
		records := p.write(t, 1)
		more := append(records, p.write(t, 200)...)
		overtake := first(func() { p.other.publish(t, more, 206) })
		writes := 0
		var mu sync.Mutex // partitions are written at once
		p.slow.writing = func([]persistence.Mutation) {
			mu.Lock()
			defer mu.Unlock()
			if writes++; writes == part+1 {
				overtake()
			}
		}
		if got, err := p.p.Publish(context.Background(), race, records); err != nil || got < 6 {
			t.Fatalf("Publish = %d, %v", got, err)
		}
		if writes <= part {
			t.Fatalf("%d writes, and nobody has overtaken", writes)
		}
		p.once(t, 206)
		p.slow.writing = nil
		p.publish(t, p.write(t, 1), 207)
		p.once(t, 207)
	}
}

// TestCursorComesLast: wherever a projector is killed, the cursor does not lie ahead of the rows.
func TestCursorComesLast(t *testing.T) {
	for killed := range 5 {
		p := newPair()
		p.publish(t, p.write(t, 5), 5)
		records := p.write(t, 4)
		ctx, kill := context.WithCancel(context.Background())
		writes := 0
		var mu sync.Mutex
		p.slow.writing = func([]persistence.Mutation) {
			mu.Lock()
			defer mu.Unlock()
			if writes++; writes == killed+1 {
				kill()
			}
		}
		_, err := p.p.Publish(ctx, race, records)
		if (err == nil) != (killed >= writes) {
			t.Fatalf("killed at write %d of %d: %v", killed, writes, err)
		}
		kill()
		through, err := p.other.tables.Cursor(context.Background(), race)
		if err != nil {
			t.Fatal(err)
		}
		feed, _, err := p.other.tables.Feed(context.Background(), race.ID, 0, 100)
		if err != nil || len(feed) < int(through) {
			t.Fatalf("killed at write %d: the cursor is at %d, the feed has %d (%v)", killed, through, len(feed), err)
		}
		p.other.publish(t, records, 9)
		p.once(t, 9)
	}
}

// TestTwoProjectorsAtOnce: any number of processes publish the same events in any order and any pieces; each takes
// effect once.
func TestTwoProjectorsAtOnce(t *testing.T) {
	for _, name := range []string{"memory", "cql"} { // one process holds an embedded store
		t.Run(name, func(t *testing.T) {
			rows := stores[name](t)
			var processes []*bench
			for range 4 {
				b := &bench{store: persistence.Over(rows), tables: view.New(rows)}
				b.p = project.New(b.store, b.tables, map[id.Kind]project.Projection{id.Competition: b.count})
				processes = append(processes, b)
			}
			records := processes[0].write(t, 150)
			var running sync.WaitGroup
			for i, one := range processes {
				running.Go(func() { publishInPieces(t, one, records, uint64(i)) })
			}
			running.Wait()
			processes[0].once(t, 150)
		})
	}
}

func publishInPieces(t *testing.T, b *bench, records []persistence.Record, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	for through := 0; through < len(records); {
		from := max(0, through-random.IntN(20))
		to := min(len(records), through+1+random.IntN(9))
		got, err := b.p.Publish(context.Background(), race, records[from:to])
		if err != nil || int(got) < to {
			t.Errorf("Publish(%d..%d) = %d, %v", from, to, got, err)
			return
		}
		through = to
	}
}

// TestEventsThatFollowOnReadOnce: forty events in one go, on those before them, are one look at the race's row, one at whether
// the cursor still stands there, and one at the plan.
func TestEventsThatFollowOnReadOnce(t *testing.T) {
	p := newPair()
	p.publish(t, p.write(t, 5), 5)
	reads := map[string]int{}
	p.slow.reading = func(_ persistence.Part, cluster string) { reads[cluster]++ }
	p.publish(t, p.write(t, 40), 45)
	p.slow.reading = nil
	p.once(t, 45)
	if reads["s"] != 1 || reads["c"] != 1 || reads["plan"] != 1 || len(reads) != 3 {
		t.Errorf("reads %v; want the race's row, the cursor and the plan once each", reads)
	}
}

// TestAnotherHasMovedOnSince: what a projector knows of a cursor is old; nothing is taken twice.
func TestAnotherHasMovedOnSince(t *testing.T) {
	p := newPair()
	p.publish(t, p.write(t, 5), 5)
	ahead := p.write(t, 3)
	p.other.publish(t, ahead, 8)
	p.publish(t, append(ahead, p.write(t, 2)...), 10)
	p.once(t, 10)
}
