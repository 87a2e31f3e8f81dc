package session_test

import (
	"testing"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/gateway/session"
	"paceline/gateway/wire"
)

func TestOpenStream(t *testing.T) {
	tests := []struct {
		name, as string
		change   func(o *livev1.OpenStream)
		want     string
	}{
		{"nobody", "", func(*livev1.OpenStream) {}, "auth.token_needed"},
		{"for somebody else", "athlete:ann", func(o *livev1.OpenStream) { o.PersonId = "bob" }, "auth.denied"},
		{"on somebody else's device", "athlete:ann", func(o *livev1.OpenStream) { o.DeviceId = "bob/watch" }, "auth.denied"},
		{"an operator", "operator:ops", func(*livev1.OpenStream) {}, "auth.denied"},
		{"another device", "device:ann/other", func(*livev1.OpenStream) {}, "auth.denied"},
		{"a clock of last year", "athlete:ann", func(o *livev1.OpenStream) { o.DeviceTimeMs -= 366 * int64(unit.Day) }, "clock.implausible"},
		{"a clock of tomorrow and a bit", "athlete:ann", func(o *livev1.OpenStream) { o.DeviceTimeMs += int64(unit.Day) + 1 }, "clock.implausible"},
		{"a clock at the end of time", "athlete:ann", func(o *livev1.OpenStream) { o.DeviceTimeMs = -1 << 63 }, "clock.implausible"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := as(t, session.Config{}, tt.as)
			o := opening("s1")
			tt.change(o)
			r.say(o)
			if e := r.wantError(tt.want); e.StreamId != "s1" {
				t.Errorf("error is about %q, want s1", e.StreamId)
			}
			if len(r.asked) != 0 {
				t.Error("the device was asked all the same")
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		r := as(t, session.Config{}, "device:ann/watch")
		r.say(opening("s1"))
		q := r.question()
		m := q.Msg.(*devicev1.Open)
		if q.To.Identity() != "ann/device/watch" || m.Call.By != "device:ann/watch" || m.Node != "n1" || m.Session != "session-1" || m.NodeTimeMs != int64(begin) {
			t.Errorf("asked %v: %v", q.To, m)
		}
		r.answer(q, &devicev1.OpenDone{StreamId: "s1", ThroughSeq: 41, Training: "ann/w1", CompetitionId: "race", Entry: 7}, nil)
		if f, ok := r.outs[len(r.outs)-1].(session.Follow); !ok || f.Competition != "race" {
			t.Errorf("last out = %v, want to follow the race", r.outs[len(r.outs)-1])
		}
		r.say(samples("s1", 42, 1))
		q = r.question()
		r.answer(q, done("s1", 42), nil)
		if a := r.last().GetAck(); a.GetThroughSeq() != 42 || a.GetStanding().GetPlace() != 3 || a.Standing.Entry != 7 {
			t.Errorf("ack = %v, want through 42 with a place", a)
		}
	})
	t.Run("refused by the device", func(t *testing.T) {
		r := as(t, session.Config{}, "athlete:ann")
		r.say(opening("s1"))
		r.answer(r.question(), nil, fault.New(fault.Denied, "device.not_yours", "no"))
		r.wantError("device.not_yours")
		r.say(samples("s1", 1, 1))
		r.wantError("stream.not_open")
	})
	t.Run("retried with growing pauses", func(t *testing.T) {
		r := as(t, session.Config{Attempts: 3}, "athlete:ann")
		r.say(opening("s1"))
		later := fault.Later("machine.stopped", "not now")
		var pauses []unit.DurationMs
		for range 2 {
			q := r.question()
			r.answer(q, nil, later)
			for key, at := range r.timer {
				if key[0] == 'r' {
					pauses = append(pauses, at.Sub(r.now.Wall))
					r.now.Wall = at
					delete(r.timer, key)
					r.step(step.Tick{Key: key})
				}
			}
		}
		r.answer(r.question(), nil, later)
		if e := r.wantError("machine.stopped"); !e.Retry {
			t.Error("the client is not told that it may try again")
		}
		if len(pauses) != 2 || pauses[1] != 2*pauses[0] {
			t.Errorf("pauses = %v", pauses)
		}
	})
	t.Run("too many", func(t *testing.T) {
		r := as(t, session.Config{MaxStreams: 1}, "athlete:ann")
		r.open("s1")
		r.say(opening("s2"))
		r.wantError("stream.too_many")
	})
}

func TestTelemetryOfAStreamThatIsNotOurs(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.say(samples("s1", 1, 1))
	r.wantError("stream.not_open")
	r.say(opening("s1"))
	r.question()
	r.say(samples("s1", 1, 1))
	if e := r.wantError("stream.opening"); !e.Retry {
		t.Error("a stream that is being opened is worth a retry")
	}
	r = as(t, session.Config{}, "")
	r.say(samples("s1", 1, 1))
	r.wantError("auth.token_needed")
}

func TestThrottle(t *testing.T) {
	r := as(t, session.Config{MaxSamplesPerS: 10, BurstSamples: 512}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 512))
	r.say(samples("s1", 513, 20))
	th := r.last().GetThrottle()
	if th.GetMaxSamplesPerS() != 10 || th.GetUntilMs() != int64(begin)+2000 {
		t.Fatalf("last = %v, want a throttle of 2 s for 20 samples", r.last())
	}
	sent := len(r.sent)
	r.say(samples("s1", 533, 1)) // would pass the bucket, but leaves a gap
	if len(r.asked) != 1 || len(r.sent) != sent {
		t.Fatal("a frame after a dropped one went on")
	}
	r.now.Wall = r.now.Wall.Add(10 * unit.Second) // the wall clock does not count
	r.say(samples("s1", 513, 20))
	if r.last().GetThrottle() == nil || len(r.asked) != 1 {
		t.Fatal("the bucket runs on the wall clock")
	}
	r.now.Node = r.now.Node.Add(2 * unit.Second)
	r.say(samples("s1", 513, 20))
	if len(r.asked) != 2 {
		t.Fatal("the frame did not go on after the time that throttle said")
	}
}

