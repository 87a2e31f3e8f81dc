package cql

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"time"
)

// Config says where the servers are and how much may be asked of them at once.
type Config struct {
	// Hosts are the servers to begin with, "host" or "host:port"; the others are learned from them.
	Hosts []string
	// Keyspace holds the tables.
	Keyspace string
	// Datacenter is the one to write through. Empty: that of the servers, if they all are in one. All nodes of
	// an installation need the same.
	Datacenter string
	// Username and Password; empty: none are given.
	Username, Password string
	// CAFile names the certificates to trust; empty: no TLS.
	CAFile string
	// CertFile and KeyFile are what we show, where the servers ask for it; both or none, and only with CAFile.
	CertFile, KeyFile string

	// Timeout is for one request to one server. It must be longer than the servers' own (2 s for a write, 5 s
	// for a read), or outcomes are unknown that the server would have told.
	Timeout time.Duration
	// ConnectTimeout is for one connection, at the start and when a server comes back.
	ConnectTimeout time.Duration
	// Connections to each server; on ScyllaDB the driver makes one for each shard instead.
	Connections int

	// Reads, Writes and Conditionals are how many of each kind may be under way. More gives throughput until the
	// servers queue; then it only gives latency.
	Reads, Writes, Conditionals int
	// Waiting is how many more of each kind may wait for their turn. The next one fails with ErrUnavailable.
	Waiting int

	// BatchBytes is the most that is sent as one batch over several partitions: servers refuse larger ones
	// (Cassandra over 50 KiB, unless batch_size_fail_threshold says otherwise). A larger Put is cut, in order.
	BatchBytes int

	// Log hears what the CQL library has to say; nil: nobody does.
	Log *slog.Logger
}

// Default is for a server on this machine.
func Default() Config {
	return Config{
		Hosts:          []string{"127.0.0.1:9042"},
		Keyspace:       "paceline",
		Timeout:        6 * time.Second,
		ConnectTimeout: 2 * time.Second,
		Connections:    2,
		Reads:          256,
		Writes:         512,
		Conditionals:   128,
		Waiting:        4096,
		BatchBytes:     48 << 10,
	}
}

const defaultPort = 9042

// reKeyspace: the name goes into statements as it is.
var reKeyspace = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// ErrConfig: the settings cannot be meant.
var ErrConfig = errors.New("cql: wrong setting")

func (c *Config) validate() error {
	switch {
	case len(c.Hosts) == 0:
		return fmt.Errorf("%w: no hosts", ErrConfig)
	case !reKeyspace.MatchString(c.Keyspace):
		return fmt.Errorf("%w: keyspace %q: want small letters, digits and _, at most 48", ErrConfig, c.Keyspace)
	case c.Timeout <= 0 || c.ConnectTimeout <= 0:
		return fmt.Errorf("%w: a timeout of %v and a connect timeout of %v: both must be above 0", ErrConfig, c.Timeout, c.ConnectTimeout)
	case c.Connections < 1 || c.Reads < 1 || c.Writes < 1 || c.Conditionals < 1 || c.Waiting < 0:
		return fmt.Errorf("%w: connections, reads, writes and conditionals must be 1 at least", ErrConfig)
	case c.BatchBytes < 1:
		return fmt.Errorf("%w: batch bytes %d", ErrConfig, c.BatchBytes)
	case c.Password != "" && c.Username == "":
		return fmt.Errorf("%w: a password without a username", ErrConfig)
	}
	_, _, err := c.addresses()
	return err
}

// addresses are the hosts without their ports, and the port, which all share: servers tell each other's addresses
// without one.
func (c *Config) addresses() (hosts []string, port int, err error) {
	for _, h := range c.Hosts {
		host, p := h, defaultPort
		if name, text, splitErr := net.SplitHostPort(h); splitErr == nil {
			host = name
			if p, err = strconv.Atoi(text); err != nil || p < 1 || p > 65535 {
				return nil, 0, fmt.Errorf("%w: port of %q", ErrConfig, h)
			}
		}
		if host == "" {
			return nil, 0, fmt.Errorf("%w: host %q", ErrConfig, h)
		}
		if port != 0 && p != port {
			return nil, 0, fmt.Errorf("%w: ports %d and %d: all servers must have the same", ErrConfig, port, p)
		}
		hosts, port = append(hosts, host), p
	}
	return hosts, port, nil
}
