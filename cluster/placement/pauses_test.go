package placement

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paceline/domain/id"
)

// TestPausesDouble: whatever chance gives, a pause is random within bounds that double from 0.2 s to 5 s, and begins anew
// when nothing has happened for long.
func TestPausesDouble(t *testing.T) {
	g, now := id.Of(id.Competition, "c"), time.Unix(1_700_000_000, 0)
	rapid.Check(t, func(rt *rapid.T) {
		s := newPauses(func() uint64 { return rapid.Uint64().Draw(rt, "chance") })
		most := pauseFirst
		for range rapid.IntRange(1, 12).Draw(rt, "fences") {
			d := s.begin(g, "b", now)
			if d < 100*time.Millisecond || d < most/2 || d > most {
				t.Fatalf("a pause of %v, want %v to %v", d, most/2, most)
			}
			if by, paused := s.of(g, now.Add(d-1)); !paused || by != "b" {
				t.Fatalf("of() = %q, %v before it is over", by, paused)
			}
			if _, paused := s.of(g, now.Add(d)); paused {
				t.Fatal("paused when it is over")
			}
			most = min(2*most, 5*time.Second)
			now = now.Add(d + time.Duration(rapid.Int64Range(0, int64(pauseForgets)-1).Draw(rt, "then")))
		}
		s.forget(now)
		if len(s.all) != 1 {
			t.Fatal("a pause is forgotten while its length counts")
		}
		now = now.Add(2 * pauseForgets)
		if s.forget(now); len(s.all) != 0 || s.n.Load() != 0 {
			t.Fatal("a pause is remembered for ever")
		}
		if d := s.begin(g, "b", now); d > pauseFirst {
			t.Fatalf("after a long time a pause of %v, want at most %v", d, pauseFirst)
		}
	})
}

// TestPausesAreOfOneGrain: others are served.
func TestPausesAreOfOneGrain(t *testing.T) {
	s, now := newPauses(rand.Uint64), time.Now()
	s.begin(id.Of(id.Competition, "c"), "b", now)
	if _, paused := s.of(id.Of(id.Competition, "d"), now); paused {
		t.Fatal("a grain that nobody has fenced rests")
	}
}
