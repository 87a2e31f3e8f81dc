package trial

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"paceline/internal/testkit"
)

// TestEveryDay is the short ones, at once: the node that the race lives on is killed in the middle; it is cut off, steps
// down, and comes back; a node is killed while races come due that no node has in memory.
func TestEveryDay(t *testing.T) {
	binary := build(t)
	for _, trial := range []Trial{OwnerKilled, Splits[0], Wakes[0]} {
		t.Run(strings.ReplaceAll(trial.Name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if o := hold(t, trial, Everyday, binary); o != nil {
				t.Log(o)
				if len(o.Failed) > 0 {
					t.Fail()
				}
			}
		})
	}
}

// TestASlowNode is felt at the sockets of the devices that live on it, in nobody's memory, and by nobody else.
func TestASlowNode(t *testing.T) {
	if o := hold(t, Slow, Everyday, build(t)); o != nil {
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
		t.Skip("takes twenty minutes: make trials")
	}
	some, err := regexp.Compile(which)
	if err != nil {
		t.Fatal(err)
	}
	size := Full
	if text := os.Getenv("PACELINE_TRIALS_SIZE"); text != "" {
		if _, err := fmt.Sscanf(text, "%dx%d", &size.Devices, &size.Viewers); err != nil {
			t.Fatalf("PACELINE_TRIALS_SIZE=%s: want devices and viewers, as 300x100", text)
		}
	}
	binary := build(t)
	var rows []string
	for _, trial := range slices.Concat(Table, []Trial{Slow}, Splits, Rolls, Wakes) {
		if !some.MatchString(trial.Name) {
			continue
		}
		t.Run(strings.ReplaceAll(trial.Name, " ", "_"), func(t *testing.T) {
			o := hold(t, trial, size, binary)
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
	fmt.Printf("%d devices at 1 Hz, %d viewers, spread over 3 nodes; times since the fault, by the wall\n", size.Devices, size.Viewers)
	fmt.Println(strings.Join(rows, "\n"))
	fmt.Println("rows of the kill table that they can show (each by itself: go test ./simulations/world -run TestKillTable)")
	shown := map[string][]string{}
	for _, trial := range slices.Concat(Table, []Trial{Slow}, Splits, Rolls, Wakes) {
		for _, row := range trial.Shows {
			shown[row] = append(shown[row], trial.Name)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(shown)) {
		fmt.Printf("%-56s %s\n", row, strings.Join(shown[row], "; "))
	}
}

func build(t testing.TB) string {
	t.Helper()
	testkit.CQLHosts(t) // else skipped, before anything is built
	binary := filepath.Join(t.TempDir(), "paceline")
	if out, err := exec.Command("go", "build", "-o", binary, "paceline/cmd/node").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return binary
}

func hold(t *testing.T, trial Trial, size Size, binary string) *Outcome {
	t.Helper()
	o, err := try(t, trial, size, binary)
	if err != nil {
		t.Error(err)
	}
	return o
}

// try holds a trial on nodes of its own, with more in their environment.
func try(t *testing.T, trial Trial, size Size, binary string, env ...string) (*Outcome, error) {
	t.Helper()
	hosts := testkit.CQLHosts(t)
	previous := previousFor(t, trial)
	wanted := Wanted{Binary: binary, Folder: t.TempDir(), Nodes: trial.wants(), Network: trial.Network, Env: env}
	if trial.Ring > 0 {
		ring := testkit.StartRing(t, trial.Ring)
		hosts, wanted.Store, wanted.Copies = ring.Hosts(), ring, trial.Ring
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	keyspace := "trial_" + strings.ToLower(rand.Text()[:12])
	if trial.Ring == 0 {
		t.Cleanup(func() { drop(t, hosts, keyspace) })
	}
	wanted.Hosts, wanted.Keyspace = hosts, keyspace
	f, err := NewFleet(ctx, wanted)
	if errors.Is(err, errNoNetwork) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.previous = previous
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	o, err := trial.Run(ctx, f, size, t.Output())
	if t.Failed() || err != nil || len(o.Failed) > 0 {
		for _, p := range f.nodes {
			b, _ := os.ReadFile(p.log)
			t.Logf("%s at %s:\n%s", p.name, p.http, b[max(0, len(b)-8000):])
		}
	}
	return o, err
}

func drop(t testing.TB, hosts []string, keyspace string) {
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
