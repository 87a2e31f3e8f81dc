package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const storeCQL = "cql"

// prepareStore makes what the node does not make by itself: a keyspace of this run, since a node's clock begins once.
// Which servers, user and copies, the node and the migration read from the environment (PACELINE_CQL_…).
func (r *run) prepareStore(ctx context.Context) error {
	switch r.o.Store {
	case "", "embedded":
		return nil
	case storeCQL:
	default:
		return fmt.Errorf("demo: store %q: want embedded or cql", r.o.Store)
	}
	keyspace := "demo_" + time.Now().Format("20060102_150405_") + strings.ToLower(rand.Text()[:4])
	args := []string{"migrate", "--cql-keyspace=" + keyspace}
	if os.Getenv("PACELINE_CQL_REPLICATION") == "" {
		args = append(args, "--cql-replication=1")
	}
	r.say("\n$ paceline %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, r.o.Binary, args...)
	cmd.Stdout, cmd.Stderr = r.o.Stdout, r.o.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("demo: paceline migrate: %w", err)
	}
	for _, c := range r.nodes {
		c.flags = append(c.flags, "--store="+storeCQL, "--cql-keyspace="+keyspace)
	}
	return nil
}

// keeps is what a node that was killed comes back to.
func (r *run) keeps() string {
	if r.o.Store == storeCQL {
		return "keyspace"
	}
	return "folder"
}
