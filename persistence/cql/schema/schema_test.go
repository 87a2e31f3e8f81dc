package schema

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"paceline/internal/testkit"
)

// keyspace is one of the test's own on a real server; it is dropped at the end.
func keyspace(t *testing.T) Target {
	t.Helper()
	hosts := testkit.CQLHosts(t)
	target := Target{Keyspace: fmt.Sprintf("schema_test_%x", rand.Uint64()), Connect: func(context.Context) (*gocql.Session, error) {
		c := gocql.NewCluster(hosts...)
		c.Timeout, c.Logger = StatementWithin, silent{}
		return c.CreateSession()
	}}
	t.Cleanup(func() {
		db := session(t, target)
		if err := db.session.Query("DROP KEYSPACE IF EXISTS " + target.Keyspace).Exec(); err != nil {
			t.Error(err)
		}
	})
	return target
}

// silent is the library's logger of a test: what goes wrong is in the errors.
type silent struct{}

func (silent) Print(...any)          {}
func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

func session(t *testing.T, target Target) *server {
	t.Helper()
	db, err := target.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.close)
	return db
}

// by is one migrator; what it says is collected.
func by(who string, said *lines) Options {
	return Options{Who: who, Nonce: fmt.Sprint(rand.Uint64()), Replication: "1", LockWait: 30 * time.Second, Say: said.add, Now: time.Now}
}

type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(s string) { l.mu.Lock(); l.all = append(l.all, s); l.mu.Unlock() }

func (l *lines) text() string { l.mu.Lock(); defer l.mu.Unlock(); return strings.Join(l.all, "\n") }

func migrate(t *testing.T, set Set, target Target) string {
	t.Helper()
	var said lines
	if err := set.Migrate(t.Context(), target, by("a test", &said)); err != nil {
		t.Fatal(err)
	}
	return said.text()
}

func wantErr(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want it to say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("not one sentence: %q", err)
	}
}

var three = map[string]string{
	"0001_first.cql":  `CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, v text); CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);`,
	"0002_second.cql": "-- min-reader: 1\nALTER TABLE a ADD w bigint;",
	"0003_third.cql":  `CREATE TABLE IF NOT EXISTS c (id int PRIMARY KEY); ALTER TABLE b WITH comment = 'b';`,
}

func TestMigrate(t *testing.T) {
	target := keyspace(t)
	ctx := t.Context()
	set := folder(t, three)
	_, err := set.Check(ctx, target)
	wantErr(t, err, ErrKeyspace, target.Keyspace, "paceline migrate")
	err = set.Migrate(ctx, target, Options{Who: "a test", Now: time.Now})
	wantErr(t, err, ErrKeyspace, "--cql-replication=3")

	said := migrate(t, set[:1], target)
	if !strings.Contains(said, "made keyspace") || !strings.Contains(said, "applied 0001 first (2 statements)") {
		t.Errorf("said %q", said)
	}
	if _, err := set[:1].Check(ctx, target); err != nil {
		t.Errorf("what was just migrated: %v", err)
	}
	_, err = set.Check(ctx, target)
	wantErr(t, err, ErrOlder, "is at schema 1 and this binary needs 3", "0002 second, 0003 third", "paceline migrate")

	if said := migrate(t, set[:2], target); strings.Contains(said, "0001") || !strings.Contains(said, "applied 0002") {
		t.Errorf("said %q", said)
	}
	// The binary before it serves on, and starts again: 0002 says that it may.
	if _, err := set[:1].Check(ctx, target); err != nil {
		t.Errorf("an older binary on a schema that lets it: %v", err)
	}
	if said := migrate(t, set[:1], target); !strings.Contains(said, "schema 2 is newer than this binary's (1) and works with it") {
		t.Errorf("an older migrator said %q", said)
	}
	migrate(t, set, target)
	_, err = set[:2].Check(ctx, target)
	wantErr(t, err, ErrNewer, "schema 3 is newer than this binary knows (2)")
	wantErr(t, set[:2].Migrate(ctx, target, by("an old one", &lines{})), ErrNewer)

	st, err := set.Check(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	warned := st.Warnings
	if !strings.Contains(strings.Join(warned, "\n"), "keeps 1 copy of everything") {
		t.Errorf("warnings %q", warned)
	}
	if said := migrate(t, set, target); !strings.HasPrefix(said, "nothing to do: keyspace "+target.Keyspace+" is at schema 3\nwarning: ") || !strings.Contains(said, "keeps 1 copy of everything") {
		t.Errorf("said %q", said)
	}
	if st, err := set.Status(ctx, target); err != nil || !slices.Equal(st.Warnings, warned) {
		t.Errorf("status warns %q, %v; want %q", st.Warnings, err, warned)
	}
	for i, r := range st.Noted {
		if r.Number != i+1 || r.Who != "a test" || !r.finished() || r.Done != r.Statements || time.Since(r.Finished) > time.Minute {
			t.Errorf("noted %+v", r)
		}
	}
}

// TestHalfApplied: a migrator dies after any statement; the start-up check names it, and the next migrator goes on.
func TestHalfApplied(t *testing.T) {
	for done := range 3 {
		target := keyspace(t)
		ctx := t.Context()
		set := folder(t, map[string]string{"0001_a.cql": `CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY); ALTER TABLE a ADD b int; CREATE TABLE IF NOT EXISTS c (id int PRIMARY KEY);`})
		broken := folder(t, map[string]string{"0001_a.cql": strings.Join(set[0].Statements()[:done], ";") + strings.Repeat(";", min(done, 1)) +
			`CREATE TABLE IF NOT EXISTS nonsense (id int, PRIMARY KEY (nothing));`})
		err := broken.Migrate(ctx, target, by("who dies", &lines{}))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("migration 0001 a, statement %d of %d (nonsense)", done+1, done+1)) {
			t.Fatalf("after %d: %v", done, err)
		}
		_, err = set.Check(ctx, target)
		wantErr(t, err, ErrHalf, "0001 a was begun at", "by who dies and not finished", fmt.Sprintf("(%d of %d statements)", done, done+1), "paceline migrate")
		if said := migrate(t, set, target); !strings.Contains(said, "taken up again") {
			t.Errorf("said %q", said)
		}
		if _, err := set.Check(ctx, target); err != nil {
			t.Errorf("after %d: %v", done, err)
		}
	}
}

