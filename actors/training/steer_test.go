package training_test

import (
	"testing"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

// ramp is a course of a kilometre that rises 6 % from 400 m on.
func ramp() course.Track {
	t := course.Track{Format: course.Line, Sport: geo.Run, Name: "ramp", CorridorMm: 30_000}
	for i := range 11 {
		t.Line = append(t.Line, geo.Point{Lat: 500_000_000 + int64(i)*8993, Lon: 80_000_000})
		t.HeightsMm = append(t.HeightsMm, max(0, int64(i)-4)*6000)
	}
	return t
}

// Equipment is set by a fresh position in a running race over known heights, and by nothing else.
func TestSteer(t *testing.T) {
	const gun, now = unit.InstantMs(1_000_000), unit.InstantMs(1_100_000)
	bound := training.Bound{Competition: "c1", Entry: 7, Version: 9, Track: ramp(), Gun: gun, Rules: 1}
	flat, distance, noGun := bound, bound, bound
	flat.Track.HeightsMm, noGun.Gun = nil, 0
	distance.Track = track()
	given := []training.Event{started, training.StreamAttached{Stream: watch}}
	riding := training.Result{PositionAt: now - 300, ProgressMm: 700_000}
	with := func(change func(r *training.Result)) training.Result {
		r := riding
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		more []training.Event
		r    training.Result
		want int32 // -1: nothing is set
	}{
		"on the hill":                  {[]training.Event{bound}, riding, 600},
		"on the flat":                  {[]training.Event{bound}, with(func(r *training.Result) { r.ProgressMm = 200_000 }), 0},
		"a clock a little ahead":       {[]training.Event{bound}, with(func(r *training.Result) { r.PositionAt = now + 1999 }), 600},
		"a clock far ahead":            {[]training.Event{bound}, with(func(r *training.Result) { r.PositionAt = now + 2000 }), -1},
		"a position two seconds old":   {[]training.Event{bound}, with(func(r *training.Result) { r.PositionAt = now - 2000 }), -1},
		"no position":                  {[]training.Event{bound}, with(func(r *training.Result) { r.PositionAt = 0 }), -1},
		"off the course":               {[]training.Event{bound}, with(func(r *training.Result) { r.OffCourse = true }), -1},
		"behind the finish":            {[]training.Event{bound}, with(func(r *training.Result) { r.Finished = true }), -1},
		"in no race":                   {nil, riding, -1},
		"heights nobody knows":         {[]training.Event{flat}, riding, -1},
		"a distance race":              {[]training.Event{distance}, riding, -1},
		"before the gun is known":      {[]training.Event{noGun}, riding, -1},
		"a position of before the gun": {[]training.Event{bound}, with(func(r *training.Result) { r.PositionAt = gun - 1 }), -1},
		"in a pause":                   {[]training.Event{bound, training.Paused{At: now - 900}}, riding, -1},
		"after a pause":                {[]training.Event{bound, training.Paused{At: now - 900}, training.Resumed{At: now - 500}}, riding, 600},
		"after the end":                {[]training.Event{bound, ended}, riding, -1},
	} {
		aim, ok := training.Steer(state(append(given[:2:2], c.more...)...), &c.r, now)
		if ok != (c.want >= 0) || ok && (aim.ByPower || aim.GradientBp < c.want-3 || aim.GradientBp > c.want+3 || aim.At != c.r.PositionAt) {
			t.Errorf("%s: %+v, %v; want %d", name, aim, ok, c.want)
		}
	}
}

// Where no course says it, the rider's own plan does: by the workout's time, pauses left out.
func TestSteerByPlan(t *testing.T) {
	const begun, now = unit.InstantMs(1_000_000), unit.InstantMs(1_605_000)
	pause := []training.Event{training.Paused{At: begun + 100_000}, training.Resumed{At: begun + 110_000}}
	hill := training.Bound{Competition: "c1", Entry: 7, Version: 9, Track: ramp(), Rules: 1}
	flat := training.Bound{Competition: "c1", Entry: 7, Version: 9, Track: track(), Rules: 1}
	at := func(elapsed unit.DurationMs) training.Result {
		return training.Result{At: now - 100, Totals: training.Totals{ElapsedMs: elapsed}}
	}
	stale := at(300_000)
	stale.At = now - 2000
	for name, c := range map[string]struct {
		given []training.Event
		r     training.Result
		want  int32 // -1: nothing is set
	}{
		"the first step":            {[]training.Event{planned}, at(0), 150},
		"its last instant":          {[]training.Event{planned}, at(599_999), 150},
		"the second step":           {[]training.Event{planned}, at(600_000), 300},
		"a pause does not count":    {append([]training.Event{planned}, pause...), at(605_000), 150},
		"behind the end":            {[]training.Event{planned}, at(660_000), -1},
		"a sample of seconds ago":   {[]training.Event{planned}, stale, -1},
		"no sample":                 {[]training.Event{planned}, training.Result{}, -1},
		"no plan":                   {[]training.Event{started}, at(0), -1},
		"in a pause":                {[]training.Event{planned, training.Paused{At: begun}}, at(0), -1},
		"after the end":             {[]training.Event{planned, ended}, at(0), -1},
		"in a race without heights": {[]training.Event{planned, flat}, at(0), 150},
		"in a race with a hill":     {[]training.Event{planned, hill}, at(0), -1},
	} {
		aim, ok := training.Steer(state(c.given...), &c.r, now)
		if ok != (c.want >= 0) || ok && (!aim.ByPower || aim.PowerW != uint32(c.want) || aim.At != c.r.At) {
			t.Errorf("%s: %+v, %v; want %d W", name, aim, ok, c.want)
		}
	}
}
