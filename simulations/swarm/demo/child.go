package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"paceline/domain/unit"
	"paceline/gateway/auth"
	"paceline/simulations/process"
)

// child is a node as a process of its own.
type child struct {
	binary string
	flags  []string // that say where the node keeps everything and who the others are; none: in its folder, and nobody
	folder string   // of the run
	name   string   // "node", or "node-2" of several
	among  string   // host:port of the traffic between nodes; empty: it is the only one
	log    *os.File

	mu sync.Mutex
	// address is host:port: first the one that is wished, then the one that the node has said it serves on.
	address string
	anyPort bool          // another port will do; only until it serves
	serves  chan struct{} // closed when the present process has said where
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the present process has ended
	err     error
	killed  bool // by us, and not started again
}

// newChild is for a port of the loopback; anyPort: for another one if that is taken.
func newChild(binary, folder, name string, port int, anyPort bool) (*child, error) {
	log, err := os.OpenFile(filepath.Join(folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	c := &child{binary: binary, folder: folder, name: name, log: log, anyPort: anyPort}
	c.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return c, nil
}

const usualPort = 8080

func (c *child) dataDir() string { return filepath.Join(c.folder, c.name) }
func (c *child) keysDir() string { return filepath.Join(c.folder, "keys") }

func (c *child) url() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return "http://" + c.address
}

// start starts the node; origin 0: with the clock that its folder has.
func (c *child) start(origin unit.InstantMs, rate float64) error {
	serves := make(chan struct{})
	c.mu.Lock()
	args := []string{"run", "--data-dir=" + c.dataDir(), "--keys-dir=" + c.keysDir(), "--listen=" + c.address}
	args = append(args, c.flags...)
	if c.anyPort {
		args = append(args, "--any-port")
	}
	c.mu.Unlock()
	if origin != 0 {
		args = append(args, "--clock-origin="+origin.Time().Format("2006-01-02T15:04:05.000Z07:00"),
			"--clock-rate="+strconv.FormatFloat(rate, 'g', -1, 64))
	}
	cmd := exec.Command(c.binary, args...)
	cmd.Stdout = &announcement{to: c.log, heard: func(address string) {
		c.mu.Lock()
		c.address, c.anyPort = address, false
		c.mu.Unlock()
		close(serves)
	}}
	cmd.Stderr = c.log
	exited := make(chan struct{})
	if err := process.Start(cmd, func() error { return nil }, func(err error) {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		close(exited)
	}); err != nil {
		return fmt.Errorf("demo: start the node: %w", err)
	}
	c.mu.Lock()
	c.cmd, c.exited, c.serves, c.killed = cmd, exited, serves, false
	c.mu.Unlock()
	return nil
}

// up waits until the node serves. It asks only where our own process has said it serves: at the usual port another may.
func (c *child) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	c.mu.Lock()
	serves := c.serves
	c.mu.Unlock()
	select {
	case <-serves:
	case <-c.exitedChan():
		return fmt.Errorf("demo: %w", c.ended())
	case <-ctx.Done():
		return fmt.Errorf("demo: the node did not come up within %v; its log is %s", upWithin, c.log.Name())
	}
	hc := &http.Client{Timeout: 2 * time.Second}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url()+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if answer, err := hc.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.exitedChan():
			return fmt.Errorf("demo: %w", c.ended())
		case <-ctx.Done():
			return fmt.Errorf("demo: the node did not come up within %v; its log is %s", upWithin, c.log.Name())
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// announcement passes a node's output on and hears where it serves.
type announcement struct {
	to    io.Writer
	line  []byte // what came since the last line's end
	heard func(address string)
}

const servesOn = "paceline serves on http://"

func (a *announcement) Write(b []byte) (int, error) {
	if a.heard != nil {
		a.line = append(a.line, b...)
		for end := bytes.IndexByte(a.line, '\n'); a.heard != nil && end >= 0; end = bytes.IndexByte(a.line, '\n') {
			if address, ok := strings.CutPrefix(string(a.line[:end]), servesOn); ok {
				a.heard(address)
				a.heard, a.line = nil, nil
				break
			}
			a.line = a.line[end+1:]
		}
	}
	return a.to.Write(b)
}

func (c *child) exitedChan() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exited
}

// gone is closed when the node has ended by itself; nil, which never comes, while it is down because we killed it.
func (c *child) gone() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return nil
	}
	return c.exited
}

// errLeft is a node that has ended without a fault of its own.
var errLeft = errors.New("without a fault")

// exitErr is how the process ended; it has ended.
func (c *child) exitErr() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return errLeft
	}
	return c.err
}

// ended says how the process ended, in its own last words if it had some; it has ended.
func (c *child) ended() error {
	said, _ := os.ReadFile(c.log.Name())
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if last, ok := strings.CutPrefix(lines[len(lines)-1], "paceline: "); ok {
		return fmt.Errorf("the node has ended: %s (%w); its log is %s", last, c.exitErr(), c.log.Name())
	}
	return fmt.Errorf("the node has ended (%w); its log is %s", c.exitErr(), c.log.Name())
}

// kill ends the process as a power cut would.
func (c *child) kill() error {
	c.mu.Lock()
	cmd, exited := c.cmd, c.exited
	c.killed = true
	c.mu.Unlock()
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("demo: kill the node: %w", err)
	}
	<-exited
	return nil
}

// stop asks the node to leave, and ends it if it does not.
func (c *child) stop() error {
	defer c.log.Close()
	c.mu.Lock()
	cmd, exited := c.cmd, c.exited
	c.mu.Unlock()
	if cmd == nil {
		return nil
	}
	select {
	case <-exited:
		return nil // by itself, and whoever waited for it has said so
	default:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(endWithin):
		_ = cmd.Process.Kill()
		<-exited
		return fmt.Errorf("demo: the node did not leave within %v", endWithin)
	}
	var exit *exec.ExitError
	if err := c.exitErr(); errors.As(err, &exit) && !exit.Exited() {
		return nil // it had been killed before
	} else if !errors.Is(err, errLeft) {
		return fmt.Errorf("demo: the node ended with %w; its log is %s", err, c.log.Name())
	}
	return nil
}

// tokens mints access tokens with the node's own development key.
func (c *child) tokens() (func(subject string) (string, error), error) {
	keys, err := auth.LoadKeys(filepath.Join(c.keysDir(), "tokens.json"))
	if err != nil {
		return nil, fmt.Errorf("demo: the node's token keys: %w", err)
	}
	return func(subject string) (string, error) {
		who, err := auth.ParsePrincipal(subject)
		if err != nil {
			return "", err
		}
		return keys.Mint(auth.Grant{Principal: who, Now: time.Now(), Life: 24 * time.Hour})
	}, nil
}
