package course

import (
	"sort"

	"paceline/domain/geo"
	"paceline/domain/unit"
)

// The bounds of heights, and over how much of the way a gradient is levelled: noise in heights would be walls.
const (
	leastHeightMm = -500_000
	mostHeightMm  = 9_000_000
	steepestBp    = 10_000
	levelledMm    = unit.DistanceMm(40_000)
)

// slope is the heights of one lap along the way.
type slope struct {
	atMm   []unit.DistanceMm // ascending
	highMm []int64
}

func checkHeights(t Track) error {
	if len(t.HeightsMm) != 0 && len(t.HeightsMm) != len(t.Line) {
		return ErrHeights.With("%d heights for %d points", len(t.HeightsMm), len(t.Line))
	}
	for i, h := range t.HeightsMm {
		if h < leastHeightMm || h > mostHeightMm {
			return ErrHeights.With("point %d at %d mm", i+1, h)
		}
	}
	return nil
}

// newSlope is of a track whose line is placed; nil if it has no heights.
func newSlope(t Track) *slope {
	if len(t.HeightsMm) == 0 {
		return nil
	}
	s := &slope{}
	at := unit.DistanceMm(0)
	for i, p := range t.Line {
		if i > 0 {
			step := geo.DistanceMm(t.Line[i-1], p)
			if step == 0 {
				continue
			}
			at += step
		}
		s.atMm, s.highMm = append(s.atMm, at), append(s.highMm, t.HeightsMm[i])
	}
	return s
}

func (s *slope) heightAt(at unit.DistanceMm) int64 {
	i := sort.Search(len(s.atMm), func(i int) bool { return s.atMm[i] >= at })
	if i == 0 {
		return s.highMm[0]
	}
	if i == len(s.atMm) {
		return s.highMm[i-1]
	}
	from, to := s.atMm[i-1], s.atMm[i]
	return s.highMm[i-1] + (s.highMm[i]-s.highMm[i-1])*int64(at-from)/int64(to-from)
}

// GradientBp is how steep the course is at a distance from the start, all laps counted: rise over way in 0.01 %,
// levelled over 40 m. false: its heights are not known.
func (c *Course) GradientBp(at unit.DistanceMm) (int32, bool) {
	if c.slope == nil {
		return 0, false
	}
	lap := c.slope.atMm[len(c.slope.atMm)-1]
	at = max(0, min(at, c.LengthMm()))
	if at > lap {
		at -= lap * ((at - 1) / lap) // the end of a lap is its end, not the next one's start
	}
	from, to := max(0, at-levelledMm/2), min(lap, at+levelledMm/2)
	if to <= from {
		return 0, true
	}
	rise := c.slope.heightAt(to) - c.slope.heightAt(from)
	return int32(max(-steepestBp, min(rise*10_000/int64(to-from), steepestBp))), true
}
