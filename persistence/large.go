package persistence

import (
	"context"
	"fmt"

	"paceline/domain/id"
)

// A read asks for a bucket of events at once, because that is one round trip, and no driver can say before what they weigh.
// So the payload of a large event lies in a row of its own behind the events of its bucket: a bucket of events is never
// more than a page, and of the payloads behind it a read asks for those that it can hold.

// largeEvent is what a payload in its event's row may have.
const largeEvent = JournalPageBytes / JournalBucket

// largeKey lies behind all versions: none comes near the first byte.
func largeKey(version uint64) string { return JournalEnd + seqKey(version) }

// rowsOf are the rows of one event.
func (s *RowStore) rowsOf(r *Record) []Row {
	if len(r.Payload) <= largeEvent || s.InLine != nil && s.InLine() {
		return []Row{{Cluster: seqKey(r.Version), Cell: appendRecord(nil, r)}}
	}
	named := *r
	named.Payload, named.apart = nil, len(r.Payload)
	return []Row{{Cluster: seqKey(r.Version), Cell: appendRecord(nil, &named)}, {Cluster: largeKey(r.Version), Cell: r.Payload}}
}

// fill reads the payloads that lie apart, of events of one bucket. Together they are a page at most: see page.
func (s *RowStore) fill(ctx context.Context, g id.Grain, bucket uint64, records []Record) error {
	first, last, n := uint64(0), uint64(0), 0
	for i := range records {
		if records[i].apart > 0 {
			if last = records[i].Version; n == 0 {
				first = last
			}
			n++
		}
	}
	if n == 0 {
		return nil
	}
	rows, err := s.rows.Range(ctx, journalPart(g, bucket), Range{From: largeKey(first), To: largeKey(last + 1), Limit: n})
	if err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		if r.apart == 0 {
			continue
		}
		if len(rows) == 0 || rows[0].Cluster != largeKey(r.Version) || len(rows[0].Cell) != r.apart {
			return fmt.Errorf("%w: payload of event %d", ErrCorrupt, r.Version)
		}
		r.Payload, r.apart, rows = rows[0].Cell, 0, rows[1:]
	}
	return nil
}
