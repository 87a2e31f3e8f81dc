package persistence

import (
	"context"
	"errors"
	"fmt"

	"paceline/domain/id"
)

// ErrNoScan: this driver cannot list its partitions.
var ErrNoScan = errors.New("the store cannot be scanned")

// Grains lists the grains that have a journal, at most limit, after a token that an earlier call returned ("": from
// the start). next is "" when there are no more; a page may be empty and not the last. It is resumable: grains that
// come into being meanwhile may or may not be in it. The order is the driver's: by key, or by token.
func (s *RowStore) Grains(ctx context.Context, after string, limit int) (grains []id.Grain, next string, err error) {
	scan, ok := s.rows.(Scanner)
	if !ok {
		return nil, "", ErrNoScan
	}
	keys, err := scan.Parts(ctx, TableJournal, after, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list grains: %w", err)
	}
	for _, key := range keys {
		k := ReadKey(key)
		g := id.Grain{Kind: id.Kind(k.Str()), ID: k.Str()}
		bucket := k.U64()
		if !k.End() {
			return nil, "", fmt.Errorf("%w: key of a journal", ErrCorrupt)
		}
		if bucket == 0 { // every journal has it: the first append lies there
			grains = append(grains, g)
		}
	}
	if len(keys) < limit {
		return grains, "", nil
	}
	return grains, keys[len(keys)-1], nil
}
