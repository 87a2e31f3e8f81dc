//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paceline/cluster/port"
	procs "paceline/simulations/process" // process is what commands get here
)

// processes are nodes of one cluster, each a process of its own, with certificates and a gossip key.
type processes struct {
	t     *testing.T
	place *cqlPlace
	dir   string
	all   []*nodeProcess
}

type nodeProcess struct {
	http, cluster, gossip string
	cmd                   *exec.Cmd
	out                   *output
	ended                 chan struct{}
}

func (p *processes) in(name string) string { return filepath.Join(p.dir, name) }

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := procs.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// args of a node with these addresses; certs is a folder of certificates, name the node's.
func (p *processes) args(n *nodeProcess, certs, name string) []string {
	args := []string{"run", "--store", "cql", "--data-dir", p.in("data"), "--keys-dir", p.in("keys"), "--goodbye-delay", "0s",
		"--listen", n.http, "--cluster-listen", n.cluster, "--gossip-listen", n.gossip, "--gossip-key-file", filepath.Join(certs, "gossip.key"),
		"--node-ca", filepath.Join(certs, "ca.pem"), "--node-cert", filepath.Join(certs, name+".pem"), "--node-key", filepath.Join(certs, name+".key")}
	if len(p.all) > 0 {
		args = append(args, "--seeds", p.all[0].gossip)
	}
	return append(args, p.place.flags...)
}

// startProcesses starts so many and waits until they see each other. binary is this test's own, or a copy.
func startProcesses(t *testing.T, binary string, count int) *processes {
	t.Helper()
	p := &processes{t: t, place: newCQLPlace(t), dir: t.TempDir()}
	p.place.migrate()
	names := []string{"a", "b", "c"}[:count]
	if code, _, errs := paceline(t, append([]string{"certs", "--dir", p.in("certs")}, names...)...); code != 0 {
		t.Fatal(errs)
	}
	for _, name := range names {
		n := &nodeProcess{http: freeAddress(t), cluster: freeAddress(t), gossip: freeAddress(t), out: &output{}, ended: make(chan struct{})}
		n.cmd = exec.Command(binary, p.args(n, p.in("certs"), name)...)
		n.cmd.Env = append(os.Environ(), asProgram+"=1")
		n.cmd.Stdout, n.cmd.Stderr = n.out, n.out
		if err := n.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { defer close(n.ended); _ = n.cmd.Wait() }()
		t.Cleanup(func() {
			_ = n.cmd.Process.Signal(syscall.SIGCONT)
			_ = n.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-n.ended:
			case <-time.After(20 * time.Second):
				_ = n.cmd.Process.Kill()
				<-n.ended
			}
		})
		p.all = append(p.all, n)
		p.wait("a node is ready", func() bool { return n.ready() })
	}
	p.wait("all see all", func() bool { return p.agree(count) })
	return p
}

func (p *processes) wait(what string, holds func() bool) {
	p.t.Helper()
	if !until(p.t, 90*time.Second, holds) {
		for _, n := range p.all {
			p.t.Logf("%s: %s", n.http, n.out)
		}
		p.t.Fatalf("not in time: %s", what)
	}
}

// agree says that the last that each said of the members is that they are so many.
func (p *processes) agree(count int) bool {
	for _, n := range p.all {
		out := n.out.String()
		if !strings.HasPrefix(out[max(0, strings.LastIndex(out, "msg=members ")):], fmt.Sprintf("msg=members count=%d ", count)) {
			return false
		}
	}
	return true
}

