package live

import (
	"testing"
	"testing/synctest"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// sentFrames takes the telemetry that the client has sent since the last call.
func (k *talk) sentFrames() (frames []*livev1.Telemetry, reopened int) {
	for len(k.cn.out) > 0 {
		m := <-k.cn.out
		if t := m.GetTelemetry(); t != nil {
			frames = append(frames, t)
		}
		if m.GetOpenStream() != nil {
			reopened++
		}
	}
	return frames, reopened
}

func (k *talk) throttled(perS float64, until unit.InstantMs) {
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Throttle{Throttle: &livev1.Throttle{MaxSamplesPerS: perS, UntilMs: int64(until)}}})
}

func (k *talk) ack(through uint64) {
	k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_Ack{Ack: &livev1.Ack{StreamId: "s", ThroughSeq: through}}})
}

// second lets one pass, as the connection's ticker does.
func (k *talk) second(s *Stream) {
	<-time.After(time.Second) // of the bubble
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	s.tend(time.Now())
}

func put(t *testing.T, s *Stream, n int) {
	t.Helper()
	b := &sample.Batch{}
	b.Columns[sample.PowerW].Grow(n)
	for i := range n {
		b.AtMs = append(b.AtMs, unit.InstantMs(i))
		b.Columns[sample.PowerW].Set(i, 200)
	}
	if err := s.Put(b); err != nil {
		t.Fatal(err)
	}
}

// TestAThrottledClientKeepsItsData: nothing is sent until the time is over, then one frame, and all the rest, marked as
// old, once something is acknowledged and the throttle is lifted. Nothing is left out and the stream stays open.
func TestAThrottledClientKeepsItsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startTalk(t)
		node := func() unit.InstantMs { return k.c.cfg.Clock().Add(k.c.offset) }
		s := k.c.Stream(&livev1.OpenStream{StreamId: "s"}, nil)
		k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_StreamOpened{StreamOpened: &livev1.StreamOpened{StreamId: "s"}}})
		for range 3 {
			put(t, s, 1)
		}
		if frames, _ := k.sentFrames(); len(frames) != 3 {
			t.Fatalf("%d frames, want 3", len(frames))
		}
		for round := range 10 { // an outage of 20 s
			k.throttled(0, node().Add(2000))
			for range 2 {
				put(t, s, 5)
				if frames, reopened := k.sentFrames(); len(frames) != 0 || reopened != 0 {
					t.Fatalf("round %d: %d frames and %d openings while throttled", round, len(frames), reopened)
				}
				k.second(s)
			}
			k.second(s)
			frames, reopened := k.sentFrames()
			if len(frames) != 1 || frames[0].FirstSeq != 1 || reopened != 0 {
				t.Fatalf("round %d: %d frames and %d openings after the time, want one frame from seq 1", round, len(frames), reopened)
			}
		}
		k.ack(60)
		k.throttled(500, node())
		next := uint64(61)
		frames, _ := k.sentFrames()
		for _, f := range frames {
			if f.FirstSeq != next {
				t.Fatalf("a frame from seq %d, want %d", f.FirstSeq, next)
			}
			next += uint64(len(f.AtDeltaMs))
		}
		if next != 104 {
			t.Fatalf("sent through %d, want 103", next-1)
		}
		put(t, s, 200)
		k.ack(103)
		if frames, _ = k.sentFrames(); len(frames) < 3 || !frames[0].Backfill || frames[len(frames)-1].Backfill {
			t.Fatalf("%d frames; the first is old (%v), the last is not (%v)", len(frames), frames[0].Backfill, frames[len(frames)-1].Backfill)
		}
	})
}

// TestAcknowledgedAfterGoingBack: a client that was sent back hears that what was under way has been stored after all, and
// goes on behind it.
func TestAcknowledgedAfterGoingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startTalk(t)
		s := k.c.Stream(&livev1.OpenStream{StreamId: "s"}, nil)
		k.hear(&livev1.ServerMessage{Message: &livev1.ServerMessage_StreamOpened{StreamOpened: &livev1.StreamOpened{StreamId: "s"}}})
		for range 10 {
			put(t, s, 1)
		}
		k.throttled(0, k.c.cfg.Clock().Add(k.c.offset).Add(2000))
		put(t, s, 5)
		k.ack(10)
		for range 3 {
			k.second(s)
		}
		frames, _ := k.sentFrames()
		if n := len(frames); n != 11 || frames[10].FirstSeq != 11 {
			t.Fatalf("%d frames, want ten before and one from seq 11", n)
		}
	})
}
