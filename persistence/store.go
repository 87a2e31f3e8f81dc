package persistence

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"paceline/domain/id"
)

// RowStore is the Store over a row driver: buckets, trims, cover, head search, chunking and blocks are here
// and nowhere else. It is safe for concurrent use.
type RowStore struct {
	rows Rows

	// hints: a bucket of the grain's journal that is known to hold something, so that a head search need not
	// begin at 0. Buckets are never deleted singly, so a hint can be old but not wrong.
	mu    sync.Mutex
	hints map[id.Grain]uint64
	// pages: how many events of the grain a read may ask for, where more did not fit into an answer.
	pages map[id.Grain]int
	// laid: what lies in a partition of snapshots, by its key, where this store has written last.
	laid map[string][]laid
}

var _ Store = (*RowStore)(nil)

// maxHints bounds the memory that head searches save time with.
const maxHints = 16384

// Over is the shared logic over a driver.
func Over(rows Rows) *RowStore {
	return &RowStore{rows: rows, hints: make(map[id.Grain]uint64), pages: make(map[id.Grain]int), laid: make(map[string][]laid)}
}

// Rows is the driver underneath.
func (s *RowStore) Rows() Rows { return s.rows }

func (s *RowStore) hint(g id.Grain) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hints[g]
}

func (s *RowStore) learn(g id.Grain, bucket uint64) {
	if bucket == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hints) >= maxHints {
		clear(s.hints)
	}
	s.hints[g] = max(s.hints[g], bucket)
}

// pageOf is how many events to ask for.
func (s *RowStore) pageOf(g id.Grain, limit int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.pages[g]; n > 0 {
		return min(n, limit)
	}
	return limit
}

// learnPage notes what a read has brought, of so many that were asked for: no server says before what rows weigh, and what
// does not fit into the answer has been fetched for nothing.
func (s *RowStore) learnPage(g id.Grain, asked int, r JournalRead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := len(r.Records)
	switch n, known := s.pages[g]; {
	case r.More && got < asked && PayloadBytes(r.Records) >= journalReadBytes:
		if len(s.pages) >= maxHints {
			clear(s.pages)
		}
		s.pages[g] = got + got/8 + 1
	case known && (!r.More || 2*n >= journalReadLimit):
		delete(s.pages, g)
	case known && got == asked && PayloadBytes(r.Records) < journalReadBytes:
		s.pages[g] = 2 * n
	}
}

// rowID names a row by its plain content.
func (s *RowStore) rowID(ctx context.Context, subject string, plain []byte) ([16]byte, error) {
	if n, ok := s.rows.(Identifier); ok && subject != "" {
		return n.RowID(ctx, subject, plain)
	}
	return PlainRowID(plain), nil
}

// PlainRowID names a row that is not sealed: the first 16 bytes of the SHA-256 of its content.
func PlainRowID(plain []byte) [16]byte {
	sum := sha256.Sum256(plain)
	return [16]byte(sum[:16])
}

// put refuses a cancelled context before anything is sent: the outcome is then known.
func (s *RowStore) put(ctx context.Context, muts []Mutation) error {
	if err := live(ctx); err != nil {
		return err
	}
	return s.rows.Put(ctx, muts)
}

func live(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}
