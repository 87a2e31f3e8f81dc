package cached

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence/memory"
	"paceline/persistence/view"
)

const mb = 1 << 20

// source is views whose reads are counted, and may be held up.
type source struct {
	*view.Tables
	reads atomic.Int64
	hold  func(ctx context.Context) // called in every read, after the rows were read
}

func (s *source) Competition(ctx context.Context, c string) (view.Competition, bool, error) {
	s.reads.Add(1)
	r, ok, err := s.Tables.Competition(ctx, c)
	if s.hold != nil {
		s.hold(ctx)
	}
	return r, ok, errors.Join(err, ctx.Err())
}

type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(0, c.at.Load()) }

func open(t testing.TB, under *source, cfg Config) *Views {
	t.Helper()
	v, err := Over(under, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var ctx = context.Background()

// put writes a race whose name is its version.
func put(t testing.TB, tables *view.Tables, race string, version uint64) {
	t.Helper()
	c := tables.Begin(t.Context(), id.Of(id.Competition, race))
	name := fmt.Sprint(version)
	check(t, c.PutCompetition(ctx, view.Competition{ID: race, OrganizationID: "club", State: "open", Name: name, Version: version}))
	c.PutDefinition(race, []byte(name))
	c.PutEntry(race, view.RosterEntry{Entry: 1, UserID: "ann", Category: name})
	c.PutResult(view.Result{Competition: race, Version: 1, Status: name})
	c.PutUserResult(view.UserResult{UserID: "ann", Competition: race, Status: name, At: 1})
	c.PutFeed(race, view.FeedEntry{Version: version, Kind: name})
	check(t, c.Commit(ctx, version))
}

// names reads a race's name by every read that is cached.
func names(t testing.TB, v view.Reader, race string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	saw := func(read, name string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", read, ok, err)
		}
		seen[read] = name
	}
	c, ok, err := v.Competition(ctx, race)
	saw("Competition", c.Name, ok, err)
	d, ok, err := v.Definition(ctx, race)
	saw("Definition", string(d), ok, err)
	e, ok, err := v.EntryOf(ctx, race, "ann")
	saw("EntryOf", e.Category, ok, err)
	r, ok, err := v.Result(ctx, race, 0)
	saw("Result", r.Status, ok, err)
	roster, err := v.Roster(ctx, race)
	saw("Roster", roster[0].Category, true, err)
	list, _, err := v.Competitions(ctx, view.CompetitionQuery{OrganizationID: "club"})
	saw("Competitions", list[0].Name, true, err)
	results, _, err := v.UserResults(ctx, "ann", "", 10)
	saw("UserResults", results[0].Status, true, err)
	feed, _, err := v.Feed(ctx, race, 0, 100)
	saw("Feed", feed[len(feed)-1].Kind, true, err)
	feed, err = v.LastFeed(ctx, race, 1)
	saw("LastFeed", feed[0].Kind, true, err)
	return seen
}

func all(t testing.TB, what string, seen map[string]string, want uint64) {
	t.Helper()
	for read, name := range seen {
		if name != fmt.Sprint(want) {
			t.Errorf("%s: %s shows version %s, want %d", what, read, name, want)
		}
	}
}

// TestOwnWritesAreSeen: every read shows a commit of this process at once, and is a hit until the next one.
func TestOwnWritesAreSeen(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	for version := uint64(1); version <= 20; version++ {
		put(t, src.Tables, "r", version)
		all(t, "first", names(t, v, "r"), version)
		v.cache.Wait()
		before := v.counts.Hits.Load()
		all(t, "second", names(t, v, "r"), version)
		if hits := v.counts.Hits.Load() - before; hits != 9 {
			t.Fatalf("version %d: %d of 9 reads were hits", version, hits)
		}
	}
	if s := v.counts.Stale.Load(); s == 0 {
		t.Error("no entry was ever found too old: nothing was tested")
	}
}

// TestAtLeastIsNeverReadPast: what another process has written is hidden by the cache until somebody waits for it; from
// then on nobody here reads less.
func TestAtLeastIsNeverReadPast(t *testing.T) {
	rows := memory.New()
	src, other := &source{Tables: view.New(rows)}, view.New(rows)
	v := open(t, src, Config{MaxBytes: mb})
	put(t, src.Tables, "r", 1)
	for version := uint64(2); version < 10; version++ {
		names(t, v, "r")
		v.cache.Wait()
		put(t, other, "r", version)
		all(t, "not waited for", names(t, v, "r"), version-1) // the reads that would be stale with at_least
		ok, err := v.WaitFor(ctx, id.Of(id.Competition, "r"), version)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		all(t, "waited for", names(t, v, "r"), version)
	}
	if ok, err := v.WaitFor(ctx, id.Of(id.Competition, "r"), 99); ok || err != nil {
		t.Errorf("WaitFor what is not there: %v, %v", ok, err)
	}
}

// TestAge: what another process has written is seen after Age, also if nobody waits for it.
func TestAge(t *testing.T) {
	rows := memory.New()
	src, other, at := &source{Tables: view.New(rows)}, view.New(rows), &clock{}
	v := open(t, src, Config{MaxBytes: mb, Age: time.Second, Now: at.now})
	put(t, other, "r", 1)
	names(t, v, "r")
	v.cache.Wait()
	put(t, other, "r", 2)
	at.at.Add(int64(time.Second) - 1)
	all(t, "before", names(t, v, "r"), 1)
	at.at.Add(1)
	all(t, "after", names(t, v, "r"), 2)
}

// TestWriteWhileReading: rows that were read before a commit do not come into the cache as if after it.
func TestWriteWhileReading(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	put(t, src.Tables, "r", 1)
	src.hold = func(context.Context) { src.hold = nil; put(t, src.Tables, "r", 2) }
	if r, _, err := v.Competition(ctx, "r"); err != nil || r.Name != "1" {
		t.Fatalf("%+v, %v", r, err) // it was asked before the commit
	}
	v.cache.Wait()
	if r, _, err := v.Competition(ctx, "r"); err != nil || r.Name != "2" {
		t.Fatalf("version %s after the commit of 2 (%v)", r.Name, err)
	}
}

// TestGenerationSwitch: when other rows are read, nothing of the old ones is served.
func TestGenerationSwitch(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	put(t, src.Tables, "r", 1)
	names(t, v, "r")
	v.cache.Wait()
	c := src.Tables.BeginIn(id.Of(id.Competition, "r"), 1)
	check(t, c.PutCompetition(ctx, view.Competition{ID: "r", Name: "rebuilt"}))
	check(t, c.Commit(ctx, 1))
	_, err := src.Tables.ChangePlan(ctx, id.Competition, view.Plan{}, view.Plan{Serving: 1, Last: 1}, "t")
	check(t, err)
	if r, _, err := v.Competition(ctx, "r"); err != nil || r.Name != "rebuilt" {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestStampedeIsOneRead: a hundred who miss the same thing wait for one read; one who needs a newer version does not
// join it; one who gives up does not end it.
func TestStampedeIsOneRead(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	put(t, src.Tables, "r", 1)
	release, held := make(chan struct{}), make(chan struct{}, 1)
	src.hold = func(context.Context) {
		held <- struct{}{}
		<-release
	}
	read := func(want string) func() {
		return func() {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if r, _, err := v.Competition(ctx, "r"); err != nil || r.Name != want {
				t.Errorf("version %s (%v), want %s", r.Name, err, want)
			}
		}
	}
	var all sync.WaitGroup
	gone, giveUp := context.WithCancel(ctx)
	all.Go(func() {
		if _, _, err := v.Competition(gone, "r"); !errors.Is(err, context.Canceled) {
			t.Errorf("who gives up gets %v", err)
		}
	})
	<-held
	for range 100 {
		all.Go(read("1"))
	}
	until(t, "all wait", func() bool { return v.counts.Misses.Load() == 101 })
	giveUp()
	src.hold = nil // the newer read need not wait
	put(t, src.Tables, "r", 2)
	read("2")()
	if n := src.reads.Load(); n != 2 {
		t.Errorf("%d reads, want the stampede's and the newer one", n)
	}
	close(release)
	all.Wait()
	if n := src.reads.Load(); n != 2 {
		t.Errorf("%d reads in the end, want 2", n)
	}
	if n := v.counts.Joined.Load(); n != 100 {
		t.Errorf("%d joined, want 100", n)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// TestLostWritesCostTimeOnly: a cache that takes nothing, or loses everything, answers the same.
func TestLostWritesCostTimeOnly(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	tiny := open(t, src, Config{MaxBytes: 100}) // takes nothing
	for version := uint64(1); version < 20; version++ {
		put(t, src.Tables, "r", version)
		for range 3 {
			all(t, "lossy", names(t, v, "r"), version)
			all(t, "tiny", names(t, tiny, "r"), version)
			v.cache.Clear()
		}
	}
	if v.counts.Hits.Load() != 0 || tiny.counts.Hits.Load() != 0 || tiny.counts.Dropped.Load() == 0 {
		t.Errorf("hits %d and %d, dropped %d: nothing was lost", v.counts.Hits.Load(), tiny.counts.Hits.Load(), tiny.counts.Dropped.Load())
	}
	v.Close()
	all(t, "closed", names(t, v, "r"), 19)
}

// TestFailuresAndNothingAreNotKept: an error and an unknown race are asked for again.
func TestFailuresAndNothingAreNotKept(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	for range 3 {
		if _, ok, err := v.Competition(ctx, "none"); ok || err != nil {
			t.Fatal(ok, err)
		}
		v.cache.Wait()
	}
	if n := src.reads.Load(); n != 3 {
		t.Errorf("%d reads of what is not there, want 3", n)
	}
	src.hold = func(context.Context) { panic("a mistake") }
	if _, _, err := v.Competition(ctx, "none"); err == nil {
		t.Error("a panic of a read is no error")
	}
}

// TestMarksAreBounded: when there are too many, everything is read again, and nothing stale is served.
func TestMarksAreBounded(t *testing.T) {
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: mb})
	v.marks.most = 50
	for i := range uint64(400) {
		race := fmt.Sprint("r", i%7)
		put(t, src.Tables, race, i+1)
		if r, _, err := v.Competition(ctx, race); err != nil || r.Version != i+1 {
			t.Fatalf("version %d of %d (%v)", r.Version, i+1, err)
		}
		v.marks.changed(fmt.Sprint("other", i), 1)
		if n := len(v.marks.of); n > 50 {
			t.Fatalf("%d marks", n)
		}
	}
	if v.marks.epoch == 0 {
		t.Error("the marks were never forgotten")
	}
}

// TestManyReadersAndWriters: of a race that is written all the time, by this process and waited for from another, no
// reader ever sees less than was there when it began.
func TestManyReadersAndWriters(t *testing.T) {
	rows := memory.New()
	src, other := &source{Tables: view.New(rows)}, view.New(rows)
	v := open(t, src, Config{MaxBytes: mb})
	put(t, src.Tables, "r", 1)
	var there atomic.Uint64
	there.Store(1)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := there.Load()
				r, _, err := v.Competition(ctx, "r")
				list, _, errList := v.Competitions(ctx, view.CompetitionQuery{OrganizationID: "club"})
				if err != nil || errList != nil || r.Version < least || len(list) != 1 || list[0].Version < least {
					t.Errorf("version %d, in the list %v; %d was there (%v, %v)", r.Version, list, least, err, errList)
					return
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	for version := uint64(2); version < 500; version++ {
		if random.IntN(2) == 0 {
			put(t, src.Tables, "r", version)
		} else {
			put(t, other, "r", version)
			if ok, err := v.WaitFor(ctx, id.Of(id.Competition, "r"), version); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		there.Store(version)
	}
	close(stop)
	all.Wait()
	t.Logf("%d hits, %d misses, %d stale, %d joined", v.counts.Hits.Load(), v.counts.Misses.Load(), v.counts.Stale.Load(), v.counts.Joined.Load())
}

// TestMemoryIsBounded: twenty times what may be held goes through, and what stays in memory is what was said.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 4 * mb
	src := &source{Tables: view.New(memory.New())}
	v := open(t, src, Config{MaxBytes: limit})
	blob := make([]byte, 20_000)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 4000 {
		key := fmt.Sprint("k", i)
		_, err := read(ctx, v, key, raceDeps(key), func(context.Context) (answer[[]byte], error) {
			return answer[[]byte]{slices.Clone(blob), len(blob), true}, nil
		})
		check(t, err)
		if i%50 == 0 {
			v.cache.Wait()
			if held := v.Bytes(); held > limit {
				t.Fatalf("%d bytes are held, %d may be", held, limit)
			}
		}
	}
	v.cache.Wait()
	grown := heap() - before
	if held := v.Bytes(); held > limit || held < limit/2 {
		t.Errorf("%d bytes are held, want nearly %d", held, limit)
	}
	if grown > limit*5/4 {
		t.Errorf("the heap has grown by %d bytes for a cache of %d", grown, limit)
	}
	t.Logf("%d bytes held, the heap has grown by %d", v.Bytes(), grown)
	runtime.KeepAlive(v)
}

// TestPersonalReadsAreNotKept: what is sealed is read from the rows every time.
func TestPersonalReadsAreNotKept(t *testing.T) {
	tables := view.New(memory.New())
	src := &source{Tables: tables}
	v := open(t, src, Config{MaxBytes: mb})
	c := tables.Begin(t.Context(), id.Of(id.User, "ann"))
	c.PutPerson(view.Person{UserID: "ann", Handle: "ann", Name: "Ann"})
	check(t, c.Commit(ctx, 1))
	c = tables.Begin(t.Context(), id.Scoped(id.Training, "ann", "w"))
	c.PutTraining(view.Training{ID: "ann/w", Sport: "row", StartedAt: unit.InstantMs(0)})
	check(t, c.Commit(ctx, 1))
	for range 2 {
		if p, ok, err := v.Person(ctx, "ann"); !ok || err != nil || p.Name != "Ann" {
			t.Fatal(p, ok, err)
		}
		if list, _, err := v.Trainings(ctx, "ann", "1970-01", "", 10); err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		_, err := v.People(ctx, []string{"ann"})
		check(t, err)
		v.cache.Wait()
	}
	if v.counts.Hits.Load()+v.counts.Misses.Load() != 0 || v.Bytes() != 0 {
		t.Errorf("%d hits, %d misses, %d bytes of personal rows", v.counts.Hits.Load(), v.counts.Misses.Load(), v.Bytes())
	}
}
