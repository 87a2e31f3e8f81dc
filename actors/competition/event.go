package competition

import (
	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/unit"
)

// Event is a fact of a race. Competitioncodec gives each its number.
type Event interface{ isEvent() }

// GateTime is one gate passed: the index of the visit, laps unrolled, and when (event time).
type GateTime struct {
	Gate uint32
	At   unit.InstantUs
}

// The events.
type (
	// Opened is the first event of an activation: its version is the epoch.
	Opened struct{ Member string }
	// Created begins a race.
	Created struct{ Definition Definition }
	// EntryAdded gives a person a number. Offset is from the race's gun to the entry's own.
	EntryAdded struct {
		Entry          uint32
		User, Category string
		Heat, Wave     uint32
		Offset         unit.DurationMs
	}
	// EntryWithdrawn takes an entry out; its status stands in a StatusChanged beside it.
	EntryWithdrawn struct {
		Entry  uint32
		Reason string
	}
	// EntryReady says that somebody stands at the start.
	EntryReady struct{ Entry uint32 }
	// StartListLocked pins the rules.
	StartListLocked struct{ RulesVersion uint32 }
	// EntryBound says which training, and which of its streams first, an entry rides with.
	EntryBound struct {
		Entry             uint32
		Training, Primary string
	}
	// RaceStarted names the announced instant of the gun, never that of firing.
	RaceStarted struct{ GunAt, CutoffAt unit.InstantMs }
	// GateTaken is a gate passed, GateRevised another time for it, or none.
	GateTaken struct {
		Entry, Gate uint32
		At          unit.InstantUs
	}
	// GateRevised names what it replaces and why.
	GateRevised struct {
		Entry, Gate uint32
		From, To    unit.InstantUs
		None        bool
		Why         string
	}
	// ReportNoted keeps the basis of the last report whose facts are journalled, in one append with them.
	ReportNoted struct {
		Entry    uint32
		Basis    basis.Basis
		Finished bool // the training
	}
	// StatusChanged is what the race says of an entry; officials say theirs by Decided.
	StatusChanged struct {
		Entry  uint32
		Status leaderboard.Status
		Reason string
	}
	// ReviewChanged opens or closes one reason for review.
	ReviewChanged struct {
		Entry  uint32
		Review bool
		Reason string
	}
	// PenaltyAdded is an item beside the times, which stay as they are.
	PenaltyAdded struct {
		Entry   uint32
		Penalty unit.DurationMs // negative: a credit
		Reason  string
	}
	// Decided is an official's ruling.
	Decided struct {
		Entry            uint32
		Decision, Reason string
	}
	// SettleBegun asks every training for an answer from a fresh read. Final: official, or a correction, follows.
	SettleBegun struct {
		Number uint64
		Final  bool
		Why    string
	}
	// SettleAnswered names what an entry's result will be computed from.
	SettleAnswered struct {
		Number uint64
		Input  Input
	}
	// LateInput says that a training has reported beyond its input.
	LateInput struct {
		Entry         uint32
		Stream        string
		Basis         basis.Basis
		ChangesResult bool
	}
	// ResultPublished is reproducible from its input by the pinned rules. The gates of an input are those of its row.
	// One that is too large for an event has Parts: it is stored without rows and inputs, and closes them. Only then it
	// exists.
	ResultPublished struct {
		Version        uint32
		Status         ResultStatus
		RulesVersion   uint32
		Rows           []Row
		Inputs         []Input
		JournalVersion uint64 // entries and decisions through here
		Why            string
		At             unit.InstantMs
		Parts          uint32 // 0: in one
		Digest         []byte // of rows and inputs in parts; see Digest
	}
	// ResultPart is consecutive rows of a result that is not published before its closing event, with their inputs.
	// JournalVersion names the attempt: parts of one result have all been computed from that state.
	ResultPart struct {
		Version        uint32
		Status         ResultStatus
		Part           uint32 // 1, 2, …
		Rows           []Row
		Inputs         []Input // of those rows, in their order
		JournalVersion uint64
		Why            string
		At             unit.InstantMs
	}
	// Cancelled ends a race without a result.
	Cancelled struct{ Reason string }
	// Fenced says nothing; it only moves the version.
	Fenced struct{}
)

// ResultStatus of a published result. Stored value: append only.
type ResultStatus uint8

// The statuses of a result.
const (
	ResultProvisional ResultStatus = 1
	ResultOfficial    ResultStatus = 2
	ResultCorrected   ResultStatus = 3
)

// Row is one line of a result. Places and times rest on microseconds.
type Row struct {
	Entry              uint32
	Place              uint32 // 0: none
	Status             leaderboard.Status
	UnderReview        bool
	Start, Finish      unit.InstantUs  // Finish 0: none
	Gun, Net           unit.DurationUs // penalties included; 0: none
	Penalty            unit.DurationMs
	Gates              []GateTime
	Heat               uint32
	Category           string
	PlaceNet, PlaceGun uint32
	Disputed           bool // a DNF with late input
}

// Input names exactly what an entry's times were computed from.
type Input struct {
	Entry          uint32
	Training       string
	Streams        []InputStream
	Recording      []byte // digest; of a final settle
	Unanswered     bool
	Gates          []GateTime
	Flags          []string
	BindingVersion uint64
}

// InputStream is one stream of an input; Digest is over its canonical samples 1 … Through.
type InputStream struct {
	Device, Stream        string
	Through, FactsVersion uint64
	Digest                []byte
}

func (Opened) isEvent()          {}
func (Created) isEvent()         {}
func (EntryAdded) isEvent()      {}
func (EntryWithdrawn) isEvent()  {}
func (EntryReady) isEvent()      {}
func (StartListLocked) isEvent() {}
func (EntryBound) isEvent()      {}
func (RaceStarted) isEvent()     {}
func (GateTaken) isEvent()       {}
func (GateRevised) isEvent()     {}
func (ReportNoted) isEvent()     {}
func (StatusChanged) isEvent()   {}
func (ReviewChanged) isEvent()   {}
func (PenaltyAdded) isEvent()    {}
func (Decided) isEvent()         {}
func (SettleBegun) isEvent()     {}
func (SettleAnswered) isEvent()  {}
func (LateInput) isEvent()       {}
func (ResultPublished) isEvent() {}
func (ResultPart) isEvent()      {}
func (Cancelled) isEvent()       {}
func (Fenced) isEvent()          {}

// EntryOf is the entry that an event is about; 0: none in particular.
func EntryOf(e Event) uint32 {
	switch e := e.(type) {
	case EntryAdded:
		return e.Entry
	case EntryWithdrawn:
		return e.Entry
	case EntryReady:
		return e.Entry
	case EntryBound:
		return e.Entry
	case GateTaken:
		return e.Entry
	case GateRevised:
		return e.Entry
	case ReportNoted:
		return e.Entry
	case StatusChanged:
		return e.Entry
	case ReviewChanged:
		return e.Entry
	case PenaltyAdded:
		return e.Entry
	case Decided:
		return e.Entry
	case SettleAnswered:
		return e.Input.Entry
	case LateInput:
		return e.Entry
	}
	return 0
}
