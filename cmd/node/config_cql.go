package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"paceline/persistence/cql"
	"paceline/persistence/cql/schema"
)

// cqlSettings are those of --store=cql; with another store nobody looks at them.
type cqlSettings struct {
	Hosts        string `name:"cql-hosts" help:"CQL servers to begin with (ScyllaDB, Cassandra), as host or host:port, with commas between; the others are learned from them." default:"127.0.0.1:9042" env:"PACELINE_CQL_HOSTS"`
	Keyspace     string `name:"cql-keyspace" help:"Keyspace that holds the tables." default:"paceline" env:"PACELINE_CQL_KEYSPACE"`
	User         string `name:"cql-user" help:"User of the CQL servers; empty: they ask for none." default:"" env:"PACELINE_CQL_USER"`
	PasswordFile string `name:"cql-password-file" help:"File with that user's password, in its first line; others must not read it." default:"" env:"PACELINE_CQL_PASSWORD_FILE"`
	Datacenter   string `name:"cql-datacenter" help:"Datacenter to write through, the same for all nodes; needed where the servers are in several." default:"" env:"PACELINE_CQL_DATACENTER"`
	CAFile       string `name:"cql-ca-file" help:"Certificates (PEM) that the CQL servers must show one of; empty: no TLS." default:"" env:"PACELINE_CQL_CA_FILE"`
	CertFile     string `name:"cql-cert-file" help:"Certificate (PEM) to show to the CQL servers, if they want one." default:"" env:"PACELINE_CQL_CERT_FILE"`
	KeyFile      string `name:"cql-key-file" help:"That certificate's private key (PEM)." default:"" env:"PACELINE_CQL_KEY_FILE"`
}

const storeCQL = "cql"

func (c cqlSettings) hosts() []string {
	return strings.FieldsFunc(c.Hosts, func(r rune) bool { return r == ',' || r == ' ' })
}

func (c cqlSettings) validate() error {
	for _, h := range c.hosts() {
		name, port := h, "9042"
		if n, p, err := net.SplitHostPort(h); err == nil {
			name, port = n, p
		}
		if name == "" || !isPort(port) || port == "0" {
			return fmt.Errorf("--cql-hosts %q: want host or host:port", h)
		}
	}
	switch {
	case len(c.hosts()) == 0:
		return errors.New("--cql-hosts: no server is named")
	case !schema.GoodKeyspace(c.Keyspace):
		return fmt.Errorf("--cql-keyspace %q: want small letters, digits and _, at most 48, the first a letter, and none of the server's own", c.Keyspace)
	case (c.User == "") != (c.PasswordFile == ""):
		return errors.New("--cql-user and --cql-password-file belong together")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("--cql-cert-file and --cql-key-file belong together")
	case c.CertFile != "" && c.CAFile == "":
		return errors.New("--cql-cert-file without --cql-ca-file: there is no TLS without certificates to trust")
	}
	return nil
}

// driver is what the driver needs; the password is in nothing else.
func (c cqlSettings) driver() (cql.Config, error) {
	d := cql.Default()
	d.Hosts, d.Keyspace, d.Datacenter, d.Username = c.hosts(), c.Keyspace, c.Datacenter, c.User
	d.CAFile, d.CertFile, d.KeyFile = c.CAFile, c.CertFile, c.KeyFile
	for _, file := range []string{c.CAFile, c.CertFile, c.KeyFile} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return d, fmt.Errorf("TLS of the CQL servers: %w", err)
		}
	}
	if c.PasswordFile == "" {
		return d, nil
	}
	var err error
	d.Password, err = readPassword(c.PasswordFile)
	return d, err
}

func readPassword(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("--cql-password-file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("--cql-password-file %s: mode is %#o, anybody may read it; want 0600", file, info.Mode().Perm())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--cql-password-file: %w", err)
	}
	password, _, _ := strings.Cut(string(b), "\n")
	if password = strings.TrimSuffix(password, "\r"); password == "" {
		return "", fmt.Errorf("--cql-password-file %s: its first line is empty", file)
	}
	return password, nil
}

// target is where migrations work.
func (c cqlSettings) target(d cql.Config) schema.Target {
	return schema.Target{Connect: cql.Migrating(d, schema.StatementWithin), Keyspace: c.Keyspace, Datacenter: c.Datacenter}
}
