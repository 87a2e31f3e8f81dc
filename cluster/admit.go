package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
)

// A beginner proves himself before anybody can see him: a node that gossips with the right key and cannot be talked to,
// or whose clock is another one, would be given grains that nobody reaches, or that tell another time. So he looks for
// the members' rows, knocks at their ports and compares clocks, and begins only if they would have him.

// MaxApart is how far the clocks of two members may be apart when one of them begins. Athletes' times rest on the clock
// of the node that they are connected to, and a row is read some time after it was written: less cannot be told from a slow store.
const MaxApart = 5 * time.Second

const (
	// knockWithin bounds one handshake.
	knockWithin = 2 * time.Second
	// movesWithin is how long a row is watched, if its member is to be the reason for a refusal: a member that lives
	// renews it every second, one that was killed does not, and somebody else may use its address.
	movesWithin = 3 * time.Second
	lookAgain   = 200 * time.Millisecond
)

// ErrRefused says that members that serve would not have this node.
var ErrRefused = errors.New("this node cannot join")

// beginner is what is asked before a member starts.
type beginner struct {
	nodes   nodes
	address string      // its own
	tls     *tls.Config // nil: it talks without
	now     func() time.Time
}

// admit is nil, or why the members that serve would not have this node.
func (b beginner) admit(ctx context.Context) error {
	rows, err := b.nodes.all(ctx)
	if err != nil {
		return fmt.Errorf("read the members' rows: %w", err)
	}
	wrong := b.wrongs(ctx, rows)
	if len(wrong) == 0 {
		return nil
	}
	// Only those that move count.
	before := make(map[string]uint64)
	for _, r := range rows {
		before[r.GetId()] = r.GetBeat()
	}
	end := time.NewTimer(movesWithin)
	defer end.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		rows, err := b.nodes.all(ctx)
		if err != nil {
			return fmt.Errorf("read the members' rows: %w", err)
		}
		for _, r := range rows {
			if was, known := before[r.GetId()]; !known || r.GetBeat() == was || wrong[r.GetId()] == nil {
				continue
			}
			if apart := b.apart(r); wrong[r.GetId()].clock && apart.Abs() <= MaxApart {
				delete(wrong, r.GetId()) // its row was an old one
				continue
			}
			return wrong[r.GetId()].sentence(b.now(), r)
		}
	}
}

// objection is what stands between this node and a member.
type objection struct {
	clock bool
	why   string // of a certificate
}

func (o *objection) sentence(now time.Time, r *clusterv1.NodeRow) error {
	if o.clock {
		return fmt.Errorf("%w: its clock shows %s and that of the member at %s %s, more than %v apart (set the clock, by NTP)",
			ErrRefused, now.UTC().Format(time.RFC3339), r.GetAddress(), time.UnixMilli(r.GetNowMs()).UTC().Format(time.RFC3339), MaxApart)
	}
	return fmt.Errorf("%w: %s (--node-cert, --node-key, --node-ca)", ErrRefused, o.why)
}

// wrongs asks every member that has a row at once, and keeps what is wrong, by id. That one does not answer is nothing:
// he may be dead, or begin himself.
func (b beginner) wrongs(ctx context.Context, rows []*clusterv1.NodeRow) map[string]*objection {
	var mu sync.Mutex
	wrong := make(map[string]*objection)
	var all sync.WaitGroup
	for _, r := range rows {
		if r.GetAddress() == b.address {
			continue // a run before this one
		}
		all.Go(func() {
			there, err := knock(ctx, r.GetAddress(), b.tls)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				wrong[r.GetId()] = &objection{why: err.Error()}
			case there && r.GetNowMs() != 0 && b.apart(r).Abs() > MaxApart:
				wrong[r.GetId()] = &objection{clock: true}
			}
		})
	}
	all.Wait()
	return wrong
}

// apart is how far this clock is ahead of a member's, as of the writing of its row: a row is read some time after.
func (b beginner) apart(r *clusterv1.NodeRow) time.Duration {
	return b.now().Sub(time.UnixMilli(r.GetNowMs()))
}

// knock shakes hands with a member. The error is one that says something about certificates, in words.
func knock(ctx context.Context, address string, config *tls.Config) (there bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, knockWithin)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, nil
	}
	defer func() { _ = raw.Close() }()
	plain := config == nil
	if plain {
		config = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // whether there is TLS at all is the question
	}
	if at, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(at)
	}
	c := tls.Client(raw, config)
	if err = c.HandshakeContext(ctx); err == nil {
		// In TLS 1.3 a client is through before the server has looked at its certificate: what it says next tells.
		_, err = c.Read(make([]byte, 1))
	}
	var alert tls.AlertError
	switch {
	case plain && (err == nil || errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:")):
		return true, fmt.Errorf("the member at %s talks with certificates, and this node without", address)
	case err == nil || plain:
		return true, nil
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return true, fmt.Errorf("the member at %s does not accept its certificate: %w", address, err)
	case certificate(err):
		return true, fmt.Errorf("it does not accept the certificate of the member at %s: %w", address, err)
	case strings.Contains(err.Error(), "first record does not look like a TLS handshake"):
		return true, fmt.Errorf("the member at %s talks without certificates, and this node with one", address)
	}
	return true, nil // cut off, or too slow: that says nothing
}

// certificate reports whether an error is about the other side's.
func certificate(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification) || strings.Contains(err.Error(), "x509:")
}

// now is the wall clock.
func (m *Many) now() func() time.Time {
	if m.Now != nil {
		return m.Now
	}
	return time.Now
}

// Refused is nil, or why those that this node gossips with would not have it: the one of them who says so surely, if none
// is seen. It is asked while a node waits to serve.
func (c *Cluster) Refused() error {
	g := c.Gossip()
	if g == nil {
		return nil
	}
	r, alone := g.Alone()
	if !alone {
		return nil
	}
	return fmt.Errorf("%w: %s is there, and %s (--gossip-key-file)", ErrRefused, r.Address, r.Why)
}

// admitted asks the members before this one begins.
func admitted(ctx context.Context, cfg Config) error {
	b := beginner{nodes: nodesOf(cfg.Many.Rows, cfg.Name), address: cfg.Advertise, now: cfg.Many.now()}
	if b.address == "" {
		b.address = net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
	}
	if cert := cfg.Many.Certificate; cert != nil {
		b.tls = cert.Client()
	}
	return b.admit(ctx)
}
