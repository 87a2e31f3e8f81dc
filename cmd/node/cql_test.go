package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gocql/gocql"

	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/internal/testkit"
)

// cqlPlace is a keyspace of a test's own, not made yet; it is dropped at the end.
type cqlPlace struct {
	t        *testing.T
	session  *gocql.Session
	keyspace string
	flags    []string
	gone     bool // the servers are gone, the keyspace with them
}

// migratedWithin is for a server that does other things too: eleven tables are eleven rounds of its disk.
const migratedWithin = 3 * time.Minute

func newCQLPlace(t *testing.T) *cqlPlace {
	t.Helper()
	return newCQLPlaceOn(t, testkit.CQLHosts(t))
}

// newCQLPlaceOn is newCQLPlace on some servers, host:port.
func newCQLPlaceOn(t *testing.T, hosts []string) *cqlPlace {
	t.Helper()
	c := gocql.NewCluster(hosts...)
	c.Timeout = 30 * time.Second
	s, err := c.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	p := &cqlPlace{t: t, session: s, keyspace: "node_test_" + strings.ToLower(rand.Text()[:12])}
	p.flags = []string{"--cql-hosts", strings.Join(hosts, ","), "--cql-keyspace", p.keyspace}
	t.Cleanup(func() {
		if !p.gone {
			p.run("DROP KEYSPACE IF EXISTS " + p.keyspace)
		}
		s.Close()
	})
	return p
}

func (p *cqlPlace) run(stmt string, args ...any) {
	p.t.Helper()
	if err := p.session.Query(stmt, args...).Exec(); err != nil {
		p.t.Fatalf("%s: %v", stmt, err)
	}
}

func (p *cqlPlace) migrate(args ...string) string {
	p.t.Helper()
	code, out, errs := pacelineWithin(p.t, migratedWithin, append(append([]string{"migrate", "--cql-replication", "1"}, p.flags...), args...)...)
	if code != 0 {
		p.t.Fatalf("migrate: %s", errs)
	}
	return out
}

func (p *cqlPlace) serve(data string, args ...string) serving {
	p.t.Helper()
	return serve(p.t, append(append([]string{"--store", "cql", "--data-dir", data}, p.flags...), args...)...)
}

// records is what is noted of migrations, as text.
func (p *cqlPlace) records() string {
	p.t.Helper()
	rows, err := p.session.Query("SELECT * FROM " + p.keyspace + ".schema_migration").Iter().SliceMap()
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(rows)
}

// tables are the keyspace's tables.
func (p *cqlPlace) tables() string {
	p.t.Helper()
	rows, err := p.session.Query("SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?", p.keyspace).Iter().SliceMap()
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(rows)
}

