package persistence

import (
	"context"

	"paceline/domain/id"
	"paceline/domain/sample"
)

// Do asks for I/O: a step.Out. Its outcome comes back as Done with the same Tag.
type Do struct {
	Tag uint64
	Op  Op
	Old bool // about old data: everybody else's goes first
}

// Done is the outcome of a Do. Result is what the Op documents; it is nil if Err is set, unless said otherwise.
type Done struct {
	Tag    uint64
	Result any
	Err    error
}

// Op is one request to a store (or to the event stream) as data.
type Op interface {
	Run(ctx context.Context, s Store, es EventStream) (any, error)
}

type (
	// AppendOp → AppendDone.
	AppendOp struct{ Append Append }
	// HeadOp → Head.
	HeadOp struct{ Grain id.Grain }
	// ReadJournalOp → JournalRead.
	ReadJournalOp struct {
		Grain id.Grain
		After uint64
		Limit int
	}
	// LoadOp → Loaded: newest snapshot of Name, and the cursor of Consumer.
	LoadOp struct {
		Grain    id.Grain
		Name     string
		Consumer string
	}
	// PutSnapshotOp → nil.
	PutSnapshotOp struct {
		Grain    id.Grain
		Name     string
		Snapshot Snapshot
	}
	// PutCursorOp → nil.
	PutCursorOp struct {
		Grain    id.Grain
		Consumer string
		Through  uint64
	}
	// PutWakeupOp → nil.
	PutWakeupOp struct{ Wakeup Wakeup }
	// DeleteWakeupOp → nil.
	DeleteWakeupOp struct{ Wakeup Wakeup }
	// PutBlockOp → BlockKey.
	PutBlockOp struct {
		Key   SeriesKey
		Batch *sample.Batch
	}
	// ReadSeriesOp → SeriesRead.
	ReadSeriesOp struct{ Query SeriesQuery }
	// RecoverSeriesOp → SeriesEnd.
	RecoverSeriesOp struct {
		Key   SeriesKey
		Floor uint64
		Skips []Span
	}
	// DeleteThroughOp → nil.
	DeleteThroughOp struct {
		Key     SeriesKey
		Through uint64
	}
	// PutRecordingOp → [32]byte.
	PutRecordingOp struct {
		Subject   string
		Recording Recording
	}
	// GetRecordingOp → *Recording (nil: there is none).
	GetRecordingOp struct {
		Subject, Workout string
		Digest           [32]byte
	}
	// PublishOp → uint64: the version through which the event stream has synced.
	PublishOp struct {
		Grain   id.Grain
		Records []Record
	}
)

// AppendDone is the outcome of an AppendOp.
type AppendDone struct {
	Applied bool
	Head    Head
}

// JournalRead is the outcome of a ReadJournalOp.
type JournalRead struct {
	Records []Record
	More    bool
	Head    uint64 // the last version that the journal holds, where More is false: below After if the reader is ahead of it
}

// PayloadBytes is what the payloads weigh.
func PayloadBytes(records []Record) (n int) {
	for i := range records {
		n += len(records[i].Payload)
	}
	return n
}

// Loaded is the outcome of a LoadOp.
type Loaded struct {
	Snapshot Snapshot
	Found    bool
	Cursor   uint64
}

// Run implements Op.
func (o AppendOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	ok, head, err := s.Append(ctx, o.Append)
	return AppendDone{ok, head}, err
}

// Run implements Op.
func (o HeadOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.Head(ctx, o.Grain)
}

// Run implements Op.
func (o ReadJournalOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.JournalFrom(ctx, o.Grain, o.After, o.Limit)
}

// Run implements Op.
func (o LoadOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return load(ctx, s, o.Grain, o.Name, o.Consumer)
}

// Run implements Op.
func (o PutSnapshotOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.PutSnapshot(ctx, o.Grain, o.Name, o.Snapshot)
}

// Run implements Op.
func (o PutCursorOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.PutCursor(ctx, o.Grain, o.Consumer, o.Through)
}

// Run implements Op.
func (o PutWakeupOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.PutWakeup(ctx, o.Wakeup)
}

// Run implements Op.
func (o DeleteWakeupOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.DeleteWakeup(ctx, o.Wakeup)
}

// Run implements Op.
func (o PutBlockOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.PutBlock(ctx, o.Key, o.Batch)
}

// Run implements Op.
func (o ReadSeriesOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.ReadSeries(ctx, o.Query)
}

// Run implements Op.
func (o RecoverSeriesOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.RecoverSeries(ctx, o.Key, o.Floor, o.Skips)
}

// Run implements Op.
func (o DeleteThroughOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.DeleteThrough(ctx, o.Key, o.Through)
}

// Run implements Op.
func (o PutRecordingOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.PutRecording(ctx, o.Subject, o.Recording)
}

// Run implements Op.
func (o GetRecordingOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	r, ok, err := s.GetRecording(ctx, o.Subject, o.Workout, o.Digest)
	if err != nil || !ok {
		return (*Recording)(nil), err
	}
	return &r, nil
}

// Run implements Op.
func (o PublishOp) Run(ctx context.Context, _ Store, es EventStream) (any, error) {
	return es.Publish(ctx, o.Grain, o.Records)
}
