package swarm

import (
	"log/slog"
	"testing"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

func TestCodes(t *testing.T) {
	c := &Codes{}
	log := slog.New(c)
	log.Debug("refused", "code", "call.unreachable", "retry", true)
	log.Debug("refused", "code", "call.unreachable", "retry", true)
	log.Debug("refused", "code", "auth.denied", "retry", false)
	log.Debug("connection ended", "err", "EOF")
	later, never := c.Counts()
	if len(later) != 1 || later["call.unreachable"] != 2 || len(never) != 1 || never["auth.denied"] != 1 {
		t.Errorf("tried again: %v, for good: %v", later, never)
	}
}

// A wrong clock shifts what a device says, never when it says it.
func TestWrongClocks(t *testing.T) {
	n := &Node{clock: nodeClock{node: 1_000_000, rate: 1}}
	kinds := map[livev1.ClockKind]bool{}
	for i := range 3 {
		d := &Device{Node: n, Samples: &sample.Batch{FirstSeq: 1, AtMs: []unit.InstantMs{5_000, 6_000}}}
		d.wrongClock(i)
		kinds[d.Clock] = true
		if got := d.Samples.AtMs[0].Add(-d.Ahead); got != 5_000 {
			t.Errorf("device %d, %v ahead: the first sample is at %v", i, d.Ahead, got)
		}
		if off := d.until(d.Samples.AtMs[1]) - n.Until(6_000); off > 1e8 || off < -1e8 {
			t.Errorf("device %d waits %v longer", i, off)
		}
	}
	if len(kinds) != 3 {
		t.Errorf("kinds of clocks: %v", kinds)
	}
}