// TestCQLStore: migrated, served, left, served again: what was registered is there, and the clock goes on.
func TestCQLStore(t *testing.T) {
	p := newCQLPlace(t)
	if out := p.migrate("--status"); !strings.Contains(out, "is not there yet") || !strings.Contains(out, "0001 tables  not applied") {
		t.Errorf("status before = %q", out)
	}
	if out := p.migrate("--dry-run"); !strings.Contains(out, "CREATE TABLE IF NOT EXISTS journal") {
		t.Errorf("dry run = %q", out)
	}
	if got := p.tables(); got != "[]" {
		t.Fatalf("looking has made tables: %s", got)
	}
	if out := p.migrate(); !strings.Contains(out, "made keyspace "+p.keyspace) || !strings.Contains(out, "applied 0001 tables") {
		t.Errorf("migrate = %q", out)
	}
	if out := p.migrate("--status"); !strings.Contains(out, "0001 tables  applied") || !strings.Contains(out, "warning: keyspace "+p.keyspace+" keeps 1 copy of everything") || !strings.Contains(out, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("status after = %q", out)
	}
	data := filepath.Join(t.TempDir(), "data")
	s := p.serve(data, "--clock-origin", "2024-06-15T14:40:00Z")
	if !strings.Contains(s.out.String(), "keeps 1 copy of everything") {
		t.Errorf("no warning of one copy: %s", s.out)
	}
	ann := must[managev1.RegisterUserResponse](t)(manage(t, s, data).users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: "ann", Name: "Ann", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}}))).UserId
	if code := s.stop(); code != 0 {
		t.Fatal(s.out)
	}
	again := p.serve(data)
	user := must[managev1.GetUserResponse](t)(manage(t, again, data).users.GetUser(t.Context(), connect.NewRequest(&managev1.GetUserRequest{UserId: ann})))
	if user.User.GetProfile().GetHandle() != "ann" {
		t.Errorf("after the restart: %v", user)
	}
	if !strings.Contains(again.out.String(), "node_time=2024-06-15T14:4") {
		t.Errorf("the clock does not go on: %s", again.out)
	}
	if code := again.stop(); code != 0 {
		t.Error(again.out)
	}
	code, _, errs := paceline(t, append([]string{"export", "nosuch", "--offline", "--store", "cql", "--data-dir", data, "-o", filepath.Join(t.TempDir(), "b.zip")}, p.flags...)...)
	if code == 0 || !strings.Contains(errs, "export nosuch: ") || strings.Contains(errs, "data folder") {
		t.Errorf("export from the store: %d, %q", code, errs)
	}
	if _, err := os.Stat(data); err == nil {
		t.Errorf("%s was made, and nothing is kept there", data)
	}
}

// TestTwoNodesOnOneKeyspace: each says that there is another, and takes its row away when it leaves.
func TestTwoNodesOnOneKeyspace(t *testing.T) {
	p := newCQLPlace(t)
	p.migrate()
	data := filepath.Join(t.TempDir(), "data")
	const said = "another node serves on this keyspace"
	one := p.serve(data)
	two := p.serve(data)
	for _, s := range []serving{one, two} {
		if !until(t, 10*time.Second, func() bool { return strings.Contains(s.out.String(), said) }) {
			t.Errorf("%s does not say that it is not alone: %s", s.url, s.out)
		}
	}
	one.stop()
	two.stop()
	rows, err := p.session.Query("SELECT * FROM " + p.keyspace + ".node").Iter().SliceMap()
	if err != nil || len(rows) != 0 {
		t.Errorf("rows of nodes that have left: %v, %v", rows, err)
	}
}

