package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CQLHosts are the servers that a test of the CQL driver may use, in a keyspace of its own: those of
// PACELINE_CQL_HOSTS. make test starts one and sets it, so nothing is skipped there; a single go test without it
// says what is missing.
func CQLHosts(t testing.TB) []string {
	t.Helper()
	hosts := strings.FieldsFunc(os.Getenv("PACELINE_CQL_HOSTS"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(hosts) == 0 {
		t.Skip("no CQL server: make cassandra, then PACELINE_CQL_HOSTS=127.0.0.1:9042 go test …")
	}
	return hosts
}

// Ring is a Cassandra of one test, whose nodes it may kill. scripts/cassandra.sh starts and stops it.
type Ring struct {
	script   string
	settings []string
	hosts    []string
	folder   string
}

// ringWithin is for a whole ring to start, on a machine that does other things too.
const ringWithin = 5 * time.Minute

// StartRing starts a Cassandra of so many nodes on loopback addresses and in a folder of its own; it ends, data
// and all, with the test, also when the test is killed.
func StartRing(t testing.TB, nodes int) *Ring { return startRing(t, nodes) }

// StartRingWithTool is StartRing with a port for Nodetool on each node.
func StartRingWithTool(t testing.TB, nodes int) *Ring {
	t.Helper()
	first, err := freePorts(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return startRing(t, nodes, "CASSANDRA_JMX_PORT="+strconv.Itoa(first))
}

func startRing(t testing.TB, nodes int, settings ...string) *Ring {
	t.Helper()
	net, err := freeNet()
	if err != nil {
		t.Fatal(err)
	}
	script, err := scriptOf("cassandra.sh")
	if err != nil {
		t.Fatal(err)
	}
	r := &Ring{script: script, folder: t.TempDir()}
	r.settings = append(settings,
		"NODES="+strconv.Itoa(nodes), "CASSANDRA_NET="+net, "CASSANDRA_DIR="+r.folder,
		"CASSANDRA_WITH="+strconv.Itoa(os.Getpid()), "CASSANDRA_PORT="+cqlPort,
		"CASSANDRA_HEAP=768m", "CASSANDRA_WAIT="+strconv.Itoa(int(ringWithin.Seconds())))
	for n := range nodes {
		r.hosts = append(r.hosts, fmt.Sprintf("%s.%d:%s", net, n+1, cqlPort))
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := r.run("start"); err != nil {
		t.Fatal(err)
	}
	return r
}

// Hosts are the nodes' addresses.
func (r *Ring) Hosts() []string { return r.hosts }

// Kill ends node n (from 1) as a power cut would end its process, and returns when it is gone.
func (r *Ring) Kill(n int) error { return r.run("kill", strconv.Itoa(n)) }

// Restart brings a killed node back and returns when it answers and sees the others.
func (r *Ring) Restart(n int) error { return r.run("start", strconv.Itoa(n)) }

// Pause stops node n as it is: it holds its connections and answers nothing, until Resume.
func (r *Ring) Pause(n int) error { return r.run("pause", strconv.Itoa(n)) }

// Resume ends Pause.
func (r *Ring) Resume(n int) error { return r.run("resume", strconv.Itoa(n)) }

// Nodetool is Cassandra's own tool on node n of a ring of StartRingWithTool.
func (r *Ring) Nodetool(n int, arguments ...string) error {
	return r.run(append([]string{"nodetool", strconv.Itoa(n)}, arguments...)...)
}

// Data is the folder of node n's keyspaces.
func (r *Ring) Data(n int) string { return filepath.Join(r.folder, strconv.Itoa(n), "data") }

// Stop ends all nodes at once; their data stays until the test is over.
func (r *Ring) Stop() error { return r.run("stop", "-9") }

func (r *Ring) run(arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), ringWithin+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.script, arguments...)
	cmd.Env = append(os.Environ(), r.settings...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cassandra.sh %s: %w: %s", strings.Join(arguments, " "), err, said)
	}
	return nil
}

const cqlPort = "9042"

// freeNet finds three numbers of a loopback net on whose addresses nothing serves CQL. Two processes begin their search
// at different places; if they meet all the same, the later ring says that the port is taken.
func freeNet() (string, error) {
	begin := os.Getpid()
	for i := range 200 {
		three := fmt.Sprintf("127.%d.%d", 10+begin/200%200, 10+(begin+i)%200)
		l, err := net.Listen("tcp", three+".1:"+cqlPort)
		if err == nil {
			return three, l.Close()
		}
	}
	return "", fmt.Errorf("testkit: no loopback net is free")
}

// freePorts finds so many ports of 127.0.0.1 in a row, below those that the system gives to connections.
func freePorts(n int) (first int, err error) {
	for first = 20_000 + os.Getpid()%8_000; first < 30_000; first += n {
		free := true
		for p := first; free && p < first+n; p++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if free = err == nil; free {
				free = l.Close() == nil
			}
		}
		if free {
			return first, nil
		}
	}
	return 0, fmt.Errorf("testkit: no %d ports in a row are free", n)
}

func scriptOf(name string) (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("testkit: %w", err)
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(folder, "scripts", name), nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("testkit: no go.mod above the test's folder")
		}
	}
}
