package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"paceline/domain/step"
	"paceline/persistence"
	"paceline/persistence/cql"
	"paceline/persistence/cql/schema"
)

// Ring is the servers, numbered from 1.
type Ring interface {
	Hosts() []string
	Kill(n int) error    // SIGKILL
	Restart(n int) error // returns when it answers
}

// Trial says what is tried.
type Trial struct {
	Ring   Ring
	Rounds []Kill
	Binary string    // whose main runs RunNode if NodeVariable is set
	Log    io.Writer // of the node
	Say    func(format string, args ...any)

	// Off and Early break a rule, to see the trial fail.
	Off   []step.Rule
	Early bool
}

// Kill is what is killed in a round.
type Kill int

// The replica is another one in each round.
const (
	Replica       Kill = iota // a replica
	Both                      // a replica and the node, at the same time
	NodeWhileAway             // a replica, and the node while the replica is away
	NodeAtReturn              // a replica, and the node as soon as the replica is back
	kills
)

func (k Kill) String() string {
	return [...]string{"a replica", "a replica and the node at once", "a replica, the node while it is away", "a replica, the node when it is back"}[k]
}

// Rounds is each kill in turn.
func Rounds(n int) []Kill {
	all := make([]Kill, n)
	for i := range all {
		all[i] = Kill(i) % kills
	}
	return all
}

// between is how much must have been acknowledged before the next kill: it then hits in the middle of writes.
var between = count{commands: 30, samples: 100}

type run struct {
	Trial
	order  order
	ledger *ledger
	read   *reading
	node   *nodeProcess
	report *Report
}

// Run holds the trial. The report is there also with an error, as far as it came.
func Run(ctx context.Context, t Trial) (_ *Report, err error) {
	o := order{hosts: t.Ring.Hosts(), keyspace: "trial_replica", acked: make([]uint64, clients), off: t.Off, early: t.Early}
	cfg := cql.Default()
	cfg.Hosts, cfg.Keyspace = o.hosts, o.keyspace
	if err := makeTables(ctx, cfg, min(3, len(o.hosts))); err != nil {
		return nil, err
	}
	rows, err := cql.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("replica: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	r := &run{Trial: t, order: o, ledger: newLedger(), read: newReading(persistence.Over(rows)), report: newReport(len(o.hosts))}
	if err := r.startNode(); err != nil {
		return r.report, err
	}
	defer func() { r.node.kill() }()
	for i, k := range t.Rounds {
		if err := r.round(ctx, i, k); err != nil {
			return r.report, fmt.Errorf("round %d (%v): %w", i+1, k, err)
		}
	}
	r.node.kill()
	if err := r.last(ctx); err != nil {
		return r.report, err
	}
	r.report.outcomes = r.ledger.decided()
	if r.ledger.strange != "" {
		return r.report, fmt.Errorf("replica: the node said %q", r.ledger.strange)
	}
	return r.report, nil
}

func makeTables(ctx context.Context, cfg cql.Config, copies int) error {
	set, err := schema.Embedded()
	if err != nil {
		return fmt.Errorf("replica: %w", err)
	}
	target := schema.Target{Connect: cql.Migrating(cfg, schema.StatementWithin), Keyspace: cfg.Keyspace}
	err = set.Migrate(ctx, target, schema.Options{Who: "trial", Replication: fmt.Sprint(copies), Now: time.Now})
	if err != nil {
		return fmt.Errorf("replica: make the tables: %w", err)
	}
	return nil
}

func (r *run) startNode() (err error) {
	r.ledger.mu.Lock()
	copy(r.order.acked, r.ledger.acked)
	r.ledger.mu.Unlock()
	r.node, err = startNode(r.order, r.ledger, r.Binary, r.Log)
	return err
}

// killNode kills the node and starts it again.
func (r *run) killNode() error {
	r.node.kill()
	return r.startNode()
}

// more waits until writes go on.
func (r *run) more(ctx context.Context, why string) error {
	return r.node.await(ctx, r.ledger, r.ledger.count(), between, why)
}

func (r *run) round(ctx context.Context, i int, k Kill) error {
	began := time.Now()
	if err := r.more(ctx, "before the kill"); err != nil {
		return err
	}
	victim := i%len(r.order.hosts) + 1
	if err := r.strike(ctx, victim, k); err != nil {
		return err
	}
	if err := r.Ring.Restart(victim); err != nil {
		return err
	}
	if k == NodeAtReturn {
		if err := r.killNode(); err != nil {
			return err
		}
	}
	if err := r.more(ctx, "after the replica had come back"); err != nil {
		return err
	}
	t := r.ledger.told()
	err := r.read.check(ctx, t)
	r.report.add(k.String(), t.count, r.read)
	r.Say("round %d: %v (replica %d): %s, %v", i+1, k, victim, r.report.lastLine(), time.Since(began).Round(time.Second))
	return err
}

// strike kills the replica, and the node if this kill says so; with two replicas of three the writes go on.
func (r *run) strike(ctx context.Context, victim int, k Kill) error {
	if err := r.Ring.Kill(victim); err != nil {
		return err
	}
	if k == Both {
		if err := r.killNode(); err != nil {
			return err
		}
	}
	if len(r.order.hosts) < 3 {
		if k == NodeWhileAway {
			return r.killNode()
		}
		return nil
	}
	if err := r.more(ctx, "with a replica away"); err != nil {
		return err
	}
	if k != NodeWhileAway {
		return nil
	}
	if err := r.killNode(); err != nil {
		return err
	}
	return r.more(ctx, "with a replica away, after the node was killed")
}

// last reads everything once more from the beginning, and, where there are three, with each replica away in turn: what
// was acknowledged is on every quorum.
func (r *run) last(ctx context.Context) error {
	t := r.ledger.told()
	t.answers = nil
	away := []int{0}
	if n := len(r.order.hosts); n == 3 {
		away = []int{1, 2, 3}
	}
	for _, n := range away {
		name := "read again from the beginning"
		if n > 0 {
			name = "read again with each replica away in turn"
			if err := r.Ring.Kill(n); err != nil {
				return err
			}
		}
		again := newReading(r.read.store)
		if err := again.check(ctx, t); err != nil {
			return err
		}
		r.report.addReading(name, t.count, again)
		if n > 0 {
			if err := r.Ring.Restart(n); err != nil {
				return err
			}
		}
	}
	return nil
}
