package cql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"github.com/scylladb/gocqlx/v2"
)

// What can be wrong at the start; each comes with a sentence that says what and where.
var (
	ErrNoAnswer    = errors.New("cql: no server answers")
	ErrCredentials = errors.New("cql: the servers refuse the credentials")
	ErrDatacenter  = errors.New("cql: wrong datacenter")
	ErrNoKeyspace  = errors.New("cql: there is no such keyspace")
	ErrNoTable     = errors.New("cql: tables are missing")
)

// reconnectEvery is how often a server that is away is tried again.
const reconnectEvery = time.Second

// Open connects, and checks that keyspace and tables are there. It makes nothing: cql/schema does.
func Open(ctx context.Context, cfg Config) (*Rows, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	probe, err := Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer probe.Close()
	if err := checkTables(ctx, probe, cfg); err != nil {
		return nil, err
	}
	// The probe has found the datacenter and that the servers let us in; this is the session to stay.
	dc, err := datacenterOf(ctx, probe, cfg)
	if err != nil {
		return nil, err
	}
	session, err := create(ctx, cfg, dc, cfg.Keyspace)
	if err != nil {
		return nil, err
	}
	return newRows(session, cfg), nil
}

// Connect gives a session that is bound to no keyspace, and nothing else of what Open gives: for migrations.
func Connect(ctx context.Context, cfg Config) (gocqlx.Session, error) {
	if err := cfg.validate(); err != nil {
		return gocqlx.Session{}, err
	}
	if cfg.Datacenter != "" {
		session, err := create(ctx, cfg, "", "")
		if err != nil {
			return session, err
		}
		if _, err := datacenterOf(ctx, session, cfg); err != nil {
			session.Close()
			return gocqlx.Session{}, err
		}
		session.Close()
	}
	return create(ctx, cfg, cfg.Datacenter, "")
}