func TestWindow(t *testing.T) {
	r := as(t, session.Config{UnackedFrames: 3}, "athlete:ann")
	r.open("s1")
	for i := range uint64(3) {
		r.say(samples("s1", 1+i, 1))
	}
	r.say(samples("s1", 4, 1))
	if e := r.wantError("stream.window"); !e.Retry || e.StreamId != "s1" {
		t.Errorf("error = %v", e)
	}
	r.say(samples("s1", 5, 1)) // dropped silently: told once
	if len(r.asked) != 3 {
		t.Fatalf("%d frames are under way, want 3", len(r.asked))
	}
	r.answer(r.question(), done("s1", 1), nil)
	r.say(samples("s1", 5, 1))
	if len(r.asked) != 2 {
		t.Fatal("a frame above the dropped one went on")
	}
	r.say(samples("s1", 4, 1))
	r.say(samples("s1", 4, 1))
	if len(r.asked) != 3 {
		t.Fatalf("%d frames are under way, want 3", len(r.asked))
	}

	r = as(t, session.Config{UnackedBytes: 200}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 50))
	r.say(samples("s1", 51, 50))
	r.wantError("stream.window")
}

func TestAcks(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 5))
	r.say(samples("s1", 6, 5))
	first, second := r.question(), r.question()
	if m := first.Msg.(*devicev1.Frame); m.Session != "session-1" || m.Telemetry.FirstSeq != 1 {
		t.Errorf("frame = %v", m)
	}
	r.answer(second, &devicev1.FrameDone{StreamId: "s1", ThroughSeq: 10, Refused: []*livev1.RefusedSample{{Seq: 7, Reason: "out_of_range"}}}, nil)
	r.answer(first, done("s1", 5), nil)
	a := r.last().GetAck()
	if a.ThroughSeq != 10 {
		t.Errorf("ack goes back to %d", a.ThroughSeq)
	}
	if a.Standing != nil {
		t.Errorf("a place without a race: %v", a.Standing)
	}
	before := len(r.sent)
	r.answer(first, done("s1", 5), nil) // answered twice
	if len(r.sent) != before {
		t.Error("an answer counts twice")
	}
	r.step(&clusterv1.SessionNotice{What: &clusterv1.SessionNotice_Binding{Binding: &clusterv1.StreamBinding{StreamId: "s1", CompetitionId: "race", Entry: 4}}})
	r.say(samples("s1", 11, 1))
	r.answer(r.question(), done("s1", 11), nil)
	if r.last().GetAck().GetStanding().GetEntry() != 4 {
		t.Errorf("ack = %v, want the place of entry 4", r.last())
	}
}

