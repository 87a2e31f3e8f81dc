package geo

import "paceline/domain/unit"

// LimitsVersion names the table of limits. A race pins it with its rules: a new table is a new version, and the old
// one stays for the races that were run on it.
const LimitsVersion = 1

// Sport is the name of a sport, as workouts, courses and races carry it. A workout and a stream take only the known
// ones; a course may name any: those without limits of their own have those of Other.
type Sport string

// The known sports.
const (
	Run   Sport = "run"
	Ride  Sport = "ride"
	Row   Sport = "row"
	Swim  Sport = "swim"
	Ski   Sport = "ski"
	Walk  Sport = "walk"
	Sail  Sport = "sail" // limits of Other
	Other Sport = "other"
)

// Known reports whether it is one of the sports above, letter by letter: "Run" and "running" are typing errors that
// would be judged by the limits of Other without a word.
func (s Sport) Known() bool {
	switch s {
	case Run, Ride, Row, Swim, Ski, Walk, Sail, Other:
		return true
	}
	return false
}

// Limits bound what is plausible in a sport.
type Limits struct {
	// MaxSpeedMmS is the fastest plausible speed in millimetres a second.
	MaxSpeedMmS int64
}

// LimitsOf gives a sport's limits, version 1: run and swim a little above the fastest sprint ever timed, ride
// and ski a fast descent, row an eight's best with the stream.
func LimitsOf(s Sport) Limits {
	switch s {
	case Run:
		return Limits{12_500}
	case Ride:
		return Limits{31_000}
	case Row:
		return Limits{8_000}
	case Swim:
		return Limits{3_000}
	case Ski:
		return Limits{45_000}
	case Walk:
		return Limits{5_000}
	default:
		return Limits{40_000}
	}
}

// Plausible reports whether a step of that length can be: one over twice the sport's limit is a teleport and earns no
// distance. A step that takes no time must have no length.
func (l Limits) Plausible(step unit.DistanceMm, took unit.DurationMs) bool {
	if took < 0 || step < 0 {
		return false
	}
	return int64(step) <= 2*l.MaxSpeedMmS*int64(took)/1000
}
