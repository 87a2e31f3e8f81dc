package competition

import (
	"cmp"
	"maps"
	"slices"

	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/unit"
)

// Phase of a race. Wire value: append only.
type Phase uint8

// The phases. None: not created.
const (
	PhaseNone        Phase = 0
	PhaseDraft       Phase = 1
	PhaseOpen        Phase = 2
	PhaseLocked      Phase = 3
	PhaseCountdown   Phase = 4 // the gun is announced; PhaseAt says when it is over
	PhaseRunning     Phase = 5
	PhaseSettling    Phase = 6
	PhaseProvisional Phase = 7
	PhaseOfficial    Phase = 8
	PhaseCancelled   Phase = 9
)

var phaseNames = [...]string{"none", "draft", "open", "locked", "countdown", "running", "settling", "provisional", "official", "cancelled"}

func (p Phase) String() string { return phaseNames[p] }

// Entry is one participant.
type Entry struct {
	Number         uint32
	User, Category string
	Heat, Wave     uint32
	Offset         unit.DurationMs
	Ready          bool

	// Binding.
	Training, Primary string
	BindingVersion    uint64 // version of the newest event that a training must know of

	// The race, as journalled.
	Ran              leaderboard.Status
	Gates            []GateTime // by gate
	Basis            basis.Basis
	TrainingFinished bool

	// Officials.
	Withdrawn bool
	Ruling    leaderboard.Status // DNS, DNF, DSQ; 0: none
	Review    []string           // open reasons, sorted
	Cleared   []string           // reasons that officials have looked at, sorted
	Penalty   unit.DurationMs

	// Settling.
	Answered    uint64 // number of the newest settle whose input is known
	Input       Input
	Late        bool        // reported beyond Input
	LateChanges bool        // and it would change the result
	LateBasis   basis.Basis // of the newest LateInput; what officials have decided on is not told again
}

// Status is what the race and the officials say together.
func (e *Entry) Status() leaderboard.Status {
	if e.Ruling != 0 {
		return e.Ruling
	}
	return e.Ran
}

// UnderReview reports whether officials have something to look at.
func (e *Entry) UnderReview() bool { return len(e.Review) > 0 }

// Terminal reports whether nothing more is expected of the entry.
func (e *Entry) Terminal() bool {
	return e.TrainingFinished || e.Withdrawn || e.Ruling != 0 || e.Ran == leaderboard.DNS
}

// Settle is the newest settle.
type Settle struct {
	Number uint64 // 0: none yet
	Final  bool
	Why    string
	Open   bool   // its result is not published
	Begun  uint64 // version of its SettleBegun
}

// State of a race.
type State struct {
	Version      uint64 // events applied
	Member       string // of the newest epoch
	Phase        Phase
	Definition   Definition
	Course       *course.Course
	RulesVersion uint32
	GunAt        unit.InstantMs // 0: not announced
	CutoffAt     unit.InstantMs
	Settle       Settle
	Result       *ResultPublished // the newest, whole
	Publishing   *Publication     // a result of which parts are journalled; nil: none
	FeedVersion  uint64           // version of the newest event that is a feed item
	LockedCount  int              // entries when the start list was locked

	entries  []*Entry // by number
	byNumber map[uint32]*Entry
	byUser   map[string]*Entry
	tally    tally
}

// tally counts entries, so that no command has to look at all of them.
type tally struct {
	going    int // not terminal
	unbound  int // without a training, and still entered
	awaiting int // bound, and not yet answered the open settle
}

// New is a race that nobody has created.
func New() *State {
	return &State{byNumber: map[uint32]*Entry{}, byUser: map[string]*Entry{}}
}

// Entries are all entries by number. Read only.
func (s *State) Entries() []*Entry { return s.entries }

// EntriesAfter are the entries above a number. Read only.
func (s *State) EntriesAfter(number uint32) []*Entry {
	i, _ := slices.BinarySearchFunc(s.entries, number, func(e *Entry, n uint32) int {
		if e.Number > n {
			return 1
		}
		return -1
	})
	return s.entries[i:]
}

// Entry is one entry, or nil. Read only.
func (s *State) Entry(number uint32) *Entry { return s.byNumber[number] }

// EntryOfUser is a person's entry, or nil. Read only.
func (s *State) EntryOfUser(user string) *Entry { return s.byUser[user] }

// GunOf is an entry's own gun; 0 before the race's is announced.
func (s *State) GunOf(e *Entry) unit.InstantMs {
	if s.GunAt == 0 {
		return 0
	}
	return s.GunAt.Add(e.Offset)
}

// PhaseAt is the phase at an instant: a countdown is over at the gun, whoever notices.
func (s *State) PhaseAt(at unit.InstantMs) Phase {
	if s.Phase == PhaseCountdown && at >= s.GunAt {
		return PhaseRunning
	}
	return s.Phase
}

// Awaited reports whether the open settle waits for the entry.
func (s *State) Awaited(e *Entry) bool {
	return s.Settle.Open && e.Training != "" && e.Answered < s.Settle.Number
}

// Started reports whether the gun is announced and the race not over.
func (s *State) Started() bool { return s.Phase >= PhaseCountdown && s.Phase <= PhaseProvisional }

// NeedsEpoch reports whether whoever answers for the race must have opened its own epoch.
func (s *State) NeedsEpoch() bool {
	return s.Phase >= PhaseLocked && s.Phase <= PhaseProvisional || s.Phase == PhaseOfficial && s.Settle.Open
}

// Awake reports whether the race must be woken until it is over.
func (s *State) Awake() bool { return s.Started() || s.Phase == PhaseOfficial && s.Settle.Open }

// Clone is an independent copy; slices that are never changed in place are shared.
func (s *State) Clone() *State {
	c := *s
	c.entries = slices.Clone(s.entries)
	c.Publishing = s.Publishing.clone()
	c.byNumber, c.byUser = maps.Clone(s.byNumber), maps.Clone(s.byUser)
	for i, e := range s.entries {
		n := *e
		n.Gates, n.Review, n.Cleared = slices.Clone(e.Gates), slices.Clone(e.Review), slices.Clone(e.Cleared)
		c.entries[i], c.byNumber[n.Number], c.byUser[n.User] = &n, &n, &n
	}
	return &c
}

// tallyOf is one entry's part.
func (s *State) tallyOf(e *Entry) tally {
	var t tally
	if !e.Terminal() {
		t.going = 1
	}
	if e.Training == "" && !e.Terminal() {
		t.unbound = 1
	}
	if s.Awaited(e) {
		t.awaiting = 1
	}
	return t
}

func (t *tally) add(o tally, sign int) {
	t.going += sign * o.going
	t.unbound += sign * o.unbound
	t.awaiting += sign * o.awaiting
}

// recount is for events that concern all entries.
func (s *State) recount() {
	s.tally = tally{}
	for _, e := range s.entries {
		s.tally.add(s.tallyOf(e), 1)
	}
}

func findGate(gates []GateTime, gate uint32) (int, bool) {
	return slices.BinarySearchFunc(gates, gate, func(g GateTime, n uint32) int { return cmp.Compare(g.Gate, n) })
}
