package schema

import (
	"context"
	"errors"
	"time"
)

// LockLife is how long a migrator that has died keeps others waiting. Far longer than one attempt at a statement may take
// (lock.attempt), and each begins with a lock that was renewed.
const LockLife = 120 * time.Second

// lock is the right to migrate.
type lock struct {
	s        *server
	keyspace string
	holder   string
	life     time.Duration
	renewed  time.Time
}

// take waits until nobody else migrates.
func (l *lock) take(ctx context.Context, within time.Duration, say func(string)) error {
	said := ""
	for deadline := time.Now().Add(within); ; {
		other, err := l.hold(ctx, nil)
		if err != nil {
			return err
		}
		if other == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return troubled(ErrLocked, "another migrator is at work: %s (if it has died, its lock ends within %v)", other, l.life)
		}
		if said != other {
			say("waiting for another migrator: " + other)
			said = other
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// renew prolongs it if a good part of its life has gone, or says that it was lost.
func (l *lock) renew(ctx context.Context) error {
	if time.Since(l.renewed) < l.life/4 {
		return nil
	}
	other, err := l.hold(ctx, l.holder)
	if err == nil && other != "" {
		return troubled(ErrLocked, "the lock was lost to %s; run migrate again", other)
	}
	return err
}

// attempt is how long one attempt at a statement may take, with the servers' agreement before and after: with a quarter of
// the life gone before, and a pause and a renewal that is answered late after, the lock still holds.
func (l *lock) attempt() time.Duration { return l.life / 3 }

// hold sets the holder if it is what is expected, nil or a name; it returns who holds it otherwise.
func (l *lock) hold(ctx context.Context, expected any) (other string, err error) {
	began := time.Now()
	const stmt = ` USING TTL ? SET holder = ? WHERE scope = ? IF holder = ?`
	err = l.s.again(ctx, func() error {
		sent := time.Now()
		seen := map[string]any{}
		applied, err := l.s.query(ctx, "", "UPDATE "+l.keyspace+"."+recordTable+stmt, int(l.life/time.Second), l.holder, scope, expected).MapScanCAS(seen)
		if err != nil {
			return err
		}
		switch other = text(seen, "holder"); {
		case applied:
			other, l.renewed = "", sent
			return nil
		case other == l.holder: // an attempt without an answer was applied, or it is renewed a second time
			other, l.renewed = "", began
			return nil
		}
		if other == "" { // renewing, and the lock had ended
			other = "nobody (it took too long)"
		}
		return nil
	})
	return other, err
}

// free gives it back. Should that fail, it ends by itself.
func (l *lock) free(ctx context.Context) error {
	return l.s.again(ctx, func() error {
		_, err := l.s.query(ctx, "", "UPDATE "+l.keyspace+"."+recordTable+" SET holder = null WHERE scope = ? IF holder = ?", scope, l.holder).MapScanCAS(map[string]any{})
		return err
	})
}

var errLost = errors.New("the lock was lost")

// note writes a migration's row, if the lock still holds.
func (l *lock) note(ctx context.Context, r Record) error {
	var finished any
	if r.finished() {
		finished = r.Finished
	}
	const stmt = ` SET name = ?, digest = ?, min_reader = ?, statements = ?, done = ?, done_digest = ?, who = ?, begun_at = ?, finished_at = ?
		WHERE scope = ? AND number = ? IF holder = ?`
	return l.s.again(ctx, func() error {
		applied, err := l.s.query(ctx, "", "UPDATE "+l.keyspace+"."+recordTable+stmt, r.Name, r.Digest, r.MinReader, r.Statements, r.Done, r.DoneDigest,
			r.Who, r.Begun, finished, scope, r.Number, l.holder).MapScanCAS(map[string]any{})
		if err == nil && !applied {
			return permanent{troubled(ErrLocked, "%s: %v; run migrate again", &r, errLost)}
		}
		return err
	})
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
