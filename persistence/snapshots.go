package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"paceline/domain/id"
)

const (
	// ChunkBytes is the most that one row of a snapshot or one part of a recording holds.
	ChunkBytes = 256 << 10
	// snapshotsKept: the newest may turn out to be incomplete.
	snapshotsKept = 2
	// chunksAtOnce is how many rows the first look takes: two snapshots of a megabyte.
	chunksAtOnce = 8
)

// chunkKey is the clustering key of one chunk. Newest first: version descending; then by a number that counts
// repeated writes of a version (a checkpoint moves on while the journal stands still); then by the hash of the
// bytes, so that chunks of two writers never mix.
type chunkKey struct {
	version uint64
	again   uint32
	hash    uint64
	chunk   uint32
	chunks  uint32
}

func (c chunkKey) String() string {
	return c.of() + (&Key{}).U32(c.chunk).U32(c.chunks).String()
}

// of is what all chunks of one snapshot share.
func (c chunkKey) of() string {
	k := Key{}
	return k.U64(math.MaxUint64 - c.version).U32(math.MaxUint32 - c.again).U64(c.hash).String()
}

func parseChunkKey(s string) (chunkKey, error) {
	k := KeyReader{b: []byte(s)}
	c := chunkKey{version: math.MaxUint64 - k.U64(), again: math.MaxUint32 - k.U32(), hash: k.U64()}
	c.chunk, c.chunks = k.U32(), k.U32()
	if k.bad || len(k.b) > 0 {
		return c, fmt.Errorf("%w: snapshot key", ErrCorrupt)
	}
	return c, nil
}

// SnapshotPart is the partition of a snapshot, for tests and tools that look at the rows.
func SnapshotPart(g id.Grain, name string) Part {
	k := Key{}
	return Part{Table: TableSnapshot, Key: k.Str(string(g.Kind)).Str(g.ID).Str(name).String(), Subject: SubjectOf(g)}
}

// cursorPart holds numbers only: nothing to seal.
func cursorPart(g id.Grain) Part {
	k := Key{}
	return Part{Table: TableCursor, Key: k.Str(string(g.Kind)).Str(g.ID).String()}
}

// snapshotHash is in the key, so it must not say anything about the bytes where they are sealed.
func (s *RowStore) snapshotHash(ctx context.Context, p Part, b []byte) (uint64, error) {
	id, err := s.rowID(ctx, p.Subject, b)
	return binary.BigEndian.Uint64(id[:8]), err
}

// snapshotKeys lists the snapshots of a name, newest first, with the number of chunks that are there.
func (s *RowStore) snapshotKeys(ctx context.Context, p Part) (keys []chunkKey, present []uint32, err error) {
	rows, err := s.rows.Range(ctx, p, Range{KeysOnly: true})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		c, err := parseChunkKey(r.Cluster)
		if err != nil {
			continue // no part of a snapshot that can be read
		}
		if n := len(keys); n == 0 || keys[n-1].of() != c.of() {
			c.chunk = 0
			keys, present = append(keys, c), append(present, 0)
		}
		present[len(present)-1]++
	}
	return keys, present, nil
}

// laid is a snapshot as it lies in its partition, and how many of its chunks are there.
type laid struct {
	key     chunkKey
	present uint32
}

// laidIn is what lies in a partition, newest first: as this store has left it, or else as it is read.
func (s *RowStore) laidIn(ctx context.Context, p Part) ([]laid, error) {
	s.mu.Lock()
	there, known := s.laid[p.Key]
	s.mu.Unlock()
	if known {
		return there, nil
	}
	keys, present, err := s.snapshotKeys(ctx, p)
	for i := range keys {
		there = append(there, laid{keys[i], present[i]})
	}
	return there, err
}

// left notes how a partition was left; nil: nobody knows.
func (s *RowStore) left(p Part, there []laid) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there == nil {
		delete(s.laid, p.Key)
		return
	}
	if len(s.laid) >= maxHints {
		clear(s.laid)
	}
	s.laid[p.Key] = there
}

// PutSnapshot implements Snapshots. The chunks go one by one; only a whole snapshot is ever read. With the last one go those
// that are not needed any more. Where other activations have written meanwhile something may be left over, until the next
// one that looks.
func (s *RowStore) PutSnapshot(ctx context.Context, g id.Grain, name string, snap Snapshot) error {
	p := SnapshotPart(g, name)
	there, err := s.laidIn(ctx, p)
	if err != nil {
		return fmt.Errorf("%s of %v: %w", name, g, err)
	}
	s.left(p, nil)
	hash, err := s.snapshotHash(ctx, p, snap.Bytes)
	if err != nil {
		return fmt.Errorf("%s of %v: %w", name, g, err)
	}
	c := chunkKey{version: snap.Version, hash: hash, again: 1}
	for _, l := range there {
		if l.key.version == c.version {
			c.again = max(c.again, l.key.again+1)
		}
	}
	c.chunks = max(1, uint32((len(snap.Bytes)+ChunkBytes-1)/ChunkBytes))
	kept, gone := supersede(there, c)
	for ; c.chunk < c.chunks; c.chunk++ {
		from := int(c.chunk) * ChunkBytes
		cell := snap.Bytes[from:min(from+ChunkBytes, len(snap.Bytes))]
		cell = append(make([]byte, 0, len(cell)), cell...)
		muts := []Mutation{{Part: p, Row: Row{Cluster: c.String(), Cell: cell}}}
		if c.chunk+1 == c.chunks {
			muts = append(muts, gone.deletions(p)...)
		}
		if err := s.put(ctx, muts); err != nil {
			return fmt.Errorf("%s of %v at %d: %w", name, g, snap.Version, err)
		}
	}
	s.left(p, kept)
	return nil
}

