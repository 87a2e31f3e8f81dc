package view

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
)

// The tables. Stored: append only. Each is part of a partition's key.
const (
	tableGrain      = "grain"       // kind, id → cursor, and the grain's own rows (see the row… constants)
	tableDefinition = "definition"  // competition → competition.v1.Definition
	tableDays       = "days"        // organization → day, state
	tableDay        = "day"         // organization, day, state → start, id → Competition
	tableEntryOf    = "entry_of"    // competition → user → entry
	tableHandle     = "handle"      // blinded handle → user
	tableResult     = "result"      // competition → version → Result
	tableResultPart = "result_part" // competition, version, part → a page of a result in parts
	tableUserResult = "user_result" // user → gun, competition → UserResult
	tableFeed       = "feed"        // competition, block of versions → version → kind, bytes
	tableWorkout    = "workout"     // local id → training
	tableTraining   = "training"    // user, month → start, id → Training (sealed)
	tableInbox      = "inbox"       // user, block of versions → version → kind, bytes (sealed)

	// Partitions of before the grains' rows lay together; a rebuild deletes them.
	oldCursor = "cursor"
)

// tableKinds says what each table is made from.
var tableKinds = map[string]id.Kind{
	tableDefinition: id.Competition, tableDays: id.Competition, tableDay: id.Competition, tableEntryOf: id.Competition,
	tableResult: id.Competition, tableResultPart: id.Competition, tableUserResult: id.Competition, tableFeed: id.Competition, tableHandle: id.User,
	tableWorkout: id.Training, tableTraining: id.Training, tableInbox: id.User,
	"competition": id.Competition, "roster": id.Competition, "person": id.User, "training_at": id.Training, // as oldCursor
}

// The rows of a grain's own partition. Stored: append only.
const (
	rowCursor   = "c" // the version through which the views have taken the grain's events
	rowRace     = "s" // Competition
	rowPerson   = "p" // Person (sealed)
	rowTraining = "t" // Training (sealed)
	rowEntry    = "e" // and the entry's number: RosterEntry
	rowEntryEnd = "f"
)

const (
	// feedBlock is how many journal versions share a partition of the feed.
	feedBlock = 4096
	// waitAtMost and waitPoll are for reading one's own write; the poll is for a writer in another process.
	waitAtMost = 500 * time.Millisecond
	waitPoll   = 50 * time.Millisecond
	// maxWaiters may wait at once: each looks again at every poll.
	maxWaiters = 256

	defaultPage = 50
	maxPage     = 500
)

// Tables implements Reader over a row driver, and makes Changes. Safe for concurrent use.
type Tables struct {
	rows    persistence.Rows
	shared  bool
	planAge time.Duration
	plans   sync.Map // id.Kind → heldPlan
	looks   sync.Map // id.Kind → *looks

	mu      sync.Mutex
	waiting map[id.Grain]map[*waiter]struct{}
	waiters int // all of them, also those who were woken and have not left
	told    []func(Touch)
}

// Touch says what a committed change, or another generation, makes old.
type Touch struct {
	Kind    id.Kind  // everything that is made from this kind, if Grain is none
	Grain   id.Grain // whose events were taken
	Through uint64
	// Organizations and Users whose lists have changed.
	Organizations, Users []string
}

// Tell calls f after each change that readers of these Tables may see, before anybody is told that it is there. f
// must not block.
func (t *Tables) Tell(f func(Touch)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = append(t.told, f)
}

func (t *Tables) tell(what Touch) {
	t.mu.Lock()
	told := t.told
	t.mu.Unlock()
	for _, f := range told {
		f(what)
	}
}

type waiter struct {
	version uint64
	reached chan struct{}
}

var _ Reader = (*Tables)(nil)

// New is the query tables in a store. Over a driver that is not Shared there must be one Tables only.
func New(rows persistence.Rows) *Tables {
	return &Tables{rows: rows, shared: persistence.Shared(rows), planAge: planAge, waiting: make(map[id.Grain]map[*waiter]struct{})}
}

// serving is the generation of a kind's views that is read.
func (t *Tables) serving(ctx context.Context, k id.Kind) (generation, error) {
	p, err := t.Plan(ctx, k)
	return generationOf(p.Serving), err
}

func sealed(subject string, p persistence.Part) persistence.Part {
	p.Subject = subject
	return p
}

func u64Key(v uint64) string { return (&persistence.Key{}).U64(v).String() }

// newestFirst sorts later instants before earlier ones.
func newestFirst(at unit.InstantMs, name string) string {
	return (&persistence.Key{}).I64(-int64(at)).Str(name).String()
}

func (t *Tables) blind(value string) string {
	if b, ok := t.rows.(persistence.Blinder); ok {
		return b.Blind(value)
	}
	return value
}

// one reads a row as T.
func one[T any](ctx context.Context, t *Tables, p persistence.Part, cluster string) (v T, ok bool, err error) {
	cell, ok, err := t.rows.Get(ctx, p, cluster)
	if err != nil || !ok {
		return v, false, err
	}
	err = decode(cell, &v)
	return v, err == nil, err
}

