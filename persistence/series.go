package persistence

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"paceline/domain/sample"
)

func seriesPart(k SeriesKey, bucket uint64) Part {
	// As Key writes it, in room of its own: this is the hot path, and a Key would not stay on the stack.
	var room [96]byte
	b := binary.AppendUvarint(room[:0], uint64(len(k.Device)))
	b = append(b, k.Device...)
	b = binary.AppendUvarint(b, uint64(len(k.Stream)))
	b = append(b, k.Stream...)
	b = binary.BigEndian.AppendUint64(b, bucket)
	return Part{Table: TableSeries, Key: string(b), Subject: k.Subject}
}

func (k BlockKey) cluster() string {
	var room [32]byte
	b := binary.BigEndian.AppendUint64(room[:0], k.First)
	b = binary.BigEndian.AppendUint64(b, k.Last)
	return string(append(b, k.ID[:]...))
}

func parseBlockKey(s string) (BlockKey, error) {
	k := KeyReader{b: []byte(s)}
	b := BlockKey{First: k.U64(), Last: k.U64()}
	if k.bad || len(k.b) != len(b.ID) || b.First == 0 || b.Last < b.First || b.Last-b.First >= sample.MaxBatch {
		return b, fmt.Errorf("%w: key of a block", ErrCorrupt)
	}
	copy(b.ID[:], k.b)
	return b, nil
}

// PutBlock implements Series. The name of the row is made of the values and marks, so a row is never replaced
// by other bytes: the same block again is the same row, another one is another row.
func (s *RowStore) PutBlock(ctx context.Context, k SeriesKey, b *sample.Batch) (BlockKey, error) {
	n := b.Len()
	if n == 0 || n > sample.MaxBatch || b.FirstSeq == 0 || b.FirstSeq/SeriesBucket != b.LastSeq()/SeriesBucket {
		return BlockKey{}, ErrAppendInvalid.With("block of %d samples from %d in %s", n, b.FirstSeq, k.Stream)
	}
	scratch := blockScratches.Get().(*blockScratch)
	scratch.raw = scratch.raw[:0]
	for i := range n {
		scratch.raw = sample.AppendCanonical(scratch.raw, b, i)
	}
	id, err := s.rowID(ctx, k.Subject, scratch.raw)
	cell := AppendBlock(nil, b)
	blockScratches.Put(scratch)
	if err != nil {
		return BlockKey{}, fmt.Errorf("block %d of %s: %w", b.FirstSeq, k.Stream, err)
	}
	key := BlockKey{First: b.FirstSeq, Last: b.LastSeq(), ID: id}
	m := Mutation{Part: seriesPart(k, key.First/SeriesBucket), Row: Row{Cluster: key.cluster(), Cell: cell}}
	if err := s.put(ctx, []Mutation{m}); err != nil {
		return BlockKey{}, fmt.Errorf("block %d of %s: %w", b.FirstSeq, k.Stream, err)
	}
	return key, nil
}

// spans is a set of seqs as ascending spans that do not touch.
type spans []Span

