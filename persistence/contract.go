package persistence

import (
	"context"
	"errors"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// The ways in which a store can fail. Drivers wrap them; callers compare with errors.Is.
var (
	// ErrUnknown: the write may have happened, or may still happen. Never guess: look (Head at SERIAL), or
	// repeat where the write is idempotent.
	ErrUnknown = errors.New("outcome unknown")
	// ErrUnavailable: nothing was written; the store is away, slow or full. Try again later.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFull is an ErrUnavailable: the store's disk has no room; writes are refused until it has.
	ErrFull = errors.New("the store is full")
	// ErrCorrupt: what was read cannot be what was written.
	ErrCorrupt = errors.New("stored bytes are corrupt")
	// ErrHole is an ErrUnavailable: a version below the journal's head is not there. Soon it is, or it is lost.
	ErrHole = errors.New("a version is missing")
	// ErrErased: the subject's key has been destroyed.
	ErrErased = errors.New("subject erased")
)

// Meta says when, by whom and why an event was appended.
type Meta struct {
	At        unit.InstantMs // node clock
	By        string         // principal, an id only
	CommandID string         // the command that caused it; empty for what a grain does by itself
	Trace     string
}

// Record is one stored event.
type Record struct {
	Version uint64 // 1 is the first event of a journal
	Kind    uint32 // explicit number, append only; unknown kinds refuse loudly
	Format  uint32 // of the payload
	Payload []byte
	Meta    Meta
}

// Head is where a journal ends.
type Head struct {
	Version  uint64 // 0: nothing yet
	AppendID string // of the append that brought it there
	Home     string // region
}

// Append is one group of events: committed whole or not at all.
type Append struct {
	Grain    id.Grain
	Expected uint64 // the version that the group follows
	AppendID string
	Home     string
	Records  []Record // versions Expected+1 …
}

// MaxAppendBytes bounds the payloads of one append; more is a fault of the rule.
const MaxAppendBytes = 256 << 10

// JournalBucket is how many versions share a partition; a group lies whole in the bucket of the version that
// it expects.
const JournalBucket = 1024

// Journal is the events of all grains.
type Journal interface {
	// Append commits the group if the journal's version is Expected. Applied false: it is not, and head says
	// what is there instead (if head.AppendID is ours, an earlier copy of this append was applied).
	Append(ctx context.Context, a Append) (applied bool, head Head, err error)
	// Head is read at SERIAL.
	Head(ctx context.Context, g id.Grain) (Head, error)
	// ReadJournal returns the events after a version, in order, without a hole, at most limit (0: 1024), and
	// whether there may be more.
	ReadJournal(ctx context.Context, g id.Grain, after uint64, limit int) (records []Record, more bool, err error)
	// JournalFrom is ReadJournal that also says where the journal ends, if that was reached.
	JournalFrom(ctx context.Context, g id.Grain, after uint64, limit int) (JournalRead, error)
}

// Snapshot is a cached state: losing it costs time, never truth.
type Snapshot struct {
	Version uint64
	Bytes   []byte
}

// Snapshots keeps the last two of each name ("snapshot" of a machine, "checkpoint" of a fold or board).
type Snapshots interface {
	PutSnapshot(ctx context.Context, g id.Grain, name string, s Snapshot) error
	// LastSnapshot is the newest whole one, or false.
	LastSnapshot(ctx context.Context, g id.Grain, name string) (Snapshot, bool, error)
}

// Cursors are positions of consumers; they may lag, never lie ahead.
type Cursors interface {
	PutCursor(ctx context.Context, g id.Grain, consumer string, through uint64) error
	Cursor(ctx context.Context, g id.Grain, consumer string) (uint64, error)
}

// WakeupShards is fixed: xxhash64(identity) mod 256.
const WakeupShards = 256

// Wakeup is one row of "later". Due is wall time; the row lies in the partition (shard, minute of Due).
type Wakeup struct {
	Grain      id.Grain
	Due        unit.InstantMs // wall clock
	Reason     string
	Activation string // who wrote it
}

// Wakeups are kept by shard and minute.
type Wakeups interface {
	PutWakeup(ctx context.Context, w Wakeup) error
	DeleteWakeup(ctx context.Context, w Wakeup) error
	// ReadWakeups returns the rows of one minute of one shard, by due.
	ReadWakeups(ctx context.Context, shard int, minute int64) ([]Wakeup, error)
	// LowWater is the minute from which a shard must be swept; it may lag, never lies ahead.
	LowWater(ctx context.Context, shard int) (minute int64, err error)
	PutLowWater(ctx context.Context, shard int, minute int64) error
}

// SeriesKey names the samples of one stream. Subject is whose key seals them: the person whose workout it is.
type SeriesKey struct {
	Device  string // "<affinity>/<id>"
	Stream  string
	Subject string
}

// SeriesBucket is how many seqs share a partition; a block never crosses a border. Seq s lies in bucket
// s / SeriesBucket.
const SeriesBucket = 3600

// BlockKey names one stored row of samples.
type BlockKey struct {
	First, Last uint64
	ID          [16]byte // hash of plain values and marks
}

// Span is a range of seqs, both ends included.
type Span struct{ From, To uint64 }

// SeriesQuery asks for samples From..To (To 0: as far as rows go) of a stream, at most MaxSamples (0: all).
// Seqs inside a skip do not count, whatever rows hold.
type SeriesQuery struct {
	Key        SeriesKey
	From, To   uint64
	Skips      []Span
	MaxSamples int
}

// SeriesRead is what the rows hold: batches in ascending order of seq, each seq once (of all rows that cover it
// the one with the smallest BlockKey.ID counts), holes where nothing is.
type SeriesRead struct {
	Batches   []sample.Batch
	Blocks    []BlockKey // every row that was looked at, ascending
	Conflicts []uint64   // seqs for which rows hold different values (at most 1024 are named)
	More      bool       // MaxSamples cut it
}

// SeriesEnd is where a stream stands after recovery.
type SeriesEnd struct {
	Through uint64         // end of the unbroken cover from the floor (or from seq 1) by rows and skips
	Tail    []sample.Batch // the last 512 handled seqs at or below Through, ascending
	Blocks  []BlockKey     // rows seen at or beyond Through-512
}

// Series is the time series of samples. Reads are at (LOCAL_)QUORUM, never at ONE.
type Series interface {
	// PutBlock stores 1 to 512 samples within one bucket. Idempotent: the same bytes again change nothing.
	PutBlock(ctx context.Context, k SeriesKey, b *sample.Batch) (BlockKey, error)
	ReadSeries(ctx context.Context, q SeriesQuery) (SeriesRead, error)
	// RecoverSeries finds the end of the unbroken cover above floor.
	RecoverSeries(ctx context.Context, k SeriesKey, floor uint64, skips []Span) (SeriesEnd, error)
	// DeleteThrough removes rows that lie wholly at or below through (which a recording covers).
	DeleteThrough(ctx context.Context, k SeriesKey, through uint64) error
}

// Recording is a whole workout in columns; never overwritten. Digest names it.
type Recording struct {
	Workout string // "<affinity>/<id>" of the training
	Streams []RecordedStream
}

// RecordedStream is one stream of a recording: every handled sample from seq 1 through Through.
type RecordedStream struct {
	Key     SeriesKey
	Through uint64
	Skips   []Span
	Digest  [32]byte // sample.Digest over the canonical samples
	Batches []sample.Batch
}

// Recordings are kept by workout and digest. Subject is whose key seals them.
type Recordings interface {
	// PutRecording stores it under the digest that it returns (over the streams' names and digests).
	PutRecording(ctx context.Context, subject string, r Recording) (digest [32]byte, err error)
	// GetRecording reads it back and checks its digests; false if there is none.
	GetRecording(ctx context.Context, subject, workout string, digest [32]byte) (Recording, bool, error)
}

// Store is everything a grain may ask of persistence.
type Store interface {
	Journal
	Snapshots
	Cursors
	Wakeups
	Series
	Recordings
}

// EventStream publishes facts. Published means synced: what a consumer needs is durable.
type EventStream interface {
	// Publish hands over consecutive events of one grain and returns the version through which the stream has
	// synced that grain's events; it may be called again with the same events.
	Publish(ctx context.Context, g id.Grain, records []Record) (synced uint64, err error)
}
