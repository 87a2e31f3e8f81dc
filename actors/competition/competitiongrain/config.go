package competitiongrain

import (
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Config of one activation. Take Default and fill in the first five; all lengths are wall time.
type Config struct {
	Grain      id.Grain
	Activation string // unique for each activation
	Member     string // this node's member id
	Random     func() uint64
	NewID      func(step.Now) string

	BindEvery       unit.DurationMs // between two Binds to one training
	AskEvery        unit.DurationMs // between two ReportRequests to one training
	SettleEvery     unit.DurationMs // between two Settles to one training
	SettleLimit     unit.DurationMs // after which a settle goes on without those that have not answered
	SettleDelay     unit.DurationMs // from provisional to the final settle; longer than activations overlap; 0 where one process writes
	BoardTick       unit.DurationMs // between two board updates
	CheckpointEvery unit.DurationMs // while the race moves
	InterestFor     unit.DurationMs // an interest not renewed is forgotten
	OfflineAfter    unit.DurationMs // an entry without a report is offline
	StaleAfter      unit.DurationMs // an append without an outcome for so long makes the board stale
	WaitForOfficial unit.DurationMs // how far a race that waits for its officials moves its wake-up
	SnapshotEvery   uint64          // events; 0: the machine's own
	PartBytes       int             // what a part of a result may hold; 0: what the rules allow
	Parts           func() bool     // whether there may be results in parts, now; nil: always
}

// Default are the numbers of the design; SettleDelay is that of a store that several processes write.
func Default() Config {
	return Config{
		BindEvery: unit.Second, AskEvery: unit.Second, SettleEvery: 2 * unit.Second, SettleLimit: 30 * unit.Second,
		SettleDelay: unit.Minute, BoardTick: 250, CheckpointEvery: 10 * unit.Second, InterestFor: 15 * unit.Second,
		OfflineAfter: 15 * unit.Second, StaleAfter: 2 * unit.Second, WaitForOfficial: 10 * unit.Minute,
	}
}
