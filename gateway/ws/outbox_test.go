package ws

import (
	"testing"

	"paceline/gateway/wire"
)

func TestOutboxIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		frames, bytes, each int
		fits                int
	}{
		"frames": {frames: 16, bytes: 1 << 20, each: 10, fits: 16},
		"bytes":  {frames: 1000, bytes: 1000, each: 100, fits: 10},
	} {
		t.Run(name, func(t *testing.T) {
			var o outbox
			o.init(tt.frames, tt.bytes)
			for i := range tt.fits {
				o.send(make([]byte, tt.each))
				if o.closing != 0 {
					t.Fatalf("closed after %d frames", i+1)
				}
			}
			o.send(make([]byte, tt.each))
			if o.closing != wire.CloseSlow || len(o.frames) != 0 {
				t.Fatalf("closing = %v with %d frames, want slow and none", o.closing, len(o.frames))
			}
			o.close(wire.CloseIdle)
			if o.closing != wire.CloseSlow {
				t.Error("the first reason does not stay")
			}
		})
	}
}

func TestOutboxForgetsAfterKill(t *testing.T) {
	var o outbox
	o.init(16, 1000)
	o.kill()
	o.post("x")
	o.send([]byte("x"))
	if w := o.take(work{}); !w.dead || len(w.inbox)+len(w.frames) != 0 {
		t.Errorf("work = %+v", w)
	}
}
