package persistence

import (
	"context"
	"errors"
	"fmt"
	"math"

	"paceline/domain/id"
)

// ErrNoScan: this driver cannot list its partitions.
var ErrNoScan = errors.New("the store cannot be scanned")

// Grains lists the grains that have a journal, at most limit, after a token that an earlier call returned ("": from
// the start). next is "" when there are no more. It is resumable: grains that come into being meanwhile may or
// may not be in it.
func (s *RowStore) Grains(ctx context.Context, after string, limit int) (grains []id.Grain, next string, err error) {
	scan, ok := s.rows.(Scanner)
	if !ok {
		return nil, "", ErrNoScan
	}
	for len(grains) < limit {
		keys, err := scan.Parts(ctx, TableJournal, after, 1)
		if err != nil {
			return nil, "", fmt.Errorf("list grains: %w", err)
		}
		if len(keys) == 0 {
			return grains, "", nil
		}
		k := ReadKey(keys[0])
		g := id.Grain{Kind: id.Kind(k.Str()), ID: k.Str()}
		if k.U64(); !k.End() {
			return nil, "", fmt.Errorf("%w: key of a journal", ErrCorrupt)
		}
		grains = append(grains, g)
		after = journalPart(g, math.MaxUint64).Key // over its other buckets
	}
	return grains, after, nil
}
