package persistencetest

import (
	"context"

	"paceline/persistence"
)

// Size is what one partition holds: keys of rows and cells, without what a server adds.
type Size struct {
	Key         string
	Rows, Bytes int
}

// Largest reads a whole table of a driver that can be scanned, and returns its largest partition, by bytes, and how many
// there are. It is how the bounds in docs/storage.md are measured.
func Largest(ctx context.Context, rows persistence.Rows, t persistence.Table) (largest Size, parts int, err error) {
	scan, ok := rows.(persistence.Scanner)
	if !ok {
		return Size{}, 0, persistence.ErrNoScan
	}
	const page = 500
	for after := ""; ; {
		keys, err := scan.Parts(ctx, t, after, page)
		if err != nil {
			return Size{}, 0, err
		}
		for _, key := range keys {
			s := Size{Key: key}
			all, err := rows.Range(ctx, persistence.Part{Table: t, Key: key}, persistence.Range{})
			if err != nil {
				return Size{}, 0, err
			}
			for _, r := range all {
				s.Rows++
				s.Bytes += len(r.Cluster) + len(r.Cell)
			}
			if parts++; s.Bytes > largest.Bytes {
				largest = s
			}
			after = key
		}
		if len(keys) < page {
			return largest, parts, nil
		}
	}
}
