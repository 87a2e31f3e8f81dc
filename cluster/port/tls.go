package port

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ServerName is in every member's certificate, beside whatever else: members are told apart from strangers by their
// authority, not from each other by their host.
const ServerName = "paceline-node"

// Files of a member's certificate. They are read again when they change, so a certificate is renewed without a restart.
type Files struct {
	Cert, Key string // this member's, PEM
	CA        string // the authorities whose certificates are members', PEM; several during a change
}

// Certificate keeps what the files hold. It is safe for concurrent use.
type Certificate struct {
	files Files

	mu     sync.Mutex
	log    *slog.Logger
	looked time.Time
	stamp  [3]time.Time // of what is held, from before it was read: a change meanwhile is one
	bad    [3]time.Time // of what could not be taken, told of already
	failed int64
	cert   *tls.Certificate
	pool   *x509.CertPool
}

// lookEvery is how often, at most, the files are looked at: at a handshake.
const lookEvery = 5 * time.Second

// Load reads the files, and says what is wrong with them.
func Load(files Files) (*Certificate, error) {
	c := &Certificate{files: files, log: slog.New(slog.DiscardHandler), looked: time.Now()}
	c.stamp = c.stamps()
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// SayTo is who hears when the files have changed, and whether they could be taken.
func (c *Certificate) SayTo(log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = log
}

// Failed is how often the files had changed and could not be taken.
func (c *Certificate) Failed() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *Certificate) read() error {
	cert, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return fmt.Errorf("the node's certificate (%s, %s): %w", c.files.Cert, c.files.Key, err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return fmt.Errorf("the node's certificate %s: %w", c.files.Cert, err)
	}
	pem, err := os.ReadFile(c.files.CA)
	if err != nil {
		return fmt.Errorf("the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("the cluster's authority %s holds no certificate", c.files.CA)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: ServerName, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			return fmt.Errorf("the node's certificate %s would be refused by other nodes: %w", c.files.Cert, err)
		}
	}
	c.cert, c.pool = &cert, pool
	return nil
}

func (c *Certificate) stamps() (at [3]time.Time) {
	for i, name := range []string{c.files.Cert, c.files.Key, c.files.CA} {
		if st, err := os.Stat(name); err == nil {
			at[i] = st.ModTime()
		}
	}
	return at
}

// newest is what the files hold now; what they held before, if they cannot be read (half of them may be written).
func (c *Certificate) newest() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		c.looked = time.Now()
		if now := c.stamps(); now != c.stamp {
			c.renew(now)
		}
	}
	return c.cert, c.pool
}

// renew reads files that have changed. What cannot be taken is told of once for each change, and tried again: nobody else
// would say so before the certificate that is held expires.
func (c *Certificate) renew(now [3]time.Time) {
	if err := c.read(); err != nil {
		c.failed++
		if now != c.bad {
			c.bad = now
			c.log.Warn("the node's certificate has changed and cannot be taken; the one from before is used, and the files are read again", "err", err)
		}
		return
	}
	c.stamp, c.bad = now, [3]time.Time{}
	c.log.Info("the node's certificate was read anew")
}

// Server asks every caller for a certificate of the cluster.
func (c *Certificate) Server() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		cert, pool := c.newest()
		return &tls.Config{
			MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
			Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			VerifyConnection: isMember,
		}, nil
	}
	return base
}

// Client shows this member's certificate, and wants one of the cluster.
func (c *Certificate) Client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ServerName: ServerName,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, _ := c.newest()
			return cert, nil
		},
		// Verified below, against the authorities of now: a tls.Config keeps those of its making.
		InsecureSkipVerify: true, //nolint:gosec
		VerifyConnection: func(s tls.ConnectionState) error {
			_, pool := c.newest()
			return verify(s, pool, x509.ExtKeyUsageServerAuth)
		},
	}
}

// isMember wants the name that members' certificates bear: another certificate of the same authority is not one.
func isMember(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	return s.PeerCertificates[0].VerifyHostname(ServerName)
}

func verify(s tls.ConnectionState, pool *x509.CertPool, use x509.ExtKeyUsage) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, DNSName: ServerName, KeyUsages: []x509.ExtKeyUsage{use},
	})
	return err
}
