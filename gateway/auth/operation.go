package auth

// Operation is one thing that can be asked for: a message of the live protocol, a topic, an RPC. Add one here and
// the package does not compile until the table in decide.go has its row.
type Operation uint8

// The operations of the live protocol.
const (
	Hello Operation = iota
	OpenStream
	CloseStream
	SendTelemetry
	SkipSamples
	StartWorkout
	PauseWorkout
	ResumeWorkout
	MarkLap
	FinishWorkout
	JoinCompetition
	LeaveCompetition
	BeReady
	React
	WatchBoard
	WatchRoster
	WatchPositions
	WatchEntrantPositions
	WatchOfficialPositions
	WatchFeed
	WatchWorkout
	WatchInbox
	Unwatch
	Ping
	OfferClock
	AnswerControl

	// The operations of the management API.
	RegisterUser
	ReadUser
	RegisterDevice
	ClaimDevice
	ReleaseDevice
	ReadDevice
	ReadTraining
	CreateCompetition
	ReadCompetition
	ListCompetitions
	AddEntry
	WithdrawEntry
	LockStartList
	StartRace
	DecideEntry
	PenalizeEntry
	PublishProvisional
	MakeOfficial
	CorrectResult
	CancelCompetition
	ReadResult
	ExportBundle
	ReadClock
	BackUp
	RebuildViews
	WatchCluster
	RaiseLevel

	operations // how many there are
)

// Operations is how many operations there are.
const Operations = int(operations)

var names = [...]string{"hello", "open_stream", "close_stream", "telemetry", "skip", "start_workout", "pause", "resume",
	"lap", "finish_workout", "join", "leave", "ready", "react", "watch_board", "watch_roster", "watch_positions",
	"watch_entrant_positions", "watch_official_positions", "watch_feed", "watch_workout", "watch_inbox", "unwatch", "ping", "offer_clock", "control_result", "register_user", "read_user",
	"register_device", "claim_device", "release_device", "read_device", "read_training", "create_competition", "read_competition",
	"list_competitions", "add_entry", "withdraw_entry", "lock_start_list", "start_race", "decide_entry",
	"penalize_entry", "publish_provisional", "make_official", "correct_result", "cancel_competition", "read_result",
	"export_bundle", "read_clock", "back_up",
	"rebuild_views", "watch_cluster", "raise_level"}

// As many names as operations, or this does not compile.
var _ [operations]struct{} = [len(names)]struct{}{}

// String is the operation's name.
func (o Operation) String() string {
	if o < operations {
		return names[o]
	}
	return "unknown"
}
