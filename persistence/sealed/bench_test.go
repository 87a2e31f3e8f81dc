package sealed_test

import (
	"context"
	"testing"

	"paceline/domain/sample"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// BenchmarkPutBlock is what sealing adds to a block: the same without a disk, plain and sealed.
func BenchmarkPutBlock(b *testing.B) {
	batch := block().Slice(0, 2)
	for name, rows := range map[string]persistence.Rows{"plain": memory.New(), "sealed": seal(b, memory.New())} {
		b.Run(name, func(b *testing.B) {
			s := persistence.Over(rows)
			b.ReportAllocs()
			for n := uint64(1); b.Loop(); n++ {
				x := sample.Batch{FirstSeq: 2 * n, AtMs: batch.AtMs, Columns: batch.Columns}
				if _, err := s.PutBlock(context.Background(), stream, &x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
