package cql

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/scylladb/gocqlx/v2"

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

// TestEachKindOfRequestIsBounded: the lanes of the driver at the limits that it is opened with. What cannot go waits, what
// cannot wait is refused before it is sent, one kind takes nothing from another, and whatever has ended makes room.
func TestEachKindOfRequestIsBounded(t *testing.T) {
	cfg := Default()
	for k, most := range map[kind]int{reading: cfg.Reads, plain: cfg.Writes, conditional: cfg.Conditionals} {
		synctest.Test(t, func(t *testing.T) {
			r := newRows(gocqlx.Session{}, cfg)
			var sent atomic.Int64
			release := make(chan struct{})
			do := func(context.Context) error { sent.Add(1); <-release; return nil }
			answers := make(chan error, most+cfg.Waiting)
			for range most + cfg.Waiting {
				go func() { answers <- r.send(t.Context(), k, do) }()
			}
			synctest.Wait()
			if n := sent.Load(); n != int64(most) {
				t.Errorf("%s: %d are under way, want %d", r.lanes[k].name, n, most)
			}
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := r.send(soon, k, do); !errors.Is(err, persistence.ErrUnavailable) || soon.Err() != nil || sent.Load() != int64(most) {
				t.Errorf("%s: one more than %d that wait: %v, want ErrUnavailable at once and nothing sent", r.lanes[k].name, cfg.Waiting, err)
			}
			for other := range r.lanes {
				if kind(other) != k && r.lanes[other] != nil {
					if err := r.send(t.Context(), kind(other), func(context.Context) error { return nil }); err != nil {
						t.Errorf("%s beside full %s: %v", r.lanes[other].name, r.lanes[k].name, err)
					}
				}
			}
			close(release)
			for range most + cfg.Waiting {
				if err := <-answers; err != nil {
					t.Fatal(err)
				}
			}
			if err := r.send(t.Context(), k, do); err != nil {
				t.Errorf("%s: when all have ended: %v", r.lanes[k].name, err)
			}
		})
	}
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

// TestSend: what is sent again, and that an attempt which may have written is not forgotten over the next one.
func TestSend(t *testing.T) {
	timeout, refused := attempt(gocql.ErrTimeoutNoResponse, true), attempt(gocql.ErrNoConnections, false)
	for _, tt := range []struct {
		name     string
		k        kind
		attempts []error // what each finds, if it is made
		want     error
		made     int
	}{
		{"read", reading, []error{nil}, nil, 1},
		{"read again", reading, []error{timeout, nil}, nil, 2},
		{"read twice in vain", reading, []error{timeout, refused}, persistence.ErrUnavailable, 2},
		{"put again", plain, []error{timeout, nil}, nil, 2},
		{"put, certainly not", plain, []error{refused, refused}, persistence.ErrUnavailable, 2},
		{"put, then certainly not", plain, []error{timeout, refused}, persistence.ErrUnknown, 2},
		{"put, perhaps at last", plain, []error{refused, timeout}, persistence.ErrUnknown, 2},
		{"conditional", conditional, []error{timeout}, persistence.ErrUnknown, 1},
		{"conditional, certainly not", conditional, []error{refused}, persistence.ErrUnavailable, 1},
	} {
		r := newRows(gocqlx.Session{}, Default())
		made := 0
		err := r.send(context.Background(), tt.k, func(context.Context) error {
			made++
			return tt.attempts[min(made, len(tt.attempts))-1]
		})
		if made != tt.made || !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %d attempts, %v; want %d, %v", tt.name, made, err, tt.made, tt.want)
		}
	}
}
