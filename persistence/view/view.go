package view

import (
	"context"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
)

// ErrUnavailable: the store does not answer, and so the views cannot be read.
var ErrUnavailable = persistence.ErrUnavailable

// ErrPageToken is the answer to a page token that this list did not give.
var ErrPageToken = fault.New(fault.Invalid, "view.page_token", "This page token is not valid here.")

// ErrWaiting: so many wait for a version already that one more may not.
var ErrWaiting = fault.Later("view.waiting", "Too many requests wait for the lists to take what was just written; try again shortly.")

// Competition is one race in a list. What it was created with in full is its Definition, read apart.
type Competition struct {
	ID             string
	OrganizationID string
	Name           string
	Sport          string
	State          string // stable name: draft, open, locked, countdown, running, settling, provisional, official, cancelled
	Public         bool
	Categories     []string `json:",omitempty"`
	ScheduledAt    unit.InstantMs
	GunAt          unit.InstantMs
	CutoffAt       unit.InstantMs
	Entries        uint32
	RulesVersion   uint32
	ResultVersion  uint32 // the newest; 0: none yet
	Version        uint64 // of the journal
}

// Day is where a race stands among a person's results: its gun, or when it was to be.
func (c *Competition) Day() unit.InstantMs {
	if c.GunAt != 0 {
		return c.GunAt
	}
	return c.ScheduledAt
}

// RosterEntry maps an entry to a person. No name: that is in Person, for those who may see it.
type RosterEntry struct {
	Entry         uint32
	UserID        string
	Category      string
	Heat, Wave    uint32
	StartOffsetMs unit.DurationMs
	Training      string // "<user>/<workout>"; empty: not bound
	Withdrawn     bool
}

// Visibility of a person's profile. Same numbers as user.v1.Visibility.
type Visibility uint8

// The levels of visibility.
const (
	VisibilityUnspecified Visibility = 0
	Public                Visibility = 1
	Entrants              Visibility = 2
	Private               Visibility = 3
)

// Person is how somebody is shown. Erased: there is nothing left to show.
type Person struct {
	UserID     string
	Handle     string
	Name       string
	Club       string
	Flag       string // ISO 3166-1 alpha-2
	Visibility Visibility
	Minor      bool
	Erased     bool `json:"-"`
	Version    uint64
}

// Result is one published version of a competition's result.
type Result struct {
	Competition    string
	Version        uint32
	Status         string // provisional, official, corrected
	JournalVersion uint64 // of the event
	At             unit.InstantMs
	Bytes          []byte // competition.v1.ResultPublished
}

// UserResult is a person's row in the newest result of a competition.
type UserResult struct {
	UserID, Competition string
	Entry, Version      uint32
	Status              string // of the result
	Place               uint32 // 0: none
	EntryStatus         string
	UnderReview         bool
	GunUs, NetUs        int64
	At                  unit.InstantMs // Day of the race
}

// FeedEntry is one thing that happened. Version is the competition's journal's; one event is at most one entry.
type FeedEntry struct {
	Version uint64
	Kind    string
	Bytes   []byte // live.v1.FeedItem
}

// Training is one workout in a person's list.
type Training struct {
	ID          string // "<user>/<workout>"
	Sport       string
	Zone        string
	UTCOffsetS  int32
	StartedAt   unit.InstantMs // device time of the start
	Phase       string         // live, finishing, finished
	ElapsedMs   unit.DurationMs
	DistanceMm  unit.DistanceMm
	Competition string
	Version     uint64
}

// CompetitionQuery lists the races of an organization, newest start day first.
type CompetitionQuery struct {
	OrganizationID string
	State          string // empty: all
	PageToken      string
	PageSize       int // 0: 50; at most 500
}

// Reader is what gateway and tools use. What it returns may be shared with other callers: it is read, not changed.
type Reader interface {
	Competition(ctx context.Context, competition string) (Competition, bool, error)
	Competitions(ctx context.Context, q CompetitionQuery) (page []Competition, nextPageToken string, err error)
	// Definition is what a race was created with: competition.v1.Definition.
	Definition(ctx context.Context, competition string) ([]byte, bool, error)
	// Roster is all entries, by number.
	Roster(ctx context.Context, competition string) ([]RosterEntry, error)
	// EntryOf finds the entry of a person; false if there is none.
	EntryOf(ctx context.Context, competition, userID string) (RosterEntry, bool, error)
	Person(ctx context.Context, userID string) (Person, bool, error)
	// People are those of the given ids that are known.
	People(ctx context.Context, userIDs []string) (map[string]Person, error)
	UserByHandle(ctx context.Context, handle string) (userID string, ok bool, err error)
	// ResultPart is a page, from 1 on, of a version of a result that is in parts: competition.v1.ResultPublished with
	// some of its rows.
	ResultPart(ctx context.Context, competition string, version, part uint32) (page []byte, ok bool, err error)
	// Result is one version of a result; 0: the newest. Of one in parts the rows are the parts'.
	Result(ctx context.Context, competition string, version uint32) (Result, bool, error)
	UserResults(ctx context.Context, userID, pageToken string, pageSize int) (page []UserResult, nextPageToken string, err error)
	// Feed is the entries after a version, oldest first, at most limit (0: 100).
	Feed(ctx context.Context, competition string, after uint64, limit int) (entries []FeedEntry, more bool, err error)
	// LastFeed is the newest entries, oldest first.
	LastFeed(ctx context.Context, competition string, limit int) ([]FeedEntry, error)
	// Inbox is the same of a person's inbox; the bytes are live.v1.Event.
	Inbox(ctx context.Context, userID string, after uint64, limit int) (entries []FeedEntry, more bool, err error)
	// TrainingOf resolves a workout's local id to "<user>/<workout>".
	TrainingOf(ctx context.Context, workout string) (training string, ok bool, err error)
	// Trainings of a person in a month ("2024-06", by the workout's own offset), newest first.
	Trainings(ctx context.Context, userID, month, pageToken string, pageSize int) (page []Training, nextPageToken string, err error)
	// Cursor is the version through which the views have taken a grain's events.
	Cursor(ctx context.Context, g id.Grain) (uint64, error)
	// WaitFor waits until the views have taken a version, at most 500 ms; false: they have not. So many
	// may wait at once; one more is told ErrWaiting.
	WaitFor(ctx context.Context, g id.Grain, version uint64) (bool, error)
}

// ParseStream reads "<kind>/<id>", as the answer to a command names a stream.
func ParseStream(s string) (id.Grain, error) {
	for i := range len(s) {
		if s[i] == '/' && i > 0 && i+1 < len(s) {
			g := id.Grain{Kind: id.Kind(s[:i]), ID: s[i+1:]}
			if Kinds[g.Kind] == "" && g.Kind != id.Device { // devices have no views, and so nothing to wait for
				break
			}
			return g, nil
		}
	}
	return id.Grain{}, id.ErrMalformed.With("stream %q", s)
}
