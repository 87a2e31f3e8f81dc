package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"paceline/persistence"
)

// output is what a process writes; readable while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// paceline runs one command line in this process.
func paceline(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	return pacelineWithin(t, 15*time.Second, args...)
}

func pacelineWithin(t *testing.T, limit time.Duration, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e output
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	code = execute(process{ctx: ctx, out: &o, err: &e}, args)
	return code, o.String(), e.String()
}

// serving is a node that runs in this process.
type serving struct {
	url  string
	out  *output
	stop func() int // asks it to end and returns the exit code
	node *node      // set once it serves
}

var address = regexp.MustCompile(`http://[0-9.:]+`)

func serve(t *testing.T, args ...string) serving {
	t.Helper()
	return serveOver(t, nil, args...)
}

// serveOver is serve with something in front of the store's rows.
func serveOver(t *testing.T, before func(persistence.Rows) persistence.Rows, args ...string) serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := serving{out: &output{}}
	code, inside := make(chan int, 1), make(chan *node, 1)
	go func() {
		code <- execute(process{ctx: ctx, out: s.out, err: s.out, before: before, serving: func(n *node) { inside <- n }}, append([]string{"run", "--listen", "127.0.0.1:0", "--goodbye-delay", "0s"}, args...))
	}()
	var once sync.Once
	exit := -1
	s.stop = func() int {
		once.Do(func() {
			cancel()
			select {
			case exit = <-code:
			case <-time.After(20 * time.Second):
				t.Error("the node did not end")
			}
		})
		return exit
	}
	t.Cleanup(func() { s.stop() })
	deadline := time.After(time.Minute) // a CQL server that does other things too answers slowly
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(s.out.String(), "paceline serves on") {
		select {
		case c := <-code:
			t.Fatalf("the node ended with %d: %s", c, s.out)
		case <-deadline:
			t.Fatalf("the node does not serve: %s", s.out)
		case <-tick.C:
		}
	}
	s.url, s.node = address.FindString(s.out.String()), <-inside
	return s
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, r.Status, err)
	}
	return string(b)
}

func TestServesAndLeaves(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	get(t, s.url+"/healthz")
	if m := get(t, s.url+"/metrics"); !strings.Contains(m, "paceline_grains_active 0") {
		t.Errorf("metrics = %s", m)
	}
	if code, _, err := paceline(t, "run", "--listen", "127.0.0.1:0", "--data-dir", data); code == 0 || !strings.Contains(err, "in use by another process") {
		t.Errorf("a second node on the folder: %d, %s", code, err)
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, s.out)
	}
	// The folder is free again.
	again := serve(t, "--data-dir", data)
	if code := again.stop(); code != 0 {
		t.Fatalf("exit code %d after the restart: %s", code, again.out)
	}
}

