package machine

import (
	"testing"

	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// A clock that was ahead for a moment makes ids be forgotten before they are old. None of them runs again, also not after
// a recovery; new ones do.
func TestAForgottenCommandNeverRunsAgainWhenTheClockHasJumped(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		b := newBench(t)
		spec := counterSpec()
		spec.CommandsExpire = true
		l := b.live(spec)
		l.settle()
		now := b.wall
		submit := func(who, command string, at unit.InstantMs) {
			l.submit(who, add{Meta: step.Meta{At: at, CommandID: command}, by: 2})
			l.settle()
		}
		mint := func(at unit.InstantMs, n byte) string { return id.New(at, [10]byte{n}) }
		first := mint(now, 1)
		submit("first", first, now)
		ahead := now.Add(30 * unit.Hour)
		submit("ahead", mint(ahead, 2), ahead)
		again := now.Add(unit.Hour)
		submit("again", first, again)
		if snapshot {
			bytes, err := l.m.encodeSnapshot()
			if err != nil {
				t.Fatal(err)
			}
			if err := b.store.PutSnapshot(t.Context(), b.grain, snapshotName, persistence.Snapshot{Version: l.m.version, Bytes: bytes}); err != nil {
				t.Fatal(err)
			}
		}
		l = b.live(spec)
		l.settle()
		submit("after a recovery", first, again)
		if got := b.total(); got != 4 {
			t.Errorf("snapshot %v: total %d, want 4: a forgotten command ran again", snapshot, got)
		}
		submit("new", mint(again, 3), again)
		if got := b.total(); got != 6 {
			t.Errorf("snapshot %v: total %d, want 6: %v", snapshot, got, l.replies["new"].Err)
		}
	}
}
