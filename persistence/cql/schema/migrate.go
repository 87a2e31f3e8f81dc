package schema

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Options of a run.
type Options struct {
	// Who is noted: host, process, user.
	Who string
	// Nonce makes this migrator another one than any with the same Who.
	Nonce string
	// Replication makes the keyspace if there is none (ParseReplication). Empty: it must be there.
	Replication string
	// LockWait is how long to wait for another migrator; 0: not at all.
	LockWait time.Duration
	// Say takes what happens, line by line; nil: nobody listens.
	Say func(line string)
	// BreakOlder runs also what the nodes that serve may not be able to read.
	BreakOlder bool
	// Watch is how long a row of a node must stand still to be that of one which does not serve.
	Watch time.Duration
	// NodeName is a node for a person, by the cell of its row; nil, or "": the row's key does.
	NodeName func(cell []byte) string
	// Now is the wall clock.
	Now func() time.Time

	lockLife time.Duration // of a test; 0: LockLife
}

func (o *Options) nameOf(member, cell []byte) string {
	if o.NodeName != nil {
		if name := o.NodeName(cell); name != "" {
			return name
		}
	}
	return fmt.Sprintf("%q", member)
}

// Migrate brings the keyspace to this binary's schema. It may be run again, also by several at once.
func (s Set) Migrate(ctx context.Context, t Target, o Options) (err error) {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	db, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	if err := t.ensureKeyspace(ctx, db, o); err != nil {
		return err
	}
	l := &lock{s: db, keyspace: t.Keyspace, holder: o.Who + " " + o.Nonce, life: cmp.Or(o.lockLife, LockLife)}
	if err := l.take(ctx, o.LockWait, o.Say); err != nil {
		return err
	}
	defer func() {
		// Also after the context has ended: the next one should not wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, l.free(ctx))
	}()
	noted, err := records(ctx, db, t.Keyspace)
	if err != nil {
		return err
	}
	pending, newer, err := s.agrees(noted)
	if err != nil {
		return err
	}
	if len(newer) > 0 {
		if err := s.readable(newer); err != nil {
			return err
		}
		o.Say(fmt.Sprintf("schema %d is newer than this binary's (%d) and works with it", newer[len(newer)-1].Number, s.newest()))
	}
	if err := pending.older(ctx, db, t, noted, &o); err != nil {
		return err
	}
	for i := range pending {
		m := &pending[i]
		var before *Record
		if m.Number <= len(noted) {
			before = &noted[m.Number-1]
		}
		if err := m.run(ctx, db, l, before, o); err != nil {
			return err
		}
	}
	if err := s.missing(ctx, db, t.Keyspace); err != nil {
		return err
	}
	if len(pending) == 0 {
		o.Say(fmt.Sprintf("nothing to do: keyspace %s is at schema %d", t.Keyspace, max(s.newest(), len(noted))))
	}
	for _, w := range t.warned(ctx, db) {
		o.Say("warning: " + w)
	}
	return nil
}

// run runs one migration; before is what a migrator noted that did not finish it.
func (m *Migration) run(ctx context.Context, db *server, l *lock, before *Record, o Options) error {
	r := Record{Number: m.Number, Name: m.Name, MinReader: m.MinReader, Digest: m.Digest, Statements: len(m.statements), Who: o.Who, Begun: o.Now()}
	if before != nil {
		// What has run must be what this binary would have run; what has not may have been mended since.
		if before.Done > len(m.statements) || m.prefixDigest(before.Done) != before.DoneDigest {
			return troubled(ErrChanged, "%s, and its first %d statements are not this binary's: finish it with the binary that began it", before.half(), before.Done)
		}
		o.Say(before.half() + ": taken up again")
	}
	r.DoneDigest = m.prefixDigest(0)
	if before != nil {
		r.Done, r.DoneDigest = before.Done, before.DoneDigest
	}
	if err := l.note(ctx, r); err != nil {
		return fmt.Errorf("migration %s: %w", m, err)
	}
	for i := range m.statements {
		if err := db.change(ctx, l, &m.statements[i]); err != nil {
			return fmt.Errorf("migration %s, statement %d of %d (%s): %w", m, i+1, len(m.statements), m.statements[i].table, err)
		}
		if i+1 <= r.Done { // repeated
			continue
		}
		r.Done, r.DoneDigest = i+1, m.prefixDigest(i+1)
		if r.Done == len(m.statements) {
			break // noted with the end
		}
		if err := l.note(ctx, r); err != nil {
			return fmt.Errorf("migration %s: %w", m, err)
		}
	}
	r.Finished = o.Now()
	if err := l.note(ctx, r); err != nil {
		return fmt.Errorf("migration %s: %w", m, err)
	}
	o.Say(fmt.Sprintf("applied %s (%d statements)", m, len(m.statements)))
	return nil
}

