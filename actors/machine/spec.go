package machine

import (
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// Command is a command of a slice: it embeds step.Meta.
type Command interface{ CommandMeta() step.Meta }

// Effect is what must follow an event, as data of the slice; the shell turns it into Outs after the commit.
type Effect any

// Timer is a "later" that the state asks for, on the node clock. It fires once its instant is reached, also
// after a crash, perhaps late and perhaps more than once: the rules look again.
type Timer struct {
	Reason string
	At     unit.InstantMs
}

// Spec is a slice's rules as the machine needs them.
type Spec[S any, C Command, E any] struct {
	New    func() *S
	Decide func(*S, C) ([]E, error) // may refuse; never changes s
	Apply  func(*S, E)              // cannot refuse
	React  func(*S, E) []Effect     // called right after Apply; nil: no effects
	// Answer is the reply to a command whose last event is e, at version v. A pure function.
	Answer func(e E, v uint64) any
	// AnswerUnchanged is the reply to an accepted command that changed nothing.
	AnswerUnchanged func(s *S, c C, v uint64) any

	Encode func(E) (kind, format uint32, payload []byte, err error)
	Decode func(kind, format uint32, payload []byte) (E, error)
	// EncodeState and DecodeState make snapshots; nil: the journal is always replayed from its beginning.
	EncodeState func(*S) ([]byte, error)
	// SnapshotAfter is how many events must lie between two snapshots of such a state, so that what one costs is shared
	// by enough of them; nil, or fewer than Config says: as Config says.
	SnapshotAfter func(*S) uint64
	DecodeState   func([]byte) (*S, error)

	// Timers the state asks for; nil: none.
	Timers func(*S) []Timer
	// Open reports that the grain must be woken until this is over (an unfinished training); nil: never.
	Open func(*S) bool
	// Fenced is the event of a slice that says nothing; it only moves the version.
	Fenced func() E
	// Opened, for kinds that answer with authority, is the first event of an activation's first append.
	Opened func(member string) E
	// OpenedBy is the member that an event of Opened names; false for every other event. Nil: nobody is named.
	OpenedBy func(e E) (member string, ok bool)
	// NeedsEpoch reports that an activation must open its epoch even if nobody asks (between lock and official).
	NeedsEpoch func(*S) bool
	// CommandsExpire: an unknown command id older than 23 h or more than 5 min ahead is refused, and answers are
	// kept for 24 h of journal time. False: answers are kept for the journal's life.
	CommandsExpire bool
}

// Hooks are the shell's side. Nil ones are not called.
type Hooks[E any] struct {
	// Ready: the state is recovered; called once.
	Ready func(now step.Now) []step.Out
	// Committed is called for each event of this activation once its append is committed, in order.
	Committed func(now step.Now, e E, version uint64, effects []Effect) []step.Out
	// Due: a timer's instant is reached, or a wake-up fired (reason "" if only to look).
	Due func(now step.Now, reason string) []step.Out
	// Busy reports that the shell has something outstanding of its own, so that the grain may not rest.
	Busy func() bool
}

// Config of one activation.
type Config struct {
	Grain      id.Grain
	Activation string // unique for each activation
	Member     string // this node's member id
	Random     func() uint64
	NewID      func(now step.Now) string // append ids
	// SnapshotEvery is how many events lie between two snapshots; 0: 500. Fewer: faster recovery, more writes.
	SnapshotEvery uint64
}

// The numbers of a machine. Wall time.
const (
	maxQueued         = 4096                // commands, queries and replies held; beyond it: ErrBusy
	maxUnpublished    = 8192                // events waiting for the journal or the event stream; beyond it: ErrBusy
	maxOwedBytes      = 8 << 20             // of payloads of those; beyond it: ErrBusy
	publishEvents     = 256                 // in one publication
	publishBytes      = 1 << 20             // of payloads, but for one event
	snapshotEvery     = 500                 // events, unless Config says otherwise
	rowAhead          = 30 * unit.Second    // due of a standing row
	rowMargin         = 10 * unit.Second    // a row that is due sooner covers no new append
	retryFirst        = 50                  // ms, doubled to retryMost
	retryMost         = 2 * unit.Second     // between tries of one append
	giveUpAfter       = 20 * unit.Second    // of unavailability: the activation stops
	commandKept       = 24 * unit.Hour      // journal time
	commandOldest     = 23 * unit.Hour      // an unknown id older than this is refused
	commandAhead      = 5 * unit.Minute     // and one further ahead than this
	openAfterMin      = unit.DurationMs(50) // an epoch opened alone waits 50 to 250 ms
	openAfterSpread   = 200
	snapshotName      = "snapshot"
	outboxConsumer    = "outbox"
	reasonOutbox      = "outbox"
	reasonOpen        = "open"
	tickPrefix        = "machine/"
	tickAppendRetry   = tickPrefix + "append"
	tickPublishRetry  = tickPrefix + "publish"
	tickLoadRetry     = tickPrefix + "load"
	tickRowRetry      = tickPrefix + "row"
	tickOpenEpoch     = tickPrefix + "open"
	tickTimer         = tickPrefix + "timer"
	machineTag        = uint64(1) << 63
	journalPageEvents = 1024
)

// What the machine itself refuses.
var (
	ErrBusy       = fault.Later("machine.busy", "Too much is waiting here; try again shortly.")
	ErrFull       = &fault.Fault{Kind: fault.Exhausted, Code: "store.full", Retry: true, Message: "This node's store is full; keep what you have and try again later."}
	ErrStopped    = fault.Later("machine.moved", "This has moved to another place; try again.")
	ErrExpired    = fault.New(fault.Invalid, "command.expired", "This command is too old to be repeated safely.")
	ErrFromFuture = fault.New(fault.Invalid, "command.from_future", "This command's id lies in the future; mint ids with the server's clock.")
	ErrTooLarge   = fault.New(fault.Internal, "machine.append_too_large", "One command produced more than can be stored at once.")
)
