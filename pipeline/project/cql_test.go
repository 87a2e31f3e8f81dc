package project_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"paceline/persistence"
	"paceline/persistence/cql"
	"paceline/persistence/cql/schema"
)

// openCQL is an empty keyspace of its own on the servers of PACELINE_CQL_HOSTS, or where `make cassandra` puts one.
func openCQL(t testing.TB) persistence.Rows {
	t.Helper()
	cfg := cql.Default()
	if hosts := os.Getenv("PACELINE_CQL_HOSTS"); hosts != "" {
		cfg.Hosts = strings.Split(hosts, ",")
	}
	var salt [6]byte
	_, _ = rand.Read(salt[:]) // never fails
	cfg.Keyspace = "test_views_" + hex.EncodeToString(salt[:])
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	session, err := cql.Connect(ctx, cfg)
	if err != nil {
		t.Fatalf("no server that speaks CQL (make cassandra starts one): %v", err)
	}
	t.Cleanup(func() {
		if err := session.ExecStmt("DROP KEYSPACE IF EXISTS " + cfg.Keyspace); err != nil {
			t.Error(err)
		}
		session.Close()
	})
	statements := []string{"CREATE KEYSPACE " + cfg.Keyspace + " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"}
	set, err := schema.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for i := range set {
		for _, s := range set[i].Statements() {
			statements = append(statements, strings.Replace(s, "IF NOT EXISTS ", "IF NOT EXISTS "+cfg.Keyspace+".", 1))
		}
	}
	for _, s := range statements {
		if err := session.ContextQuery(ctx, s, nil).ExecRelease(); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := cql.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	return rows
}
