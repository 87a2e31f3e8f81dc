package training_test

import (
	"testing"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// east is a point so many metres east of where the equator meets Greenwich: one metre is 89.93 e7.
func east(m int64) geo.Point { return geo.Point{Lon: m * 8993 / 100} }

func placesFold(t *testing.T, lengthM int64) *training.Fold {
	t.Helper()
	c, err := course.New(course.Track{Format: course.Line, Sport: geo.Run, Name: "east", Line: []geo.Point{east(0), east(lengthM)}, CorridorMm: 30_000})
	if err != nil {
		t.Fatal(err)
	}
	return training.NewFold(training.Params{Sport: geo.Run, Race: &training.Race{Course: c, Gun: gun},
		Streams: []training.Stream{stream("a", sample.GNSS, sample.Measured, sample.LatE7, sample.LonE7)}})
}

// TestPositionStep: who leaps along the course, or through the finish, is put under review with the seq at which it
// was seen; a run at the sport's speed, and what comes after the finish, is not.
func TestPositionStep(t *testing.T) {
	for _, c := range []struct {
		name     string
		pairs    []int64 // ms after the gun, metres east
		flagged  uint64  // seq; 0: not
		finished bool
	}{
		{"a run", []int64{0, -5, 10_000, 50, 20_000, 105}, 0, true},
		{"twice the limit", []int64{0, -5, 1_000, 19, 2_000, 43, 20_000, 105}, 0, true},
		{"a leap through the finish", []int64{0, -5, 1_000, 5, 2_000, 500}, 3, true},
		{"a leap on the way", []int64{0, -5, 1_000, 5, 2_000, 60, 20_000, 105}, 3, true},
		{"a leap back", []int64{0, -5, 10_000, 90, 11_000, 10, 30_000, 105}, 3, true},
		{"a leap before the gun", []int64{-10_000, -5000, -5_000, -5, 1_000, -4, 11_000, 50, 20_000, 105}, 0, true},
		{"a leap after the finish", []int64{0, -5, 10_000, 50, 20_000, 105, 21_000, 9_000}, 0, true},
	} {
		n := len(c.pairs) / 2
		b := sample.Batch{FirstSeq: 1, AtMs: make([]unit.InstantMs, n)}
		b.Columns[sample.LatE7].Grow(n)
		b.Columns[sample.LonE7].Grow(n)
		for i := range n {
			b.AtMs[i] = gun + unit.InstantMs(c.pairs[2*i])
			b.Columns[sample.LatE7].Set(i, 0)
			b.Columns[sample.LonE7].Set(i, east(c.pairs[2*i+1]).Lon)
		}
		f := placesFold(t, 100)
		feed(t, f, "a", b)
		r := f.Result()
		seq := uint64(0)
		for _, flag := range r.Flags {
			if flag.Reason != training.FlagPositionStep {
				t.Errorf("%s: flag %v", c.name, flag)
			}
			seq = flag.Seq
		}
		if seq != c.flagged || r.Finished != c.finished {
			t.Errorf("%s: flagged at seq %d, want %d; finished %v, want %v", c.name, seq, c.flagged, r.Finished, c.finished)
		}
	}
}
