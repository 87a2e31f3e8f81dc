package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/persistence/cql/schema"
)

type migrateCmd struct {
	settings
	Replication string        `name:"cql-replication" help:"To make the keyspace if there is none: copies of everything, as 3, or for each datacenter, as east:3,west:3." default:"" env:"PACELINE_CQL_REPLICATION"`
	Status      bool          `help:"Say what is applied and what is not, and change nothing." xor:"what"`
	Move        bool          `name:"move-datacenter" help:"From now on all nodes write through --cql-datacenter, and none serves now (docs/storage.md says what comes before)." xor:"what"`
	DryRun      bool          `help:"Print the statements that would be run, and run none." xor:"what"`
	BreakOlder  bool          `name:"break-older-nodes" help:"Run migrations also under nodes that serve and may not be able to read what they leave."`
	LockWait    time.Duration `help:"How long to wait for another migrator." default:"2m"`
}

// Run brings the keyspace to this binary's schema; nodes may go on serving.
func (m migrateCmd) Run(p process) error {
	m.Store = storeCQL // the others make their tables by themselves
	if err := m.validate(); err != nil {
		return err
	}
	if m.LockWait < 0 {
		return errors.New("--lock-wait must not be negative")
	}
	if m.Replication != "" {
		if _, err := schema.ParseReplication(m.Replication); err != nil {
			return fmt.Errorf("--cql-replication %w", err)
		}
	}
	set, err := schema.Embedded()
	if err != nil {
		return err
	}
	driver, err := m.driver()
	if err != nil {
		return err
	}
	target := m.target(driver)
	if m.Status || m.DryRun {
		return m.show(p, set, target)
	}
	options := schema.Options{
		Who: whoMigrates(), Nonce: rand.Text(), Replication: m.Replication, LockWait: m.LockWait, Now: time.Now,
		BreakOlder: m.BreakOlder, Watch: aliveWithin, NodeName: nodeInRow,
		Say: func(line string) { fmt.Fprintln(p.out, line) },
	}
	if m.Move {
		return target.Move(p.ctx, options)
	}
	return set.Migrate(p.ctx, target, options)
}

// nodeInRow is where the node is reached whose row this is.
func nodeInRow(cell []byte) string {
	row := &clusterv1.NodeRow{}
	if proto.Unmarshal(cell, row) != nil {
		return ""
	}
	return cmp.Or(row.GetPublic(), row.GetAddress())
}

// whoMigrates is noted beside what was run.
func whoMigrates() string {
	machine, err := os.Hostname()
	if err != nil {
		machine = "somewhere"
	}
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return fmt.Sprintf("%s@%s pid %d", name, machine, os.Getpid())
}

func (m migrateCmd) show(p process, set schema.Set, target schema.Target) error {
	ctx, cancel := context.WithTimeout(p.ctx, startWithin)
	defer cancel()
	state, err := set.Status(ctx, target)
	made := true
	switch {
	case errors.Is(err, schema.ErrNoSchema), errors.Is(err, schema.ErrKeyspace):
		made, state.Pending = !errors.Is(err, schema.ErrKeyspace), set
	case err != nil:
		return err
	}
	if m.Status {
		m.printStatus(p, state, made)
		return nil
	}
	if !made {
		fmt.Fprintf(p.out, "-- keyspace %s would be made: --cql-replication says how many copies it keeps\n", m.Keyspace)
	}
	for i := range state.Pending {
		fmt.Fprintf(p.out, "-- %s (min-reader %d)\n", &state.Pending[i], state.Pending[i].MinReader)
		for _, s := range state.Pending[i].Statements() {
			fmt.Fprintln(p.out, s+";")
		}
	}
	return nil
}

func (m migrateCmd) printStatus(p process, state schema.State, made bool) {
	if !made {
		fmt.Fprintf(p.out, "keyspace %s is not there yet\n", m.Keyspace)
	}
	t := tabwriter.NewWriter(p.out, 2, 0, 2, ' ', 0)
	half := map[int]bool{}
	for i := range state.Noted {
		r := &state.Noted[i]
		if r.Finished.IsZero() {
			half[r.Number] = true
			fmt.Fprintf(t, "%s\tnot finished\t%d of %d statements\tbegun %s\tby %s\n", r, r.Done, r.Statements, r.Begun.UTC().Format(time.RFC3339), r.Who)
			continue
		}
		fmt.Fprintf(t, "%s\tapplied\t%d statements\t%s\tby %s\n", r, r.Statements, r.Finished.UTC().Format(time.RFC3339), r.Who)
	}
	for i := range state.Pending {
		if m := &state.Pending[i]; !half[m.Number] {
			fmt.Fprintf(t, "%s\tnot applied\t%d statements\t\t\n", m, len(m.Statements()))
		}
	}
	_ = t.Flush() // the terminal has gone
	if state.Through != "" {
		fmt.Fprintf(p.out, "nodes write through datacenter %s\n", state.Through)
	}
	for _, w := range state.Warnings {
		fmt.Fprintln(p.out, "warning: "+w)
	}
}
