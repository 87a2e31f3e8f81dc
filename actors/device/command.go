package device

import (
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Command is what a device can be told. Each embeds step.Meta.
type Command interface{ CommandMeta() step.Meta }

type (
	// Register makes the device. Device is the grain's id.
	Register struct {
		step.Meta
		Device      string
		Particulars Registered
	}
	// Claim says who rides it.
	Claim struct {
		step.Meta
		Person string
		Until  unit.InstantMs // node clock; 0: of a shared machine the default, else until released
	}
	// Release ends the claim.
	Release struct{ step.Meta }
	// OpenStream opens a stream, or finds that it is open already.
	OpenStream struct {
		step.Meta
		Stream     string
		Workout    string // local id of the training
		Person     string // empty: the owner
		Clock      sample.ClockKind
		Channels   []ChannelSpec
		Sport      string
		DeviceTime unit.InstantMs // opening reading
		NodeTime   unit.InstantMs // when that arrived
	}
	// SetClock offers a measurement.
	SetClock struct {
		step.Meta
		Stream  string
		Through uint64 // the end of the cover that the shell knows
		Offset  unit.DurationMs
		Error   unit.DurationMs
		Source  string
	}
	// Skip declares samples lost. Held is what the series was seen to hold of them, ascending.
	Skip struct {
		step.Meta
		Stream  string
		Want    Span
		Through uint64
		Held    []Span
		Reason  string
	}
	// CloseStream says that nothing above LastSeq will come.
	CloseStream struct {
		step.Meta
		Stream  string
		LastSeq uint64
		Through uint64
	}
	// Record makes the floor. The shell has read the recording back; Skips are those that it was made with.
	Record struct {
		step.Meta
		Training  string
		Stream    string
		Through   uint64
		Digest    [32]byte
		Recording [32]byte
		Skips     []Span
	}
)
