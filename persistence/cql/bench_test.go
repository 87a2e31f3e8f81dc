package cql

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/persistence/persistencetest"
)

// Ours and a bare gocql that sends the same statements, on the same session, with the same number of writers, in turns
// of a fraction of a second: what else the machine and the server do, they do to both.

func frameOf(first uint64, samples int) *sample.Batch {
	batch := &sample.Batch{FirstSeq: first}
	for _, c := range []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.DistanceMm, sample.LatE7, sample.LonE7} {
		batch.Columns[c].Grow(samples)
		for i := range samples {
			batch.Columns[c].Set(i, int64(first)+int64(i)*int64(c))
		}
	}
	for i := range samples {
		batch.AtMs = append(batch.AtMs, unit.InstantMs(int64(first)+int64(i)*1000))
	}
	return batch
}

func BenchmarkBlock(b *testing.B) {
	for _, writers := range []int{32, 128} {
		b.Run(fmt.Sprint("p", writers), func(b *testing.B) {
			rows := open(b, server(b))
			s := persistence.Over(rows)
			template := frameOf(2, 2)
			cell := persistence.AppendBlock(nil, template)
			stmt := tables[persistence.TableSeries].put.cql
			session := server(b).session.Session
			prefix := rows.(*apart).prefix
			testkit.InTurns(b, writers, func(w, n int) error {
				f := sample.Batch{FirstSeq: uint64(2 * (n + 1)), AtMs: template.AtMs, Columns: template.Columns}
				k := persistence.SeriesKey{Device: fmt.Sprint("user/", w), Stream: "stream", Subject: "user"}
				_, err := s.PutBlock(context.Background(), k, &f)
				return err
			}, func(w, n int) error {
				part := fmt.Appendf(nil, "%sbare/%d/%d", prefix, w, 2*n/persistence.SeriesBucket)
				return session.Query(stmt, part, fmt.Appendf(nil, "%032d", n), cell, time.Now().UnixMicro()).Exec()
			})
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{16, 64} {
		b.Run(fmt.Sprint("p", writers), func(b *testing.B) {
			rows := open(b, server(b))
			s := persistence.Over(rows)
			payload := make([]byte, 100)
			t := &tables[persistence.TableJournal]
			session := server(b).session.Session
			prefix := rows.(*apart).prefix
			testkit.InTurns(b, writers, func(w, n int) error {
				a := persistence.Append{Grain: id.Of(id.Competition, fmt.Sprint(w)), Expected: uint64(n), AppendID: fmt.Sprint("append-", n),
					Records: []persistence.Record{{Version: uint64(n + 1), Kind: 1, Format: 1, Payload: payload}}}
				ok, head, err := s.Append(context.Background(), a)
				if err == nil && !ok {
					err = fmt.Errorf("writer %d is refused after %d: %+v", w, n, head)
				}
				return err
			}, func(w, n int) error {
				part := fmt.Appendf(nil, "%sbare/%d/%d", prefix, w, n/persistence.JournalBucket)
				batch := session.Batch(gocql.UnloggedBatch)
				if n%persistence.JournalBucket == 0 {
					batch.Query(t.headFirst.cql, int64(n+1), fmt.Sprint("append-", n), "", part)
				} else {
					batch.Query(t.headNext.cql, int64(n+1), fmt.Sprint("append-", n), "", part, int64(n))
				}
				batch.Query(t.putRow.cql, part, fmt.Appendf(nil, "%08d", n), payload)
				ok, iter, err := session.MapExecuteBatchCAS(batch, make(map[string]any))
				if err != nil {
					return err
				}
				if !ok {
					return fmt.Errorf("bare writer %d is refused at %d", w, n)
				}
				return iter.Close()
			})
		})
	}
}

// BenchmarkPartitions prints the largest partition of each table of a keyspace that a real run has filled:
// PACELINE_CQL_KEYSPACE=… go test ./persistence/cql -run '^$' -bench Partitions -benchtime 1x
func BenchmarkPartitions(b *testing.B) {
	cfg := world.cfg
	server(b)
	if name := os.Getenv("PACELINE_CQL_KEYSPACE"); name != "" {
		cfg.Keyspace = name
	}
	rows, err := Open(context.Background(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for b.Loop() {
		for t := range tables {
			if tables[t].name == "" {
				continue
			}
			largest, parts, err := persistencetest.Largest(context.Background(), rows, persistence.Table(t))
			if err != nil {
				b.Fatal(err)
			}
			b.Logf("%-12s %6d partitions, the largest %5d rows, %8d bytes: %q", tables[t].name, parts, largest.Rows, largest.Bytes, largest.Key)
		}
	}
}
