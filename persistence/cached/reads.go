package cached

import (
	"context"

	"paceline/persistence/view"
)

// found is the answer of a look-up. That there is nothing is not kept: it is what strangers ask for.
type found[T any] struct {
	value T
	ok    bool
}

// lookUp caches one thing of a competition.
func lookUp[T any](ctx context.Context, v *Views, key, competition string, bytes func(*T) int, load func(ctx context.Context) (T, bool, error)) (T, bool, error) {
	f, err := read(ctx, v, key, raceDeps(competition), func(ctx context.Context) (answer[found[T]], error) {
		value, ok, err := load(ctx)
		return answer[found[T]]{found[T]{value, ok}, bytes(&value), ok}, err
	})
	return f.value, f.ok, err
}

// Competition implements view.Reader.
func (v *Views) Competition(ctx context.Context, competition string) (view.Competition, bool, error) {
	return lookUp(ctx, v, keyOf("competition", competition), competition, raceBytes, func(ctx context.Context) (view.Competition, bool, error) {
		return v.Reader.Competition(ctx, competition)
	})
}

// Definition implements view.Reader.
func (v *Views) Definition(ctx context.Context, competition string) ([]byte, bool, error) {
	return lookUp(ctx, v, keyOf("definition", competition), competition, func(b *[]byte) int { return len(*b) }, func(ctx context.Context) ([]byte, bool, error) {
		return v.Reader.Definition(ctx, competition)
	})
}

// EntryOf implements view.Reader.
func (v *Views) EntryOf(ctx context.Context, competition, userID string) (view.RosterEntry, bool, error) {
	return lookUp(ctx, v, keyOf("entry_of", competition, userID), competition, entrySize, func(ctx context.Context) (view.RosterEntry, bool, error) {
		return v.Reader.EntryOf(ctx, competition, userID)
	})
}

// Result implements view.Reader.
func (v *Views) Result(ctx context.Context, competition string, version uint32) (view.Result, bool, error) {
	key := keyWith("result", []uint64{uint64(version)}, competition)
	return lookUp(ctx, v, key, competition, func(r *view.Result) int { return 120 + len(r.Bytes) }, func(ctx context.Context) (view.Result, bool, error) {
		return v.Reader.Result(ctx, competition, version)
	})
}

// Roster implements view.Reader.
func (v *Views) Roster(ctx context.Context, competition string) ([]view.RosterEntry, error) {
	return read(ctx, v, keyOf("roster", competition), raceDeps(competition), func(ctx context.Context) (answer[[]view.RosterEntry], error) {
		list, err := v.Reader.Roster(ctx, competition)
		return answer[[]view.RosterEntry]{list, sum(list, entrySize), len(list) > 0}, err
	})
}

// page is one page of a list.
type page[T any] struct {
	list []T
	next string
}

// Competitions implements view.Reader.
func (v *Views) Competitions(ctx context.Context, q view.CompetitionQuery) ([]view.Competition, string, error) {
	key := keyWith("competitions", []uint64{uint64(q.PageSize)}, q.OrganizationID, q.State, q.PageToken)
	p, err := read(ctx, v, key, orgDeps(q.OrganizationID), func(ctx context.Context) (answer[page[view.Competition]], error) {
		list, next, err := v.Reader.Competitions(ctx, q)
		return answer[page[view.Competition]]{page[view.Competition]{list, next}, sum(list, raceBytes), len(list) > 0}, err
	})
	return p.list, p.next, err
}

// UserResults implements view.Reader.
func (v *Views) UserResults(ctx context.Context, userID, pageToken string, pageSize int) ([]view.UserResult, string, error) {
	key := keyWith("user_results", []uint64{uint64(pageSize)}, userID, pageToken)
	p, err := read(ctx, v, key, resultsDeps(userID), func(ctx context.Context) (answer[page[view.UserResult]], error) {
		list, next, err := v.Reader.UserResults(ctx, userID, pageToken, pageSize)
		size := sum(list, func(r *view.UserResult) int {
			return 200 + len(r.UserID) + len(r.Competition) + len(r.Status) + len(r.EntryStatus)
		})
		return answer[page[view.UserResult]]{page[view.UserResult]{list, next}, size, len(list) > 0}, err
	})
	return p.list, p.next, err
}

type feed struct {
	list []view.FeedEntry
	more bool
}

// Feed implements view.Reader.
func (v *Views) Feed(ctx context.Context, competition string, after uint64, limit int) ([]view.FeedEntry, bool, error) {
	key := keyWith("feed", []uint64{after, uint64(limit)}, competition)
	f, err := read(ctx, v, key, raceDeps(competition), func(ctx context.Context) (answer[feed], error) {
		list, more, err := v.Reader.Feed(ctx, competition, after, limit)
		return answer[feed]{feed{list, more}, sum(list, feedSize), len(list) > 0}, err
	})
	return f.list, f.more, err
}

// LastFeed implements view.Reader.
func (v *Views) LastFeed(ctx context.Context, competition string, limit int) ([]view.FeedEntry, error) {
	key := keyWith("last_feed", []uint64{uint64(limit)}, competition)
	return read(ctx, v, key, raceDeps(competition), func(ctx context.Context) (answer[[]view.FeedEntry], error) {
		list, err := v.Reader.LastFeed(ctx, competition, limit)
		return answer[[]view.FeedEntry]{list, sum(list, feedSize), len(list) > 0}, err
	})
}

// What things cost: their fields, and the text and bytes that they point to.

func raceBytes(c *view.Competition) int {
	n := 250 + len(c.ID) + len(c.OrganizationID) + len(c.Name) + len(c.Sport) + len(c.State)
	for _, s := range c.Categories {
		n += 16 + len(s)
	}
	return n
}

func entrySize(e *view.RosterEntry) int {
	return 100 + len(e.UserID) + len(e.Category) + len(e.Training)
}

func feedSize(e *view.FeedEntry) int { return 64 + len(e.Kind) + len(e.Bytes) }

func sum[T any](list []T, size func(*T) int) int {
	n := 0
	for i := range list {
		n += size(&list[i])
	}
	return n
}
