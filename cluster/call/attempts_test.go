package call

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
)

// requestWithin is how long a session waits for a grain.
const requestWithin = 10 * time.Second

// TestTimesOfAttempts: 400 ms, 800, then 1,600, so that who says nothing is asked seven times in 10 s; nobody waits for
// the end of an attempt at a member that is gone.
func TestTimesOfAttempts(t *testing.T) {
	system := newField(t, quick(), answer).system
	times := func(answer func(n int, done func(proto.Message, error))) (waits []uint32, at []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			f := &far{answer: answer}
			c := New(system, f, Default(), quiet())
			c.Over(f)
			ctx, cancel := context.WithTimeout(t.Context(), requestWithin)
			defer cancel()
			if _, err := c.Ask(ctx, ann, &clusterv1.Ack{}); err == nil {
				t.Error("answered")
			}
			for i, a := range f.asks {
				waits, at = append(waits, a.WithinMs), append(at, f.at[i].Sub(f.at[0]))
			}
		})
		return waits, at
	}

	waits, at := times(nil)
	t.Logf("in silence: attempts at %v, of %v ms", at, waits)
	if len(waits) < 7 || len(waits) > 8 || !slices.Equal(waits[:6], []uint32{400, 800, 1600, 1600, 1600, 1600}) {
		t.Errorf("in silence the attempts are of %v ms", waits)
	}

	const after = 100 * time.Millisecond
	waits, at = times(func(n int, done func(proto.Message, error)) {
		if n == 3 { // the link says so when the members change
			time.AfterFunc(after, func() { done(nil, ErrMoved) })
		}
	})
	t.Logf("the member of the third attempt goes: attempts at %v, of %v ms", at, waits)
	if next := at[3] - at[2]; next < after+Default().BackoffMin || next > after+Default().BackoffMax {
		t.Errorf("the next attempt comes %v after the one whose member went in %v", next, after)
	}
}

// crowded is a member that does one thing after the other: what it sees for the first time costs more than what it has
// seen before. For a time it does nothing. It does not know who has stopped to wait.
type crowded struct {
	far
	queue chan func()
	seen  map[string]bool
	since time.Time
}

const (
	firstTime, again       = 10 * time.Millisecond, time.Millisecond
	requestEvery           = 13 * time.Millisecond // it has a quarter of its time left
	requestsFor            = time.Minute
	standsFrom, standsTill = 2 * time.Second, 5 * time.Second
)

// Ask implements Remote.
func (w *crowded) Ask(_ string, a *clusterv1.Ask, done func(proto.Message, error)) func() {
	w.mu.Lock()
	w.asks = append(w.asks, a)
	cost := again
	if !w.seen[string(a.Message)] {
		w.seen[string(a.Message)], cost = true, firstTime
	}
	w.mu.Unlock()
	w.queue <- func() {
		if at := time.Since(w.since); at >= standsFrom && at < standsTill {
			cost += standsTill - at
		}
		<-time.After(cost)
		done(&clusterv1.Ack{}, nil)
	}
	return func() {}
}

// TestAStandstillEnds: a member that stands still for 3 s, and has a quarter of its time left otherwise, gets well again,
// and everybody is answered in time. With attempts that stay at 500 ms it never does: it is asked for more the slower it is,
// until repeats are all that it does.
func TestAStandstillEnds(t *testing.T) {
	system := newField(t, quick(), answer).system
	run := func(cfg Config) (asks, requests, unanswered int, slowUntil time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := &crowded{queue: make(chan func(), 1<<20), seen: map[string]bool{}, since: time.Now()}
			c := New(system, w, cfg, quiet())
			c.Over(w)
			served := make(chan struct{})
			go func() {
				defer close(served)
				for f := range w.queue {
					f()
				}
			}()
			next := time.NewTicker(requestEvery)
			for ; requests < int(requestsFor/requestEvery); requests++ {
				<-next.C
				began := time.Now()
				c.Start(id.Of(id.User, "u"), &clusterv1.Ack{Version: uint64(requests)}, began.Add(requestWithin), func(_ proto.Message, err error) {
					w.mu.Lock()
					defer w.mu.Unlock()
					if err != nil {
						unanswered++
					}
					if took := time.Since(began); took > cfg.AttemptTimeout {
						slowUntil = max(slowUntil, time.Since(w.since))
					}
				})
			}
			next.Stop()
			<-time.After(requestWithin)
			close(w.queue)
			<-served
			w.mu.Lock()
			defer w.mu.Unlock()
			asks = len(w.asks)
		})
		return asks, requests, unanswered, slowUntil
	}
	flat := Default()
	flat.LongestAttempt = 500 * time.Millisecond
	flatAsks, _, lost, slow := run(flat)
	t.Logf("attempts of at most 500 ms: %d for %d requests, %d unanswered, slow until %v", flatAsks, int(requestsFor/requestEvery), lost, slow.Round(time.Second))
	asks, requests, unanswered, slowUntil := run(Default())
	t.Logf("attempts of at most %v: %d for %d requests, %d unanswered, slow until %v", Default().LongestAttempt, asks, requests, unanswered, slowUntil.Round(time.Second))
	if unanswered != 0 || slowUntil > requestsFor/2 || asks > 2*requests {
		t.Errorf("%d attempts for %d requests, %d unanswered, slow until %v", asks, requests, unanswered, slowUntil)
	}
	if lost == 0 || flatAsks < 3*asks {
		t.Errorf("attempts that stay short do no harm here (%d, %d unanswered): this shows nothing", flatAsks, lost)
	}
}
