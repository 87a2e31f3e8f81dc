package session_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/session"
)

// wait moves the clocks and fires the timer that says that frames have been under way for long.
func (r *rig) wait(d unit.DurationMs) {
	r.t.Helper()
	r.now.Wall, r.now.Node = r.now.Wall.Add(d), r.now.Node.Add(d)
	if at, ok := r.timer["slow"]; ok && at <= r.now.Wall {
		delete(r.timer, "slow")
		r.step(step.Tick{Key: "slow"})
	}
}

// TestASlowStoreThrottles: acknowledgements stop, the client is told to wait, one frame at a time goes on to see whether
// it is still so, and what is stored quickly lifts the throttle.
func TestASlowStoreThrottles(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 10))
	r.wait(1900)
	r.say(samples("s1", 11, 10))
	if r.last().GetThrottle() != nil || len(r.asked) != 2 {
		t.Fatalf("throttled before the time: %v", r.last())
	}
	r.wait(200)
	th := r.last().GetThrottle()
	if th == nil || th.MaxSamplesPerS != 0 || th.Reason != "store.slow" || th.UntilMs != int64(r.now.Node)+2000 {
		t.Fatalf("last = %v, want a throttle: nothing for 2 s", r.last())
	}
	sent := len(r.sent)
	r.say(samples("s1", 21, 10))
	if r.last().GetThrottle() == nil || len(r.asked) != 2 {
		t.Fatalf("a frame went on while others are under way for long: %v", r.last())
	}
	r.say(samples("s1", 31, 10)) // behind the dropped one: told once
	if len(r.sent) != sent+1 {
		t.Fatalf("%d messages for two frames, want one", len(r.sent)-sent)
	}
	r.wait(5000)
	r.answer(r.question(), done("s1", 10), nil)
	r.answer(r.question(), done("s1", 20), nil)
	if a := r.last().GetAck(); a.GetThroughSeq() != 20 {
		t.Fatalf("last = %v, want the ack alone: seven seconds are not quick", r.last())
	}
	r.say(samples("s1", 21, 10)) // the probe
	r.say(samples("s1", 31, 10))
	if len(r.asked) != 1 || r.last().GetThrottle() == nil {
		t.Fatalf("%d frames are under way, want one; last = %v", len(r.asked), r.last())
	}
	r.wait(100)
	r.answer(r.question(), done("s1", 30), nil)
	if th := r.last().GetThrottle(); th == nil || th.MaxSamplesPerS != 500 || th.UntilMs != int64(r.now.Node) || th.Reason != "" {
		t.Fatalf("last = %v, want the throttle lifted", r.last())
	}
	for i := range uint64(3) {
		r.say(samples("s1", 31+10*i, 10))
	}
	if len(r.asked) != 3 {
		t.Fatalf("%d frames are under way, want 3", len(r.asked))
	}
	for i := range uint64(3) { // a well store is not complained about
		r.wait(100)
		r.answer(r.question(), done("s1", 40+10*i), nil)
		if r.last().GetAck() == nil {
			t.Fatalf("last = %v, want an ack", r.last())
		}
	}
}

// TestTheTimeToWaitIsByTheNodesClock: at forty times the wall clock, two seconds are eighty.
func TestTheTimeToWaitIsByTheNodesClock(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.now.WallOfNode = func(n unit.InstantMs) unit.InstantMs { return begin.Add(n.Sub(begin) / 40) }
	r.open("s1")
	r.say(samples("s1", 1, 1))
	r.wait(2000)
	if th := r.last().GetThrottle(); th.GetUntilMs() != int64(r.now.Node)+80_000 {
		t.Errorf("last = %v, want to wait 80 s of the node's clock", r.last())
	}
}

// TestABusyGrainThrottles: a refusal that says "not now" is passed on as a throttle with its code, and the frame that was
// refused is the next one that is taken.
func TestABusyGrainThrottles(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 5))
	r.say(samples("s1", 6, 5))
	r.answer(r.question(), done("s1", 5), nil)
	r.answer(r.question(), nil, &fault.Fault{Kind: fault.Exhausted, Code: "store.full", Retry: true})
	if th := r.last().GetThrottle(); th.GetReason() != "store.full" || th.UntilMs != int64(r.now.Node)+2000 {
		t.Fatalf("last = %v, want a throttle that says why", r.last())
	}
	r.wait(2000)
	r.say(samples("s1", 11, 5))
	if len(r.asked) != 0 {
		t.Fatal("a frame above the refused one went on")
	}
	r.say(samples("s1", 6, 5))
	r.answer(r.question(), done("s1", 10), nil)
	if th := r.last().GetThrottle(); th.GetMaxSamplesPerS() != 500 {
		t.Fatalf("last = %v, want the throttle lifted", r.last())
	}
}

