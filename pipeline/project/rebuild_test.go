package project_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/actors/user"
	"paceline/actors/user/usercodec"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/persistence/embedded"
	"paceline/persistence/faulty"
	"paceline/persistence/memory"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// process is what one process has over a store.
type process struct {
	store  *persistence.RowStore
	tables *view.Tables
	p      *project.Projector
}

func processOver(rows persistence.Rows) process {
	s := process{store: persistence.Over(rows), tables: view.New(rows)}
	s.p = project.New(s.store, s.tables, project.Views(s.store))
	return s
}

func (s process) rebuild(t testing.TB, k id.Kind) {
	t.Helper()
	err := patiently(func() error { return s.p.Rebuild(context.Background(), s.store, quick(k)) })
	if err != nil {
		t.Fatal(err)
	}
}

// patiently repeats what a busy server has not answered in time, as a machine and an operator do.
func patiently(do func() error) (err error) {
	for range 10 {
		if err = do(); !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
			return err
		}
	}
	return err
}

// town is an installation with a history that goes on.
type town struct {
	mu     sync.Mutex
	heads  map[id.Grain]uint64
	grains []id.Grain
}

func newTown(n int) *town {
	w := &town{heads: make(map[id.Grain]uint64)}
	for i := range n {
		w.grains = append(w.grains, id.Of(id.Competition, fmt.Sprint("race", i)), id.Of(id.User, fmt.Sprint("user", i)),
			id.Scoped(id.Training, fmt.Sprint("user", i), fmt.Sprint("w", i)), id.Scoped(id.Device, fmt.Sprint("user", i), "watch"))
	}
	return w
}

// event is the event of a grain's history at a version.
func event(g id.Grain, v uint64) (kind, format uint32, payload []byte, err error) {
	switch g.Kind {
	case id.Competition:
		return competitioncodec.Encode(raceEvent(g, v))
	case id.User:
		if v == 1 {
			return usercodec.Encode(user.Registered{Profile: user.Profile{Handle: g.ID, Name: "Ann"}})
		}
		return usercodec.Encode(user.ProfileChanged{Profile: user.Profile{Handle: fmt.Sprint(g.ID, "-", v%3), Name: fmt.Sprint("Ann ", v)}})
	case id.Training:
		if v == 1 {
			return trainingcodec.Encode(training.Started{WorkoutID: g.Local(), Sport: "row", DeviceTime: 1718463600000})
		}
		return trainingcodec.Encode(training.TotalsRevised{Totals: training.Totals{ElapsedMs: unit.DurationMs(v)}})
	default: // a device has no views
		return 1, 1, nil, nil
	}
}

func raceEvent(g id.Grain, v uint64) competition.Event {
	entry := uint32(v/6 + 1)
	switch {
	case v == 1:
		d := definition()
		d.ScheduledAt = unit.InstantMs(len(g.ID)) * 86_400_000
		return competition.Created{Definition: d}
	case v%6 == 0:
		return competition.EntryAdded{Entry: entry, User: fmt.Sprint("user", entry%7), Category: "w40"}
	case v%6 == 1:
		return competition.EntryBound{Entry: entry, Training: "u/w"}
	case v%6 == 2:
		return competition.GateTaken{Entry: entry, At: 1}
	case v%6 == 3:
		return competition.SettleBegun{Number: v}
	case v%6 == 4:
		row := competition.Row{Entry: entry - 1, Place: 1, Status: leaderboard.Finished}
		return competition.ResultPublished{Version: uint32(v / 6), Status: competition.ResultProvisional, Rows: []competition.Row{row}, At: 1}
	}
	return competition.EntryWithdrawn{Entry: entry}
}

// grow appends n events to a grain and publishes them, from the given process.
func (w *town) grow(s process, g id.Grain, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock() // a grain has one machine; the town has one at a time
	ctx := context.Background()
	head := w.heads[g]
	a := persistence.Append{Grain: g, Expected: head, AppendID: fmt.Sprint(head)}
	for i := range uint64(n) {
		kind, format, payload, err := event(g, head+1+i)
		if err != nil {
			return err
		}
		a.Records = append(a.Records, persistence.Record{Version: head + 1 + i, Kind: kind, Format: format, Payload: payload,
			Meta: persistence.Meta{At: unit.InstantMs(head + i)}})
	}
	err := patiently(func() error {
		ok, there, err := s.store.Append(ctx, a)
		if err == nil && !ok && there.AppendID != a.AppendID {
			err = fmt.Errorf("append after %d: the head is %+v", head, there)
		}
		return err
	})
	if err != nil {
		return err
	}
	w.heads[g] += uint64(n)
	return patiently(func() error {
		_, err := s.p.Publish(ctx, g, a.Records)
		return err
	})
}

