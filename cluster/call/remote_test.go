package call

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
)

// far is another member that owns everything, and what it was asked.
type far struct {
	mu     sync.Mutex
	asks   []*clusterv1.Ask
	at     []time.Time
	answer func(n int, done func(proto.Message, error)) // nil: silence
	forgot int
}

func (f *far) Owner(id.Grain) (string, bool, bool)  { return "far", false, true }
func (f *far) Onward(id.Grain) (string, bool)       { return "", false }
func (f *far) Activator() *actor.PID                { return nil }
func (f *far) Tell(_ string, _ *clusterv1.Ask) bool { return true }
func (f *far) Ask(_ string, a *clusterv1.Ask, done func(proto.Message, error)) func() {
	f.mu.Lock()
	f.asks, f.at = append(f.asks, a), append(f.at, time.Now())
	n := len(f.asks)
	f.mu.Unlock()
	if f.answer != nil {
		f.answer(n, done)
	}
	return func() { f.mu.Lock(); f.forgot++; f.mu.Unlock() }
}

func newFar(t *testing.T, cfg Config, answer func(n int, done func(proto.Message, error))) (*Caller, *far) {
	t.Helper()
	f := &far{answer: answer}
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }),
		actor.WithDeadLetterRequestLogging(false))
	t.Cleanup(system.Shutdown)
	c := New(system, f, cfg, quiet())
	c.Over(f)
	return c, f
}

// TestAttemptsFitIntoTheDeadline: an attempt at another member takes 300 to 500 ms unless the caller has less time, the
// other member is told how long the caller waits at all, and what cannot be answered any more is forgotten there.
func TestAttemptsFitIntoTheDeadline(t *testing.T) {
	if d := Default().AttemptTimeout; d < 300*time.Millisecond || d > 500*time.Millisecond {
		t.Fatalf("AttemptTimeout = %v, want 300 to 500 ms", d)
	}
	c, f := newFar(t, Default(), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(WithTrace(ctx, "00-trace-01"), ann, &clusterv1.Wake{Id: "same"}); err == nil {
		t.Fatal("silence was an answer")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asks) < 2 {
		t.Fatalf("%d attempts in 700 ms of silence, want another after the first", len(f.asks))
	}
	if w := f.asks[0].WithinMs; w < 300 || w > 500 {
		t.Errorf("the first attempt waits %d ms, want 300 to 500", w)
	}
	for i, a := range f.asks {
		left := 700*time.Millisecond - f.at[i].Sub(f.at[0])
		if a.WithinMs > a.DeadlineMs || time.Duration(a.DeadlineMs)*time.Millisecond > left+5*time.Millisecond {
			t.Errorf("attempt %d: within %d ms, deadline in %d ms, %v are left", i, a.WithinMs, a.DeadlineMs, left)
		}
		if a.Trace != "00-trace-01" {
			t.Errorf("attempt %d carries the trace %q", i, a.Trace)
		}
	}
	if f.forgot != len(f.asks) {
		t.Errorf("%d of %d attempts were forgotten", f.forgot, len(f.asks))
	}
}

// TestAttemptsAreTheSameCommand: a command that is tried again is the same one, byte for byte, with its command id: the
// grain that has done it answers what it answered first.
func TestAttemptsAreTheSameCommand(t *testing.T) {
	c, f := newFar(t, quick(), func(n int, done func(proto.Message, error)) {
		if n < 4 {
			done(nil, ErrBusy)
			return
		}
		done(&clusterv1.Ack{Version: 7}, nil)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m, err := c.Ask(ctx, ann, &clusterv1.Call{CommandId: "018f-once", By: "athlete:ann"})
	if err != nil || m.(*clusterv1.Ack).Version != 7 {
		t.Fatalf("Ask() = %v, %v", m, err)
	}
	for i, a := range f.asks {
		if !slices.Equal(a.Message, f.asks[0].Message) {
			t.Fatalf("attempt %d carries other bytes than the first", i)
		}
	}
}

// TestPausesAreRandom: those who were refused together do not come again together.
func TestPausesAreRandom(t *testing.T) {
	cfg, slots := Default(), map[time.Duration]int{}
	for range 2_000 {
		d := cfg.pause()
		if d < 25*time.Millisecond || d > 200*time.Millisecond {
			t.Fatalf("a pause of %v, want 25 to 200 ms", d)
		}
		slots[d/(25*time.Millisecond)]++
	}
	for slot := time.Duration(1); slot < 8; slot++ {
		if n := slots[slot]; n < 2_000/7/2 {
			t.Errorf("%d of 2,000 pauses are of %d to %d ms", n, 25*slot, 25*slot+25)
		}
	}
}

// TestPlacesAreOfOneTopology: when the members change nothing is sent to a remembered place.
func TestPlacesAreOfOneTopology(t *testing.T) {
	f := newField(t, quick(), answer)
	m, err := f.ask(t, time.Second)
	wantAnswer(t, m, err)
	if n := f.caller.places.size(); n != 1 {
		t.Fatalf("%d places are remembered, want 1", n)
	}
	f.caller.MembersChanged()
	if n := f.caller.places.size(); n != 0 {
		t.Fatalf("%d places are remembered over a change of the members", n)
	}
}

// TestWhoHasNoRoomIsAskedLessOften: the pauses between attempts that are refused for want of room grow.
func TestWhoHasNoRoomIsAskedLessOften(t *testing.T) {
	cfg := Default()
	cfg.BackoffMin, cfg.BackoffMax = 10*time.Millisecond, 10*time.Millisecond
	c, f := newFar(t, cfg, func(_ int, done func(proto.Message, error)) { done(nil, ErrBusy) })
	const within = time.Second
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if _, err := c.Ask(ctx, id.Of(id.User, "u"), &clusterv1.Ack{}); !errors.Is(err, ErrBusy) {
		t.Errorf("Ask: %v, want ErrBusy", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// Timers are late and never early: so often at most.
	most := longestPause + 1 + int(within/(cfg.BackoffMin<<longestPause))
	if n := len(f.asks); n < 2 || n > most {
		t.Errorf("asked %d times within %v, want 2 to %d", n, within, most)
	}
}
