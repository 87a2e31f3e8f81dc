package traininggrain

import (
	"paceline/actors/training"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Config of one activation.
type Config struct {
	Grain      id.Grain
	Activation string
	Member     string
	Random     func() uint64
	NewID      func(step.Now) string
	Numbers    Numbers // zero: Default
	// SnapshotEvery is how many events lie between two snapshots; 0: the machine's own.
	SnapshotEvery uint64
	// Compile shares courses between the workouts of a node; nil: each has its own, which costs memory in a race
	// over a long line.
	Compile training.Compile
}

// Numbers are the shell's; all times are of the wall clock unless said otherwise.
type Numbers struct {
	ReportEvery     unit.DurationMs // at most one report in this time
	RepeatReport    unit.DurationMs // while it has news that nobody echoed
	RepeatRecorded  unit.DurationMs // until the device has journalled the floor
	CheckpointEvery unit.DurationMs
	TopicEvery      unit.DurationMs
	InterestFor     unit.DurationMs // a node that does not renew is forgotten
	RestAfter       unit.DurationMs // without a message an activation may rest
	QuietAfter      unit.DurationMs // with nothing unread the open row moves away
	CalmAfter       unit.DurationMs // after the last late sample a new recording is written
	TellAgain       unit.DurationMs // a device that streams is told of the race again
	RowSoon         unit.DurationMs // the open row's due while samples come
	RetryFirst      unit.DurationMs // of I/O, doubled to RetryMost
	RetryMost       unit.DurationMs
	SteerEvery      unit.DurationMs // node clock: at most one setting of equipment in this time
	IdleAfter       unit.DurationMs // node clock: without a sample or command the workout is over
	ReadSamples     int             // of one read
}

// Default is what a node uses.
func Default() Numbers {
	return Numbers{
		ReportEvery: 250, RepeatReport: unit.Second, RepeatRecorded: 2 * unit.Second, CheckpointEvery: 10 * unit.Second,
		TopicEvery: 250, InterestFor: 15 * unit.Second, RestAfter: 2 * unit.Minute, QuietAfter: 2 * unit.Minute,
		CalmAfter: 10 * unit.Second, TellAgain: 10 * unit.Second, RowSoon: 30 * unit.Second,
		RetryFirst: 50, RetryMost: 2 * unit.Second, IdleAfter: 6 * unit.Hour, SteerEvery: 250, ReadSamples: 8192,
	}
}

var defaults = Default()

// away is how far the open row of a quiet workout moves, each time it fires.
var away = [...]unit.DurationMs{1 * unit.Minute, 2 * unit.Minute, 4 * unit.Minute, 8 * unit.Minute, 10 * unit.Minute}