// until waits for a condition.
func until(t *testing.T, limit time.Duration, holds func() bool) bool {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// TestBadCQL: a store that cannot be served on is refused in one sentence, within seconds, and neither it nor the
// machine is changed.
func TestBadCQL(t *testing.T) {
	p := newCQLPlace(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	refused := func(name, want string, args ...string) {
		t.Helper()
		began := time.Now()
		code, out, errs := paceline(t, append(append([]string{"run", "--listen", "127.0.0.1:0", "--store", "cql", "--data-dir", data}, p.flags...), args...)...)
		if code == 0 || out != "" {
			t.Fatalf("%s: %d, %q", name, code, out)
		}
		if !strings.Contains(errs, want) || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
			t.Errorf("%s: stderr = %q, want one line that says %q", name, errs, want)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		if made := everything(t, data+".keys"); len(made) != 0 {
			t.Errorf("%s: made %v", name, made)
		}
	}
	refused("no such keyspace", "there is no keyspace "+p.keyspace)
	refused("nobody there", "no server answers CQL at 127.0.0.1:1", "--cql-hosts", "127.0.0.1:1")
	hangsUp := silentServer(t)
	refused("no CQL", "no server answers CQL at "+hangsUp, "--cql-hosts", hangsUp)
	refused("no such datacenter", "mars is not one of", "--cql-datacenter", "mars")
	stranger := httptest.NewTLSServer(nil) // shows a certificate that nobody here trusts
	defer stranger.Close()
	refused("a certificate of somebody else", "certificate", "--cql-hosts", stranger.Listener.Addr().String(), "--cql-ca-file", someCA(t, dir))
	refused("no certificates", "no such file", "--cql-ca-file", filepath.Join(dir, "none.pem"))
	p.run("CREATE KEYSPACE " + p.keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	refused("an empty keyspace", "has no tables yet: run `paceline migrate`")
	p.run("CREATE TABLE " + p.keyspace + ".invoices (id int PRIMARY KEY)")
	refused("somebody else's keyspace", "tables that are not Paceline's (invoices)")
	p.run("DROP TABLE " + p.keyspace + ".invoices")

	p.migrate()
	const note = ".schema_migration (scope, number, name, digest, min_reader, statements, done, done_digest, who, begun_at, finished_at) VALUES ('paceline', ?, 'later', 'x', ?, 2, ?, 'x', 'a newer release', ?, ?) IF NOT EXISTS"
	cas := func(stmt string, args ...any) {
		t.Helper()
		if applied, err := p.session.Query(stmt, args...).MapScanCAS(map[string]any{}); err != nil || !applied {
			t.Fatal(stmt, applied, err)
		}
	}
	before := p.records()
	unchanged := func(name, want string) {
		t.Helper()
		noted, tables := p.records(), p.tables()
		refused(name, want)
		if p.records() != noted || p.tables() != tables {
			t.Errorf("%s: the start has changed the keyspace", name)
		}
	}
	forget := func(number int) {
		t.Helper()
		cas("DELETE FROM "+p.keyspace+".schema_migration WHERE scope = 'paceline' AND number = ? IF EXISTS", number)
	}
	known := strings.Count(before, "number:")
	cas("INSERT INTO "+p.keyspace+note, known+1, known+1, 2, time.Now(), time.Now())
	unchanged("a schema newer than the binary", fmt.Sprintf("schema %d is newer than this binary knows (%d)", known+1, known))
	forget(known + 1)
	cas("INSERT INTO "+p.keyspace+note, known+1, 1, 2, time.Now(), time.Now())
	if s := p.serve(filepath.Join(dir, "older")); s.stop() != 0 {
		t.Errorf("a newer schema that lets this binary be: %s", s.out)
	}
	forget(known + 1)
	cas("DELETE FROM " + p.keyspace + ".schema_migration WHERE scope = 'datacenter' AND number = 1 IF EXISTS") // the older one has noted its own
	cas("INSERT INTO " + p.keyspace + ".schema_migration (scope, number, name) VALUES ('datacenter', 1, 'east') IF NOT EXISTS")
	unchanged("nodes that write through another datacenter", "write through datacenter east, and this one would through datacenter1")
	p.migrate("--move-datacenter", "--cql-datacenter", "datacenter1")

	cas("UPDATE " + p.keyspace + ".schema_migration SET finished_at = null, done = 3 WHERE scope = 'paceline' AND number = 1 IF EXISTS")
	unchanged("a half-applied migration", "migration 0001 tables was begun at")
	cas("UPDATE "+p.keyspace+".schema_migration SET finished_at = ?, digest = 'edited' WHERE scope = 'paceline' AND number = 1 IF EXISTS", time.Now())
	unchanged("an edited migration", "migration 0001 tables was applied with other content than this binary's")
	cas("DELETE FROM " + p.keyspace + ".schema_migration WHERE scope = 'paceline' AND number = 1 IF EXISTS")
	unchanged("no migration noted", fmt.Sprintf("is at schema 0 and this binary needs %d (missing: 0001 tables", known))
	p.migrate() // every statement may be run again
	p.run("DROP TABLE " + p.keyspace + ".wakeup")
	p.run("ALTER TABLE " + p.keyspace + ".series DROP cell")
	unchanged("tables and columns gone", "lacks table wakeup, column series.cell")
}

// someCA is a file with a certificate that has signed nothing.
func someCA(t *testing.T, dir string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nobody"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, public, private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// silentServer takes connections and hangs up: something is there, and it is no CQL server.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}
