package view

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"paceline/persistence"
)

// Competition implements Reader.
func (t *Tables) Competition(ctx context.Context, competition string) (Competition, bool, error) {
	return one[Competition](ctx, t, part(tableCompetition, competition), "")
}

// Definition implements Reader.
func (t *Tables) Definition(ctx context.Context, competition string) ([]byte, bool, error) {
	return t.rows.Get(ctx, part(tableDefinition, competition), "")
}

// Competitions implements Reader. It goes through the days that have races, newest first, and within a day by
// state and start.
func (t *Tables) Competitions(ctx context.Context, q CompetitionQuery) ([]Competition, string, error) {
	token, err := parseToken(q.PageToken)
	if err != nil {
		return nil, "", err
	}
	var dayFrom, rowFrom string
	if token != "" {
		k := persistence.ReadKey(token)
		if dayFrom, rowFrom = k.Str(), k.Str(); !k.End() || len(dayFrom) < 8 {
			return nil, "", ErrPageToken
		}
	}
	size := pageSize(q.PageSize)
	var list []Competition
	for {
		const daysAtOnce = 64
		days, err := t.rows.Range(ctx, part(tableDays, q.OrganizationID), persistence.Range{From: dayFrom, Limit: daysAtOnce, KeysOnly: true})
		if err != nil {
			return nil, "", err
		}
		for _, d := range days {
			day, state, err := parseDay(d.Cluster)
			if err != nil {
				return nil, "", err
			}
			if d.Cluster != dayFrom {
				rowFrom = ""
			}
			if q.State != "" && q.State != state {
				continue
			}
			rows, err := t.rows.Range(ctx, part(tableDay, q.OrganizationID, day, state), persistence.Range{From: rowFrom, Limit: size + 1 - len(list)})
			if err != nil {
				return nil, "", err
			}
			for i := range rows {
				if len(list) == size {
					return list, makeToken((&persistence.Key{}).Str(d.Cluster).Str(rows[i].Cluster).String()), nil
				}
				var c Competition
				if err := decode(rows[i].Cell, &c); err != nil {
					return nil, "", err
				}
				list = append(list, c)
			}
		}
		if len(days) < daysAtOnce {
			return list, "", nil
		}
		dayFrom = days[len(days)-1].Cluster + "\x00"
	}
}

func parseDay(cluster string) (day, state string, err error) {
	if len(cluster) < 8 {
		return "", "", fmt.Errorf("%w: day of a list", persistence.ErrCorrupt)
	}
	return cluster[:8], cluster[8:], nil
}