type laidOnes []laid

// supersede says what of a partition is kept beside what is being written, and what is not needed any more: all behind the
// newest whole ones.
func supersede(there []laid, written chunkKey) (kept, gone laidOnes) {
	all := append(slices.Clone(there), laid{written, written.chunks})
	slices.SortFunc(all, func(a, b laid) int { return strings.Compare(a.key.of(), b.key.of()) })
	whole := 0
	for _, l := range all {
		if whole >= snapshotsKept && l.key != written {
			gone = append(gone, l)
			continue
		}
		kept = append(kept, l)
		if l.present == l.key.chunks {
			whole++
		}
	}
	return kept, gone
}

func (gone laidOnes) deletions(p Part) []Mutation {
	var muts []Mutation
	for _, l := range gone {
		for k := l.key; k.chunk < k.chunks; k.chunk++ {
			muts = append(muts, Mutation{Part: p, Row: Row{Cluster: k.String()}, Delete: true})
		}
	}
	return muts
}

// LastSnapshot implements Snapshots: the newest of which every chunk is there and whose bytes are those that
// were written. Anything else is passed over: a snapshot is a cache.
func (s *RowStore) LastSnapshot(ctx context.Context, g id.Grain, name string) (Snapshot, bool, error) {
	p := SnapshotPart(g, name)
	s.left(p, nil) // an activation begins: others may have written
	// Mostly the newest is whole, and its chunks are among the first rows: one round trip.
	first, err := s.rows.Range(ctx, p, Range{Limit: chunksAtOnce})
	switch {
	case errors.Is(err, ErrCorrupt): // one of them; each by itself, then
	case err != nil:
		return Snapshot{}, false, fmt.Errorf("%s of %v: %w", name, g, err)
	case len(first) == 0:
		return Snapshot{}, false, nil
	default:
		if snap, ok, err := s.assemble(ctx, p, first); ok || err != nil {
			return snap, ok, err
		}
	}
	keys, present, err := s.snapshotKeys(ctx, p)
	if err != nil {
		return Snapshot{}, false, fmt.Errorf("%s of %v: %w", name, g, err)
	}
	for i, k := range keys {
		if present[i] != k.chunks {
			continue
		}
		last := k
		last.chunk = k.chunks
		rows, err := s.rows.Range(ctx, p, Range{From: k.of(), To: last.String()})
		if errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil {
			return Snapshot{}, false, fmt.Errorf("%s of %v at %d: %w", name, g, k.version, err)
		}
		if snap, ok, err := s.assemble(ctx, p, rows); ok || err != nil {
			return snap, ok, err
		}
	}
	return Snapshot{}, false, nil
}

// assemble is the snapshot that the rows begin with; false if it is not whole, or not what was written.
func (s *RowStore) assemble(ctx context.Context, p Part, rows []Row) (Snapshot, bool, error) {
	if len(rows) == 0 {
		return Snapshot{}, false, nil
	}
	k, err := parseChunkKey(rows[0].Cluster)
	if err != nil || uint64(len(rows)) < uint64(k.chunks) {
		return Snapshot{}, false, nil
	}
	var b []byte
	for i, r := range rows[:k.chunks] {
		want := k
		want.chunk = uint32(i)
		if r.Cluster != want.String() {
			return Snapshot{}, false, nil
		}
		b = append(b, r.Cell...)
	}
	hash, err := s.snapshotHash(ctx, p, b)
	if err != nil {
		return Snapshot{}, false, fmt.Errorf("snapshot at %d: %w", k.version, err)
	}
	return Snapshot{Version: k.version, Bytes: b}, hash == k.hash, nil
}

// PutCursor implements Cursors.
func (s *RowStore) PutCursor(ctx context.Context, g id.Grain, consumer string, through uint64) error {
	m := Mutation{Part: cursorPart(g), Row: Row{Cluster: consumer, Cell: binary.AppendUvarint(nil, through)}}
	if err := s.put(ctx, []Mutation{m}); err != nil {
		return fmt.Errorf("cursor %s of %v: %w", consumer, g, err)
	}
	return nil
}

// Cursor implements Cursors.
func (s *RowStore) Cursor(ctx context.Context, g id.Grain, consumer string) (uint64, error) {
	cell, ok, err := s.rows.Get(ctx, cursorPart(g), consumer)
	if err != nil || !ok {
		return 0, err
	}
	k := KeyReader{b: cell}
	if v := k.uvarint(); !k.bad {
		return v, nil
	}
	return 0, fmt.Errorf("%w: cursor %s of %v", ErrCorrupt, consumer, g)
}
