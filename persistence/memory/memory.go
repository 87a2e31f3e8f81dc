// Package memory is a row driver that keeps everything in the process: for tests and for the simulated world.
//
// It is not durable and it never fails by itself; package faulty puts delays, lost outcomes and late writes in
// front of it (or of any other driver). Everything in it is deterministic. Safe for concurrent use.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"

	"paceline/persistence"
)

// Rows implements persistence.Rows.
type Rows struct {
	mu    sync.RWMutex
	parts map[partKey]*partition
}

type partKey struct {
	table persistence.Table
	key   string
}

type partition struct {
	head persistence.Head
	rows []persistence.Row // by Cluster; cells are never changed, only replaced
	// stamps of the rows that were written with one, also of deleted ones: an older write must not come back.
	stamps map[string]uint64
}

var (
	_ persistence.Rows    = (*Rows)(nil)
	_ persistence.Scanner = (*Rows)(nil)
	_ persistence.Sharer  = (*Rows)(nil)
)

// Shared implements persistence.Sharer: tests run several projectors over one memory, as over one cluster.
func (r *Rows) Shared() bool { return true }

// New is an empty store.
func New() *Rows { return &Rows{parts: make(map[partKey]*partition)} }

// Clone is an independent copy of what is stored now. It costs a copy of the row headers, not of the cells.
func (r *Rows) Clone() *Rows {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := New()
	for k, p := range r.parts {
		c.parts[k] = &partition{head: p.head, rows: slices.Clone(p.rows), stamps: maps.Clone(p.stamps)}
	}
	return c
}

// Len is the number of stored rows of a table.
func (r *Rows) Len(t persistence.Table) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := 0
	for k, p := range r.parts {
		if k.table == t {
			n += len(p.rows)
		}
	}
	return n
}

// Each calls f for every row of a table, by partition and cluster: for tests that look for plain bytes.
func (r *Rows) Each(t persistence.Table, f func(part string, row persistence.Row)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var keys []string
	for k := range r.parts {
		if k.table == t {
			keys = append(keys, k.key)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		for _, row := range r.parts[partKey{t, k}].rows {
			f(k, row)
		}
	}
}

// Drop forgets a whole table: caches may be lost at any time, and tests lose them.
func (r *Rows) Drop(t persistence.Table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.parts {
		if k.table == t {
			delete(r.parts, k)
		}
	}
}

func (r *Rows) partition(p persistence.Part) *partition {
	k := partKey{p.Table, p.Key}
	q := r.parts[k]
	if q == nil {
		q = &partition{}
		r.parts[k] = q
	}
	return q
}

// find is where a cluster is, or would be.
func (p *partition) find(cluster string) (int, bool) {
	n := len(p.rows)
	if n == 0 || p.rows[n-1].Cluster < cluster { // most rows come in order
		return n, false
	}
	i := sort.Search(n, func(i int) bool { return p.rows[i].Cluster >= cluster })
	return i, i < n && p.rows[i].Cluster == cluster
}

func (p *partition) put(row persistence.Row) {
	i, found := p.find(row.Cluster)
	if found {
		p.rows[i] = row
		return
	}
	p.rows = slices.Insert(p.rows, i, row)
}

// stamp reports whether the mutation holds against what was written with a stamp before.
func (p *partition) stamp(m persistence.Mutation) bool {
	if m.Stamp == 0 {
		return true
	}
	if p.stamps == nil {
		p.stamps = make(map[string]uint64)
	}
	if m.Stamp < p.stamps[m.Row.Cluster] {
		return false
	}
	p.stamps[m.Row.Cluster] = m.Stamp
	return true
}

// PutIf implements persistence.Rows.
func (r *Rows) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (bool, persistence.Head, error) {
	if err := live(ctx); err != nil {
		return false, persistence.Head{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.parts[partKey{p.Table, p.Key}]; q == nil && expected != 0 {
		return false, persistence.Head{}, nil
	} else if q != nil && q.head.Version != expected {
		return false, q.head, nil
	}
	q := r.partition(p)
	q.head = head
	for _, row := range rows {
		q.put(row)
	}
	return true, head, nil
}

// Head implements persistence.Rows.
func (r *Rows) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	if err := live(ctx); err != nil {
		return persistence.Head{}, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if q := r.parts[partKey{p.Table, p.Key}]; q != nil {
		return q.head, nil
	}
	return persistence.Head{}, nil
}

// HeadRange implements persistence.Rows.
func (r *Rows) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (persistence.Head, []persistence.Row, error) {
	return persistence.HeadThenRange(ctx, r, p, q)
}

// Put implements persistence.Rows.
func (r *Rows) Put(ctx context.Context, muts []persistence.Mutation) error {
	if err := live(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range muts {
		q := r.partition(m.Part)
		if !q.stamp(m) {
			continue
		}
		if !m.Delete {
			q.put(m.Row)
			continue
		}
		if i, found := q.find(m.Row.Cluster); found {
			q.rows = slices.Delete(q.rows, i, i+1)
		}
	}
	return nil
}

// Get implements persistence.Rows.
func (r *Rows) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	if err := live(ctx); err != nil {
		return nil, false, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	q := r.parts[partKey{p.Table, p.Key}]
	if q == nil {
		return nil, false, nil
	}
	i, found := q.find(cluster)
	if !found {
		return nil, false, nil
	}
	return slices.Clone(q.rows[i].Cell), true, nil
}

// span is the indices of From <= Cluster < To.
func (p *partition) span(from, to string) (int, int) {
	i, _ := p.find(from)
	j := len(p.rows)
	if to != "" {
		j, _ = p.find(to)
	}
	return i, max(i, j)
}

// Range implements persistence.Rows.
func (r *Rows) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	if err := live(ctx); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	part := r.parts[partKey{p.Table, p.Key}]
	if part == nil {
		return nil, nil
	}
	i, j := part.span(q.From, q.To)
	rows := make([]persistence.Row, 0, min(j-i, max(q.Limit, 16)))
	bytes := 0
	for i < j && !q.Enough(len(rows), bytes) {
		var row persistence.Row
		if q.Reverse {
			j--
			row = part.rows[j]
		} else {
			row = part.rows[i]
			i++
		}
		if q.KeysOnly {
			row.Cell = nil
		} else {
			row.Cell = slices.Clone(row.Cell)
		}
		bytes += len(row.Cell)
		rows = append(rows, row)
	}
	return rows, nil
}

// DeleteRange implements persistence.Rows.
func (r *Rows) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	if err := live(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if part := r.parts[partKey{p.Table, p.Key}]; part != nil {
		i, j := part.span(from, to)
		part.rows = slices.Delete(part.rows, i, j)
	}
	return nil
}

// Parts implements persistence.Scanner, shorter keys first.
func (r *Rows) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	if err := live(ctx); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var keys []string
	for k, p := range r.parts {
		if k.table == t && (p.head.Version > 0 || len(p.rows) > 0) && (after == "" || shorter(k.key, after) > 0) {
			keys = append(keys, k.key)
		}
	}
	slices.SortFunc(keys, shorter)
	return keys[:min(limit, len(keys))], nil
}

func shorter(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

func live(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	return nil
}
