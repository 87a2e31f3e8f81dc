package persistence

import (
	"context"
	"fmt"
	"sync"

	"paceline/domain/id"
)

// atOnce runs reads that do not wait for each other, and returns the first error in their order.
func atOnce(reads ...func() error) error {
	errs := make([]error, len(reads))
	var wg sync.WaitGroup
	for i, read := range reads[1:] {
		wg.Go(func() { errs[i+1] = read() })
	}
	errs[0] = reads[0]()
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads what recovery begins with, in one round trip.
func load(ctx context.Context, s Store, g id.Grain, name, consumer string) (l Loaded, err error) {
	reads := []func() error{func() (err error) {
		l.Snapshot, l.Found, err = s.LastSnapshot(ctx, g, name)
		return err
	}}
	if consumer != "" {
		reads = append(reads, func() (err error) {
			l.Cursor, err = s.Cursor(ctx, g, consumer)
			return err
		})
	}
	if err := atOnce(reads...); err != nil {
		return Loaded{}, err
	}
	return l, nil
}

// ahead is a bucket of a journal, or two, as they were read at one time.
type ahead struct {
	bucket uint64 // the lower one
	both   bool   // else the one behind it was not read
	heads  [2]Head
	rows   [2][]Row
}

// tailEvents is how far beyond a version the end of a journal is expected: what lies between two snapshots.
const tailEvents = 1000

// readAhead reads the events after a version from the bucket in which the next one should lie, and from the one behind
// it if the end may lie there, in one round trip; in a second one with the bucket below, where a group over a border lies.
// ok is false if it is not there either.
func (s *RowStore) readAhead(ctx context.Context, g id.Grain, after uint64, limit int) (r JournalRead, ok bool, err error) {
	b := after / JournalBucket
	for c := b; ; c-- {
		a, err := s.lookAhead(ctx, g, c, after, limit)
		if err != nil {
			return JournalRead{}, false, err
		}
		r, ok, err = s.join(g, a, after, limit)
		if ok || err != nil || c == 0 || c < b {
			return r, ok, err
		}
	}
}

// lookAhead reads a bucket, or two. A page of rows is as large as a bucket at most: a group of more events takes several.
func (s *RowStore) lookAhead(ctx context.Context, g id.Grain, bucket, after uint64, limit int) (*ahead, error) {
	a := &ahead{bucket: bucket}
	r := Range{Limit: min(limit, JournalBucket), MaxBytes: journalFetchBytes}
	whole := func(i int) func() error {
		part, r := journalPart(g, bucket+uint64(i)), r
		return func() (err error) { a.heads[i], a.rows[i], err = s.rows.HeadRange(ctx, part, r); return err }
	}
	if after == 0 { // as most grains are read when a node dies, and they have no more than this: one request each
		return a, whole(0)()
	}
	part, rest := journalPart(g, bucket), r
	rest.From = seqKey(after + 1)
	reads := []func() error{
		func() (err error) { a.heads[0], err = s.rows.Head(ctx, part); return err },
		func() (err error) { a.rows[0], err = s.rows.Range(ctx, part, rest); return err },
	}
	if a.both = after+tailEvents >= (bucket+1)*JournalBucket; a.both {
		reads = append(reads, whole(1)) // all in it lies behind after
	}
	return a, atOnce(reads...)
}

// join takes the events after a version from what was read. What lies in the second bucket counts only if the head of the
// first leads there, and no row counts beyond its head. ok is false if the next event may lie below.
func (s *RowStore) join(g id.Grain, a *ahead, after uint64, limit int) (r JournalRead, ok bool, err error) {
	first, second := a.heads[0].Version, a.heads[1].Version
	switch {
	case first == 0 && after > 0:
		return r, false, nil
	case first <= after:
		// The end, if nothing lies behind: the head of a bucket in which the next event would lie.
		return JournalRead{Head: first}, first/JournalBucket == a.bucket || second == 0, nil
	case len(a.rows[0]) == 0 || a.rows[0][0].Cluster != seqKey(after+1):
		return r, false, nil
	}
	records, err := follow(nil, a.rows[0], after, first)
	if err != nil {
		return r, false, err
	}
	s.learn(g, a.bucket)
	head, end := first, after+uint64(len(records))
	if end == first && first/JournalBucket == a.bucket+1 && second > 0 {
		s.learn(g, a.bucket+1)
		head = second
		if records, err = follow(records, a.rows[1], end, head); err != nil {
			return r, false, err
		}
		end = after + uint64(len(records))
	}
	last := a.bucket
	if a.both {
		last++
	}
	records, cut := page(records, limit)
	return JournalRead{Records: records, More: cut || end < head || head/JournalBucket > last, Head: head}, true, nil
}

// follow appends the rows that continue the events through end, up to the head; a hole ends them.
func follow(records []Record, rows []Row, end, head uint64) ([]Record, error) {
	for _, r := range rows {
		if end >= head || r.Cluster != seqKey(end+1) {
			break
		}
		end++
		var one Record
		if err := one.decode(end, r.Cell); err != nil {
			return nil, err
		}
		records = append(records, one)
	}
	return records, nil
}

// page cuts what is too much for one answer.
func page(records []Record, limit int) (cut []Record, more bool) {
	size := 0
	for i := range records {
		size += len(records[i].Payload)
		if i+1 >= limit || size >= journalReadBytes {
			return records[:i+1], i+1 < len(records)
		}
	}
	return records, false
}

func readError(g id.Grain, after uint64, err error) error {
	return fmt.Errorf("read %v after %d: %w", g, after, err)
}
