package cql

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gocql/gocql"
	"github.com/scylladb/gocqlx/v2"

	"paceline/persistence"
)

// Rows implements persistence.Rows. Safe for concurrent use.
type Rows struct {
	session gocqlx.Session
	cfg     Config
	stamps  stamps
	lanes   [conditional + 1]*lane
}

var (
	_ persistence.Rows    = (*Rows)(nil)
	_ persistence.Scanner = (*Rows)(nil)
	_ persistence.Sharer  = (*Rows)(nil)
)

// Shared implements persistence.Sharer.
func (r *Rows) Shared() bool { return true }

func newRows(s gocqlx.Session, cfg Config) *Rows {
	return &Rows{session: s, cfg: cfg, stamps: stamps{now: time.Now}, lanes: [...]*lane{
		reading:     newLane("reads", cfg.Reads, cfg.Waiting),
		plain:       newLane("writes", cfg.Writes, cfg.Waiting),
		conditional: newLane("conditional writes", cfg.Conditionals, cfg.Waiting),
	}}
}

// Close ends all connections. What is under way then fails; Close may be called again.
func (r *Rows) Close() error {
	r.session.Close()
	return nil
}

func tableOf(p persistence.Part) (*table, error) {
	if int(p.Table) >= len(tables) || tables[p.Table].name == "" {
		return nil, fmt.Errorf("%w: cql: there is no table %d", persistence.ErrUnavailable, p.Table)
	}
	return &tables[p.Table], nil
}

func (r *Rows) query(ctx context.Context, s statement) *gocqlx.Queryx {
	return r.session.ContextQuery(ctx, s.cql, s.names)
}

// PutIf implements persistence.Rows: one conditional batch, sent once.
func (r *Rows) PutIf(ctx context.Context, p persistence.Part, expected uint64, head persistence.Head, rows []persistence.Row) (bool, persistence.Head, error) {
	t, err := tableOf(p)
	if err != nil {
		return false, persistence.Head{}, err
	}
	if !t.head {
		return false, persistence.Head{}, fmt.Errorf("%w: cql: %s has no head", persistence.ErrUnavailable, t.name)
	}
	key := []byte(p.Key)
	var applied bool
	err = r.send(ctx, conditional, func(ctx context.Context) error {
		b := r.session.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
		if expected == 0 {
			b.Query(t.headFirst.cql, int64(head.Version), head.AppendID, head.Home, key)
		} else {
			b.Query(t.headNext.cql, int64(head.Version), head.AppendID, head.Home, key, int64(expected))
		}
		for i := range rows {
			b.Query(t.putRow.cql, key, []byte(rows[i].Cluster), notNull(rows[i].Cell))
		}
		first := make(map[string]any)
		ok, iter, err := r.session.Session.MapExecuteBatchCAS(b, first)
		if err != nil {
			return err
		}
		applied = ok
		return iter.Close()
	})
	if err != nil {
		return false, persistence.Head{}, err
	}
	if applied {
		return true, head, nil
	}
	// The answer to a refused batch holds the version, and not on every server the rest.
	current, err := r.Head(ctx, p)
	return false, current, err
}

// notNull: an empty cell is a value, null would be its absence.
func notNull(cell []byte) []byte {
	if cell == nil {
		return []byte{}
	}
	return cell
}

// Head implements persistence.Rows, at LOCAL_SERIAL: a conditional write that was begun is first brought to its end.
func (r *Rows) Head(ctx context.Context, p persistence.Part) (persistence.Head, error) {
	t, err := tableOf(p)
	if err != nil || !t.head {
		return persistence.Head{}, err
	}
	var h persistence.Head
	err = r.send(ctx, reading, func(ctx context.Context) error {
		var version *int64
		var appendID, home string
		q := r.query(ctx, t.headOf).Bind([]byte(p.Key)).Consistency(gocql.LocalSerial)
		defer q.Release()
		err := q.Query.Scan(&version, &appendID, &home)
		if errors.Is(err, gocql.ErrNotFound) || err == nil && version == nil {
			h = persistence.Head{}
			return nil
		}
		if err == nil {
			h = persistence.Head{Version: uint64(*version), AppendID: appendID, Home: home}
		}
		return err
	})
	return h, err
}