func decode(cell []byte, v any) error {
	if err := json.Unmarshal(cell, v); err != nil {
		return fmt.Errorf("%w: view row: %w", persistence.ErrCorrupt, err)
	}
	return nil
}

// page reads rows of one partition as T, from a token on.
func page[T any](ctx context.Context, t *Tables, p persistence.Part, token string, size int) (list []T, next string, err error) {
	from, err := parseToken(token)
	if err != nil {
		return nil, "", err
	}
	size = pageSize(size)
	rows, err := t.rows.Range(ctx, p, persistence.Range{From: from, Limit: size + 1})
	if err != nil {
		return nil, "", err
	}
	if len(rows) > size {
		next = makeToken(rows[size].Cluster)
		rows = rows[:size]
	}
	list = make([]T, len(rows))
	for i := range rows {
		if err := decode(rows[i].Cell, &list[i]); err != nil {
			return nil, "", err
		}
	}
	return list, next, nil
}

func pageSize(n int) int {
	if n <= 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

// A token is the key of the next row, so that a page begins there whatever was written meanwhile.
func makeToken(from string) string { return base64.RawURLEncoding.EncodeToString([]byte(from)) }

func parseToken(token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) > 1024 {
		return "", ErrPageToken
	}
	return string(b), nil
}

// Cursor implements Reader.
func (t *Tables) Cursor(ctx context.Context, g id.Grain) (uint64, error) {
	p, err := t.Plan(ctx, g.Kind)
	if err != nil {
		return 0, err
	}
	return t.CursorIn(ctx, g, p.Serving)
}

// CursorIn is the cursor of a grain in one generation.
func (t *Tables) CursorIn(ctx context.Context, g id.Grain, gen uint64) (uint64, error) {
	cell, ok, err := t.rows.Get(ctx, generationOf(gen).home(g), rowCursor)
	if err != nil || !ok {
		return 0, err
	}
	v, n := binary.Uvarint(cell)
	if n <= 0 {
		return 0, fmt.Errorf("%w: view cursor of %v", persistence.ErrCorrupt, g)
	}
	return v, nil
}

// WaitFor implements Reader.
func (t *Tables) WaitFor(ctx context.Context, g id.Grain, version uint64) (bool, error) {
	if Kinds[g.Kind] == "" {
		return true, nil // no views: nothing to wait for
	}
	ctx, cancel := context.WithTimeout(ctx, waitAtMost)
	defer cancel()
	if there, err := t.hasTaken(ctx, g, version); there || err != nil && ctx.Err() == nil {
		return there, err
	}
	w, err := t.enter(g, version)
	if err != nil {
		return false, err
	}
	defer t.leave(g, w)
	poll := time.NewTicker(waitPoll)
	defer poll.Stop()
	for {
		there, err := t.hasTaken(ctx, g, version)
		if there || err != nil && ctx.Err() == nil {
			return there, err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return false, nil
			}
			return false, ctx.Err()
		case <-w.reached:
		case <-poll.C:
		}
	}
}

// hasTaken looks at the plan each time: a generation that is not served any more may stand still.
func (t *Tables) hasTaken(ctx context.Context, g id.Grain, version uint64) (bool, error) {
	plan, err := t.LookAtPlan(ctx, g.Kind)
	if err != nil {
		return false, err
	}
	through, err := t.CursorIn(ctx, g, plan.Serving)
	return err == nil && through >= version, err
}

// enter is one more who waits.
func (t *Tables) enter(g id.Grain, version uint64) (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiters >= maxWaiters {
		return nil, ErrWaiting.With("%d wait", t.waiters)
	}
	t.waiters++
	w := &waiter{version: version, reached: make(chan struct{})}
	if t.waiting[g] == nil {
		t.waiting[g] = make(map[*waiter]struct{})
	}
	t.waiting[g][w] = struct{}{}
	return w, nil
}

func (t *Tables) leave(g id.Grain, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiters--
	t.forget(g, w)
}

func (t *Tables) forget(g id.Grain, w *waiter) {
	delete(t.waiting[g], w)
	if len(t.waiting[g]) == 0 {
		delete(t.waiting, g)
	}
}

// reached wakes those who wait for a version that is there now.
func (t *Tables) reached(g id.Grain, through uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.waiting[g] {
		if w.version <= through {
			close(w.reached)
			t.forget(g, w)
		}
	}
}

// dayOf is the UTC day of an instant, as a number that sorts newest first.
func dayOf(at unit.InstantMs) string {
	day := int64(math.Floor(float64(at) / float64(unit.Day)))
	return (&persistence.Key{}).I64(-day).String()
}

// MonthOf is the month of an instant at an offset from UTC, "2024-06".
func MonthOf(at unit.InstantMs, utcOffsetS int32) string {
	return at.Time().Add(time.Duration(utcOffsetS) * time.Second).Format("2006-01")
}

func normalHandle(h string) string { return strings.ToLower(strings.TrimSpace(h)) }