// change runs a statement that changes tables, on one node and with agreement before and after: servers that learn
// tables by gossip make two of a table that two nodes are asked for at the same time. The lock is renewed for every
// attempt, and none may outlast it.
func (s *server) change(ctx context.Context, l *lock, st *statement) error {
	return s.again(ctx, func() error {
		if err := l.renew(ctx); err != nil {
			return permanent{err}
		}
		within, cancel := context.WithTimeout(ctx, l.attempt())
		defer cancel()
		err := s.try(within, l.keyspace, st)
		if err != nil && within.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("%w within %v", errSlow, l.attempt())
		}
		return err
	})
}

// errSlow is of one attempt: the next one may be faster.
var errSlow = errors.New("the servers have not made the change, or not agreed on it,")

func (s *server) try(ctx context.Context, keyspace string, st *statement) error {
	if err := s.session.AwaitSchemaAgreement(ctx); err != nil {
		return err
	}
	if st.verb == addColumn {
		have, err := s.ask(ctx, "", `SELECT type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND column_name = ?`, keyspace, st.table, st.cols[0].name)
		if err != nil {
			return err
		}
		if len(have) > 0 {
			return nil // a column of another type is found at the end, with everything else that is missing
		}
	}
	return s.ddl(ctx, st.in(keyspace))
}

func (s *server) ddl(ctx context.Context, stmt string) error {
	first := ""
	if all := s.hosts(); slices.ContainsFunc(all, host.up) {
		first = all[slices.IndexFunc(all, host.up)].id
	}
	if err := s.query(ctx, first, stmt).Exec(); err != nil {
		return err
	}
	return s.session.AwaitSchemaAgreement(ctx)
}

// permanent is an error that no repetition mends.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// attempts is how often what may be repeated is tried.
const attempts = 5

// again repeats what may be repeated: an attempt without an answer may have been applied, and is applied again.
func (s *server) again(ctx context.Context, do func() error) error {
	wait := 200 * time.Millisecond
	for n := 1; ; n++ {
		err := do()
		var stop permanent
		if errors.As(err, &stop) {
			return stop.error
		}
		if err == nil || n == attempts || !passing(err) {
			return plain(err)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// passing reports whether an error may go away by itself.
func passing(err error) bool {
	var known gocql.RequestError
	if !errors.As(err, &known) {
		return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	switch known.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized, gocql.ErrCodeCredentials, gocql.ErrCodeProtocol, gocql.ErrCodeUnavailable:
		return false
	case gocql.ErrCodeInvalid, gocql.ErrCodeConfig:
		// A node that has not heard yet of what another one has just made.
		text := strings.ToLower(known.Message())
		return strings.Contains(text, "unconfigured table") || strings.Contains(text, "does not exist") || strings.Contains(text, "id mismatch")
	}
	return true
}

// plain makes the driver's error one line.
func plain(err error) error {
	var known gocql.RequestError
	if errors.As(err, &known) {
		return errors.New(oneLine(err))
	}
	return err
}
