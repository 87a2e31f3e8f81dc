package embedded

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/persistence"
)

// The benchmarks stand in pairs: a bare synced batch of the same bytes, and ours, in the same run on the same
// disk. The ratio is what counts. "p" is how many writers there are: they share the syncs.
var writers = []int{1, 16, 128}

func bench(b *testing.B, p int, write func(w, n int)) {
	b.SetParallelism(p)
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	report := testkit.CPU(b)
	b.RunParallel(func(pb *testing.PB) {
		w := int(next.Add(1))
		for n := 1; pb.Next(); n++ {
			write(w, n)
		}
	})
	report()
}

func frame(first uint64) *sample.Batch {
	const n = 2
	batch := &sample.Batch{FirstSeq: first}
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.DistanceMm, sample.LatE7, sample.LonE7} {
		batch.Columns[c].Grow(n)
		for i := range n {
			batch.Columns[c].Set(i, int64(first)+int64(i)*int64(c))
		}
	}
	for i := range n {
		batch.AtMs = append(batch.AtMs, unit.InstantMs(int64(first)+int64(i)*1000))
	}
	return batch
}

func BenchmarkBlockBare(b *testing.B) {
	for _, p := range writers {
		b.Run(fmt.Sprint("p", p), func(b *testing.B) {
			r := openAt(b, b.TempDir())
			cell := persistence.AppendBlock(nil, frame(2))
			bench(b, p, func(w, n int) {
				batch := r.db.NewBatch()
				_ = batch.Set([]byte(fmt.Sprintf("%d/stream-of-a-device/%020d/some-block-id..", w, n)), cell, nil)
				if err := batch.Commit(pebble.Sync); err != nil {
					b.Error(err)
				}
				_ = batch.Close()
			})
		})
	}
}

func BenchmarkBlock(b *testing.B) {
	for _, p := range writers {
		b.Run(fmt.Sprint("p", p), func(b *testing.B) {
			s := persistence.Over(openAt(b, b.TempDir()))
			template := frame(2)
			bench(b, p, func(w, n int) {
				f := sample.Batch{FirstSeq: uint64(2 * n), AtMs: template.AtMs, Columns: template.Columns}
				if _, err := s.PutBlock(context.Background(), streamOf(w), &f); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkAppendBare(b *testing.B) {
	for _, p := range writers {
		b.Run(fmt.Sprint("p", p), func(b *testing.B) {
			r := openAt(b, b.TempDir())
			payload := make([]byte, 100)
			bench(b, p, func(w, n int) {
				batch := r.db.NewBatch()
				_ = batch.Set([]byte(fmt.Sprintf("%d/head", w)), payload[:20], nil)
				_ = batch.Set([]byte(fmt.Sprintf("%d/event/%020d", w, n)), payload, nil)
				if err := batch.Commit(pebble.Sync); err != nil {
					b.Error(err)
				}
				_ = batch.Close()
			})
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, p := range writers {
		b.Run(fmt.Sprint("p", p), func(b *testing.B) {
			s := persistence.Over(openAt(b, b.TempDir()))
			payload := make([]byte, 100)
			bench(b, p, func(w, n int) {
				a := persistence.Append{Grain: id.Of(id.Competition, fmt.Sprint(w)), Expected: uint64(n - 1), AppendID: "a",
					Records: []persistence.Record{{Version: uint64(n), Kind: 1, Format: 1, Payload: payload}}}
				if ok, head, err := s.Append(context.Background(), a); err != nil || !ok {
					b.Errorf("%v, %+v, %v", ok, head, err)
				}
			})
		})
	}
}

// BenchmarkStored is what the plan names: rows a second of so many writers beside those of a bare Pebble, in turns. The bare
// journal is the same conditional batch: the head is read, compared, and written with the event, synced.
func BenchmarkStored(b *testing.B) {
	const writers = 32
	b.Run("block", func(b *testing.B) {
		r := openAt(b, b.TempDir())
		s := persistence.Over(r)
		template := frame(2)
		cell := persistence.AppendBlock(nil, template)
		testkit.InTurns(b, writers, func(w, n int) error {
			f := sample.Batch{FirstSeq: uint64(2 * (n + 1)), AtMs: template.AtMs, Columns: template.Columns}
			_, err := s.PutBlock(context.Background(), streamOf(w), &f)
			return err
		}, func(w, n int) error {
			return r.db.Set([]byte(fmt.Sprintf("%d/stream-of-a-device/%020d/some-block-id..", w, n)), cell, pebble.Sync)
		})
	})
	b.Run("append", func(b *testing.B) {
		r := openAt(b, b.TempDir())
		s := persistence.Over(r)
		payload := make([]byte, 100)
		testkit.InTurns(b, writers, func(w, n int) error {
			a := persistence.Append{Grain: id.Of(id.Competition, fmt.Sprint(w)), Expected: uint64(n), AppendID: fmt.Sprint("append-", n),
				Records: []persistence.Record{{Version: uint64(n + 1), Kind: 1, Format: 1, Payload: payload}}}
			ok, head, err := s.Append(context.Background(), a)
			if err == nil && !ok {
				err = fmt.Errorf("writer %d is refused after %d: %+v", w, n, head)
			}
			return err
		}, func(w, n int) error {
			key := fmt.Appendf(nil, "%d/head", w)
			head, err := bareHead(r, key)
			if err != nil || head != n {
				return errors.Join(err, fmt.Errorf("bare writer %d at %d: head %d", w, n, head))
			}
			batch := r.db.NewBatch()
			_ = batch.Set(key, fmt.Appendf(nil, "%020d", n+1), nil)
			_ = batch.Set(fmt.Appendf(nil, "%d/event/%020d", w, n), payload, nil)
			if err := batch.Commit(pebble.Sync); err != nil {
				return err
			}
			return batch.Close()
		})
	})
}

func bareHead(r *Rows, key []byte) (int, error) {
	v, closer, err := r.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	head, err := strconv.Atoi(string(v))
	return head, errors.Join(err, closer.Close())
}
