package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"paceline/persistence"
)

// seed spreads partitions over the locks; it differs in every process and nothing stored depends on it.
var seed = maphash.MakeSeed()

func stripeOf(p persistence.Part) int {
	return int((maphash.String(seed, p.Key) + uint64(p.Table)) % stripes)
}

// durableReads reports whether a reader of the table must not see what is not synced yet. A view is not read
// to decide, and a cache may be lost anyway.
func durableReads(t persistence.Table) bool { return !t.Cache() && t != persistence.TableView }

// reading waits for a write under way to the partition; call what it returns when the read is done.
func (r *Rows) reading(p persistence.Part) func() {
	if !durableReads(p.Table) {
		return func() {}
	}
	l := &r.locks[stripeOf(p)]
	l.RLock()
	return l.RUnlock
}

// held is what a write has locked. The usual write is to one partition and allocates nothing.
type held struct {
	room    [4]int
	stripes []int
}

// writing locks the partitions of the mutations, always in the same order.
func (r *Rows) writing(h *held, muts []persistence.Mutation) {
	h.stripes = h.room[:0]
	for i := range muts {
		if durableReads(muts[i].Part.Table) {
			h.stripes = append(h.stripes, stripeOf(muts[i].Part))
		}
	}
	if len(h.stripes) > 1 {
		slices.Sort(h.stripes)
		h.stripes = slices.Compact(h.stripes)
	}
	for _, i := range h.stripes {
		r.locks[i].Lock()
	}
}

// written unlocks what writing has locked.
func (r *Rows) written(h *held) {
	for _, i := range h.stripes {
		r.locks[i].Unlock()
	}
}

// commit writes a batch. An error leaves open what of it will be found after a restart.
func commit(b *pebble.Batch, o *pebble.WriteOptions) error {
	if err := b.Commit(o); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
	}
	return nil
}

// PutIf implements persistence.Rows.
func (r *Rows) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (bool, persistence.Head, error) {
	if err := r.write(ctx); err != nil {
		return false, persistence.Head{}, err
	}
	defer r.users.RUnlock()
	l := &r.locks[stripeOf(p)]
	l.Lock()
	defer l.Unlock()
	current, err := r.head(p)
	if err != nil || current.Version != expected {
		return false, current, err
	}
	b := r.db.NewBatch()
	defer closeBatch(b)
	err = b.Set(appendPart(nil, p, headMark), encodeHead(head), nil)
	for i := 0; i < len(rows) && err == nil; i++ {
		err = b.Set(rowKey(p, rows[i].Cluster), rows[i].Cell, nil)
	}
	if err != nil {
		return false, persistence.Head{}, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	if err := commit(b, r.sync); err != nil {
		return false, persistence.Head{}, err
	}
	return true, head, nil
}

// closeBatch gives a batch back; there is nothing to lose once it is committed or given up.
func closeBatch(b *pebble.Batch) { _ = b.Close() }

func (r *Rows) head(p persistence.Part) (persistence.Head, error) {
	v, ok, err := r.get(appendPart(nil, p, headMark))
	if err != nil || !ok {
		return persistence.Head{}, err
	}
	return decodeHead(v)
}

// Head implements persistence.Rows.
func (r *Rows) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	if err := r.use(ctx); err != nil {
		return persistence.Head{}, err
	}
	defer r.users.RUnlock()
	defer r.reading(p)()
	return r.head(p)
}

// HeadRange implements persistence.Rows.
func (r *Rows) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (persistence.Head, []persistence.Row, error) {
	return persistence.HeadThenRange(ctx, r, p, q)
}