func (w *town) growAll(t testing.TB, s process, n int) {
	t.Helper()
	for i, g := range w.grains {
		if err := w.grow(s, g, n+i%5); err != nil {
			t.Fatal(err)
		}
	}
}

// rowsOf lists the rows of the generation that is read, of all kinds, without its number; other is how many rows are
// of another one.
func rowsOf(t testing.TB, rows persistence.Rows) (list []string, other int) {
	t.Helper()
	ctx := context.Background()
	tables := view.New(rows)
	serving := map[string]bool{}
	for k := range view.Kinds {
		p, err := tables.LookAtPlan(ctx, k)
		if err != nil {
			t.Fatal(err)
		}
		serving[fmt.Sprint(k, "@", p.Serving)] = true
	}
	keys, err := rows.(persistence.Scanner).Parts(ctx, persistence.TableView, "", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]id.Kind{"handle": id.User, "workout": id.Training, "training": id.Training}
	for _, key := range keys {
		k := persistence.ReadKey(key)
		table, gen, _ := strings.Cut(k.Str(), "@")
		kind := kinds[table]
		if rest := k.Str(); table == "grain" {
			kind = id.Kind(rest)
		} else if kind == "" {
			kind = id.Competition
		}
		found, err := rows.Range(ctx, persistence.Part{Table: persistence.TableView, Key: key}, persistence.Range{})
		if err != nil {
			t.Fatal(err)
		}
		if gen == "" {
			gen = "0"
		}
		if !serving[fmt.Sprint(kind, "@", gen)] {
			other += len(found)
			continue
		}
		first := persistence.ReadKey(key).Str()
		for _, r := range found {
			list = append(list, fmt.Sprintf("%s %q %q %q", table, key[len(first)+1:], r.Cluster, r.Cell))
		}
	}
	slices.Sort(list)
	return list, other
}

// fresh is what the journals make in an empty store.
func fresh(t testing.TB, w *town, from *persistence.RowStore) []string {
	t.Helper()
	rows := memory.New()
	p := project.New(from, view.New(rows), project.Views(from))
	for _, g := range w.grains {
		if through, err := p.CatchUp(context.Background(), g); err != nil || g.Kind != id.Device && through != w.heads[g] {
			t.Fatalf("%v: %d of %d, %v", g, through, w.heads[g], err)
		}
	}
	list, _ := rowsOf(t, rows)
	return list
}

// asFresh wants the views to be, row by row, what the journals make.
func asFresh(t testing.TB, w *town, rows persistence.Rows) {
	t.Helper()
	got, _ := rowsOf(t, rows)
	want := fresh(t, w, persistence.Over(rows))
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%d rows, want %d; the first that lacks: %s", len(got), len(want), want[i])
		case i >= len(want) || got[i] != want[i]:
			t.Fatalf("row %d of %d is\n%s\nwant, of %d,\n%v", i, len(got), got[i], len(want), want[min(i, len(want)-1)])
		}
	}
}

// spoil makes the views wrong, as a mistake of an older release would.
func spoil(t testing.TB, s process) {
	t.Helper()
	ctx := context.Background()
	for _, race := range []string{"race0", "race1"} {
		r, ok, err := s.tables.Competition(ctx, race)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		c := s.tables.Begin(t.Context(), id.Of(id.Competition, race))
		r.Name = "wrong"
		through, err := s.tables.Cursor(ctx, c.Grain())
		if err = errors.Join(err, c.PutCompetition(ctx, r), c.Commit(ctx, through)); err != nil {
			t.Fatal(err)
		}
	}
}

// stores are those that a rebuild must work on.
var stores = map[string]func(t testing.TB) persistence.Rows{
	"memory": func(testing.TB) persistence.Rows { return memory.New() },
	"embedded": func(t testing.TB) persistence.Rows {
		cfg := embedded.Default()
		cfg.Folder = t.TempDir()
		rows, err := embedded.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		})
		return rows
	},
	"cql": openCQL,
}

// sizes are the towns' on each store.
var sizes = map[string]int{"memory": 60, "embedded": 60, "cql": 17}

