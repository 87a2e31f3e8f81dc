package cql

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"paceline/internal/testkit"
)

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"default", func(*Config) {}, ""},
		{"no hosts", func(c *Config) { c.Hosts = nil }, "no hosts"},
		{"empty host", func(c *Config) { c.Hosts = []string{":9042"} }, `host ":9042"`},
		{"port", func(c *Config) { c.Hosts = []string{"a:99999"} }, `port of "a:99999"`},
		{"two ports", func(c *Config) { c.Hosts = []string{"a:1", "b:2"} }, "ports 1 and 2"},
		{"one port twice", func(c *Config) { c.Hosts = []string{"a", "b:9042"} }, ""},
		{"keyspace", func(c *Config) { c.Keyspace = "x; DROP" }, "keyspace"},
		{"no keyspace", func(c *Config) { c.Keyspace = "" }, "keyspace"},
		{"timeout", func(c *Config) { c.Timeout = 0 }, "timeout"},
		{"nothing at once", func(c *Config) { c.Writes = 0 }, "1 at least"},
		{"batch", func(c *Config) { c.BatchBytes = 0 }, "batch"},
		{"password alone", func(c *Config) { c.Password = "secret" }, "without a username"},
	} {
		cfg := Default()
		tt.change(&cfg)
		err := cfg.validate()
		if (err == nil) != (tt.says == "") || err != nil && (!errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want something with %q", tt.name, err, tt.says)
		}
	}
}

// silent listens and never answers.
func silent(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// guarded asks everybody for a password and takes none.
func guarded(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	text := func(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }
	answers := map[byte]struct {
		opcode byte
		body   []byte
	}{
		0x05: {0x06, []byte{0, 0}},                                                           // options: supported, nothing special
		0x01: {0x03, text("org.apache.cassandra.auth.PasswordAuthenticator")},                // startup: authenticate
		0x0f: {0x00, append([]byte{0, 0, 1, 0}, text("Provided username is incorrect.")...)}, // answer: bad credentials
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for {
					frame, _, opcode, err := testkit.ReadCQLFrame(c)
					if err != nil {
						return
					}
					a := answers[opcode]
					head := append([]byte{frame[0] | 0x80, 0, frame[2], frame[3], a.opcode}, 0, 0, 0, byte(len(a.body)))
					if _, err := c.Write(append(head, a.body...)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestOpenSaysWhatIsWrong: one sentence each, in time, and nothing left running.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	server(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	guard := guarded(t)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   error
		says   string
	}{
		{"nobody listens", func(c *Config) { c.Hosts = []string{nobody} }, ErrNoAnswer, nobody},
		{"nobody answers", func(c *Config) { c.Hosts = []string{silent(t)} }, ErrNoAnswer, "127.0.0.1:"},
		{"no such name", func(c *Config) { c.Hosts = []string{"no-such-host.invalid"} }, ErrNoAnswer, "no-such-host.invalid"},
		{"a password is asked for", func(c *Config) { c.Hosts = []string{guard} }, ErrCredentials, "none are set"},
		{"wrong password", func(c *Config) { c.Hosts, c.Username, c.Password = []string{guard}, "ann", "secret" }, ErrCredentials, "user ann at " + guard},
		{"wrong keyspace", func(c *Config) { c.Keyspace = "no_such_keyspace" }, ErrNoKeyspace, "no_such_keyspace"},
		{"a keyspace of others", func(c *Config) { c.Keyspace = "system" }, ErrNoTable, "journal"},
		{"wrong datacenter", func(c *Config) { c.Datacenter = "atlantis" }, ErrDatacenter, "atlantis is not one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := world.cfg
			cfg.ConnectTimeout = time.Second
			tt.change(&cfg)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			rows, err := Open(ctx, cfg)
			if err == nil {
				_ = rows.Close()
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%v, want %v with %q", err, tt.want, tt.says)
			}
			if strings.Contains(err.Error(), "secret") || strings.ContainsAny(err.Error(), "\n\t") {
				t.Errorf("not one sentence, or it tells a secret: %q", err)
			}
			t.Log(err)
		})
	}
}
