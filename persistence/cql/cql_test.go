package cql

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paceline/persistence"
	"paceline/persistence/cql/schema"
	"paceline/persistence/persistencetest"
	"paceline/persistence/sealed"
)

// hostsVariable names the servers for the tests; without it they look where `make cassandra` puts one.
const hostsVariable = "PACELINE_CQL_HOSTS"

// world is what all tests of this process share: one keyspace of their own.
var world struct {
	cfg  Config
	rows *Rows
	err  error
}

func TestMain(m *testing.M) {
	clean := begin()
	code := m.Run()
	clean()
	os.Exit(code)
}

// begin makes the keyspace and its tables once: a table takes a server longer than most tests.
func begin() (clean func()) {
	cfg := Default()
	if hosts := os.Getenv(hostsVariable); hosts != "" {
		cfg.Hosts = strings.Split(hosts, ",")
	}
	var salt [6]byte
	_, _ = rand.Read(salt[:]) // never fails
	cfg.Keyspace = "test_" + hex.EncodeToString(salt[:])
	world.cfg = cfg
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if world.err = makeKeyspace(ctx, cfg); world.err == nil {
		world.rows, world.err = Open(ctx, cfg)
	}
	return func() {
		if world.rows != nil {
			_ = world.rows.Close()
		}
		if s, err := Connect(context.Background(), cfg); err == nil {
			_ = s.ExecStmt("DROP KEYSPACE IF EXISTS " + cfg.Keyspace)
			s.Close()
		}
	}
}

func makeKeyspace(ctx context.Context, cfg Config) error {
	s, err := Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	statements := []string{"CREATE KEYSPACE " + cfg.Keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"}
	set, err := schema.Embedded()
	if err != nil {
		return err
	}
	for i := range set {
		for _, stmt := range set[i].Statements() {
			statements = append(statements, strings.Replace(stmt, "IF NOT EXISTS ", "IF NOT EXISTS "+cfg.Keyspace+".", 1))
		}
	}
	for _, stmt := range statements {
		if err := s.ContextQuery(ctx, stmt, nil).ExecRelease(); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}

// server is the driver over the tests' keyspace. There is no skipping: a store that is not tested is not supported.
func server(t testing.TB) *Rows {
	t.Helper()
	if world.err != nil {
		t.Fatalf("these tests need a CQL server: run `make cassandra`, or name one in %s=host:port,…: %v", hostsVariable, world.err)
	}
	return world.rows
}

var opened atomic.Int64

// apart is a store of a test's own within the shared tables: all its partitions begin with a number.
type apart struct {
	persistence.Rows
	prefix string
}

func (a *apart) in(p persistence.Part) persistence.Part {
	p.Key = a.prefix + p.Key
	return p
}

func (a *apart) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (bool, persistence.Head, error) {
	return a.Rows.PutIf(ctx, a.in(p), expected, head, rows)
}

func (a *apart) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	return a.Rows.Head(ctx, a.in(p))
}

func (a *apart) Put(ctx context.Context, muts []persistence.Mutation) error {
	mine := make([]persistence.Mutation, len(muts))
	for i, m := range muts {
		m.Part = a.in(m.Part)
		mine[i] = m
	}
	return a.Rows.Put(ctx, mine)
}

func (a *apart) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	return a.Rows.Get(ctx, a.in(p), cluster)
}

func (a *apart) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	return a.Rows.Range(ctx, a.in(p), q)
}

func (a *apart) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (persistence.Head, []persistence.Row, error) {
	return a.Rows.HeadRange(ctx, a.in(p), q)
}

func (a *apart) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	return a.Rows.DeleteRange(ctx, a.in(p), from, to)
}

// Parts gives this test's partitions only.
func (a *apart) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	if after != "" {
		after = a.prefix + after
	}
	var mine []string
	for len(mine) < limit {
		keys, err := a.Rows.(persistence.Scanner).Parts(ctx, t, after, 1000)
		if err != nil || len(keys) == 0 {
			return mine, err
		}
		for _, k := range keys {
			if after = k; strings.HasPrefix(k, a.prefix) && len(mine) < limit {
				mine = append(mine, k[len(a.prefix):])
			}
		}
	}
	return mine, nil
}

func open(t testing.TB, rows persistence.Rows) persistence.Rows {
	return &apart{Rows: rows, prefix: (&persistence.Key{}).U64(uint64(opened.Add(1))).String()}
}

func TestCQL(t *testing.T) {
	persistencetest.Run(t, func(t testing.TB) persistence.Rows { return open(t, server(t)) })
}

func TestSealedOverCQL(t *testing.T) {
	persistencetest.Run(t, func(t testing.TB) persistence.Rows {
		s, err := sealed.New(context.Background(), open(t, server(t)), sealed.Config{Wrapping: sealed.WrappingKey{1, 2, 3}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