// TestRebuildWhileServing: while grains go on appending and publishing, from two processes where the store has them,
// views are made anew; then they are, row by row, what the journals make, and nothing of the old ones is left.
func TestRebuildWhileServing(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			rows := open(t)
			processes := []process{processOver(rows)}
			if persistence.Shared(rows) {
				processes = append(processes, processOver(rows), processOver(rows))
			}
			w := newTown(sizes[name])
			w.growAll(t, processes[0], 5)
			if got, _ := rowsOf(t, rows); !slices.Equal(got, fresh(t, w, processes[0].store)) {
				t.Fatal("the views differ before anything was done to them")
			}
			spoil(t, processes[0])
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			var growing sync.WaitGroup
			grown := 0
			growing.Go(func() {
				random := rand.New(rand.NewPCG(1, 2))
				for ; ctx.Err() == nil; grown++ {
					s := processes[grown%len(processes)]
					if err := w.grow(s, w.grains[random.IntN(len(w.grains))], 1+random.IntN(4)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			for k := range view.Kinds {
				processes[len(processes)-1].rebuild(t, k)
			}
			stop()
			growing.Wait()
			asFresh(t, w, rows)
			// What a process wrote by its old plan into what was deleted goes with the next rebuild.
			for k := range view.Kinds {
				processes[0].rebuild(t, k)
			}
			asFresh(t, w, rows)
			if _, other := rowsOf(t, rows); other != 0 {
				t.Fatalf("%d rows of other generations are left", other)
			}
			t.Logf("%d appends meanwhile", grown)
		})
	}
}

// TestRebuildKilled: killed at any write, a rebuild goes on where it stood, in another process.
func TestRebuildKilled(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			rows := faulty.Over(open(t))
			w := newTown(sizes[name])
			serving := processOver(rows)
			w.growAll(t, serving, 3)
			spoil(t, serving)
			kills, resumed := 0, 0
			var taken []uint64
			for allowed := 15; ; allowed += 9 {
				one := serving
				if persistence.Shared(rows) {
					one = processOver(rows)
				}
				var left atomic.Int64 // partitions are written at once
				left.Store(int64(allowed))
				rows.Decide = func(faulty.Write) faulty.Fate {
					if left.Add(-1) < 0 {
						return []faulty.Fate{faulty.Away, faulty.LostYes, faulty.LostNo}[kills%3]
					}
					return faulty.Done
				}
				r := quick(id.Competition)
				r.Token = fmt.Sprint("rebuild", kills)
				r.Progress = func(p project.Progress) {
					if p.Phase == project.PhaseResumed {
						resumed++
						taken = append(taken, p.Grains)
					}
				}
				err := one.p.Rebuild(context.Background(), one.store, r)
				rows.Decide = nil
				if err == nil {
					break
				}
				if !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) {
					t.Fatal(err)
				}
				kills++
				for i := range 5 { // life goes on
					if err := w.grow(serving, w.grains[(kills*5+i)%len(w.grains)], 2); err != nil {
						t.Fatal(err)
					}
				}
			}
			if kills < 3 || resumed < 3 || slices.Max(taken) == 0 || !slices.IsSorted(taken[:slices.Index(taken, slices.Max(taken))]) {
				t.Fatalf("%d kills, resumed %d times at %v grains: it did not go on where it stood", kills, resumed, taken)
			}
			serving.rebuild(t, id.User)
			serving.rebuild(t, id.Training)
			asFresh(t, w, rows)
			t.Logf("%d kills, resumed at %v grains", kills, taken)
		})
	}
}

// TestRebuildMissesNothing: an event that was appended after the scan has passed its grain, and published by somebody
// who has not heard of the rebuild, is in the new views all the same.
func TestRebuildMissesNothing(t *testing.T) {
	testkit.NeedsRule(t, step.RulePlanAgain, func(t testing.TB) {
		rows := memory.New()
		deaf, other := processOver(rows), processOver(rows)
		deaf.tables.HoldPlans(time.Hour)
		w := newTown(70)
		w.growAll(t, deaf, 3)
		r := quick(id.Competition)
		passed := false
		r.Progress = func(p project.Progress) {
			if p.Phase != project.PhaseBuilding {
				return
			}
			if told := p.Grains > 0; told && !passed { // some races have been passed, some not
				passed = true
				for _, g := range w.grains {
					if err := w.grow(deaf, g, 2); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := other.p.Rebuild(context.Background(), other.store, r); err != nil {
			t.Fatal(err)
		}
		other.rebuild(t, id.User)
		other.rebuild(t, id.Training)
		asFresh(t, w, rows)
	})
}

// TestRebuildIsPaced: it takes the time that its rate says.
func TestRebuildIsPaced(t *testing.T) {
	s := processOver(memory.New())
	w := newTown(10)
	w.growAll(t, s, 8) // some 100 events of competitions
	r := quick(id.Competition)
	r.EachSecond = 400
	began := time.Now()
	if err := s.p.Rebuild(context.Background(), s.store, r); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Fatalf("%v for 100 events at 400 a second", took)
	}
	if err := s.p.Rebuild(context.Background(), s.store, quick(id.Device)); !errors.Is(err, project.ErrNoViews) {
		t.Fatalf("views of devices: %v", err)
	}
}