// TestEdited: what has run is what this binary would run, or nothing is run.
func TestEdited(t *testing.T) {
	target := keyspace(t)
	ctx := t.Context()
	set := folder(t, three)
	migrate(t, set[:2], target)
	edited := folder(t, map[string]string{"0001_first.cql": strings.Replace(three["0001_first.cql"], "v text", "v int", 1), "0002_second.cql": three["0002_second.cql"]})
	_, err := edited.Check(ctx, target)
	wantErr(t, err, ErrChanged, "migration 0001 first was applied with other content")
	wantErr(t, edited.Migrate(ctx, target, by("an editor", &lines{})), ErrChanged)

	// Half of it, and the half that ran was edited.
	db := session(t, target)
	half := set[2]
	stmt := "INSERT INTO " + target.Keyspace + "." + recordTable + " (scope, number, name, digest, min_reader, statements, done, done_digest, who, begun_at) VALUES (?, 3, 'third', 'x', 3, 2, 1, ?, 'me', ?) IF NOT EXISTS"
	if applied, err := db.session.Query(stmt, scope, half.prefixDigest(0), time.Now()).MapScanCAS(map[string]any{}); err != nil || !applied {
		t.Fatal(applied, err)
	}
	err = set.Migrate(ctx, target, by("another", &lines{}))
	wantErr(t, err, ErrChanged, "0003 third", "its first 1 statements are not this binary's")
}

// TestWhatIsMissing: tables and columns that somebody has taken away are named.
func TestWhatIsMissing(t *testing.T) {
	target := keyspace(t)
	set := folder(t, three)
	migrate(t, set, target)
	db := session(t, target)
	for _, stmt := range []string{"DROP TABLE %s.c", "ALTER TABLE %s.a DROP v", "ALTER TABLE %s.a DROP w", "ALTER TABLE %s.a ADD w text"} {
		if err := db.session.Query(fmt.Sprintf(stmt, target.Keyspace)).Exec(); err != nil && !strings.Contains(stmt, "ADD w") {
			t.Fatal(err)
		}
	}
	_, err := set.Check(t.Context(), target)
	wantErr(t, err, ErrMissing, "column a.v", "column a.w", "table c")
	err = set.Migrate(t.Context(), target, by("a test", &lines{}))
	wantErr(t, err, ErrMissing, "column a.v")
}

