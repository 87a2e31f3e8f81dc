package replica

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// ack is a command that was acknowledged, and the version that its answer named (0: none did).
type ack struct {
	client  int
	n       uint64
	version uint64
}

// ledger is what the node has said, over all its lives.
type ledger struct {
	mu       sync.Mutex
	acked    []uint64 // of each client
	answers  []ack    // not yet compared with the journal
	commands int
	through  []uint64 // of each stream
	samples  uint64
	outcomes map[string]int
	strange  string // a line that cannot be
}

func newLedger() *ledger {
	return &ledger{acked: make([]uint64, clients), through: make([]uint64, streams), outcomes: make(map[string]int)}
}

func (l *ledger) hear(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var a ack
	var s int
	var through uint64
	var what string
	switch {
	case scans(line, "acked %d %d %d", &a.client, &a.n, &a.version) && a.client >= 0 && a.client < clients:
		if a.n <= l.acked[a.client] { // said before it was written, and after
			break
		}
		l.acked[a.client] = a.n
		l.answers = append(l.answers, a)
		l.commands++
	case scans(line, "samples %d %d", &s, &through) && s >= 0 && s < streams:
		if through > l.through[s] {
			l.samples += through - l.through[s]
			l.through[s] = through
		}
	case scans(line, "outcome %s", &what):
		l.outcomes[what]++
	default:
		l.strange = line
	}
}

func scans(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}

// count is how much was acknowledged so far.
type count struct {
	commands int
	samples  uint64
}

func (l *ledger) count() count {
	l.mu.Lock()
	defer l.mu.Unlock()
	return count{l.commands, l.samples}
}

// told is what a reading of the store is compared with; the answers are taken out.
type told struct {
	count          count
	acked, through []uint64
	answers        []ack
}

func (l *ledger) told() told {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := told{count{l.commands, l.samples}, append([]uint64(nil), l.acked...), append([]uint64(nil), l.through...), l.answers}
	l.answers = nil
	return t
}

func (l *ledger) decided() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.outcomes)
}

// nodeProcess is one life of the node.
type nodeProcess struct {
	cmd   *exec.Cmd
	heard chan struct{} // closed when all it has said is in the ledger
	ended error
}

func startNode(o order, l *ledger, binary string, log io.Writer) (*nodeProcess, error) {
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), NodeVariable+"="+o.String())
	cmd.Stderr = log
	// Its standard input ends with this process: then the node ends too, however this one came to its end.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("replica: start the node: %w", err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("replica: start the node: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("replica: start the node: %w", err)
	}
	p := &nodeProcess{cmd: cmd, heard: make(chan struct{})}
	go func() {
		defer close(p.heard)
		for lines := bufio.NewReader(pipe); ; {
			line, err := lines.ReadString('\n')
			if err != nil { // a line without an end was not said
				break
			}
			l.hear(strings.TrimSuffix(line, "\n"))
		}
		p.ended = cmd.Wait()
	}()
	return p, nil
}

// kill ends it as a power cut would and returns when everything it had said is in the ledger.
func (p *nodeProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself: await has said so
	<-p.heard
}

// awaitMost is how long the trial waits for anything, on a machine that does other things too.
const awaitMost = 3 * time.Minute

// await waits until at least so much more was acknowledged than at from.
func (p *nodeProcess) await(ctx context.Context, l *ledger, from, more count, why string) error {
	ctx, cancel := context.WithTimeout(ctx, awaitMost)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c := l.count()
		if c.commands >= from.commands+more.commands && c.samples >= from.samples+more.samples {
			return nil
		}
		select {
		case <-p.heard:
			return fmt.Errorf("replica: the node has ended (%w) while waiting for writes %s", p.ended, why)
		case <-ctx.Done():
			return fmt.Errorf("replica: within %v only %d commands and %d samples more were acknowledged %s", awaitMost, c.commands-from.commands, c.samples-from.samples, why)
		case <-tick.C:
		}
	}
}
