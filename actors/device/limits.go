package device

import (
	"paceline/domain/geo"
	"paceline/domain/sample"
)

// LimitsVersion is the table of limits that a stream opened now is judged by. StreamOpened names it, so that a
// stream's samples are judged by the same table for ever: a new table is a new version beside the old one.
const LimitsVersion = 1

// Bound is the least and the greatest value that can be, both included.
type Bound struct{ Least, Most int64 }

// Limits are the bounds of every channel.
type Limits [sample.Channels]Bound

// LimitsOf is the table of a version for a sport (empty or unknown: other); false: this build does not know the
// version.
func LimitsOf(version uint32, sport string) (*Limits, bool) {
	if version != 1 {
		return nil, false
	}
	for i := range limits1 {
		if limits1[i].sport == geo.Sport(sport) {
			return &limits1[i].limits, true
		}
	}
	return &limits1[len(limits1)-1].limits, true
}

// limits1 is version 1, "other" last. They say what a sensor cannot have measured, not what an athlete could not
// have done: a value beyond them refuses the sample, while an unlikely one is for officials to judge.
var limits1 = func() (t []struct {
	sport  geo.Sport
	limits Limits
}) {
	for _, s := range []geo.Sport{geo.Run, geo.Walk, geo.Ride, geo.Row, geo.Swim, geo.Ski, geo.Other} {
		l := Limits{
			sample.HeartRateBpm:    {25, 230},
			sample.PowerW:          {0, 2500},
			sample.CadenceRpm:      {0, 200},
			sample.SpeedMmS:        {0, geo.LimitsOf(s).MaxSpeedMmS},
			sample.DistanceMm:      {0, 10_000_000_000}, // 10,000 km
			sample.LatE7:           {-90e7, 90e7},
			sample.LonE7:           {-180e7, 180e7},
			sample.AltitudeMm:      {-1_000_000, 10_000_000},
			sample.InclineBp:       {-10_000, 10_000},
			sample.ResistanceDeci:  {0, 100_000},
			sample.StrokeRateDeci:  {0, 1500},
			sample.TemperatureCC:   {-6000, 8500},
			sample.EnergyJ:         {0, 1_000_000_000},
			sample.PositionErrorMm: {0, 100_000_000},
		}
		switch s {
		case geo.Run, geo.Walk:
			l[sample.CadenceRpm].Most = 130 // of one leg
		case geo.Row:
			l[sample.CadenceRpm].Most = 60
			l[sample.StrokeRateDeci].Most = 600
		default: // as the others
		}
		t = append(t, struct {
			sport  geo.Sport
			limits Limits
		}{s, l})
	}
	return t
}()
