package live

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// took takes what the client has sent since the last call: openings and ends of streams.
func (k *talk) took() (opened, closed int) {
	for len(k.cn.out) > 0 {
		m := <-k.cn.out
		if m.GetOpenStream() != nil {
			opened++
		}
		if c := m.GetCloseStream(); c != nil {
			closed += int(c.LastSeq)
		}
	}
	return opened, closed
}

func (k *talk) streamOpened(through uint64) {
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_StreamOpened{StreamOpened: &livev1.StreamOpened{StreamId: "s", ThroughSeq: through}}})
}

// closing begins to close a stream of three acknowledged samples.
func (k *talk) closing(ctx context.Context, s *Stream) chan error {
	done := make(chan error, 1)
	go func() { done <- s.Close(ctx) }()
	synctest.Wait()
	return done
}

func (k *talk) threeSamples() *Stream {
	s := k.c.Stream(&livev1.OpenStream{StreamId: "s"}, nil)
	k.streamOpened(0)
	put(k.t, s, 3)
	k.ack(3)
	k.took()
	return s
}

func stillOpen(t *testing.T, done chan error, when string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("Close = %v %s", err, when)
	default:
	}
}

// TestACloseOutlivesItsConnection: a stream's end is said again on each connection, after the stream is open there, until
// it is acknowledged; only then Close returns, and the stream is not opened again.
func TestACloseOutlivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startTalk(t)
		s := k.threeSamples()
		k.c.lost(k.cn)
		done := k.closing(t.Context(), s)
		stillOpen(t, done, "without a connection")
		for round := range 2 {
			k.connect()
			if opened, closed := k.took(); opened != 1 || closed != 0 {
				t.Fatalf("round %d: %d openings, closed at %d, want an opening alone", round, opened, closed)
			}
			k.streamOpened(3)
			if _, closed := k.took(); closed != 3 {
				t.Fatalf("round %d: closed at %d, want 3", round, closed)
			}
			stillOpen(t, done, "before it was acknowledged")
			if round == 0 {
				k.c.lost(k.cn)
			}
		}
		k.ack(3)
		synctest.Wait()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		k.c.lost(k.cn)
		k.connect()
		if opened, closed := k.took(); opened+closed != 0 {
			t.Errorf("%d openings, closed at %d after the end", opened, closed)
		}
	})
}

// TestACloseWithoutAnAnswerIsSaidAgain: also on a connection that lives.
func TestACloseWithoutAnAnswerIsSaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startTalk(t)
		s := k.threeSamples()
		done := k.closing(t.Context(), s)
		if _, closed := k.took(); closed != 3 {
			t.Fatalf("closed at %d, want 3", closed)
		}
		for range int(reopenAfter/time.Second) + 1 {
			k.second(s)
		}
		if opened, _ := k.took(); opened != 1 {
			t.Fatalf("%d openings, want one", opened)
		}
		k.streamOpened(3)
		if _, closed := k.took(); closed != 3 {
			t.Fatalf("closed at %d, want 3", closed)
		}
		k.ack(3)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestAnEndedContextLeavesTheClosePending: it is said when there is a connection again, and Close may be asked again.
func TestAnEndedContextLeavesTheClosePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startTalk(t)
		s := k.threeSamples()
		k.c.lost(k.cn)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := <-k.closing(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Close = %v, want the context's end", err)
		}
		k.connect()
		k.streamOpened(3)
		if _, closed := k.took(); closed != 3 {
			t.Fatalf("closed at %d, want 3", closed)
		}
		k.ack(3)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
