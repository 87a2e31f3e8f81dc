package cql

import (
	"sync/atomic"
	"time"
)

// stamps gives plain writes their timestamps: microseconds, each above the one before, also if the clock steps back or
// two writes fall into the same microsecond. A row deleted and put again must not stay deleted.
type stamps struct {
	last atomic.Int64
	now  func() time.Time
}

func (s *stamps) next() int64 {
	for {
		last := s.last.Load()
		next := max(s.now().UnixMicro(), last+1)
		if s.last.CompareAndSwap(last, next) {
			return next
		}
	}
}
