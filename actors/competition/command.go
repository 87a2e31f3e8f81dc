package competition

import (
	"paceline/domain/basis"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Command is what a race can be asked to do.
type Command interface{ CommandMeta() step.Meta }

// The commands of people.
type (
	// Create begins a race.
	Create struct {
		step.Meta
		Definition Definition
	}
	// AddEntry enters a person. Number 0: the next free one.
	AddEntry struct {
		step.Meta
		Number         uint32
		User, Category string
		Heat, Wave     uint32
		Offset         unit.DurationMs
		InOne          bool // the result must be one event: who may have to read it knows no parts
	}
	// Withdraw takes an entry out. Number 0: that of the athlete who asks.
	Withdraw struct {
		step.Meta
		Number uint32
		Reason string
	}
	// Leave withdraws the entry of a person, by that person or by a machine that the person rides.
	Leave struct {
		step.Meta
		User string
	}
	// Lock closes the start list and pins the rules.
	Lock struct{ step.Meta }
	// Join binds a person's training to the person's entry.
	Join struct {
		step.Meta
		User, Training, Primary string
	}
	// Ready says that somebody stands at the start.
	Ready struct {
		step.Meta
		User string
	}
	// Start announces the gun. GunAt 0: now.
	Start struct {
		step.Meta
		GunAt unit.InstantMs
	}
	// Rule is an official's ruling on one entry: clear, dsq, dnf, dns, reinstate.
	Rule struct {
		step.Meta
		Number           uint32
		Decision, Reason string
	}
	// Penalize adds to an entry's time; a negative penalty is a credit.
	Penalize struct {
		step.Meta
		Number  uint32
		Penalty unit.DurationMs
		Reason  string
	}
	// PublishProvisional settles a running race now, or publishes a provisional result again.
	PublishProvisional struct {
		step.Meta
		PartBytes int // as in Proceed
	}
	// MakeOfficial settles for the last time; the official result follows. FinalAllowed: streams have been closed, or
	// the grace over, for long enough.
	MakeOfficial struct {
		step.Meta
		FinalAllowed bool
	}
	// Correct publishes a new version of an official result, from a fresh settle.
	Correct struct {
		step.Meta
		Reason string
	}
	// Cancel ends a race without a result.
	Cancel struct {
		step.Meta
		Reason string
	}
)

// The commands of the grain itself: they have no id, and come again if they are lost.
type (
	// TakeReport takes what a training says: state, not increment.
	TakeReport struct {
		step.Meta
		Report Report
	}
	// TakeAnswer takes a training's answer to a settle.
	TakeAnswer struct {
		step.Meta
		Number    uint64
		Report    Report
		Streams   []InputStream
		Recording []byte
	}
	// GiveUpSettle goes on without the trainings that have not answered.
	GiveUpSettle struct {
		step.Meta
		Number uint64
	}
	// Fence journals nothing but that somebody is here: who has been overtaken finds out.
	Fence struct{ step.Meta }
	// Proceed does what state and time ask for, one step of it. Draft is what DraftFor has computed of a result that is
	// published in parts, so that not each of them computes it again.
	Proceed struct {
		step.Meta
		FinalAllowed bool
		Draft        *Draft
		PartBytes    int // what a part may hold; 0, or more than that: MaxResultBytes
	}
)

// Report is what a training knows of its race, a function of its basis alone.
type Report struct {
	Entry          uint32
	Training       string
	BindingVersion uint64
	Basis          basis.Basis
	Gates          []GateTime
	Finished       bool // the training is over
	Flags          []string
}

// The decisions of officials.
const (
	DecisionClear     = "clear"
	DecisionDSQ       = "dsq"
	DecisionDNF       = "dnf"
	DecisionDNS       = "dns"
	DecisionReinstate = "reinstate"
)

// Reasons for review that the race itself finds; all others are flags of trainings. Stable codes.
const (
	ReasonLateInput  = "late_input"
	ReasonUnanswered = "settle.unanswered"
	ReasonTooLarge   = "settle.too_large"
)

// ours reports whether a reason for review is the race's own.
func ours(reason string) bool {
	return reason == ReasonLateInput || reason == ReasonUnanswered || reason == ReasonTooLarge
}