func newSpans(in []Span) spans {
	out := make(spans, 0, len(in))
	for _, s := range in {
		if s.From <= s.To {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Span) int {
		if a.From < b.From {
			return -1
		} else if a.From > b.From {
			return 1
		}
		return 0
	})
	merged := out[:0]
	for _, s := range out {
		if n := len(merged); n > 0 && s.From <= merged[n-1].To+1 {
			merged[n-1].To = max(merged[n-1].To, s.To)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// at is the span that holds seq.
func (s spans) at(seq uint64) (Span, bool) {
	for _, x := range s {
		if x.From <= seq && seq <= x.To {
			return x, true
		}
	}
	return Span{}, false
}

// blockRow is a row that was read; its batch is decoded when it is needed.
type blockRow struct {
	key   BlockKey
	cell  []byte
	batch *sample.Batch
}

func (r *blockRow) decode() (*sample.Batch, error) {
	if r.batch != nil {
		return r.batch, nil
	}
	b, err := DecodeBlock(r.cell)
	if err != nil {
		return nil, err
	}
	if b.FirstSeq != r.key.First || b.LastSeq() != r.key.Last {
		return nil, fmt.Errorf("%w: block %d..%d under the key %d..%d", ErrCorrupt, b.FirstSeq, b.LastSeq(), r.key.First, r.key.Last)
	}
	r.batch, r.cell = &b, nil
	return r.batch, nil
}

// bucketRows reads the rows of one bucket that overlap from..to.
func (s *RowStore) bucketRows(ctx context.Context, k SeriesKey, bucket, from, to uint64, keysOnly bool) ([]blockRow, error) {
	r := Range{KeysOnly: keysOnly}
	if from >= sample.MaxBatch {
		r.From = seqKey(from - sample.MaxBatch + 1) // a row that begins lower ends below from
	}
	if to/SeriesBucket == bucket {
		r.To = seqKey(to + 1)
	}
	rows, err := s.rows.Range(ctx, seriesPart(k, bucket), r)
	if err != nil {
		return nil, err
	}
	out := make([]blockRow, 0, len(rows))
	for _, row := range rows {
		key, err := parseBlockKey(row.Cluster)
		if err != nil {
			return nil, err
		}
		if key.First/SeriesBucket != bucket || key.Last/SeriesBucket != bucket {
			return nil, fmt.Errorf("%w: block %d..%d in bucket %d", ErrCorrupt, key.First, key.Last, bucket)
		}
		if key.Last >= from {
			out = append(out, blockRow{key: key, cell: row.Cell})
		}
	}
	return out, nil
}

// maxSeriesBucket keeps arithmetic on seqs far from its end; no stream comes near it.
const maxSeriesBucket = 1 << 48

// nextBucket is the bucket to look at after this one. An empty one ends the search unless a skip spans its end:
// only over a skip can the cover go on without a row. Buckets inside a skip hold nothing that counts.
func (s spans) nextBucket(bucket uint64, empty bool) (uint64, bool) {
	if bucket >= maxSeriesBucket {
		return bucket, false
	}
	if !empty {
		return bucket + 1, true
	}
	sk, spanned := s.at((bucket+1)*SeriesBucket - 1)
	return max(bucket+1, min(sk.To/SeriesBucket, maxSeriesBucket)), spanned
}

// maxConflictsNamed bounds what a hostile client can make a read return.
const maxConflictsNamed = 1024

// ReadSeries implements Series.
func (s *RowStore) ReadSeries(ctx context.Context, q SeriesQuery) (SeriesRead, error) {
	var out SeriesRead
	skips := newSpans(q.Skips)
	from := max(q.From, 1)
	left := q.MaxSamples
	for bucket, more := from/SeriesBucket, true; more && (q.To == 0 || bucket <= q.To/SeriesBucket); {
		to := (bucket+1)*SeriesBucket - 1
		if q.To != 0 {
			to = min(to, q.To)
		}
		rows, err := s.bucketRows(ctx, q.Key, bucket, max(from, bucket*SeriesBucket), to, false)
		if err != nil {
			return SeriesRead{}, fmt.Errorf("read %s from %d: %w", q.Key.Stream, from, err)
		}
		m := merge{from: max(from, bucket*SeriesBucket, 1), to: to, skips: skips, rows: rows, left: left, limited: q.MaxSamples > 0}
		if err := m.into(&out); err != nil {
			return SeriesRead{}, fmt.Errorf("read %s from %d: %w", q.Key.Stream, from, err)
		}
		if out.More {
			break
		}
		left = m.left
		if q.To != 0 {
			bucket++ // every bucket of a range that has an end is looked at
			continue
		}
		bucket, more = skips.nextBucket(bucket, len(rows) == 0)
	}
	return out, nil
}

// merge decides, seq by seq, which of the rows of a bucket counts: of all that cover it the one with the
// smallest id. Every reader decides the same, whatever the order in which the rows were written.
type merge struct {
	from, to uint64
	skips    spans
	rows     []blockRow
	left     int
	limited  bool

	owner []int32 // index into rows + 1, for from+i
}

func (m *merge) into(out *SeriesRead) error {
	if len(m.rows) == 0 {
		return nil
	}
	first := max(m.from, m.rows[0].key.First)
	last := uint64(0)
	for i := range m.rows {
		last = max(last, m.rows[i].key.Last)
	}
	last = min(last, m.to)
	m.from = first
	if last < first {
		return nil
	}
	m.owner = make([]int32, last-first+1)
	overlap := m.assign(last)
	end := m.cut(last)
	for i := range m.rows {
		if m.rows[i].key.First <= end {
			out.Blocks = append(out.Blocks, m.rows[i].key)
		}
	}
	if overlap {
		if err := m.conflicts(end, out); err != nil {
			return err
		}
	}
	out.More = end < last
	return m.emit(end, out)
}

// assign fills owner and reports whether any seq has more than one row.
func (m *merge) assign(last uint64) (overlap bool) {
	for i := range m.rows {
		k := &m.rows[i].key
		for seq := max(k.First, m.from); seq <= min(k.Last, last); seq++ {
			o := &m.owner[seq-m.from]
			switch {
			case *o == 0:
				*o = int32(i + 1)
			default:
				overlap = true
				if lessID(&k.ID, &m.rows[*o-1].key.ID) {
					*o = int32(i + 1)
				}
			}
		}
	}
	for _, sk := range m.skips {
		for seq := max(sk.From, m.from); seq <= min(sk.To, last); seq++ {
			m.owner[seq-m.from] = 0
		}
	}
	return overlap
}

func lessID(a, b *[16]byte) bool { return string(a[:]) < string(b[:]) }

// cut is the last seq that still goes out; left goes down by what does.
func (m *merge) cut(last uint64) uint64 {
	if !m.limited {
		return last
	}
	end := m.from - 1
	for i, o := range m.owner {
		if o == 0 {
			continue
		}
		if m.left == 0 {
			return end
		}
		m.left--
		end = m.from + uint64(i)
	}
	return last
}

// conflicts names the seqs for which two rows hold different values.
func (m *merge) conflicts(end uint64, out *SeriesRead) error {
	named := make(map[uint64]bool)
	for i := range m.rows {
		k := m.rows[i].key
		for seq := max(k.First, m.from); seq <= min(k.Last, end); seq++ {
			o := int(m.owner[seq-m.from]) - 1
			if o < 0 || o == i || named[seq] {
				continue
			}
			a, err := m.rows[o].decode()
			if err != nil {
				return err
			}
			b, err := m.rows[i].decode()
			if err != nil {
				return err
			}
			named[seq] = !a.Same(int(seq-a.FirstSeq), b, int(seq-b.FirstSeq))
		}
	}
	found := make([]uint64, 0, len(named))
	for seq, differs := range named {
		if differs {
			found = append(found, seq)
		}
	}
	slices.Sort(found)
	room := maxConflictsNamed - len(out.Conflicts)
	out.Conflicts = append(out.Conflicts, found[:min(len(found), max(room, 0))]...)
	return nil
}

// emit appends runs of consecutive seqs of one owner.
func (m *merge) emit(end uint64, out *SeriesRead) error {
	for i := 0; i < len(m.owner) && m.from+uint64(i) <= end; {
		o := m.owner[i]
		j := i + 1
		for j < len(m.owner) && m.from+uint64(j) <= end && m.owner[j] == o {
			j++
		}
		if o != 0 {
			b, err := m.rows[o-1].decode()
			if err != nil {
				return err
			}
			at := int(m.from + uint64(i) - b.FirstSeq)
			if at == 0 && j-i == b.Len() {
				out.Batches = append(out.Batches, *b)
			} else {
				out.Batches = append(out.Batches, b.Slice(at, at+j-i))
			}
		}
		i = j
	}
	return nil
}

// DeleteThrough implements Series: only rows that lie wholly at or below through go.
func (s *RowStore) DeleteThrough(ctx context.Context, k SeriesKey, through uint64) error {
	for bucket := uint64(0); bucket <= through/SeriesBucket; bucket++ {
		p := seriesPart(k, bucket)
		if (bucket+1)*SeriesBucket-1 <= through {
			if err := s.rows.DeleteRange(ctx, p, "", ""); err != nil {
				return fmt.Errorf("delete %s through %d: %w", k.Stream, through, err)
			}
			continue
		}
		rows, err := s.bucketRows(ctx, k, bucket, 1, through, true)
		if err != nil {
			return fmt.Errorf("delete %s through %d: %w", k.Stream, through, err)
		}
		var muts []Mutation
		for i := range rows {
			if rows[i].key.Last <= through {
				muts = append(muts, Mutation{Part: p, Row: Row{Cluster: rows[i].key.cluster()}, Delete: true})
			}
		}
		if len(muts) == 0 {
			continue
		}
		if err := s.put(ctx, muts); err != nil {
			return fmt.Errorf("delete %s through %d: %w", k.Stream, through, err)
		}
	}
	return nil
}