// TestWrongStarts: each is one sentence and an exit code that is not 0.
func TestWrongStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	unknown := filepath.Join(dir, "unknown.json")
	broken := filepath.Join(dir, "broken.json")
	noPort, loud := filepath.Join(dir, "no-port.json"), filepath.Join(dir, "loud.json")
	for path, text := range map[string]string{unknown: `{"listem": "x"}`, broken: `listen: x`, noPort: `{"listen": 5}`, loud: `{"log-level": "shout"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"port taken":             {[]string{"run", "--listen", l.Addr().String(), "--data-dir", data}, "another process uses this port"},
		"no address":             {[]string{"run", "--listen", "127.0.0.1:http-or-so", "--data-dir", data}, `--listen "127.0.0.1:http-or-so": want host:port`},
		"no port":                {[]string{"run", "--listen", "abc", "--data-dir", data}, `--listen "abc": want host:port`},
		"a port too high":        {[]string{"run", "--listen", "127.0.0.1:99999", "--data-dir", data}, "want host:port"},
		"a file without a port":  {[]string{"config", "check", noPort}, `--listen "5": want host:port`},
		"a file too loud":        {[]string{"config", "check", loud}, "want debug, info, warn or error"},
		"export with no keys":    {[]string{"export", "x", "--data-dir", filepath.Join(dir, "misspelt")}, "--data-dir"},
		"unknown flag":           {[]string{"run", "--nonsense"}, "unknown flag --nonsense"},
		"unknown command":        {[]string{"dance"}, "unexpected argument dance"},
		"unknown store":          {[]string{"run", "--store", "tape"}, "--store must be one of"},
		"keys in the data":       {[]string{"run", "--data-dir", data, "--keys-dir", filepath.Join(data, "keys")}, "must not lie in the data folder"},
		"bad origin":             {[]string{"run", "--data-dir", data, "--clock-origin", "yesterday"}, "want an instant like"},
		"bad rate":               {[]string{"run", "--data-dir", data, "--clock-rate=-3"}, "want 0.001 to 1000"},
		"bad level":              {[]string{"run", "--data-dir", data, "--log-level", "shout"}, "want debug, info, warn or error"},
		"no configuration":       {[]string{"run", "--config", filepath.Join(dir, "none.json")}, "no such file"},
		"unknown setting":        {[]string{"run", "--config", unknown}, "unknown setting listem"},
		"configuration, no JSON": {[]string{"config", "check", broken}, "not a JSON object"},
		"bad subject":            {[]string{"token", "emperor:ann", "--data-dir", data}, "want athlete:<id>, device:<affinity>/<id> or operator:<id>"},
		"token for ever":         {[]string{"token", "athlete:ann", "--life", "99999h", "--data-dir", data}, "--life"},
		"alone, off loopback":    {[]string{"run", "--cluster-listen", "0.0.0.0:0", "--data-dir", data}, "--cluster-listen 0.0.0.0:0 is not on loopback, and without --gossip-listen this node is the only one"},
		"off loopback":           {[]string{"run", "--listen", "0.0.0.0:0", "--data-dir", data}, "development key"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, err := paceline(t, tc.args...)
			if code == 0 {
				t.Fatal("exit code 0")
			}
			if !strings.Contains(err, tc.want) {
				t.Fatalf("stderr = %q, want it to say %q", err, tc.want)
			}
			if n := strings.Count(strings.TrimSpace(err), "\n"); n != 0 {
				t.Fatalf("stderr has %d lines, want one sentence:\n%s", n+1, err)
			}
		})
	}
	for _, made := range []string{"misspelt.keys", "misspelt"} {
		if _, err := os.Stat(filepath.Join(dir, made)); err == nil {
			t.Errorf("%s was made by a command that only reads", made)
		}
	}
}

// TestConfigurationOrder: file, then environment, then flags.
func TestConfigurationOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.json")
	if err := os.WriteFile(file, []byte(`{"log-level": "warn", "store-workers": 7, "grain-idle": "90s"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	printed := func(args ...string) map[string]any {
		t.Helper()
		code, out, err := paceline(t, append([]string{"config", "print", "--config", file}, args...)...)
		if code != 0 {
			t.Fatalf("config print: %s", err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := printed(); m["log-level"] != "warn" || m["store-workers"] != 7.0 || m["grain-idle"] != "1m30s" || m["listen"] != "127.0.0.1:8080" {
		t.Errorf("from the file: %v", m)
	}
	t.Setenv("PACELINE_LOG_LEVEL", "error")
	if m := printed(); m["log-level"] != "error" {
		t.Errorf("the environment does not win over the file: %v", m["log-level"])
	}
	if m := printed("--log-level", "debug"); m["log-level"] != "debug" {
		t.Errorf("a flag does not win: %v", m["log-level"])
	}
	// What is printed can be read.
	code, out, _ := paceline(t, "config", "print")
	whole := filepath.Join(t.TempDir(), "whole.json")
	if err := os.WriteFile(whole, []byte(out), 0o600); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	if code, _, err := paceline(t, "config", "check", whole); code != 0 {
		t.Errorf("config check of what config print wrote: %s", err)
	}
}