func TestGapSendsTheClientBack(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 11, 1))
	r.say(samples("s1", 12, 1))
	gap := fault.New(fault.Conflict, "stream.gap", "x").With("expected %d", 1)
	r.answer(r.question(), nil, gap)
	if e := r.wantError("stream.gap"); e.ExpectedSeq != 1 || !e.Retry || e.StreamId != "s1" {
		t.Errorf("error = %v", e)
	}
	sent := len(r.sent)
	r.answer(r.question(), nil, gap)
	if len(r.sent) != sent {
		t.Error("the client is told of the same gap twice")
	}
	r.say(samples("s1", 13, 1))
	if len(r.asked) != 0 {
		t.Error("a frame behind the gap went on")
	}
	r.say(samples("s1", 1, 13))
	if len(r.asked) != 1 {
		t.Error("the frame that fills the gap did not go on")
	}
}

func TestLostFrameIsSentAgainByTheClient(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 2))
	r.say(samples("s1", 3, 2))
	r.answer(r.question(), done("s1", 2), nil)
	r.answer(r.question(), nil, fault.Later("cluster.timeout", "x"))
	if th := r.last().GetThrottle(); th.GetReason() != "cluster.timeout" || th.UntilMs <= int64(begin) || th.MaxSamplesPerS != 0 {
		t.Errorf("last = %v, want: wait, and go on after what is acknowledged", r.last())
	}
	r.say(samples("s1", 5, 1))
	if len(r.asked) != 0 {
		t.Error("a frame above the lost one went on")
	}
	r.say(samples("s1", 3, 2))
	r.answer(r.question(), done("s1", 4), nil)
	if n := len(r.sent); r.sent[n-2].GetAck().GetThroughSeq() != 4 || r.last().GetThrottle().GetMaxSamplesPerS() != 500 {
		t.Errorf("last = %v, want an ack and the throttle lifted", r.sent[n-2:])
	}
}

func TestDeviceThatForgotTheSessionIsAskedAgain(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 1))
	r.say(samples("s1", 2, 1))
	forgot := &fault.Fault{Kind: fault.Conflict, Code: "stream.not_open", Retry: true}
	a, b := r.question(), r.question()
	r.answer(a, nil, forgot)
	r.answer(b, nil, forgot)
	if len(r.asked) != 1 {
		t.Fatalf("%d questions, want one open", len(r.asked))
	}
	q := r.question()
	if m, ok := q.Msg.(*devicev1.Open); !ok || m.Again == nil || !*m.Again {
		t.Errorf("asked %v, want an open that is said to be another one", q.Msg)
	}
	r.answer(q, &devicev1.OpenDone{StreamId: "s1", ThroughSeq: 1, Training: "ann/w1"}, nil)
	if o := r.last().GetStreamOpened(); o.GetThroughSeq() != 1 {
		t.Fatalf("last = %v, want stream_opened through 1", r.last())
	}
	r.say(samples("s1", 2, 1))
	if len(r.asked) != 1 {
		t.Error("the stream does not go on")
	}
}

