package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"paceline/persistence"
	"paceline/persistence/memory"
)

// TestAlone: of two that move each tells of the other, once; a row that stands still is not told of and is taken away.
func TestAlone(t *testing.T) {
	rows := memory.New()
	var said bytes.Buffer
	lone := func(member string) *alone {
		return &alone{rows: rows, log: slog.New(slog.NewTextHandler(&said, nil)), member: member, url: "http://" + member, every: time.Second, others: map[string]*other{}}
	}
	members := func() int {
		t.Helper()
		found, err := rows.Range(t.Context(), alonePart(), persistence.Range{})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	one, two, killed := lone("one"), lone("two"), lone("killed")
	killed.look(t.Context())
	for range aloneGone {
		one.look(t.Context())
	}
	if said.Len() > 0 || members() != 2 {
		t.Fatalf("with a row that stands still: %d rows, %q", members(), said.String())
	}
	one.look(t.Context())
	if members() != 1 {
		t.Errorf("the row of who was killed is still there after %d rounds", aloneGone)
	}
	for range 5 {
		one.look(t.Context())
		two.look(t.Context())
	}
	if n := strings.Count(said.String(), "another node serves on this keyspace"); n != 2 || !strings.Contains(said.String(), "address=http://two") {
		t.Errorf("told %d times, want once by each: %s", n, said.String())
	}
}
