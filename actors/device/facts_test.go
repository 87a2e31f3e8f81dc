package device

import (
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

func TestEventTime(t *testing.T) {
	f := NewStreamFacts("s1")
	f.Apply(1, streamOpened())
	if got := f.EventMs(5, 1000); got != 1000 {
		t.Errorf("without a ClockSet event time is %d, want the device's", got)
	}
	for i, e := range []ClockSet{{"s1", 10, 100, 0, ""}, {"s1", 20, 200, 0, ""}, {"s2", 1, 999, 0, ""},
		{"s1", 15, 150, 0, ""}, {"s1", 20, 250, 0, ""}} {
		f.Apply(uint64(i+2), e)
	}
	for _, tt := range []struct {
		seq  uint64
		want unit.InstantMs
	}{{1, 1000}, {9, 1000}, {10, 1100}, {14, 1100}, {15, 1150}, {19, 1150}, {20, 1250}, {1 << 40, 1250}} {
		if got := f.EventMs(tt.seq, 1000); got != tt.want {
			t.Errorf("EventMs(%d) = %d, want %d", tt.seq, got, tt.want)
		}
	}
	if f.Version != 6 {
		t.Errorf("facts version %d, want 6: facts of other streams count", f.Version)
	}
}

func TestReach(t *testing.T) {
	f := NewStreamFacts("s1")
	for _, tt := range []struct {
		e    Event
		from uint64
		ok   bool
	}{
		{streamOpened(), 1, true}, {ClockSet{Stream: "s1", FromSeq: 7}, 7, true}, {ClockSet{Stream: "s2", FromSeq: 7}, 0, false},
		{Skipped{Stream: "s1", Spans: []Span{{9, 10}, {20, 30}}}, 9, true}, {StreamClosed{"s1", 4}, 0, false},
		{StreamRecorded{Stream: "s1", Through: 4}, 0, false}, {Fenced{}, 0, false},
	} {
		if from, ok := f.Reach(tt.e); from != tt.from || ok != tt.ok {
			t.Errorf("Reach(%+v) = %d, %v", tt.e, from, ok)
		}
	}
}

func TestTrustOfAndJump(t *testing.T) {
	f := NewStreamFacts("s1")
	f.Apply(1, streamOpened())
	f.Apply(2, Skipped{"s1", []Span{{5, 9}}, ""})
	f.Apply(3, Skipped{"s1", []Span{{10, 12}}, ""})
	if trust, ok := f.TrustOf(sample.PowerW); !ok || trust != sample.Estimated {
		t.Errorf("TrustOf(power) = %v, %v", trust, ok)
	}
	if _, ok := f.TrustOf(sample.LatE7); ok {
		t.Error("a channel that was not declared has a trust")
	}
	for _, tt := range []struct{ through, want uint64 }{{0, 0}, {3, 3}, {4, 12}, {5, 12}, {12, 12}} {
		if got := f.Jump(tt.through); got != tt.want {
			t.Errorf("Jump(%d) = %d, want %d", tt.through, got, tt.want)
		}
	}
	c := f.Clone()
	c.Apply(4, Skipped{"s1", []Span{{13, 13}}, ""})
	if f.Jump(4) != 12 {
		t.Error("a clone shares its skips")
	}
}

// Spans in any order cover what they cover, kept apart and ascending.
func TestAddSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []Span
		var covered [80]bool
		for range rapid.IntRange(0, 20).Draw(t, "spans") {
			from := rapid.IntRange(1, 70).Draw(t, "from")
			to := from + rapid.IntRange(-1, 8).Draw(t, "length")
			spans = addSpan(spans, Span{uint64(from), uint64(max(to, 0))})
			for i := from; i <= to; i++ {
				covered[i] = true
			}
		}
		f := &StreamFacts{Stream: "s1", Skips: spans}
		if err := f.Check(); err != nil {
			t.Fatal(err)
		}
		for i := range covered {
			if _, in := f.SkipAt(uint64(i)); in != covered[i] {
				t.Fatalf("SkipAt(%d) = %v in %v", i, in, spans)
			}
		}
	})
}
