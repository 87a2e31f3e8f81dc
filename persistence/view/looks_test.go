package view

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestLooksAreShared: whoever asks while a read is under way gets the next one, all of them the same.
func TestLooksAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{}
		reads := uint64(0)
		goOn := make(chan error)
		read := func(context.Context) (Plan, error) {
			reads++
			p := Plan{Version: reads}
			return p, <-goOn
		}
		answers := make(chan looked, 8)
		ask := func(ctx context.Context) {
			go func() {
				p, err := l.ask(ctx, read)
				answers <- looked{p, err}
			}()
			synctest.Wait()
		}
		want := func(n int, version uint64, err error) {
			t.Helper()
			for range n {
				if a := <-answers; a.plan.Version != version || !errors.Is(a.err, err) {
					t.Errorf("answer %+v, want read %d and %v", a, version, err)
				}
			}
		}
		ask(t.Context())
		for range 3 {
			ask(t.Context())
		}
		gone, leave := context.WithCancel(t.Context())
		ask(gone)
		leave()
		want(1, 0, context.Canceled)
		goOn <- nil
		want(1, 1, nil)
		broken := errors.New("broken")
		goOn <- broken
		want(3, 2, broken)
		ask(t.Context())
		goOn <- nil
		want(1, 3, nil)
	})
}
