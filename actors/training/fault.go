package training

import "paceline/domain/fault"

// What a workout refuses.
var (
	ErrNotStarted     = fault.NotYet("training.not_started", "Start the workout first.")
	ErrStarted        = fault.New(fault.Conflict, "training.already_started", "This workout has been started with other particulars.")
	ErrFinished       = fault.New(fault.Conflict, "training.finished", "This workout is over.")
	ErrSport          = fault.New(fault.Invalid, "training.sport", "A workout's sport is one of run, ride, row, walk, ski, swim, sail and other.")
	ErrPlan           = fault.New(fault.Invalid, "training.plan", "A plan has at most 500 steps of 1 s to 24 h, each of at most 2,500 W.")
	ErrSportDiffers   = fault.New(fault.Conflict, "stream.sport_differs", "The workout is of another sport than the stream.")
	ErrZone           = fault.New(fault.Invalid, "training.zone", "A time zone has at most 64 bytes and an offset of at most 18 hours.")
	ErrStream         = fault.New(fault.Invalid, "training.stream", "A stream needs a device and an id.")
	ErrStreams        = fault.New(fault.Exhausted, "training.too_many_streams", "A workout has at most 16 streams.")
	ErrBoundElsewhere = fault.New(fault.Conflict, "training.bound_elsewhere", "This workout rides in another race.")
	ErrTrack          = fault.New(fault.Invalid, "training.track", "The race's track is not one that this program understands.")
	ErrTooManyLaps    = fault.New(fault.Exhausted, "training.too_many_laps", "A workout has at most 1,000 laps and 1,000 pauses.")
	ErrStale          = fault.Later("training.stale", "The workout has changed meanwhile.")
)