// Put implements persistence.Rows.
func (r *Rows) Put(ctx context.Context, muts []persistence.Mutation) error {
	if err := r.write(ctx); err != nil {
		return err
	}
	defer r.users.RUnlock()
	o := pebble.NoSync
	b := r.db.NewBatch()
	defer closeBatch(b)
	var room [128]byte
	key := room[:0] // the batch copies it
	for i := range muts {
		m := &muts[i]
		if !m.Part.Table.Cache() {
			o = r.sync
		}
		key = append(appendPart(key[:0], m.Part, rowMark), m.Row.Cluster...)
		var err error
		if m.Delete {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, m.Row.Cell, nil)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
		}
	}
	var h held
	r.writing(&h, muts)
	defer r.written(&h)
	return commit(b, o)
}

// Get implements persistence.Rows.
func (r *Rows) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	if err := r.use(ctx); err != nil {
		return nil, false, err
	}
	defer r.users.RUnlock()
	defer r.reading(p)()
	return r.get(rowKey(p, cluster))
}

// Range implements persistence.Rows.
func (r *Rows) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	if err := r.use(ctx); err != nil {
		return nil, err
	}
	defer r.users.RUnlock()
	defer r.reading(p)()
	lower, upper := bounds(p, q.From, q.To)
	prefix := len(lower) - len(q.From)
	it, err := r.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	var rows []persistence.Row
	first, next := it.First, it.Next
	if q.Reverse {
		first, next = it.Last, it.Prev
	}
	bytes := 0
	for ok := first(); ok && !q.Enough(len(rows), bytes); ok = next() {
		row := persistence.Row{Cluster: string(it.Key()[prefix:])}
		if !q.KeysOnly {
			v, err := it.ValueAndErr()
			if err != nil {
				_ = it.Close() // the error of the read says more
				return nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
			}
			row.Cell = append(make([]byte, 0, len(v)), v...)
		}
		bytes += len(row.Cell)
		rows = append(rows, row)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return rows, nil
}

// DeleteRange implements persistence.Rows.
func (r *Rows) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	if err := r.write(ctx); err != nil {
		return err
	}
	defer r.users.RUnlock()
	o := r.sync
	if p.Table.Cache() {
		o = pebble.NoSync
	}
	lower, upper := bounds(p, from, to)
	var h held
	r.writing(&h, []persistence.Mutation{{Part: p}})
	defer r.written(&h)
	if err := r.db.DeleteRange(lower, upper, o); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnknown, err)
	}
	return nil
}

// Parts implements persistence.Scanner: it goes from partition to partition, not from row to row.
func (r *Rows) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	if err := r.use(ctx); err != nil {
		return nil, err
	}
	defer r.users.RUnlock()
	it, err := r.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: []byte{byte(t)}, UpperBound: []byte{byte(t) + 1}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	var keys []string
	from := []byte{byte(t)}
	if after != "" {
		from = appendPart(nil, persistence.Part{Table: t, Key: after}, endMark)
	}
	for ok := it.SeekGE(from); ok && len(keys) < limit; {
		n, w := binary.Uvarint(it.Key()[1:])
		if w <= 0 || n >= uint64(len(it.Key())-1-w) {
			_ = it.Close() // what is wrong is known
			return nil, fmt.Errorf("%w: key of table %d", persistence.ErrCorrupt, t)
		}
		key := string(it.Key()[1+w : 1+w+int(n)])
		keys = append(keys, key)
		ok = it.SeekGE(appendPart(nil, persistence.Part{Table: t, Key: key}, endMark))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return keys, nil
}

// Compact rewrites a table so that what was overwritten or deleted is gone from its files: after an erasure. Up to
// three older logs wait to be written over; what stood in them is gone when that has happened.
func (r *Rows) Compact(ctx context.Context, t persistence.Table) error {
	if err := r.use(ctx); err != nil {
		return err
	}
	defer r.users.RUnlock()
	if err := r.db.Flush(); err != nil {
		return fmt.Errorf("embedded: compact: %w", err)
	}
	if err := r.db.Compact(ctx, []byte{byte(t)}, []byte{byte(t) + 1}, false); err != nil {
		return fmt.Errorf("embedded: compact: %w", err)
	}
	return nil
}