// Get implements persistence.Rows.
func (r *Rows) Get(ctx context.Context, p persistence.Part, cluster string) (cell []byte, ok bool, err error) {
	t, err := tableOf(p)
	if err != nil {
		return nil, false, err
	}
	err = r.send(ctx, reading, func(ctx context.Context) error {
		cell, ok = nil, false
		q := r.query(ctx, t.get).Bind([]byte(p.Key), []byte(cluster))
		defer q.Release()
		err := q.Query.Scan(&cell)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		ok = err == nil
		return err
	})
	return notNull(cell), ok, err
}

// Range implements persistence.Rows.
func (r *Rows) Range(ctx context.Context, p persistence.Part, q persistence.Range) ([]persistence.Row, error) {
	t, err := tableOf(p)
	if err != nil {
		return nil, err
	}
	most := mostOf(q)
	bind := []any{[]byte(p.Key), []byte(q.From)}
	if q.To != "" {
		bind = append(bind, []byte(q.To))
	}
	bind = append(bind, most)
	s := t.rows[index(q.To != "")][index(q.Reverse)][index(q.KeysOnly)]
	page := t.page
	if q.KeysOnly {
		page = max(page, 1000)
	}
	var rows []persistence.Row
	err = r.send(ctx, reading, func(ctx context.Context) error {
		rows = nil
		bytes := 0
		it := r.query(ctx, s).Bind(bind...).PageSize(min(page, most)).Iter()
		for {
			var cluster, cell []byte
			into := []any{&cluster, &cell}
			if q.KeysOnly {
				into = into[:1]
			}
			if q.Enough(len(rows), bytes) || !it.Scan(into...) {
				return it.Close()
			}
			row := persistence.Row{Cluster: string(cluster)}
			if !q.KeysOnly {
				row.Cell = notNull(cell)
			}
			bytes += len(row.Cell)
			rows = append(rows, row)
		}
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

func mostOf(q persistence.Range) int {
	if q.Limit > 0 {
		return min(q.Limit, math.MaxInt32)
	}
	return math.MaxInt32
}

// HeadRange implements persistence.Rows: one read at LOCAL_SERIAL of a journal from its beginning, two of anything else.
func (r *Rows) HeadRange(ctx context.Context, p persistence.Part, q persistence.Range) (h persistence.Head, rows []persistence.Row, err error) {
	t, err := tableOf(p)
	if err != nil {
		return persistence.Head{}, nil, err
	}
	if !t.head || q.From != "" || q.To != "" || q.Reverse || q.KeysOnly {
		return persistence.HeadThenRange(ctx, r, p, q)
	}
	most := mostOf(q)
	err = r.send(ctx, reading, func(ctx context.Context) error {
		h, rows = persistence.Head{}, nil
		bytes := 0
		it := r.query(ctx, t.headRows).Bind([]byte(p.Key), most).Consistency(gocql.LocalSerial).PageSize(min(t.page, most)).Iter()
		for {
			var version *int64
			var cluster *[]byte
			var cell []byte
			var appendID, home string
			if q.Enough(len(rows), bytes) || !it.Scan(&cluster, &cell, &version, &appendID, &home) {
				return it.Close()
			}
			if version != nil && len(rows) == 0 { // a later page may know a later one, of rows that were not sent
				h = persistence.Head{Version: uint64(*version), AppendID: appendID, Home: home}
			}
			if cluster == nil {
				continue // the partition holds its head and no row
			}
			row := persistence.Row{Cluster: string(*cluster), Cell: notNull(cell)}
			bytes += len(row.Cell)
			rows = append(rows, row)
		}
	})
	if err != nil {
		return persistence.Head{}, nil, err
	}
	return h, rows, nil
}

// Parts implements persistence.Scanner, in the order of the servers' tokens.
func (r *Rows) Parts(ctx context.Context, t persistence.Table, after string, limit int) ([]string, error) {
	of, err := tableOf(persistence.Part{Table: t})
	if err != nil {
		return nil, err
	}
	s, bind := of.parts, []any{limit}
	if after != "" {
		// From the token of after on, not beyond it: another key might have the same.
		s, bind = of.partsAfter, []any{[]byte(after), limit + 1}
	}
	var keys []string
	err = r.send(ctx, reading, func(ctx context.Context) error {
		keys = nil
		it := r.query(ctx, s).Bind(bind...).PageSize(1000).Iter()
		for {
			var key []byte
			if !it.Scan(&key) {
				return it.Close()
			}
			keys = append(keys, string(key))
			if after != "" && string(key) == after {
				keys = keys[:0]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return keys[:min(len(keys), limit)], nil
}
