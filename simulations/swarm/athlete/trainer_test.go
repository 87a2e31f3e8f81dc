package athlete

import (
	"testing"

	"paceline/domain/unit"
)

// A trainer follows what it is set to as fast as its motor can, and goes back by itself.
func TestATrainerGoesBackByItself(t *testing.T) {
	tr := NewTrainer()
	tr.OwnBp = 100
	now := unit.InstantMs(1_000_000)
	if got := tr.InclineBp(now); got != 100 {
		t.Errorf("at rest %d bp", got)
	}
	if got := tr.Set(500, now+2000, now); got != "applied" {
		t.Errorf("%s", got)
	}
	for after, want := range []int32{100, 300, 500, 300, 100, 100} {
		if got := tr.InclineBp(now.Add(unit.DurationMs(after) * unit.Second)); got != want {
			t.Errorf("%d s later %d bp, want %d", after, got, want)
		}
	}
	now += 10_000
	for _, c := range []struct {
		bp    int32
		until unit.DurationMs
		off   bool
		want  string
	}{{1700, 2000, false, "limited"}, {2001, 2000, false, "refused"}, {500, 2001, false, "refused"}, {500, 0, false, "refused"}, {500, 2000, true, "refused"}} {
		tr.Off = c.off
		if got := tr.Set(c.bp, now.Add(c.until), now); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if tr.Applied != 1 || tr.Limited != 1 || tr.Refused != 4 || tr.LowestBp != 500 || tr.HighestBp != 1700 {
		t.Errorf("%+v", tr)
	}
}
