package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"paceline/gateway/auth"
	"paceline/simulations/process"
	"paceline/simulations/swarm"
)

const (
	upWithin  = 60 * time.Second
	endWithin = 30 * time.Second
)

// Fleet is the node processes of one trial, on one keyspace.
type Fleet struct {
	binary, folder string
	hosts          string
	keyspace       string
	nodes          []*Process
	env            []string // of its processes, beside this one's
	previous       string   // the build before this one; empty: the trial needs none
	network        *network // between the nodes; nil: the loopback
	store          Store    // its servers, if the fleet has some of its own
}

// Process is one node: its addresses stay, its runs come and go.
type Process struct {
	fleet                  *Fleet
	name                   string
	http, cluster, gossips string // host:port
	log                    string // file
	program                program
	in                     *space // where it runs; nil: here

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	err    error
}

// Wanted is what a fleet is made of.
type Wanted struct {
	Binary, Folder string
	Hosts          []string // of the store
	Store          Store    // its servers, if they may be killed
	Keyspace       string
	Copies         int  // of everything in the store
	Nodes          int  // at most
	Network        bool // that can be cut, between the nodes
	Env            []string
}

// NewFleet makes keyspace, keys and certificates; no node runs yet.
func NewFleet(ctx context.Context, w Wanted) (*Fleet, error) {
	f := &Fleet{binary: w.Binary, folder: w.Folder, hosts: strings.Join(w.Hosts, ","), keyspace: w.Keyspace, store: w.Store, env: w.Env}
	if err := f.place(w); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	certs := []string{"certs", "--dir=" + f.in("certs")}
	for _, p := range f.nodes {
		certs = append(certs, p.name)
	}
	for _, args := range [][]string{certs,
		{"migrate", "--cql-hosts=" + f.hosts, "--cql-keyspace=" + f.keyspace, fmt.Sprintf("--cql-replication=%d", max(1, w.Copies))},
		{"token", "--data-dir=" + f.in("data"), "--keys-dir=" + f.in("keys"), "operator:trial"}} {
		if _, err := f.Command(ctx, args...); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// place gives the nodes their addresses.
func (f *Fleet) place(w Wanted) (err error) {
	if w.Network {
		if f.network, err = newNetwork(w.Nodes); err != nil {
			return err
		}
	}
	for i := range w.Nodes {
		p := &Process{fleet: f, name: fmt.Sprintf("node-%d", i+1)}
		p.log = f.in(p.name + ".log")
		f.nodes = append(f.nodes, p)
		if p.http, err = process.FreeAddress(); err != nil {
			return err
		}
		if f.network != nil {
			p.cluster, p.gossips, p.in = f.network.host(i)+":7947", f.network.host(i)+":7946", f.network.space(i)
			err = f.network.in(i, p.http)
			for _, host := range w.Hosts {
				err = errors.Join(err, f.network.out(i, host))
			}
		} else if p.cluster, err = process.FreeAddress(); err == nil {
			p.gossips, err = process.FreeAddress()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) in(name string) string { return filepath.Join(f.folder, name) }

// Command runs another of the program's commands to its end.
func (f *Fleet) Command(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.binary, args...)
	cmd.Env = append(os.Environ(), f.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("trial: paceline %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// Token mints access tokens with the nodes' key.
func (f *Fleet) Token(subject string) (string, error) {
	keys, err := auth.LoadKeys(filepath.Join(f.in("keys"), "tokens.json"))
	if err != nil {
		return "", err
	}
	who, err := auth.ParsePrincipal(subject)
	if err != nil {
		return "", err
	}
	return keys.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: time.Hour})
}

// Start starts nodes and waits until they are ready; the first of a fleet alone, because it makes the keys.
func (f *Fleet) Start(ctx context.Context, which ...*Process) error {
	for _, p := range which {
		if err := p.start(); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(f.in("keys"), "wrapping.key")); err != nil {
			if err := p.Ready(ctx); err != nil {
				return err
			}
		}
	}
	for _, p := range which {
		if err := p.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Agree waits until each of the nodes names as many members in the last line about them.
func (f *Fleet) Agree(ctx context.Context, which ...*Process) error {
	want := fmt.Sprintf("msg=members count=%d ", len(which))
	return until(ctx, upWithin, func() error {
		for _, p := range which {
			if line := p.lastLine("msg=members "); !strings.Contains(line, want) {
				return fmt.Errorf("trial: %s does not see %d members: %s", p.name, len(which), line)
			}
		}
		return nil
	})
}

// Owner is which of the nodes a race lives on, by the rule that places grains.
func (f *Fleet) Owner(race string, among []*Process) *Process {
	return among[swarm.Owner(race, addresses(among))]
}

func addresses(of []*Process) []string {
	var all []string
	for _, p := range of {
		all = append(all, p.cluster)
	}
	return all
}

// Close ends whatever still runs.
func (f *Fleet) Close() error {
	for _, p := range f.nodes {
		p.Kill()
	}
	if f.network == nil {
		return nil
	}
	return f.network.close()
}

// Cut takes a node off the network between the nodes. Clients and the store are reached all the while.
func (f *Fleet) Cut(p *Process) error { return f.network.cut(slices.Index(f.nodes, p)) }

// Heal puts it back.
func (f *Fleet) Heal(p *Process) error { return f.network.heal(slices.Index(f.nodes, p)) }

// URL is where clients find the node.
func (p *Process) URL() string { return "http://" + p.http }

func (p *Process) start() error {
	f := p.fleet
	var seeds []string
	for _, other := range f.nodes {
		if other != p {
			seeds = append(seeds, other.gossips)
		}
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("trial: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(f.binary, "run", "--data-dir="+f.in("data-"+p.name), "--keys-dir="+f.in("keys"),
		"--store=cql", "--cql-hosts="+f.hosts, "--cql-keyspace="+f.keyspace, "--settle-delay=5s",
		"--listen="+p.http, "--cluster-listen="+p.cluster, "--gossip-listen="+p.gossips, "--seeds="+strings.Join(seeds, ","),
		"--gossip-key-file="+f.in("certs/gossip.key"), "--node-ca="+f.in("certs/ca.pem"),
		"--node-cert="+f.in("certs/"+p.name+".pem"), "--node-key="+f.in("certs/"+p.name+".key"))
	cmd.Env = append(os.Environ(), f.env...)
	p.program.onto(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	exited := make(chan struct{})
	enter := func() error { return nil }
	if p.in != nil {
		enter = p.in.enter
	}
	if err := process.Start(cmd, enter, func(err error) {
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(exited)
	}); err != nil {
		return fmt.Errorf("trial: start %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.cmd, p.exited = cmd, exited
	p.mu.Unlock()
	return nil
}

// Ready waits until the node says so.
func (p *Process) Ready(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	return until(ctx, upWithin, func() error {
		select {
		case <-p.exited:
			return fmt.Errorf("trial: %s has ended: %s", p.name, p.lastLine(""))
		default:
		}
		r, err := client.Get(p.URL() + "/readyz")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("trial: %s is not ready: %s", p.name, r.Status)
		}
		return nil
	})
}

// Signal sends one to the node's process.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("trial: %s does not run", p.name)
	}
	return p.cmd.Process.Signal(s)
}

// pid of the process that runs, or ran last.
func (p *Process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill ends the process as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	if p.Signal(syscall.SIGKILL) == nil {
		<-p.exited
	}
}

// Leave asks the node to leave, and says how it ended.
func (p *Process) Leave(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(endWithin):
		return fmt.Errorf("trial: %s has not left within %v", p.name, endWithin)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return fmt.Errorf("trial: %s left with %w: %s", p.name, p.err, p.lastLine(""))
	}
	return nil
}

// lastLine is the last line of the log that has the words.
func (p *Process) lastLine(words string) string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.Contains(lines[i], words) {
			return lines[i]
		}
	}
	return ""
}

// count is how many lines of the log have the words.
func (p *Process) count(words string) int {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return 0
	}
	return strings.Count(string(b), words)
}

// until tries again until it holds, or says what was wrong last.
func until(ctx context.Context, within time.Duration, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("trial: not within %v", within), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
