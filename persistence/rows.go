package persistence

import "context"

// Table is one family of rows. Stored value: append only, never reorder.
type Table uint8

// The tables. A driver may keep each in a table of its own or all in one.
const (
	TableJournal   Table = 1
	TableSnapshot  Table = 2
	TableCursor    Table = 3
	TableWakeup    Table = 4
	TableLowWater  Table = 5
	TableSeries    Table = 6
	TableRecording Table = 7
	TableKeys      Table = 8 // subject → wrapped key; compacted after an erasure
	TableView      Table = 9
	TableNode      Table = 10 // a cluster's name → its members, each renewing its row every second
	TableControl   Table = 11 // which generation of the views holds; conditional writes only
)

// Cache reports whether losing the newest writes of a table costs time only, never truth: a driver need not
// sync them. (A cursor may lag; a snapshot may be missing; a node's row is written again a second later.)
func (t Table) Cache() bool {
	return t == TableSnapshot || t == TableCursor || t == TableLowWater || t == TableNode
}

// Part names one partition: the unit that a conditional write may touch.
type Part struct {
	Table Table
	Key   string // bytes, unambiguous within the table
	// Subject is whose key seals the cells; empty: not sealed. It is not part of the name and a driver does
	// not look at it.
	Subject string
}

// Row is one cell under a clustering key. Rows of a partition are ordered by the bytes of Cluster.
type Row struct {
	Cluster string
	Cell    []byte
}

// Mutation puts a row, or deletes it.
type Mutation struct {
	Part   Part
	Row    Row
	Delete bool
	// Stamp orders the writes of one row on a driver that is Shared: of two the one with the higher stamp holds,
	// whichever arrives later, a deletion too; 0: as they arrive. A row is written with stamps always or never, and
	// a partition whose stamped rows were deleted by DeleteRange is not written again. A driver that one process
	// holds may leave it alone: there the caller keeps the order.
	Stamp uint64
}

// Range asks for the rows From <= Cluster < To of a partition ("" in To: to the end), at most Limit (0: all), and none behind
// the one with which their cells come to MaxBytes (0: all). A driver whose servers send pages may have got one page more.
type Range struct {
	From, To string
	Limit    int
	MaxBytes int
	Reverse  bool // descending
	KeysOnly bool // the cells are not needed
}

// Enough reports whether an answer of so many rows, with so many bytes in their cells, is all that was asked for.
func (r *Range) Enough(rows, bytes int) bool {
	return r.Limit > 0 && rows >= r.Limit || r.MaxBytes > 0 && bytes >= r.MaxBytes
}

// Rows is what a driver offers; everything else is written once, above it.
//
// Errors: ErrUnavailable says that nothing was written and nothing will be; ErrUnknown (only from PutIf, Put
// and DeleteRange) that the write may have happened or may still happen. Cells that come back belong to the
// caller; cells that go in must not be changed afterwards.
type Rows interface {
	// PutIf sets the partition's head and puts rows of the same partition, whole or not at all, if the head's
	// version is expected (0: if the partition has no head). Not applied: current is what is there.
	PutIf(ctx context.Context, p Part, expected uint64, head Head, rows []Row) (applied bool, current Head, err error)
	// Head is the partition's head, read at SERIAL; the zero Head if it has none.
	Head(ctx context.Context, p Part) (Head, error)
	// HeadRange is Head, and Range no earlier: whatever the head leads to is among the rows. One request where the
	// servers allow that.
	HeadRange(ctx context.Context, p Part, r Range) (Head, []Row, error)
	// Put applies the mutations, whole or not at all (not necessarily isolated where they touch several
	// partitions).
	Put(ctx context.Context, muts []Mutation) error
	// Get is one cell; false if there is no such row.
	Get(ctx context.Context, p Part, cluster string) (cell []byte, ok bool, err error)
	// Range reads rows of one partition in order.
	Range(ctx context.Context, p Part, r Range) ([]Row, error)
	// DeleteRange deletes the rows From <= Cluster < To of a partition.
	DeleteRange(ctx context.Context, p Part, from, to string) error
}

// HeadThenRange is a HeadRange for drivers that have nothing better.
func HeadThenRange(ctx context.Context, rows Rows, p Part, r Range) (Head, []Row, error) {
	head, err := rows.Head(ctx, p)
	if err != nil {
		return Head{}, nil, err
	}
	found, err := rows.Range(ctx, p, r)
	return head, found, err
}

// Identifier is implemented by a Rows that gives rows names of its own: sealed rows are named by an HMAC
// under the subject's key, so that a name says nothing about the values.
type Identifier interface {
	RowID(ctx context.Context, subject string, plain []byte) ([16]byte, error)
}

// Blinder is implemented by a Rows that seals: Blind turns a personal value into one by which a row can be
// found without naming it (an HMAC, so that equal values meet).
type Blinder interface {
	Blind(value string) string
}

// Compacter is implemented by a driver on which what was overwritten lingers until a table is rewritten.
type Compacter interface {
	Compact(ctx context.Context, t Table) error
}

// Sharer is implemented by a driver whose rows other processes write too: Put obeys stamps, and rows of different
// partitions become visible one after the other.
type Sharer interface {
	Shared() bool
}

// Shared reports whether other processes may write to the rows.
func Shared(rows Rows) bool {
	s, ok := rows.(Sharer)
	return ok && s.Shared()
}

// Scanner is implemented by a driver that can list the partitions of a table: for rebuilds and exports, never
// for serving. The order is the driver's own; it goes on after a key that it gave.
type Scanner interface {
	Parts(ctx context.Context, t Table, after string, limit int) (keys []string, err error)
}