func (n *nodeProcess) ready() bool {
	r, err := (&http.Client{Timeout: 2 * time.Second}).Get("http://" + n.http + "/readyz")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// metric is the value of a counter.
func (n *nodeProcess) metric(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(get(t, "http://"+n.http+"/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// change is args with other values; "" takes the flag away.
func change(args []string, flags ...string) []string {
	args = append([]string(nil), args...)
	for i := 0; i < len(flags); i += 2 {
		at := -1
		for j, a := range args {
			if a == flags[i] {
				at = j
			}
		}
		switch {
		case at < 0:
			args = append(args, flags[i], flags[i+1])
		case flags[i+1] == "":
			args = append(args[:at], args[at+2:]...)
		default:
			args[at+1] = flags[i+1]
		}
	}
	return args
}

// TestNodesThatCannotJoin: each is a process that ends with one sentence and not zero, and those that run see and say
// nothing of it but a line in the log.
func TestNodesThatCannotJoin(t *testing.T) {
	p := startProcesses(t, os.Args[0], 2)
	certs := p.in("certs")
	if err := port.Develop(p.in("others"), []string{"x"}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(certs, "gossip.key"), p.in("others/gossip.key"))
	if err := port.Develop(certs, []string{"old"}, time.Now().Add(-48*time.Hour), time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := port.Develop(certs, []string{"x"}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	nameless(t, certs, "nameless")
	if err := gossipKey(p.in("other.key")); err != nil {
		t.Fatal(err)
	}
	x := &nodeProcess{http: "127.0.0.1:0", cluster: "127.0.0.1:0", gossip: "127.0.0.1:0"}
	good := p.args(x, certs, "x")
	said := func() (lines int) {
		for _, n := range p.all {
			lines += strings.Count(n.out.String(), "msg=members ") + strings.Count(n.out.String(), "steps down") + strings.Count(n.out.String(), "this run ends")
		}
		return lines
	}
	before := said()
	for _, tc := range []struct {
		name  string
		args  []string
		ahead string
		want  string
	}{
		{"another gossip key", change(good, "--gossip-key-file", p.in("other.key")), "", "is there, and its gossip key is another one"},
		{"no gossip key", change(good, "--gossip-key-file", ""), "", "it gossips with a key, and this node has none"},
		{"another authority", p.args(x, p.in("others"), "x"), "", "it does not accept the certificate of the member at "},
		{"an expired certificate", p.args(x, certs, "old"), "", "would be refused by other nodes: x509: certificate has expired"},
		{"a certificate of another name", p.args(x, certs, "nameless"), "", "would be refused by other nodes: x509: certificate is valid for elsewhere"},
		{"no certificate", change(good, "--node-ca", "", "--node-cert", "", "--node-key", ""), "", "talks with certificates, and this node without"},
		{"another cluster's name", change(good, "--cluster-name", "other"), "", `this keyspace is of the cluster "paceline", and --cluster-name says "other"`},
		{"a clock an hour ahead", good, "1h", "more than 5s apart (set the clock, by NTP)"},
		{"a clock an hour behind", good, "-1h", "more than 5s apart (set the clock, by NTP)"},
		{"the HTTP port taken", change(good, "--listen", p.all[0].http), "", "another process uses this port (choose another with --listen)"},
		{"the nodes' port taken", change(good, "--cluster-listen", p.all[0].cluster), "", "another process uses this port (choose another with --cluster-listen)"},
		{"the gossip's port taken", change(good, "--gossip-listen", p.all[0].gossip), "", "another process uses this port, UDP or TCP (choose another with --gossip-listen)"},
		{"the embedded store", change(good, "--store", "embedded"), "", "--gossip-listen with --store=embedded: nodes need a store that they share"},
		{"a seed that is no address", change(good, "--seeds", "node-1"), "", `--seeds "node-1": want host:port`},
	} {
		began := time.Now()
		t.Setenv(clockAhead, tc.ahead)
		code, errs := child(t, tc.args...)
		lines := strings.Split(strings.TrimSpace(errs), "\n")
		last := lines[len(lines)-1]
		if code == 0 || !strings.HasPrefix(last, "paceline: ") || !strings.Contains(last, tc.want) {
			t.Errorf("%s: exit code %d, %q; want a sentence that says %q", tc.name, code, last, tc.want)
		}
		for _, line := range lines[:len(lines)-1] { // of the log
			if !strings.HasPrefix(line, "time=") {
				t.Errorf("%s: more than one sentence: %s", tc.name, errs)
			}
		}
		for _, n := range p.all {
			if !n.ready() {
				t.Errorf("%s: %s is not ready any more", tc.name, n.http)
			}
		}
		if now := said(); now != before {
			t.Fatalf("%s: nodes that run are disturbed: %s", tc.name, p.all[0].out)
		}
		t.Logf("%-30s %5.1f s  %s", tc.name, time.Since(began).Seconds(), last)
	}
	t.Setenv(clockAhead, "")
	if n := p.all[0].metric(t, "paceline_gossip_other_key_total"); n == "" || n == "0" {
		t.Errorf("%q strangers with another key counted", n)
	}
	if n := strings.Count(p.all[0].out.String(), `a stranger is not listened to; more such are counted and told of once a minute" what="another gossip key"`); n < 1 || n > 3 {
		t.Errorf("told of %d times: %s", n, p.all[0].out)
	}
	p.anotherSeed(good)
}

// anotherSeed: a seed that is not there is said, and stops nobody: members find each other by their rows too.
func (p *processes) anotherSeed(good []string) {
	p.t.Helper()
	nobody := freeAddress(p.t)
	s := serve(p.t, append(change(good, "--seeds", nobody), "--any-port")[1:]...)
	p.wait("three see three", func() bool { return p.agree(3) })
	if !strings.Contains(s.out.String(), "a seed cannot be joined; it is tried again and again\" seed="+nobody+" why=\"nobody listens there\"") {
		p.t.Errorf("nothing is said of the seed: %s", s.out)
	}
	if code := s.stop(); code != 0 {
		p.t.Errorf("exit code %d: %s", code, s.out)
	}
	p.wait("the two are left", func() bool { return p.agree(2) })
}

// TestAFalselyFailedNode was only stopped for a while: it learns that the others have gone on, and begins anew under its
// process id; where it cannot, its exit code asks for it.
func TestAFalselyFailedNode(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "paceline")
	copyFile(t, os.Args[0], binary)
	if err := os.Chmod(binary, 0o700); err != nil {
		t.Fatal(err)
	}
	p := startProcesses(t, binary, 2)
	b := p.all[1]
	runs := func() int { return strings.Count(b.out.String(), "paceline serves on") }
	hang := func() {
		t.Helper()
		_ = b.cmd.Process.Signal(syscall.SIGSTOP)
		n := strings.Count(p.all[0].out.String(), "msg=members count=1 ")
		p.wait("the other goes on alone", func() bool { return strings.Count(p.all[0].out.String(), "msg=members count=1 ") > n })
		_ = b.cmd.Process.Signal(syscall.SIGCONT)
	}
	hang()
	p.wait("a new run serves", func() bool { return runs() == 2 && b.ready() })
	p.wait("both see both", func() bool { return p.agree(2) })
	select {
	case <-b.ended:
		t.Fatalf("the process has ended: %s", b.out)
	default:
	}
	if err := os.Remove(binary); err != nil { // so there is nothing to begin anew with
		t.Fatal(err)
	}
	hang()
	select {
	case <-b.ended:
	case <-time.After(90 * time.Second):
		t.Fatalf("it goes on: %s", b.out)
	}
	if code := b.cmd.ProcessState.ExitCode(); code != exitRestart || !strings.Contains(b.out.String(), "cannot begin a new run") {
		t.Errorf("exit code %d, want %d: %s", code, exitRestart, b.out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	r, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(w, r)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

// nameless makes a certificate of the folder's authority that does not bear the nodes' name.
func nameless(t *testing.T, folder, name string) {
	t.Helper()
	read := func(file string) []byte {
		b, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		return block.Bytes
	}
	ca, err := x509.ParseCertificate(read("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := x509.ParseECPrivateKey(read("ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "elsewhere"}, DNSNames: []string{"elsewhere"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(folder, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