// TestTheNodesMemoryForFrames: when the frames of all connections together are as much as the node has room for, the
// next one is dropped politely.
func TestTheNodesMemoryForFrames(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	room := 400
	r.room = &room
	r.say(samples("s1", 1, 50))
	q := r.question()
	if q.Bytes == 0 || room != 400-q.Bytes {
		t.Fatalf("%d bytes are left with %d under way", room, q.Bytes)
	}
	for next := uint64(51); len(r.asked) < 10 && r.last().GetThrottle() == nil; next += 50 {
		r.say(samples("s1", next, 50))
	}
	if th := r.last().GetThrottle(); th.GetReason() != "session.node_busy" || room < 0 {
		t.Fatalf("last = %v with %d bytes left, want a throttle", r.last(), room)
	}
}

// TestASessionAtItsLimits: whatever a client says and however slowly it is answered, what is under way for it stays within
// its limits.
func TestASessionAtItsLimits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := session.Config{UnackedFrames: 4, UnackedBytes: 450, MaxCommands: 3, MaxRequests: 5, MaxStreams: 3, MaxSubscriptions: 3,
			MessagesPerS: 1 << 30, BurstMessages: 1 << 30}
		r := as(t, cfg, "athlete:ann")
		r.t = t
		under := []session.Request{}
		seqs := map[string]uint64{}
		lookups := 0
		take := func() {
			for _, o := range r.outs {
				if _, ok := o.(session.Lookup); ok {
					lookups++
				}
			}
			r.outs = nil
			under = append(under, r.asked...)
			r.asked = nil
			frames, bytes, commands, others := 0, 0, 0, 0
			for _, q := range under {
				switch q.Msg.(type) {
				case *devicev1.Frame:
					frames++
					bytes += q.Bytes
				case *devicev1.Open, *devicev1.SkipSeqs, *devicev1.Close:
					others++
				default:
					commands++
				}
			}
			if frames > 4 || bytes > 450 || commands > 3 || others > 5+1 || lookups > 6 { // an open that the session itself asks for
				rt.Fatalf("%d frames of %d bytes, %d commands, %d other requests, %d lookups are under way", frames, bytes, commands, others, lookups)
			}
		}
		for i := range rapid.IntRange(1, 120).Draw(rt, "messages") {
			stream := fmt.Sprintf("s%d", rapid.IntRange(1, 3).Draw(rt, "stream"))
			switch rapid.IntRange(0, 8).Draw(rt, "what") {
			case 0:
				r.say(opening(stream))
			case 1, 2, 3:
				n := rapid.IntRange(1, 60).Draw(rt, "samples")
				r.say(samples(stream, seqs[stream]+1, n))
				seqs[stream] += uint64(n)
			case 4:
				r.say(&livev1.Skip{StreamId: stream, FromSeq: seqs[stream] + 1, ToSeq: seqs[stream] + 2, Reason: "lost"})
			case 5:
				r.say(&livev1.Command{CommandId: fmt.Sprint("c", i), WorkoutId: "w1", Command: &livev1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: 1}}})
			case 6:
				r.say(&livev1.Subscribe{Topic: fmt.Sprintf("competition/c%d/board", i)})
			case 7:
				r.wait(unit.DurationMs(rapid.IntRange(0, 3000).Draw(rt, "wait")))
			default:
				if len(under) > 0 {
					k := rapid.IntRange(0, len(under)-1).Draw(rt, "which")
					q := under[k]
					under = append(under[:k:k], under[k+1:]...)
					if o, ok := q.Msg.(*devicev1.Open); ok {
						r.answer(q, &devicev1.OpenDone{StreamId: o.Open.StreamId, Training: "ann/w1"}, nil)
					} else {
						r.answer(q, nil, fault.New(fault.Conflict, "x.refused", "no"))
					}
				}
			}
			take()
		}
	})
}

// TestADroppedRepetitionDoesNotStopTheStream: the client has gone back and repeated what was under way; that repetition is
// dropped, then what was under way is stored after all. The next frame is then the one behind it, not the dropped one.
func TestADroppedRepetitionDoesNotStopTheStream(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	for i := range uint64(5) {
		r.say(samples("s1", 1+i, 1))
	}
	r.wait(2000)
	r.say(samples("s1", 1, 8)) // dropped: five frames are under way
	r.say(samples("s1", 7, 1)) // not the next one: what is durable ends at 0
	for i := range uint64(5) {
		r.answer(r.question(), done("s1", 1+i), nil)
	}
	r.say(samples("s1", 7, 1))
	if len(r.asked) != 0 {
		t.Fatal("a frame went on that leaves a gap")
	}
	r.say(samples("s1", 6, 3))
	if len(r.asked) != 1 {
		t.Fatal("the frame after what is durable did not go on")
	}
}
