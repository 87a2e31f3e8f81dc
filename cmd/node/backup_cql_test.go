package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// backedUp are the tables that a backup of a keyspace needs (docs/storage.md); the others are made again.
var backedUp = []string{"journal", "series", "recording", "subject_key", "control", "wakeup", "low_water"}

// longBackup: two rings of three servers, one after the other; make test-all sets it.
const longBackup = "PACELINE_LONG_BACKUP"

// TestCQLBackupAndRestore does what docs/storage.md says of a backup on CQL, with a real ring of three servers and its own tool:
// the node ends in the middle of a race, all servers flush and take a snapshot, and the ring is destroyed, data and all.
// On another ring with the same tokens the files are imported. There everything is that was acknowledged, the lists can be
// made again, and the result of the race that was over verifies.
func TestCQLBackupAndRestore(t *testing.T) {
	if os.Getenv(longBackup) == "" {
		t.Skip("two rings of three servers: runs in make test-all, or with " + longBackup + "=1")
	}
	const servers = 3
	data := filepath.Join(t.TempDir(), "data")
	ring := testkit.StartRingWithTool(t, servers)
	p := newCQLPlaceOn(t, ring.Hosts())
	p.migrate("--cql-replication", fmt.Sprint(servers))
	s := p.serve(data, "--clock-rate", fmt.Sprint(outageRate), "--settle-delay", "1s")
	over := openRaceIn(t, s, data, cqlRaceLead, 4_600, 5_000)
	over.start(t.Context())()
	result := over.official(2 * time.Minute)

	running := openRaceIn(t, s, data, cqlRaceLead, 4_000, 4_200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, d := range running.devices {
		go func() { _ = d.Run(ctx) }()
	}
	middle := time.NewTimer(running.node.Until(running.gun.Add(40 * unit.Second)))
	<-middle.C
	load := keepRegistering(t, manage(t, s, data))
	if !soon(30*time.Second, func() bool { return len(load.acknowledged()) > 50 }) {
		t.Error("nobody can be registered")
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
	cancel()
	load.stop()
	people := load.acknowledged()
	var samples []uint64
	for _, d := range running.devices {
		samples = append(samples, d.Acked())
	}
	if len(people) < 4 || samples[0] < 10 {
		t.Fatalf("%d people, %v samples: this shows nothing", len(people), samples)
	}

	kept := t.TempDir()
	for n := 1; n <= servers; n++ {
		for _, args := range [][]string{{"flush", p.keyspace}, {"snapshot", "-t", "kept", p.keyspace}} {
			if err := ring.Nodetool(n, args...); err != nil {
				t.Fatal(err)
			}
		}
		files := 0
		for _, table := range backedUp {
			from, err := filepath.Glob(filepath.Join(ring.Data(n), p.keyspace, table+"-*", "snapshots", "kept"))
			if err != nil || len(from) != 1 {
				t.Fatalf("server %d, table %s: snapshots in %v (%v)", n, table, from, err)
			}
			to := filepath.Join(kept, fmt.Sprint(n), table)
			if err := os.CopyFS(to, os.DirFS(from[0])); err != nil {
				t.Fatal(err)
			}
			all, _ := filepath.Glob(filepath.Join(to, "*-Data.db"))
			files += len(all)
		}
		t.Logf("server %d: %d tables of %d files with data", n, len(backedUp), files)
	}
	p.gone = true
	if err := ring.Stop(); err != nil {
		t.Fatal(err)
	}

	other := testkit.StartRingWithTool(t, servers)
	q := newCQLPlaceOn(t, other.Hosts())
	q.keyspace = p.keyspace
	q.flags = []string{"--cql-hosts", strings.Join(other.Hosts(), ","), "--cql-keyspace", q.keyspace}
	q.migrate("--cql-replication", fmt.Sprint(servers))
	for n := 1; n <= servers; n++ {
		for _, table := range backedUp {
			if err := other.Nodetool(n, "import", "--copy-data", q.keyspace, table, filepath.Join(kept, fmt.Sprint(n), table)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := other.Nodetool(1, "repair", "-full", q.keyspace); err != nil {
		t.Fatal(err)
	}
	set := settings{DataDir: data, Store: storeCQL, cqlSettings: cqlSettings{Hosts: strings.Join(other.Hosts(), ","), Keyspace: q.keyspace}}
	wantSamples(t, set, running, samples)
	args := append([]string{"views", "rebuild", "--offline", "--store", storeCQL, "--data-dir", data}, q.flags...)
	if code, out, errs := pacelineWithin(t, 5*time.Minute, args...); code != 0 || !strings.Contains(out, "people: done") {
		t.Fatalf("views rebuild: %d %s%s", code, out, errs)
	}
	s = q.serve(data, "--clock-rate", fmt.Sprint(outageRate))
	wantRestored(t, s, data, people, over, result)
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
}
