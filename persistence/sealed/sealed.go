package sealed

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"paceline/persistence"
)

// Config is how a store is sealed.
type Config struct {
	Wrapping WrappingKey
	// CachedKeys bounds the unwrapped keys in memory (about 1 KiB each); 0: 10,000.
	CachedKeys int
	// Random makes keys; nil: the system's. Only a simulated world gives its own.
	Random io.Reader
}

// Rows implements persistence.Rows and what belongs to it.
type Rows struct {
	under persistence.Rows
	keys  keyTable
	blind []byte
}

var (
	_ persistence.Rows       = (*Rows)(nil)
	_ persistence.Identifier = (*Rows)(nil)
	_ persistence.Blinder    = (*Rows)(nil)
	_ persistence.Scanner    = (*Rows)(nil)
)

// New seals a driver. It fails if the store was begun with another wrapping key.
func New(ctx context.Context, rows persistence.Rows, cfg Config) (*Rows, error) {
	if cfg.CachedKeys <= 0 {
		cfg.CachedKeys = 10_000
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	r := &Rows{
		under: rows,
		keys: keyTable{rows: rows, wrap: newAEAD(derive(cfg.Wrapping[:], "wrapping")), random: cfg.Random,
			most: cfg.CachedKeys, cache: make(map[string]*subjectKeys)},
		blind: derive(cfg.Wrapping[:], "blind"),
	}
	if err := r.keys.check(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Erase destroys the key of a subject, for good. It may be repeated.
func (r *Rows) Erase(ctx context.Context, subject string) error {
	if err := r.keys.erase(ctx, subject); err != nil {
		return fmt.Errorf("erase %s: %w", subject, err)
	}
	return nil
}

// Forget drops a subject's key from the cache: it was erased by another process.
func (r *Rows) Forget(subject string) { r.keys.forget(subject) }

// RowID implements persistence.Identifier.
func (r *Rows) RowID(ctx context.Context, subject string, plain []byte) ([16]byte, error) {
	k, err := r.keys.of(ctx, subject, toSeal)
	if err != nil {
		return [16]byte{}, err
	}
	return [16]byte(mac(k.names, plain)[:16]), nil
}

// Blind implements persistence.Blinder.
func (r *Rows) Blind(value string) string { return hex.EncodeToString(mac(r.blind, []byte(value))) }

// cellFormat is the first byte of a sealed cell: format, nonce, ciphertext with tag.
const cellFormat = 1

// place is the row's key as bytes: the cell is bound to it.
func place(p persistence.Part, cluster string) []byte {
	b := append(make([]byte, 0, len(p.Key)+len(cluster)+8), byte(p.Table))
	b = binary.AppendUvarint(b, uint64(len(p.Key)))
	b = append(b, p.Key...)
	return append(b, cluster...)
}

func (k *subjectKeys) seal(p persistence.Part, row persistence.Row) persistence.Row {
	at := place(p, row.Cluster)
	n := k.cells.NonceSize()
	cell := make([]byte, 1, 1+n+len(row.Cell)+k.cells.Overhead())
	cell[0] = cellFormat
	cell = append(cell, mac(k.nonces, at, row.Cell)[:n]...)
	return persistence.Row{Cluster: row.Cluster, Cell: k.cells.Seal(cell, cell[1:], row.Cell, at)}
}

func (k *subjectKeys) open(p persistence.Part, cluster string, cell []byte) ([]byte, error) {
	n := 1 + k.cells.NonceSize()
	if len(cell) < n || cell[0] != cellFormat {
		return nil, fmt.Errorf("%w: sealed cell", persistence.ErrCorrupt)
	}
	plain, err := k.cells.Open(make([]byte, 0, len(cell)), cell[1:n], cell[n:], place(p, cluster))
	if err != nil {
		return nil, fmt.Errorf("%w: sealed cell", persistence.ErrCorrupt)
	}
	return plain, nil
}

// PutIf implements persistence.Rows.
func (r *Rows) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (bool, persistence.Head, error) {
	if p.Subject != "" {
		k, err := r.keys.of(ctx, p.Subject, toSeal)
		if err != nil {
			return false, persistence.Head{}, err
		}
		closed := make([]persistence.Row, len(rows))
		for i := range rows {
			closed[i] = k.seal(p, rows[i])
		}
		rows = closed
	}
	return r.under.PutIf(ctx, p, expected, head, rows)
}

// Put implements persistence.Rows.
func (r *Rows) Put(ctx context.Context, muts []persistence.Mutation) error {
	closed := make([]persistence.Mutation, len(muts))
	copy(closed, muts)
	for i := range closed {
		m := &closed[i]
		if m.Part.Subject == "" || m.Delete {
			continue
		}
		k, err := r.keys.of(ctx, m.Part.Subject, toSeal)
		if err != nil {
			return err
		}
		m.Row = k.seal(m.Part, m.Row)
	}
	return r.under.Put(ctx, closed)
}

// Head implements persistence.Rows.
func (r *Rows) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	return r.under.Head(ctx, p)
}

// Get implements persistence.Rows.
func (r *Rows) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	cell, ok, err := r.under.Get(ctx, p, cluster)
	if err != nil || !ok || p.Subject == "" {
		return cell, ok, err
	}
	k, err := r.keys.of(ctx, p.Subject, toOpen)
	if err != nil {
		return nil, false, err
	}
	cell, err = k.open(p, cluster, cell)
	return cell, err == nil, err
}

// Range implements persistence.Rows.
func (r *Rows) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	rows, err := r.under.Range(ctx, p, q)
	if err != nil || q.KeysOnly {
		return rows, err
	}
	return r.opened(ctx, p, rows)
}

// HeadRange implements persistence.Rows.
func (r *Rows) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (persistence.Head, []persistence.Row, error) {
	head, rows, err := r.under.HeadRange(ctx, p, q)
	if err == nil && !q.KeysOnly {
		rows, err = r.opened(ctx, p, rows)
	}
	return head, rows, err
}

// opened unseals the cells in place.
func (r *Rows) opened(ctx context.Context, p persistence.Part, rows []persistence.Row) ([]persistence.Row, error) {
	if len(rows) == 0 || p.Subject == "" {
		return rows, nil
	}
	k, err := r.keys.of(ctx, p.Subject, toOpen)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i].Cell, err = k.open(p, rows[i].Cluster, rows[i].Cell); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// DeleteRange implements persistence.Rows.
func (r *Rows) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	return r.under.DeleteRange(ctx, p, from, to)
}

// Shared implements persistence.Sharer.
func (r *Rows) Shared() bool { return persistence.Shared(r.under) }

// Parts implements persistence.Scanner, if what is underneath does.
func (r *Rows) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	if s, ok := r.under.(persistence.Scanner); ok {
		return s.Parts(ctx, t, after, limit)
	}
	return nil, persistence.ErrNoScan
}