// datacenterOf is the one to write through: the configured one if it exists, else the only one.
func datacenterOf(ctx context.Context, s gocqlx.Session, cfg Config) (string, error) {
	var all []string
	for _, stmt := range []string{"SELECT data_center FROM system.local", "SELECT data_center FROM system.peers"} {
		var found []string
		if err := s.ContextQuery(ctx, stmt, nil).Consistency(gocql.One).SelectRelease(&found); err != nil {
			return "", fmt.Errorf("cql: ask for the datacenter: %w", err)
		}
		all = append(all, found...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	switch {
	case cfg.Datacenter == "" && len(all) == 1:
		return all[0], nil
	case cfg.Datacenter == "":
		return "", fmt.Errorf("%w: the servers are in several (%s): name the one through which all nodes write", ErrDatacenter, strings.Join(all, ", "))
	case !slices.Contains(all, cfg.Datacenter):
		return "", fmt.Errorf("%w: %s is not one of %s", ErrDatacenter, cfg.Datacenter, strings.Join(all, ", "))
	}
	return cfg.Datacenter, nil
}

func checkTables(ctx context.Context, s gocqlx.Session, cfg Config) error {
	var found []string
	q := s.ContextQuery(ctx, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", nil)
	if err := q.Bind(cfg.Keyspace).Consistency(gocql.One).SelectRelease(&found); err != nil {
		return fmt.Errorf("cql: ask for the tables of keyspace %s: %w", cfg.Keyspace, err)
	}
	var missing []string
	for _, t := range tables {
		if t.name != "" && !slices.Contains(found, t.name) {
			missing = append(missing, t.name)
		}
	}
	switch {
	case len(missing) == 0:
		return nil
	case len(found) > 0:
		return fmt.Errorf("%w: keyspace %s on %s has no %s: run paceline migrate", ErrNoTable, cfg.Keyspace, hostsOf(cfg), strings.Join(missing, ", "))
	}
	var names []string
	if err := s.ContextQuery(ctx, "SELECT keyspace_name FROM system_schema.keyspaces", nil).Consistency(gocql.One).SelectRelease(&names); err != nil {
		return fmt.Errorf("cql: ask for the keyspaces: %w", err)
	}
	if !slices.Contains(names, cfg.Keyspace) {
		return fmt.Errorf("%w: %s on %s: is the name right? paceline migrate makes it", ErrNoKeyspace, cfg.Keyspace, hostsOf(cfg))
	}
	return fmt.Errorf("%w: keyspace %s on %s is empty: run paceline migrate", ErrNoTable, cfg.Keyspace, hostsOf(cfg))
}

func hostsOf(cfg Config) string { return strings.Join(cfg.Hosts, ", ") }

// create makes a session, or says in one sentence why there is none.
func create(ctx context.Context, cfg Config, datacenter, keyspace string) (gocqlx.Session, error) {
	hosts, port, err := cfg.addresses()
	if err != nil {
		return gocqlx.Session{}, err
	}
	gate := &gate{user: cfg.Username, password: cfg.Password}
	c := gocql.NewCluster(hosts...)
	c.Port, c.Keyspace = port, keyspace
	c.Authenticator = gate
	c.Timeout, c.WriteTimeout, c.ReadTimeout = cfg.Timeout, cfg.Timeout, 2*cfg.Timeout
	c.ConnectTimeout, c.MetadataSchemaRequestTimeout = cfg.ConnectTimeout, cfg.Timeout
	c.NumConns = cfg.Connections
	c.Consistency, c.SerialConsistency = gocql.LocalQuorum, gocql.LocalSerial
	c.DefaultTimestamp = false // plain writes are bound with theirs, conditional ones have the ballot's
	c.RetryPolicy = never{}    // the driver's own (send.go) knows what may be repeated
	c.ReconnectInterval = reconnectEvery
	c.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 3, Interval: reconnectEvery / 4}
	c.Logger = logger{cfg.Log}
	if cfg.CAFile != "" {
		c.SslOpts = &gocql.SslOptions{CaPath: cfg.CAFile, CertPath: cfg.CertFile, KeyPath: cfg.KeyFile, EnableHostVerification: true}
	}
	fallback := gocql.RoundRobinHostPolicy()
	if datacenter != "" {
		// Without failover: LOCAL_SERIAL of another datacenter would decide on its own.
		fallback = gocql.DCAwareRoundRobinPolicy(datacenter, gocql.HostPolicyOptionDisableDCFailover)
	}
	c.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(fallback, gocql.ShuffleReplicas())

	type made struct {
		session gocqlx.Session
		err     error
	}
	done := make(chan made, 1)
	go func() {
		s, err := gocqlx.WrapSession(c.CreateSession())
		done <- made{s, err}
	}()
	select {
	case m := <-done:
		if m.err == nil {
			return m.session, nil
		}
		return gocqlx.Session{}, gate.explain(cfg, m.err)
	case <-ctx.Done():
		go func() { // the library cannot be told to stop: it gives up by its timeouts
			if m := <-done; m.err == nil {
				m.session.Close()
			}
		}()
		return gocqlx.Session{}, fmt.Errorf("%w at %s: %w", ErrNoAnswer, hostsOf(cfg), ctx.Err())
	}
}

// gate gives user and password, and remembers what became of them: the library's own errors do not say.
type gate struct {
	user, password string
	asked, passed  atomic.Bool
}

// Challenge implements gocql.Authenticator.
func (g *gate) Challenge(req []byte) ([]byte, gocql.Authenticator, error) {
	g.asked.Store(true)
	if g.user == "" {
		return nil, nil, ErrCredentials
	}
	answer, _, err := gocql.PasswordAuthenticator{Username: g.user, Password: g.password}.Challenge(req)
	return answer, g, err
}

// Success implements gocql.Authenticator.
func (g *gate) Success([]byte) error {
	g.passed.Store(true)
	return nil
}

func (g *gate) explain(cfg Config, err error) error {
	switch {
	case g.asked.Load() && cfg.Username == "":
		return fmt.Errorf("%w: %s asks for a user and a password, and none are set", ErrCredentials, hostsOf(cfg))
	case g.asked.Load() && !g.passed.Load():
		return fmt.Errorf("%w: user %s at %s", ErrCredentials, cfg.Username, hostsOf(cfg))
	case strings.Contains(err.Error(), "x509") || strings.Contains(err.Error(), "tls"):
		return fmt.Errorf("%w at %s that shows a certificate to trust: %s", ErrNoAnswer, hostsOf(cfg), oneLine(err))
	}
	return fmt.Errorf("%w CQL at %s: %s", ErrNoAnswer, hostsOf(cfg), oneLine(err))
}

// oneLine is the cause, without what the library was about when it found it.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if _, cause, ok := strings.Cut(text, "last error: "); ok {
		return cause
	}
	return strings.TrimPrefix(text, "gocql: ")
}

// never retries: what may be sent again, and what its outcome then is, is decided in send.go.
type never struct{}

// Attempt implements gocql.RetryPolicy.
func (never) Attempt(gocql.RetryableQuery) bool { return false }

// GetRetryType implements gocql.RetryPolicy.
func (never) GetRetryType(error) gocql.RetryType { return gocql.Rethrow }
