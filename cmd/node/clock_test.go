package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"paceline/domain/unit"
)

// memo is a folder in memory.
type memo map[string][]byte

func (m memo) GetMeta(name string) ([]byte, bool, error) { v, ok := m[name]; return v, ok, nil }
func (m memo) PutMeta(name string, v []byte) error       { m[name] = v; return nil }

func TestClockSurvivesRestarts(t *testing.T) {
	f, origin, rate := memo{}, unit.InstantMs(1_718_462_760_000), 60.0
	first, err := openClock(f, clockWish{&origin, &rate}, 5_000)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := first.node(5_000+1_000), origin+60_000; got != want {
		t.Fatalf("node(1 s later) = %d, want %d", got, want)
	}
	again, err := openClock(f, clockWish{}, 99_000)
	if err != nil || again != first {
		t.Fatalf("openClock() = %v, %v; want %v", again, err, first)
	}
	if same, err := openClock(f, clockWish{&origin, &rate}, 99_000); err != nil || same != first {
		t.Fatalf("openClock() with the same wish = %v, %v; want %v", same, err, first)
	}
	other := 1.0
	if _, err := openClock(f, clockWish{Rate: &other}, 99_000); err == nil {
		t.Fatal("a running clock was changed")
	}
}

func TestClockIsTheWallClockByDefault(t *testing.T) {
	c, err := openClock(memo{}, clockWish{}, 1_000)
	if err != nil || c.node(4_321) != 4_321 {
		t.Fatalf("node(4321) = %d, %v; want 4321", c.node(4_321), err)
	}
}

func TestBadRatesAreRefused(t *testing.T) {
	for _, rate := range []float64{0, -1, 1e9} {
		if _, err := openClock(memo{}, clockWish{Rate: &rate}, 0); err == nil {
			t.Errorf("rate %v is accepted", rate)
		}
	}
}

// TestWallOf: the first wall millisecond at which the node's clock shows the instant, never earlier.
func TestWallOf(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := clock{
			Origin: unit.InstantMs(rapid.Int64Range(0, 2e12).Draw(rt, "origin")),
			Anchor: unit.InstantMs(rapid.Int64Range(0, 2e12).Draw(rt, "anchor")),
			Rate:   rapid.Float64Range(0.01, 500).Draw(rt, "rate"),
		}
		at := c.Origin.Add(unit.DurationMs(rapid.Int64Range(-1e9, 1e9).Draw(rt, "at")))
		wall := c.wallOf(at)
		if c.node(wall) < at {
			rt.Fatalf("at %d the clock shows %d, before %d", wall, c.node(wall), at)
		}
		if c.node(wall-2) >= at && c.Rate >= 1 {
			rt.Fatalf("the clock showed %d two ms before", at)
		}
	})
}

func TestAClockThatIsSetBackGoesOn(t *testing.T) {
	wall, passed := unit.InstantMs(10_000_000), time.Duration(0)
	r := &rising{read: func() (unit.InstantMs, time.Duration) { return wall, passed }}
	for i, s := range []struct {
		step   unit.DurationMs // of the machine's clock
		passes time.Duration
		want   unit.InstantMs
	}{
		{0, 0, 10_000_000},
		{1_000, time.Second, 10_001_000},
		{-3_600_000, time.Second, 10_002_000}, // set back by an hour
		{5_000, 5 * time.Second, 10_007_000},
		{3_600_000, time.Second, 10_008_000}, // and right again
		{60_000, time.Second, 10_066_000},    // the machine has slept: 1 s passed
	} {
		wall, passed = wall.Add(s.step), passed+s.passes
		if got := r.now(); got != s.want {
			t.Errorf("step %d: %d, want %d", i, got, s.want)
		}
	}
}