// Roster implements Reader.
func (t *Tables) Roster(ctx context.Context, competition string) ([]RosterEntry, error) {
	rows, err := t.rows.Range(ctx, part(tableRoster, competition), persistence.Range{})
	if err != nil {
		return nil, err
	}
	list := make([]RosterEntry, len(rows))
	for i := range rows {
		if err := decode(rows[i].Cell, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func entryKey(entry uint32) string { return (&persistence.Key{}).U32(entry).String() }

// EntryOf implements Reader.
func (t *Tables) EntryOf(ctx context.Context, competition, userID string) (RosterEntry, bool, error) {
	entry, ok, err := one[uint32](ctx, t, part(tableEntryOf, competition), userID)
	if err != nil || !ok {
		return RosterEntry{}, false, err
	}
	return t.entry(ctx, competition, entry)
}

func (t *Tables) entry(ctx context.Context, competition string, entry uint32) (RosterEntry, bool, error) {
	return one[RosterEntry](ctx, t, part(tableRoster, competition), entryKey(entry))
}

// Person implements Reader. Somebody whose key is gone is known, and erased.
func (t *Tables) Person(ctx context.Context, userID string) (Person, bool, error) {
	p, ok, err := one[Person](ctx, t, sealed(userID, part(tablePerson, userID)), "")
	if errors.Is(err, persistence.ErrErased) {
		return Person{UserID: userID, Erased: true}, true, nil
	}
	return p, ok, err
}

// People implements Reader.
func (t *Tables) People(ctx context.Context, userIDs []string) (map[string]Person, error) {
	people := make(map[string]Person, len(userIDs))
	for _, u := range userIDs {
		if _, ok := people[u]; ok || u == "" {
			continue
		}
		p, ok, err := t.Person(ctx, u)
		if err != nil {
			return nil, err
		}
		if ok {
			people[u] = p
		}
	}
	return people, nil
}

// UserByHandle implements Reader. The row that is found says who; the person's own row says whether it still
// holds (a changed handle, an erased person).
func (t *Tables) UserByHandle(ctx context.Context, handle string) (string, bool, error) {
	h := normalHandle(handle)
	rows, err := t.rows.Range(ctx, part(tableHandle, t.blind(h)), persistence.Range{})
	if err != nil {
		return "", false, err
	}
	for _, r := range rows {
		p, ok, err := t.Person(ctx, r.Cluster)
		if err != nil {
			return "", false, err
		}
		if ok && !p.Erased && normalHandle(p.Handle) == h {
			return p.UserID, true, nil
		}
	}
	return "", false, nil
}

// Result implements Reader.
func (t *Tables) Result(ctx context.Context, competition string, version uint32) (Result, bool, error) {
	q := persistence.Range{Reverse: true, Limit: 1}
	if version > 0 {
		q = persistence.Range{From: entryKey(version), To: entryKey(version) + "\x00"}
	}
	rows, err := t.rows.Range(ctx, part(tableResult, competition), q)
	if err != nil || len(rows) == 0 {
		return Result{}, false, err
	}
	var r Result
	err = decode(rows[0].Cell, &r)
	return r, err == nil, err
}

// UserResults implements Reader.
func (t *Tables) UserResults(ctx context.Context, userID, pageToken string, pageSize int) ([]UserResult, string, error) {
	return page[UserResult](ctx, t, part(tableUserResult, userID), pageToken, pageSize)
}

func feedPart(competition string, version uint64) persistence.Part {
	return part(tableFeed, competition, u64Key(version/feedBlock))
}

// Feed implements Reader.
func (t *Tables) Feed(ctx context.Context, competition string, after uint64, limit int) ([]FeedEntry, bool, error) {
	if limit <= 0 {
		limit = 100
	}
	through, err := t.competitionCursor(ctx, competition)
	if err != nil {
		return nil, false, err
	}
	var list []FeedEntry
	for version := after + 1; version <= through; version = (version/feedBlock + 1) * feedBlock {
		rows, err := t.rows.Range(ctx, feedPart(competition, version), persistence.Range{From: u64Key(version), Limit: limit + 1 - len(list)})
		if err != nil {
			return nil, false, err
		}
		for _, r := range rows {
			if len(list) == limit {
				return list, true, nil
			}
			e, err := parseFeed(r)
			if err != nil {
				return nil, false, err
			}
			list = append(list, e)
		}
	}
	return list, false, nil
}

// LastFeed implements Reader.
func (t *Tables) LastFeed(ctx context.Context, competition string, limit int) ([]FeedEntry, error) {
	through, err := t.competitionCursor(ctx, competition)
	if err != nil {
		return nil, err
	}
	var list []FeedEntry
	for block := int64(through / feedBlock); block >= 0 && len(list) < limit; block-- {
		rows, err := t.rows.Range(ctx, feedPart(competition, uint64(block)*feedBlock), persistence.Range{Reverse: true, Limit: limit - len(list)})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			e, err := parseFeed(r)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
	}
	slices.Reverse(list)
	return list, nil
}

// parseFeed reads kind, 0, bytes.
func parseFeed(r persistence.Row) (FeedEntry, error) {
	k := persistence.ReadKey(r.Cluster)
	e := FeedEntry{Version: k.U64()}
	n, w := binary.Uvarint(r.Cell)
	if k.Bad() || w <= 0 || n > uint64(len(r.Cell)-w) {
		return e, fmt.Errorf("%w: feed", persistence.ErrCorrupt)
	}
	e.Kind, e.Bytes = string(r.Cell[w:w+int(n)]), r.Cell[w+int(n):]
	return e, nil
}

// TrainingOf implements Reader.
func (t *Tables) TrainingOf(ctx context.Context, workout string) (string, bool, error) {
	return one[string](ctx, t, part(tableWorkout, workout), "")
}

// Trainings implements Reader.
func (t *Tables) Trainings(ctx context.Context, userID, month, pageToken string, pageSize int) ([]Training, string, error) {
	return page[Training](ctx, t, sealed(userID, part(tableTraining, userID, month)), pageToken, pageSize)
}
