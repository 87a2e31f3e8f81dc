package trial

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"paceline/internal/testkit"
)

// TestOwnerKilled is the short one: the node that the race lives on is killed in the middle.
func TestOwnerKilled(t *testing.T) {
	if o := hold(t, OwnerKilled, build(t)); o != nil {
		t.Log(o)
		if len(o.Failed) > 0 {
			t.Fail()
		}
	}
}

// TestTrials is all of them: make trials.
func TestTrials(t *testing.T) {
	which := os.Getenv("PACELINE_TRIALS")
	if which == "" {
		t.Skip("takes ten minutes: make trials")
	}
	some, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	binary := build(t)
	var rows []string
	for _, trial := range Table {
		if !some.MatchString(trial.Name) {
			continue
		}
		t.Run(strings.ReplaceAll(trial.Name, " ", "_"), func(t *testing.T) {
			o := hold(t, trial, binary)
			if o == nil {
				rows = append(rows, fmt.Sprintf("%-42s FAILED, see above", trial.Name))
				return
			}
			t.Log(o) // the table comes last, and a run may be ended before
			rows = append(rows, o.String())
			if len(o.Failed) > 0 {
				t.Error(o)
			}
		})
	}
	fmt.Println("20 devices at 1 Hz, 6 viewers, spread over 3 nodes; times since the fault, by the wall")
	fmt.Println(strings.Join(rows, "\n"))
}

func build(t *testing.T) string {
	t.Helper()
	testkit.CQLHosts(t) // else skipped, before anything is built
	binary := filepath.Join(t.TempDir(), "paceline")
	if out, err := exec.Command("go", "build", "-o", binary, "paceline/cmd/node").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return binary
}

func hold(t *testing.T, trial Trial, binary string) *Outcome {
	t.Helper()
	hosts := testkit.CQLHosts(t)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	keyspace := "trial_" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() { drop(t, hosts, keyspace) })
	folder := t.TempDir()
	f, err := NewFleet(ctx, binary, folder, hosts, keyspace, max(3, trial.Nodes))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o, err := trial.Run(ctx, f, t.Output())
	if err != nil {
		t.Error(err)
	}
	if t.Failed() || err == nil && len(o.Failed) > 0 {
		for _, p := range f.nodes {
			b, _ := os.ReadFile(p.log)
			t.Logf("%s at %s:\n%s", p.name, p.http, b[max(0, len(b)-8000):])
		}
	}
	return o
}

func drop(t *testing.T, hosts []string, keyspace string) {
	c := gocql.NewCluster(hosts...)
	c.Timeout = time.Minute
	s, err := c.CreateSession()
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	if err := s.Query("DROP KEYSPACE IF EXISTS " + keyspace).Exec(); err != nil {
		t.Error(err)
	}
}
