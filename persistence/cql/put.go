package cql

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gocql/gocql"

	"paceline/persistence"
)

const (
	// batchRows is the most of one batch.
	batchRows = 8192
	// partBytes is the most of one batch over one partition, which the server takes as a single write: Cassandra
	// takes half a commit-log segment (16 MiB) at most.
	partBytes = 4 << 20
)

// Put implements persistence.Rows. One partition: one write, whole or not at all. Several: a logged batch, which
// the servers bring to its end once they have taken it. Over BatchBytes it becomes several batches, one after the
// other in the order of the mutations: cut off in the middle, the outcome is unknown and the same Put again mends it.
func (r *Rows) Put(ctx context.Context, muts []persistence.Mutation) error {
	for i := range muts {
		t, err := tableOf(muts[i].Part)
		if err != nil {
			return err
		}
		if t.head {
			return fmt.Errorf("%w: cql: %s is written conditionally only", persistence.ErrUnavailable, t.name)
		}
	}
	muts = lastOfEach(muts)
	stamp := r.stamps.next()
	begun := false
	for len(muts) > 0 {
		n, single := r.cut(muts)
		err := r.send(ctx, plain, func(ctx context.Context) error { return r.putBatch(ctx, muts[:n], single, stamp) })
		if err != nil && begun && !errors.Is(err, persistence.ErrUnknown) {
			return fmt.Errorf("%w: %s", persistence.ErrUnknown, err.Error()) // the batches before it are there
		}
		if err != nil {
			return err
		}
		begun = true
		muts = muts[n:]
	}
	return nil
}

// lastOfEach keeps the last mutation of each row: within one timestamp a deletion would win over what is put after it.
func lastOfEach(muts []persistence.Mutation) []persistence.Mutation {
	if len(muts) < 2 {
		return muts
	}
	type name struct {
		table         persistence.Table
		part, cluster string
	}
	last := make(map[name]int, len(muts))
	for i := range muts {
		last[name{muts[i].Part.Table, muts[i].Part.Key, muts[i].Row.Cluster}] = i
	}
	if len(last) == len(muts) {
		return muts
	}
	kept := make([]persistence.Mutation, 0, len(last))
	for i := range muts {
		if last[name{muts[i].Part.Table, muts[i].Part.Key, muts[i].Row.Cluster}] == i {
			kept = append(kept, muts[i])
		}
	}
	return kept
}

// cut is how many of the mutations go into one batch, and whether they are of one partition.
func (r *Rows) cut(muts []persistence.Mutation) (n int, single bool) {
	single = true
	for i := 1; i < len(muts) && single; i++ {
		single = muts[i].Part.Table == muts[0].Part.Table && muts[i].Part.Key == muts[0].Part.Key
	}
	most, size := r.cfg.BatchBytes, 0
	if single {
		most = partBytes
	}
	for n < len(muts) && n < batchRows {
		m := &muts[n]
		size += len(m.Part.Key) + len(m.Row.Cluster) + len(m.Row.Cell)
		if n > 0 && size > most {
			break
		}
		n++
	}
	return n, single
}

func (r *Rows) putBatch(ctx context.Context, muts []persistence.Mutation, single bool, stamp int64) error {
	if len(muts) == 1 {
		s, bind := one(&muts[0], stamp)
		return r.query(ctx, s).Bind(bind...).ExecRelease()
	}
	how := gocql.LoggedBatch
	if single {
		how = gocql.UnloggedBatch
	}
	b := r.session.Session.Batch(how).WithContext(ctx)
	for i := range muts {
		s, bind := one(&muts[i], stamp)
		b.Query(s.cql, bind...)
	}
	return r.session.Session.ExecuteBatch(b)
}

// one is the statement for a mutation. A stamp of the caller's takes the place of ours: rows have either the one
// or the other, always.
func one(m *persistence.Mutation, stamp int64) (statement, []any) {
	t := &tables[m.Part.Table]
	if m.Stamp > 0 {
		stamp = int64(min(m.Stamp, math.MaxInt64))
	}
	part, cluster := []byte(m.Part.Key), []byte(m.Row.Cluster)
	if m.Delete {
		return t.deleteRow, []any{stamp, part, cluster}
	}
	return t.put, []any{part, cluster, notNull(m.Row.Cell), stamp}
}

// DeleteRange implements persistence.Rows: one tombstone, however many rows.
func (r *Rows) DeleteRange(ctx context.Context, p persistence.Part, from, to string) error {
	t, err := tableOf(p)
	if err != nil {
		return err
	}
	if t.head {
		return fmt.Errorf("%w: cql: %s is written conditionally only", persistence.ErrUnavailable, t.name)
	}
	s, bind := t.deleteRange[index(to != "")], []any{r.stamps.next(), []byte(p.Key), []byte(from)}
	switch {
	case to != "":
		bind = append(bind, []byte(to))
	case from == "":
		s, bind = t.deletePart, bind[:2]
	}
	return r.send(ctx, plain, func(ctx context.Context) error {
		return r.query(ctx, s).Bind(bind...).ExecRelease()
	})
}
