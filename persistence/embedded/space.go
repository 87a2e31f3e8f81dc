package embedded

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"paceline/persistence"
)

// spaceEvery is how often the disk is looked at. What can be written in between must fit into the reserve, with what the
// store needs to write out what it holds in memory.
const spaceEvery = 250 * time.Millisecond

// mostMargin is how much more than the reserve must be free at most before writes are taken again.
const mostMargin = 64 << 20

// space keeps room on the disk: a store that has none left for its log cannot go on at all. Beneath the reserve writes are
// refused, each of them whole and before anything of it is written; above it by a quarter, at most mostMargin, they are taken again.
type space struct {
	fs      vfs.FS
	folder  string
	reserve uint64
	tell    func(full bool, free uint64)

	free atomic.Uint64 // bytes, as last seen
	full atomic.Int64  // Unix milliseconds since when there is too little room; 0: there is enough

	stop  chan struct{}
	ended sync.WaitGroup
}

// begin looks once, and from then on again and again until end.
func (s *space) begin() {
	s.stop = make(chan struct{})
	s.look()
	s.ended.Go(func() {
		tick := time.NewTicker(spaceEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				s.look()
			}
		}
	})
}

func (s *space) end() {
	if s.stop != nil {
		close(s.stop)
		s.ended.Wait()
		s.stop = nil
	}
}

func (s *space) look() {
	u, err := s.fs.GetDiskUsage(s.folder)
	if err != nil {
		return // what cannot be known refuses nothing
	}
	s.free.Store(u.AvailBytes)
	was := s.full.Load() != 0
	switch is := u.AvailBytes < s.reserve || was && u.AvailBytes < s.reserve+min(s.reserve/4, mostMargin); {
	case is && !was:
		s.full.Store(time.Now().UnixMilli())
		s.tell(true, u.AvailBytes)
	case !is && was:
		s.full.Store(0)
		s.tell(false, u.AvailBytes)
	}
}

// room says whether a write may be made.
func (s *space) room() error {
	if s.full.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w: %d MiB of its disk are free, %d MiB are kept", persistence.ErrUnavailable, persistence.ErrFull, s.free.Load()>>20, s.reserve>>20)
}

// Full is since when (Unix milliseconds) the disk has had too little room for writes, 0: it has enough; and how much is
// free.
func (r *Rows) Full() (sinceMs int64, free uint64) { return r.space.full.Load(), r.space.free.Load() }