func TestForeignKeyspace(t *testing.T) {
	target := keyspace(t)
	db := session(t, target)
	for _, stmt := range []string{"CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", "CREATE TABLE %s.invoices (id int PRIMARY KEY)"} {
		if err := db.session.Query(fmt.Sprintf(stmt, target.Keyspace)).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	set := folder(t, three)
	_, err := set.Check(t.Context(), target)
	wantErr(t, err, ErrForeign, "tables that are not Paceline's (invoices)")
	wantErr(t, set.Migrate(t.Context(), target, by("a test", &lines{})), ErrForeign)
	names, err := tableNames(t.Context(), db, target.Keyspace)
	if err != nil || len(names) != 1 {
		t.Errorf("tables %v, %v: want invoices and nothing else", names, err)
	}
}

// TestEmptyKeyspace is one that an administrator has made: its replication is his.
func TestEmptyKeyspace(t *testing.T) {
	target := keyspace(t)
	db := session(t, target)
	if err := db.session.Query("CREATE KEYSPACE " + target.Keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1} AND durable_writes = false").Exec(); err != nil {
		t.Fatal(err)
	}
	set := folder(t, three)
	_, err := set.Check(t.Context(), target)
	wantErr(t, err, ErrNoSchema, "no tables yet")
	migrate(t, set, target)
	st, err := set.Check(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if warned := strings.Join(st.Warnings, "\n"); !strings.Contains(warned, "durable_writes = false") {
		t.Errorf("warnings %q", warned)
	}
}

// TestManyAtOnce: of several migrators one works at a time, and all end well.
func TestManyAtOnce(t *testing.T) {
	target := keyspace(t)
	set := folder(t, three)
	const n = 5
	var said [n]lines
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- set.Migrate(t.Context(), target, by(fmt.Sprintf("migrator %d", i), &said[i])) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	applied := 0
	for i := range said {
		applied += strings.Count(said[i].text(), "applied")
	}
	if applied != len(set) {
		t.Errorf("%d migrations were applied, want each of %d once", applied, len(set))
	}
	if _, err := set.Check(t.Context(), target); err != nil {
		t.Error(err)
	}
}

// TestLock: who does not hold it notes nothing.
func TestLock(t *testing.T) {
	target := keyspace(t)
	set := folder(t, three)
	migrate(t, set[:1], target)
	db := session(t, target)
	ctx := t.Context()
	mine := &lock{s: db, keyspace: target.Keyspace, holder: "mine", life: LockLife}
	other := &lock{s: db, keyspace: target.Keyspace, holder: "other", life: LockLife}
	quiet := func(string) {}
	if err := mine.take(ctx, 0, quiet); err != nil {
		t.Fatal(err)
	}
	if err := mine.take(ctx, 0, quiet); err != nil {
		t.Errorf("an attempt without an answer, again: %v", err)
	}
	wantErr(t, other.take(ctx, 0, quiet), ErrLocked, "mine")
	wantErr(t, set.Migrate(ctx, target, Options{Who: "late", Now: time.Now}), ErrLocked, "another migrator is at work: mine")
	r := Record{Number: 2, Name: "second", Begun: time.Now()}
	if err := mine.note(ctx, r); err != nil {
		t.Error(err)
	}
	wantErr(t, other.note(ctx, Record{Number: 3, Name: "third", Begun: time.Now()}), ErrLocked)
	wantErr(t, other.renew(ctx), ErrLocked, "lost to mine")
	mine.renewed = time.Time{}
	if err := other.free(ctx); err != nil { // not his
		t.Error(err)
	}
	if err := mine.renew(ctx); err != nil {
		t.Error(err)
	}
	if err := mine.free(ctx); err != nil {
		t.Error(err)
	}
	wantErr(t, mine.note(ctx, r), ErrLocked)
	mine.renewed = time.Time{}
	wantErr(t, mine.renew(ctx), ErrLocked, "nobody")
	if noted, err := records(ctx, db, target.Keyspace); err != nil || len(noted) != 2 {
		t.Errorf("noted %+v, %v: want two", noted, err)
	}
}

// TestTheLockOutlivesSlowStatements: a statement that has to be tried again and again, for longer than a lock lives, is run
// under the lock all the same: whether the library gives an attempt up, or we do.
func TestTheLockOutlivesSlowStatements(t *testing.T) {
	const life = 6 * time.Second
	for name, answer := range map[string]time.Duration{"the library gives up": life / 4, "we give up": 2 * life} {
		t.Run(name, func(t *testing.T) {
			target := keyspace(t)
			migrate(t, folder(t, three)[:1], target)
			proxy := testkit.NewCQLProxy(t, testkit.CQLHosts(t)[0])
			slow := target
			slow.Connect = func(context.Context) (*gocql.Session, error) {
				_, port, err := net.SplitHostPort(proxy.Addr())
				if err != nil {
					return nil, err
				}
				c := gocql.NewCluster(proxy.Addr())
				if c.Port, err = strconv.Atoi(port); err != nil {
					return nil, err
				}
				c.Timeout, c.Logger = answer, silent{}
				return c.CreateSession()
			}
			set := folder(t, map[string]string{"0001_first.cql": three["0001_first.cql"], "0002_slow.cql": "-- min-reader: 1\nCREATE TABLE IF NOT EXISTS slowly (id int PRIMARY KEY);"})
			lost := proxy.Matching("slowly", attempts-1, testkit.Swallow)
			o := by("a slow one", &lines{})
			o.lockLife = life
			began := time.Now()
			if err := set.Migrate(t.Context(), slow, o); err != nil {
				t.Errorf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
			}
			if took := time.Since(began); lost() != attempts-1 || took < life {
				t.Errorf("%d answers were lost in %v: this shows nothing", lost(), took)
			}
		})
	}
}

// TestAnOlderNodeServes: rows are written and read by statements prepared before, while a newer migrator works.
func TestAnOlderNodeServes(t *testing.T) {
	target := keyspace(t)
	set := folder(t, three)
	migrate(t, set[:1], target)
	db := session(t, target)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := db.session.Query("INSERT INTO "+target.Keyspace+".a (id, v) VALUES (?, 'x')", n).Exec(); err != nil {
				served <- fmt.Errorf("write %d: %w", n, err)
				return
			}
			var v string
			if err := db.session.Query("SELECT v FROM "+target.Keyspace+".a WHERE id = ?", n).Scan(&v); err != nil || v != "x" {
				served <- fmt.Errorf("read %d: %q, %w", n, v, err)
				return
			}
		}
		if n < 10 {
			served <- fmt.Errorf("only %d rows", n)
			return
		}
		served <- nil
	}()
	migrate(t, set[:2], target)
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
