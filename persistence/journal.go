package persistence

import (
	"context"
	"encoding/binary"
	"fmt"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// Faults of the one who appends: a rule that emits too much, or a shell that counts wrongly.
var (
	ErrAppendTooLarge = fault.New(fault.Internal, "persistence.append_too_large", "This change is too large to be stored at once.")
	ErrAppendInvalid  = fault.New(fault.Internal, "persistence.append_invalid", "This change cannot be stored.")
)

const (
	// journalReadLimit is how many events a read returns if its caller does not say.
	journalReadLimit = 1024
	// journalReadBytes ends a page early: a few thousand large events must not fill the memory.
	journalReadBytes = 4 << 20
	// journalFetchBytes is what a read takes of a bucket: more than a page, so that what makes a page is not read in two.
	journalFetchBytes = 2 * journalReadBytes
	// holeRetries: a hole means that the rows were read before the head was; read again.
	holeRetries = 5
)

func (a Append) check() error {
	switch {
	case len(a.Records) == 0:
		return ErrAppendInvalid.With("%v: no records", a.Grain)
	case a.AppendID == "":
		return ErrAppendInvalid.With("%v: no append id", a.Grain)
	}
	for i, r := range a.Records {
		if r.Version != a.Expected+1+uint64(i) {
			return ErrAppendInvalid.With("%v: record %d has version %d after %d", a.Grain, i, r.Version, a.Expected)
		}
	}
	if size := PayloadBytes(a.Records); size > MaxAppendBytes {
		return ErrAppendTooLarge.With("%v: %d bytes, at most %d", a.Grain, size, MaxAppendBytes)
	}
	return nil
}

// Append implements Journal. The group lies whole in the bucket of the version that it expects.
func (s *RowStore) Append(ctx context.Context, a Append) (bool, Head, error) {
	if err := a.check(); err != nil {
		return false, Head{}, err
	}
	if err := live(ctx); err != nil {
		return false, Head{}, err
	}
	rows := make([]Row, len(a.Records))
	for i := range a.Records {
		rows[i] = Row{Cluster: seqKey(a.Records[i].Version), Cell: appendRecord(nil, &a.Records[i])}
	}
	bucket := a.Expected / JournalBucket
	part := journalPart(a.Grain, bucket)
	head := Head{Version: a.Expected + uint64(len(a.Records)), AppendID: a.AppendID, Home: a.Home}

	applied, current, err := s.rows.PutIf(ctx, part, a.Expected, head, rows)
	if err == nil && !applied && current.Version == 0 && a.Expected > 0 {
		// The bucket is empty: this may be its first group, if the journal really ends at Expected.
		if current, err = s.headBelow(ctx, a.Grain, bucket); err == nil && current.Version == a.Expected {
			applied, current, err = s.rows.PutIf(ctx, part, 0, head, rows)
		}
	}
	if err != nil {
		return false, Head{}, fmt.Errorf("append %v after %d: %w", a.Grain, a.Expected, err)
	}
	if applied {
		s.learn(a.Grain, bucket)
		return true, current, nil
	}
	// The bucket's head may be final and the journal further on: say where it ends now.
	current, err = s.headFrom(ctx, a.Grain, current)
	if err != nil {
		return false, Head{}, fmt.Errorf("append %v after %d: %w", a.Grain, a.Expected, err)
	}
	return false, current, nil
}

// headBelow is the head of the last bucket below b that holds anything. It is final: an append to that bucket
// would have to expect a version that lies in it.
func (s *RowStore) headBelow(ctx context.Context, g id.Grain, b uint64) (Head, error) {
	for c := b; c > 0; c-- {
		h, err := s.rows.Head(ctx, journalPart(g, c-1))
		if err != nil || h.Version > 0 {
			return h, err
		}
	}
	return Head{}, nil
}

// headFrom follows the heads from h, the head of some bucket, to the end of the journal.
func (s *RowStore) headFrom(ctx context.Context, g id.Grain, h Head) (Head, error) {
	for h.Version > 0 {
		next, err := s.rows.Head(ctx, journalPart(g, h.Version/JournalBucket))
		if err != nil {
			return Head{}, err
		}
		if next.Version == 0 {
			return h, nil
		}
		s.learn(g, h.Version/JournalBucket)
		if next.Version/JournalBucket == h.Version/JournalBucket {
			return next, nil
		}
		h = next
	}
	return h, nil
}

// Head implements Journal.
func (s *RowStore) Head(ctx context.Context, g id.Grain) (Head, error) {
	b := s.hint(g)
	first, err := s.rows.Head(ctx, journalPart(g, b))
	if err != nil {
		return Head{}, fmt.Errorf("head of %v: %w", g, err)
	}
	if first.Version == 0 || first.Version/JournalBucket == b {
		return first, nil
	}
	h, err := s.headFrom(ctx, g, first)
	if err != nil {
		return Head{}, fmt.Errorf("head of %v: %w", g, err)
	}
	return h, nil
}

// ReadJournal implements Journal.
func (s *RowStore) ReadJournal(ctx context.Context, g id.Grain, after uint64, limit int) ([]Record, bool, error) {
	r, err := s.JournalFrom(ctx, g, after, limit)
	return r.Records, r.More, err
}

// JournalFrom implements Journal.
func (s *RowStore) JournalFrom(ctx context.Context, g id.Grain, after uint64, limit int) (JournalRead, error) {
	if limit <= 0 {
		limit = journalReadLimit
	}
	limit = s.pageOf(g, limit)
	r, ok, err := s.readAhead(ctx, g, after, limit)
	if err == nil && !ok {
		r, err = s.readOneByOne(ctx, g, after, limit)
	}
	if err != nil {
		return JournalRead{}, readError(g, after, err)
	}
	s.learnPage(g, limit, r)
	return r, nil
}

// readOneByOne goes from bucket to bucket, whatever lies where.
func (s *RowStore) readOneByOne(ctx context.Context, g id.Grain, after uint64, limit int) (JournalRead, error) {
	bucket, head, err := s.bucketHolding(ctx, g, after)
	if err != nil {
		return JournalRead{}, err
	}
	var records []Record
	size := 0
	for head.Version > after {
		page, err := s.readBucket(ctx, g, bucket, after, head.Version, limit-len(records))
		if err != nil {
			return JournalRead{}, err
		}
		size += PayloadBytes(page)
		records = append(records, page...)
		after += uint64(len(page))
		if len(records) >= limit || size >= journalReadBytes {
			return JournalRead{Records: records, More: true}, nil // perhaps: the next read finds out
		}
		if after < head.Version {
			continue
		}
		bucket = head.Version / JournalBucket
		if head, err = s.rows.Head(ctx, journalPart(g, bucket)); err != nil {
			return JournalRead{}, err
		}
	}
	if len(records) > 0 {
		return JournalRead{Records: records, Head: after}, nil
	}
	return JournalRead{Head: head.Version}, nil
}

// bucketHolding finds the bucket that holds version after+1, or the one in which it would come to lie. A group
// over a border, or over several, lies in the bucket of the version that it expected, so the search goes down.
func (s *RowStore) bucketHolding(ctx context.Context, g id.Grain, after uint64) (uint64, Head, error) {
	b := after / JournalBucket
	head, err := s.rows.Head(ctx, journalPart(g, b))
	if err != nil || b == 0 {
		return b, head, err
	}
	if head.Version > 0 {
		first, err := s.rows.Range(ctx, journalPart(g, b), Range{Limit: 1, KeysOnly: true})
		if err != nil {
			return b, head, err
		}
		if len(first) == 1 && first[0].Cluster <= seqKey(after+1) {
			return b, head, nil
		}
	}
	for c := b; c > 0; c-- {
		lower, err := s.rows.Head(ctx, journalPart(g, c-1))
		if err != nil {
			return 0, Head{}, err
		}
		if lower.Version > after {
			return c - 1, lower, nil
		}
		if lower.Version > 0 {
			if head.Version == 0 {
				head = lower // the journal's end
			}
			break // it ends at or below after: what follows is in b, if anywhere
		}
	}
	return b, head, nil
}

// readBucket returns the events after..upTo of one bucket, at most limit and possibly fewer, without a hole.
func (s *RowStore) readBucket(ctx context.Context, g id.Grain, bucket, after, upTo uint64, limit int) ([]Record, error) {
	const pageRows = 256
	want := min(uint64(limit), upTo-after, pageRows)
	var why error
	for range holeRetries {
		rows, err := s.rows.Range(ctx, journalPart(g, bucket), Range{From: seqKey(after + 1), To: seqKey(after + 1 + want), Limit: int(want), MaxBytes: journalFetchBytes})
		if err != nil {
			return nil, err
		}
		if size := cellBytes(rows); size >= journalFetchBytes {
			want = uint64(len(rows)) // there are more, and they come with the next read
		}
		records := make([]Record, len(rows))
		for i, r := range rows {
			if r.Cluster != seqKey(after+1+uint64(i)) {
				records = records[:i]
				break
			}
			if err := records[i].decode(after+1+uint64(i), r.Cell); err != nil {
				return nil, err
			}
		}
		if uint64(len(records)) == want {
			return records, nil
		}
		why = fmt.Errorf("%w: %w: hole after version %d below head %d", ErrUnavailable, ErrHole, after+uint64(len(records)), upTo)
		if err := live(ctx); err != nil {
			return nil, err
		}
	}
	return nil, why
}

func cellBytes(rows []Row) (n int) {
	for i := range rows {
		n += len(rows[i].Cell)
	}
	return n
}

// recordFormat is the first byte of a stored record.
const recordFormat = 1

func appendRecord(dst []byte, r *Record) []byte {
	k := Key{b: append(dst, recordFormat)}
	k.b = binary.AppendUvarint(k.b, uint64(r.Kind))
	k.b = binary.AppendUvarint(k.b, uint64(r.Format))
	k.b = binary.AppendVarint(k.b, int64(r.Meta.At))
	k.Str(r.Meta.By).Str(r.Meta.CommandID).Str(r.Meta.Trace)
	return append(k.b, r.Payload...)
}

func (r *Record) decode(version uint64, cell []byte) error {
	k := KeyReader{b: cell}
	if f := k.byte(); k.bad || f != recordFormat {
		return fmt.Errorf("%w: record %d of format %d", ErrCorrupt, version, f)
	}
	*r = Record{Version: version}
	kind, format := k.uvarint(), k.uvarint()
	r.Kind, r.Format = uint32(kind), uint32(format)
	r.Meta.At = unit.InstantMs(k.varint())
	r.Meta.By, r.Meta.CommandID, r.Meta.Trace = k.Str(), k.Str(), k.Str()
	if k.bad || kind > 1<<32-1 || format > 1<<32-1 {
		return fmt.Errorf("%w: record %d", ErrCorrupt, version)
	}
	r.Payload = k.b
	return nil
}