func TestConflictNamesTheSeq(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 5, 1))
	r.answer(r.question(), nil, fault.New(fault.Conflict, "stream.conflict", "x"))
	if e := r.wantError("stream.conflict"); e.Seq != 5 || e.Retry {
		t.Errorf("error = %v", e)
	}
}

func TestReplaced(t *testing.T) {
	notice := &clusterv1.SessionNotice{What: &clusterv1.SessionNotice_Replaced{Replaced: &clusterv1.StreamReplaced{StreamId: "s1"}}}
	r := as(t, session.Config{}, "athlete:ann")
	r.step(notice) // of a stream that is not here
	r.open("s1")
	r.step(notice)
	r.wantClosed(wire.CloseReplaced)

	r = as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	r.say(samples("s1", 1, 1))
	r.answer(r.question(), nil, fault.New(fault.Conflict, "stream.replaced", "x"))
	r.wantClosed(wire.CloseReplaced)
}

func TestFloodIsCutOff(t *testing.T) {
	r := as(t, session.Config{FloodFrames: 100}, "athlete:ann")
	for range 101 {
		r.say(samples("s1", 1, 1))
	}
	r.wantClosed(wire.CloseFlood)
}

func TestSkipAndClose(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.say(&livev1.Skip{StreamId: "s1", FromSeq: 1, ToSeq: 3})
	r.wantError("stream.not_open")
	r.open("s1")
	r.say(&livev1.Skip{StreamId: "s1", FromSeq: 1, ToSeq: 3, Reason: "battery"})
	q := r.question()
	if m := q.Msg.(*devicev1.SkipSeqs); m.Session != "session-1" || m.Skip.ToSeq != 3 || m.Call.By != "athlete:ann" {
		t.Errorf("asked %v", m)
	}
	r.answer(q, done("s1", 3), nil)
	if r.last().GetAck().GetThroughSeq() != 3 {
		t.Errorf("last = %v", r.last())
	}
	r.say(&livev1.CloseStream{StreamId: "s1", LastSeq: 3})
	q = r.question()
	if m := q.Msg.(*devicev1.Close); m.LastSeq != 3 {
		t.Errorf("asked %v", m)
	}
	r.answer(q, done("s1", 3), nil)
	if r.last().GetAck() == nil {
		t.Errorf("last = %v, want an ack", r.last())
	}
}

// TestARefusedReopeningEndsNothing: an error ends nothing but the message that it answers.
func TestARefusedReopeningEndsNothing(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	other := opening("s1")
	other.WorkoutId = "w2"
	r.say(other)
	r.answer(r.question(), nil, fault.New(fault.Conflict, "stream.differs", "x"))
	r.wantError("stream.differs")
	r.say(samples("s1", 1, 1))
	r.answer(r.question(), done("s1", 1), nil)
	if r.last().GetAck().GetThroughSeq() != 1 {
		t.Errorf("last = %v, want an ack: the stream is open as before", r.last())
	}
}

// TestStreamsThatAreOverLeaveRoom: a phone that stays connected records more than sixteen times.
func TestStreamsThatAreOverLeaveRoom(t *testing.T) {
	r := as(t, session.Config{MaxStreams: 2}, "athlete:ann")
	r.open("s1")
	r.open("s2")
	r.say(&livev1.CloseStream{StreamId: "s1", LastSeq: 5})
	r.answer(r.question(), done("s1", 3), nil)
	r.say(opening("s3")) // two samples of s1 are still to come
	r.wantError("stream.too_many")
	r.say(samples("s1", 4, 2))
	r.answer(r.question(), done("s1", 5), nil)
	r.open("s3")
	r.say(samples("s2", 1, 1))
	r.answer(r.question(), done("s2", 1), nil)
	if r.last().GetAck().GetStreamId() != "s2" {
		t.Errorf("last = %v, want an ack of the stream that is open", r.last())
	}
}
