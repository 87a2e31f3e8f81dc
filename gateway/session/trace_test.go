package session_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/gateway/session"
)

func traceOf(m proto.Message) string {
	if m, ok := m.(interface{ GetCall() *clusterv1.Call }); ok {
		return m.GetCall().GetTrace()
	}
	return ""
}

// TestEachMessageHasATrace: each has its own and keeps it when it is sent again; samples have none, and none is made for
// them.
func TestEachMessageHasATrace(t *testing.T) {
	r := as(t, session.Config{}, "athlete:ann")
	start := &livev1.Command{CommandId: "c1", WorkoutId: "w1", Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{Sport: "run"}}}
	seen := map[string]bool{}
	for name, m := range map[string]proto.Message{
		"command": start, "open": opening("s1"),
	} {
		r.say(m)
		q := r.question()
		first := traceOf(q.Msg)
		if first == "" || seen[first] {
			t.Fatalf("%s: trace %q, before it %v", name, first, seen)
		}
		seen[first] = true
		r.answer(q, nil, fault.Later("x.away", "later"))
		for key, at := range r.timer {
			if strings.HasPrefix(key, "retry:") {
				r.now.Wall = at
				delete(r.timer, key)
				r.step(step.Tick{Key: key})
			}
		}
		if again := traceOf(r.question().Msg); again != first {
			t.Errorf("%s: sent again it has trace %q, before %q", name, again, first)
		}
	}

	r = as(t, session.Config{}, "athlete:ann")
	r.open("s1")
	before := r.traces
	r.say(samples("s1", 1, 3))
	if q := r.question(); traceOf(q.Msg) != "" || r.traces != before {
		t.Errorf("a frame has trace %q, %d were made for it", traceOf(q.Msg), r.traces-before)
	}
	r.say(&livev1.CloseStream{StreamId: "s1", LastSeq: 3})
	if q := r.question(); traceOf(q.Msg) == "" || q.Msg.(*devicev1.Close).LastSeq != 3 {
		t.Errorf("close: %v", q.Msg)
	}
}
