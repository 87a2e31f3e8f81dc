package call

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
)

// TestTheTraceOfAMessageGoesAlong: to a grain of this member in the header, to another member in the Ask; what has none
// of its own has the caller's; telemetry has none, and looking for it costs nothing.
func TestTheTraceOfAMessageGoesAlong(t *testing.T) {
	release := &devicev1.Release{Call: &clusterv1.Call{Trace: "its-own"}}
	frame, nobodys := &devicev1.Frame{Session: "s1"}, &devicev1.Release{}
	if n := testing.AllocsPerRun(100, func() {
		if TraceOf(frame) != "" || TraceOf(nil) != "" || TraceOf(nobodys) != "" {
			t.Error("a trace from nowhere")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}

	var heard string
	f := newField(t, quick(), func(ctx actor.Context) {
		if _, ok := ctx.Message().(proto.Message); ok && ctx.Sender() != nil {
			heard = ctx.MessageHeader().Get(HeaderTrace)
			ctx.Respond(&clusterv1.Ack{})
		}
	})
	far, there := newFar(t, quick(), func(_ int, done func(proto.Message, error)) { done(&clusterv1.Ack{}, nil) })
	for _, c := range []struct {
		msg           proto.Message
		callers, want string
	}{
		{msg: release, want: "its-own"},
		{msg: release, callers: "the caller's", want: "its-own"},
		{msg: &devicev1.Get{}, callers: "the caller's", want: "the caller's"},
		{msg: frame},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if c.callers != "" {
			ctx = WithTrace(ctx, c.callers)
		}
		if _, err := f.caller.Ask(ctx, ann, c.msg); err != nil || heard != c.want {
			t.Errorf("%T: a grain here hears %q, want %q (%v)", c.msg, heard, c.want, err)
		}
		if _, err := far.Ask(ctx, ann, c.msg); err != nil || there.asks[len(there.asks)-1].Trace != c.want {
			t.Errorf("%T: a member is told %q, want %q (%v)", c.msg, there.asks[len(there.asks)-1].Trace, c.want, err)
		}
		cancel()
	}
	answered := make(chan error, 1)
	far.Start(ann, release, time.Now().Add(5*time.Second), func(_ proto.Message, err error) { answered <- err })
	if err := <-answered; err != nil || there.asks[len(there.asks)-1].Trace != "its-own" {
		t.Errorf("a live command is sent with %q (%v)", there.asks[len(there.asks)-1].Trace, err)
	}
}
