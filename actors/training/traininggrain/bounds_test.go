package traininggrain

import (
	"errors"
	"testing"

	"paceline/actors/machine"
	trainingv1 "paceline/api/gen/paceline/training/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// TestWhatComesBeforeTheJournalIsBounded: while the journal is being read so many messages wait; of more, who asks is told to
// try again, and a hint is dropped: the series is read anyway.
func TestWhatComesBeforeTheJournalIsBounded(t *testing.T) {
	const bound = 256
	r := newRig(t)
	s := New(Config{Grain: grain, Activation: "late", Member: "m1", Random: func() uint64 { return 7 }, NewID: func(step.Now) string { return "id" }})
	s.Step(r.now(), machine.StartMsg{}, nil) // and nobody reads for it
	busy := func(msg any, from step.Return) (n int) {
		for _, o := range s.Step(r.now(), msg, from) {
			if a, ok := o.(step.Reply); ok && a.To != nil {
				if !errors.Is(a.Err, machine.ErrBusy) {
					t.Fatalf("answered %v", a)
				}
				n++
			}
		}
		return n
	}
	for i := range bound {
		if busy(&trainingv1.Get{}, i) != 0 {
			t.Fatalf("message %d is refused", i+1)
		}
	}
	if busy(&trainingv1.Get{}, "one more") != 1 {
		t.Error("one more than may wait is not told to try again")
	}
	if busy(r.block(runner(1, 5, nodeOrigin)), nil) != 0 || len(s.early) != bound {
		t.Errorf("%d messages wait after a hint, want %d", len(s.early), bound)
	}
}

// TestReportsThatWaitForTheirEchoAreBounded: a competition that never echoes does not make a training keep all its reports,
// and once it echoes again the newest is enough.
func TestReportsThatWaitForTheirEchoAreBounded(t *testing.T) {
	const bound = 16
	r := newRig(t)
	r.start()
	r.bind(1, r.now().Node.Add(10*unit.Second))
	r.until("bound and reported", func() bool { return r.reports > 0 })
	r.echoes = false
	most, seq := 0, uint64(1)
	for range 3 * bound {
		r.stream(seq, 5)
		seq += 5
		before := r.reports
		r.until("another report", func() bool { return r.reports > before })
		most = max(most, len(r.shell.sent))
	}
	if most != bound {
		t.Errorf("%d reports were kept of %d, want %d", most, 3*bound, bound)
	}
	r.echoes = true
	r.until("all is echoed", func() bool { return r.shell != nil && r.shell.echoed == r.shell.tells() && r.through() == seq-1 })
}
