package cql

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"paceline/persistence"
)

func TestLaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		l := newLane("writes", 2, 3)
		for range 2 {
			if err := l.enter(ctx); err != nil {
				t.Fatal(err)
			}
		}
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		entered := make(chan error, 3)
		go func() { entered <- l.enter(impatient) }()
		synctest.Wait()
		for range 2 {
			go func() { entered <- l.enter(ctx) }()
		}
		synctest.Wait()
		if err := l.enter(ctx); !errors.Is(err, persistence.ErrUnavailable) {
			t.Errorf("the sixth: %v, want ErrUnavailable at once", err)
		}
		<-impatient.Done()
		synctest.Wait()
		if err := <-entered; !errors.Is(err, persistence.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("whose time was up: %v", err)
		}
		l.leave()
		l.leave()
		for range 2 {
			if err := <-entered; err != nil {
				t.Error(err)
			}
			l.leave()
		}
		if n := l.present.Load(); n != 0 || len(l.turns) != 0 {
			t.Errorf("%d present, %d turns taken when all have left", n, len(l.turns))
		}
		gone, end := context.WithCancel(ctx)
		end()
		if err := l.enter(gone); !errors.Is(err, persistence.ErrUnavailable) {
			t.Errorf("cancelled before: %v", err)
		}
	})
}

func TestStampsRise(t *testing.T) {
	clock := []time.Time{time.UnixMicro(100), time.UnixMicro(100), time.UnixMicro(50), time.UnixMicro(200)}
	s := stamps{now: func() time.Time {
		at := clock[0]
		clock = clock[1:]
		return at
	}}
	for i, want := range []int64{100, 101, 102, 200} {
		if got := s.next(); got != want {
			t.Errorf("%d: %d, want %d", i, got, want)
		}
	}
}
