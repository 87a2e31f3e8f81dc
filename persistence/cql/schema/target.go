package schema

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Target is where the tables lie.
type Target struct {
	// Connect makes a session that is bound to no keyspace. Its timeout must let a server make a table (StatementWithin).
	Connect  func(context.Context) (*gocql.Session, error)
	Keyspace string
	// Datacenter is the nearest one; empty: that of the node that answers.
	Datacenter string
}

// StatementWithin is how long making a table may take: seconds on a busy server.
const StatementWithin = 30 * time.Second

var reKeyspace = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// GoodKeyspace reports whether a name needs no quotes and is none of the server's own.
func GoodKeyspace(name string) bool {
	return reKeyspace.MatchString(name) && name != "system" && !strings.HasPrefix(name, "system_")
}

// Each of these is one sentence for whoever starts the process; nothing was touched.
var (
	ErrDatacenter = errors.New("there is no such datacenter")
	ErrKeyspace   = errors.New("there is no such keyspace")
	ErrForeign    = errors.New("the keyspace holds tables that are not ours")
	ErrNoSchema   = errors.New("the keyspace has no schema yet")
	ErrOlder      = errors.New("the schema is older than this binary")
	ErrNewer      = errors.New("the schema is newer than this binary")
	ErrHalf       = errors.New("a migration is not finished")
	ErrChanged    = errors.New("a migration was changed after it was applied")
	ErrMissing    = errors.New("the schema is not what its migrations leave")
	ErrLocked     = errors.New("another migrator is at work")
	ErrServed     = errors.New("nodes serve that may be older")
	ErrElsewhere  = errors.New("the other nodes write through another datacenter")
)

// trouble is one of the errors above with the sentence that says it whole.
type trouble struct {
	kind     error
	sentence string
}

func (t *trouble) Error() string { return t.sentence }
func (t *trouble) Unwrap() error { return t.kind }

func troubled(kind error, format string, args ...any) error {
	return &trouble{kind, fmt.Sprintf(format, args...)}
}

// asker is what checking needs of a server; a test has its own.
type asker interface {
	// ask returns the rows of a read. host: the node that must answer it; empty: any.
	ask(ctx context.Context, host, stmt string, args ...any) ([]map[string]any, error)
	// hosts are all nodes that are known, by id, in a fixed order.
	hosts() []host
}

type host struct {
	id, address, datacenter string
	down                    bool // cannot be asked
}

func (h host) up() bool { return !h.down }

// server is a session with a cluster.
type server struct{ session *gocql.Session }

func (t Target) connect(ctx context.Context) (*server, error) {
	s, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &server{s}, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func (s *server) close() { s.session.Close() }

// query is at the consistency that conditional writes of several datacenters need.
func (s *server) query(ctx context.Context, host, stmt string, args ...any) *gocql.Query {
	q := s.session.Query(stmt, args...).WithContext(ctx).Consistency(gocql.Quorum).SerialConsistency(gocql.Serial)
	if host != "" {
		q = q.SetHostID(host)
	}
	return q
}

func (s *server) ask(ctx context.Context, host, stmt string, args ...any) ([]map[string]any, error) {
	level := gocql.LocalQuorum
	if strings.Contains(stmt, " FROM system") { // each server's own
		level = gocql.One
	}
	rows, err := s.query(ctx, host, stmt, args...).Consistency(level).Iter().SliceMap()
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", plain(err))
	}
	return rows, nil
}

// hosts are those that the session has found, smallest id first: every migrator finds the same first one.
func (s *server) hosts() []host {
	var all []host
	for _, h := range s.session.GetHosts() {
		all = append(all, host{h.HostID(), h.ConnectAddress().String(), h.DataCenter(), !h.IsUp()})
	}
	slices.SortFunc(all, func(a, b host) int { return strings.Compare(a.id, b.id) })
	return all
}

// text is a column that may be null.
func text(row map[string]any, name string) string {
	s, _ := row[name].(string)
	return s
}
