package demo

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnnouncement(t *testing.T) {
	var to bytes.Buffer
	var heard []string
	a := &announcement{to: &to, heard: func(address string) { heard = append(heard, address) }}
	said := "starting\npaceline serves on http://127.0.0.1:4711\npaceline serves on http://127.0.0.1:1\nrest"
	for i := 0; i < len(said); i += 3 { // in pieces, as a pipe may give it
		if _, err := a.Write([]byte(said[i:min(i+3, len(said))])); err != nil {
			t.Fatal(err)
		}
	}
	if len(heard) != 1 || heard[0] != "127.0.0.1:4711" || to.String() != said {
		t.Errorf("heard %q, passed on %q", heard, &to)
	}
}

// TestDemosTogether starts several nodes at the same time, none with a port of its own: each serves, and each is
// asked where it serves, not where another does.
func TestDemosTogether(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "paceline")
	if said, err := exec.Command("go", "build", "-o", binary, "paceline/cmd/node").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	nodes := make([]*child, 3)
	for i := range nodes {
		c, err := newChild(binary, t.TempDir(), "node", usualPort, true)
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = c
		t.Cleanup(func() {
			if err := c.stop(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, c := range nodes {
		if err := c.start(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	at := map[string]bool{}
	for _, c := range nodes {
		if err := c.up(t.Context()); err != nil {
			log, _ := os.ReadFile(c.log.Name())
			t.Fatalf("%v: %s", err, log)
		}
		at[c.url()] = true
	}
	if len(at) != len(nodes) {
		t.Fatalf("%d nodes serve at %v", len(nodes), at)
	}
	was := nodes[0].url()
	if err := nodes[0].kill(); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].start(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].up(t.Context()); err != nil || nodes[0].url() != was {
		t.Errorf("after the kill: at %s, before at %s, %v", nodes[0].url(), was, err)
	}
}

// A port that was asked for is kept, or refused.
func TestPortAskedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := newChild("paceline", t.TempDir(), "node", l.Addr().(*net.TCPAddr).Port, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.log.Close()
	if c.anyPort || !strings.HasSuffix(c.url(), l.Addr().String()) {
		t.Errorf("any port: %v, %s", c.anyPort, c.url())
	}
}
