package view

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"paceline/domain/id"
	"paceline/persistence"
)

// Competition implements Reader.
func (t *Tables) Competition(ctx context.Context, competition string) (Competition, bool, error) {
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return Competition{}, false, err
	}
	return one[Competition](ctx, t, in.home(id.Of(id.Competition, competition)), rowRace)
}

// Definition implements Reader.
func (t *Tables) Definition(ctx context.Context, competition string) ([]byte, bool, error) {
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return nil, false, err
	}
	return t.rows.Get(ctx, in.part(tableDefinition, competition), "")
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
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return nil, "", err
	}
	size := pageSize(q.PageSize)
	var list []Competition
	for {
		const daysAtOnce = 64
		days, err := t.rows.Range(ctx, in.part(tableDays, q.OrganizationID), persistence.Range{From: dayFrom, Limit: daysAtOnce, KeysOnly: true})
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
			rows, err := t.rows.Range(ctx, in.part(tableDay, q.OrganizationID, day, state), persistence.Range{From: rowFrom, Limit: size + 1 - len(list)})
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
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return nil, err
	}
	rows, err := t.rows.Range(ctx, in.home(id.Of(id.Competition, competition)), persistence.Range{From: rowEntry, To: rowEntryEnd})
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

func entryKey(entry uint32) string { return rowEntry + versionKey(entry) }

func versionKey(version uint32) string { return (&persistence.Key{}).U32(version).String() }

// EntryOf implements Reader.
func (t *Tables) EntryOf(ctx context.Context, competition, userID string) (RosterEntry, bool, error) {
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return RosterEntry{}, false, err
	}
	entry, ok, err := one[uint32](ctx, t, in.part(tableEntryOf, competition), userID)
	if err != nil || !ok {
		return RosterEntry{}, false, err
	}
	return one[RosterEntry](ctx, t, in.home(id.Of(id.Competition, competition)), entryKey(entry))
}

// Person implements Reader. Somebody whose key is gone is known, and erased.
func (t *Tables) Person(ctx context.Context, userID string) (Person, bool, error) {
	in, err := t.serving(ctx, id.User)
	if err != nil {
		return Person{}, false, err
	}
	p, ok, err := one[Person](ctx, t, sealed(userID, in.home(id.Of(id.User, userID))), rowPerson)
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
	in, err := t.serving(ctx, id.User)
	if err != nil {
		return "", false, err
	}
	h := normalHandle(handle)
	rows, err := t.rows.Range(ctx, in.part(tableHandle, t.blind(h)), persistence.Range{})
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
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return Result{}, false, err
	}
	q := persistence.Range{Reverse: true, Limit: 1}
	if version > 0 {
		q = persistence.Range{From: versionKey(version), To: versionKey(version) + "\x00"}
	}
	rows, err := t.rows.Range(ctx, in.part(tableResult, competition), q)
	if err != nil || len(rows) == 0 {
		return Result{}, false, err
	}
	var r Result
	err = decode(rows[0].Cell, &r)
	return r, err == nil, err
}

func (g generation) resultPart(competition string, version, part uint32) persistence.Part {
	return g.part(tableResultPart, competition, strconv.FormatUint(uint64(version), 10), strconv.FormatUint(uint64(part), 10))
}

// ResultPart implements Reader.
func (t *Tables) ResultPart(ctx context.Context, competition string, version, part uint32) ([]byte, bool, error) {
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return nil, false, err
	}
	return t.rows.Get(ctx, in.resultPart(competition, version, part), "")
}

// UserResults implements Reader.
func (t *Tables) UserResults(ctx context.Context, userID, pageToken string, pageSize int) ([]UserResult, string, error) {
	in, err := t.serving(ctx, id.Competition)
	if err != nil {
		return nil, "", err
	}
	return page[UserResult](ctx, t, in.part(tableUserResult, userID), pageToken, pageSize)
}

func (g generation) feedPart(competition string, version uint64) persistence.Part {
	return g.part(tableFeed, competition, u64Key(version/feedBlock))
}

// feedEnd is which generation is read, and through which version it has the competition's events.
func (t *Tables) feedEnd(ctx context.Context, competition string) (generation, uint64, error) {
	p, err := t.Plan(ctx, id.Competition)
	if err != nil {
		return "", 0, err
	}
	through, err := t.CursorIn(ctx, id.Of(id.Competition, competition), p.Serving)
	return generationOf(p.Serving), through, err
}

// Feed implements Reader.
func (t *Tables) Feed(ctx context.Context, competition string, after uint64, limit int) ([]FeedEntry, bool, error) {
	if limit <= 0 {
		limit = 100
	}
	in, through, err := t.feedEnd(ctx, competition)
	if err != nil {
		return nil, false, err
	}
	var list []FeedEntry
	for version := after + 1; version <= through; version = (version/feedBlock + 1) * feedBlock {
		rows, err := t.rows.Range(ctx, in.feedPart(competition, version), persistence.Range{From: u64Key(version), Limit: limit + 1 - len(list)})
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
	in, through, err := t.feedEnd(ctx, competition)
	if err != nil {
		return nil, err
	}
	var list []FeedEntry
	for block := int64(through / feedBlock); block >= 0 && len(list) < limit; block-- {
		rows, err := t.rows.Range(ctx, in.feedPart(competition, uint64(block)*feedBlock), persistence.Range{Reverse: true, Limit: limit - len(list)})
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
	in, err := t.serving(ctx, id.Training)
	if err != nil {
		return "", false, err
	}
	// More than one only if two people have used the same local id; the same one is then found every time.
	rows, err := t.rows.Range(ctx, in.part(tableWorkout, workout), persistence.Range{Limit: 1})
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	var training string
	err = decode(rows[0].Cell, &training)
	return training, err == nil, err
}

// Trainings implements Reader.
func (t *Tables) Trainings(ctx context.Context, userID, month, pageToken string, pageSize int) ([]Training, string, error) {
	in, err := t.serving(ctx, id.Training)
	if err != nil {
		return nil, "", err
	}
	return page[Training](ctx, t, sealed(userID, in.part(tableTraining, userID, month)), pageToken, pageSize)
}
