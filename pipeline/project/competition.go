package project

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/view"
)

var marshal = proto.MarshalOptions{Deterministic: true}

// Views are the projections of the product. The journal has the parts of a result when its closing event comes.
func Views(journal Journal) map[id.Kind]Projection {
	race := func(ctx context.Context, c *view.Change, r persistence.Record) error {
		return Competition(ctx, journal, c, r)
	}
	return map[id.Kind]Projection{id.Competition: race, id.Training: Training, id.User: User}
}

// Competition is a race's rows: summary and lists, roster, feed, results by race and by person.
func Competition(ctx context.Context, journal Journal, c *view.Change, r persistence.Record) error {
	e, err := competitioncodec.Decode(r.Kind, r.Format, r.Payload)
	if err != nil {
		return err
	}
	if item := competitioncodec.FeedItem(e, r.Version, r.Meta.At); item != nil {
		b, err := marshal.Marshal(item)
		if err != nil {
			return fmt.Errorf("feed item: %w", err)
		}
		c.PutFeed(c.Grain().ID, view.FeedEntry{Version: r.Version, Kind: item.GetKind(), Bytes: b})
	}
	switch e := e.(type) {
	case competition.ResultPart:
		return nil // half a result is none
	case competition.Created:
		return created(ctx, c, e, r)
	case competition.EntryAdded:
		return entryAdded(ctx, c, e, r)
	case competition.EntryWithdrawn:
		return changeEntry(ctx, c, e.Entry, func(row *view.RosterEntry) { row.Withdrawn = true })
	case competition.EntryBound:
		return changeEntry(ctx, c, e.Entry, func(row *view.RosterEntry) { row.Training = e.Training })
	case competition.ResultPublished:
		return resultPublished(ctx, journal, c, e, r)
	case competition.Decided:
		if e.Decision == competition.DecisionReinstate {
			return changeEntry(ctx, c, e.Entry, func(row *view.RosterEntry) { row.Withdrawn = false })
		}
	}
	return changeRace(ctx, c, r, func(race *view.Competition) bool { return moveRace(race, e) })
}

func created(ctx context.Context, c *view.Change, e competition.Created, r persistence.Record) error {
	d := &e.Definition
	b, err := marshal.Marshal(competitioncodec.DefinitionToProto(*d))
	if err != nil {
		return fmt.Errorf("definition: %w", err)
	}
	c.PutDefinition(c.Grain().ID, b)
	return c.PutCompetition(ctx, view.Competition{
		ID: c.Grain().ID, OrganizationID: d.Organization, Name: d.Name, Sport: string(d.Track.Sport),
		State: competition.PhaseDraft.String(), Public: d.Public, Categories: d.Categories, ScheduledAt: d.ScheduledAt, Version: r.Version,
	})
}

// moveRace says what an event changes in the summary; false: nothing.
func moveRace(race *view.Competition, e competition.Event) bool {
	switch e := e.(type) {
	case competition.StartListLocked:
		race.State, race.RulesVersion = competition.PhaseLocked.String(), e.RulesVersion
	case competition.RaceStarted:
		race.GunAt, race.CutoffAt = e.GunAt, e.CutoffAt
		if race.State == competition.PhaseCountdown.String() {
			race.State = competition.PhaseRunning.String()
		} else {
			race.State = competition.PhaseCountdown.String()
		}
	case competition.GateTaken, competition.ReportNoted:
		if race.State != competition.PhaseCountdown.String() {
			return false
		}
		race.State = competition.PhaseRunning.String()
	case competition.SettleBegun:
		if e.Final {
			return false
		}
		race.State = competition.PhaseSettling.String()
	case competition.Cancelled:
		race.State = competition.PhaseCancelled.String()
	default:
		return false
	}
	return true
}

func changeRace(ctx context.Context, c *view.Change, r persistence.Record, change func(*view.Competition) bool) error {
	race, ok, err := c.Competition(ctx, c.Grain().ID)
	if err != nil || !ok || holds(&race, r) || !change(&race) {
		return err
	}
	race.Version = r.Version
	return c.PutCompetition(ctx, race)
}

// holds reports whether the race's row has been computed from the event already. The cursor may lag behind the row: of a
// write that has not reached all replicas yet one read shows the row, and the next not yet the cursor.
func holds(race *view.Competition, r persistence.Record) bool { return race.Version >= r.Version }

func entryAdded(ctx context.Context, c *view.Change, e competition.EntryAdded, r persistence.Record) error {
	c.PutEntry(c.Grain().ID, view.RosterEntry{Entry: e.Entry, UserID: e.User, Category: e.Category, Heat: e.Heat, Wave: e.Wave, StartOffsetMs: e.Offset})
	return changeRace(ctx, c, r, func(race *view.Competition) bool {
		race.Entries++
		if race.State == competition.PhaseDraft.String() {
			race.State = competition.PhaseOpen.String()
		}
		return true
	})
}

func changeEntry(ctx context.Context, c *view.Change, entry uint32, change func(*view.RosterEntry)) error {
	row, ok, err := c.Entry(ctx, c.Grain().ID, entry)
	if err != nil || !ok {
		return err
	}
	change(&row)
	c.PutEntry(c.Grain().ID, row)
	return nil
}

var resultStatus = map[competition.ResultStatus]string{
	competition.ResultProvisional: "provisional", competition.ResultOfficial: "official", competition.ResultCorrected: "corrected",
}

func resultPublished(ctx context.Context, journal Journal, c *view.Change, e competition.ResultPublished, r persistence.Record) error {
	race, ok, err := c.Competition(ctx, c.Grain().ID)
	if err != nil || !ok {
		return err
	}
	b, err := marshal.Marshal(competitioncodec.ResultToProto(e)) // without rows, if it is in parts
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	status := resultStatus[e.Status]
	parts, err := partsOf(ctx, journal, c.Grain(), &e, r.Version)
	if err != nil {
		return err
	}
	for i, part := range parts {
		c.PutResultPart(race.ID, e.Version, uint32(i+1), part)
	}
	roster, err := c.Roster(ctx, race.ID)
	if err != nil {
		return err
	}
	c.PutResult(view.Result{Competition: race.ID, Version: e.Version, Status: status, JournalVersion: r.Version, At: r.Meta.At, Bytes: b})
	for i := range e.Rows {
		row := &e.Rows[i]
		user, ok := roster[row.Entry]
		if !ok {
			continue
		}
		c.PutUserResult(view.UserResult{
			UserID: user, Competition: race.ID, Entry: row.Entry, Version: e.Version, Status: status, Place: row.Place,
			EntryStatus: row.Status.String(), UnderReview: row.UnderReview, GunUs: int64(row.Gun), NetUs: int64(row.Net), At: race.Day(),
		})
	}
	if holds(&race, r) {
		return nil
	}
	race.ResultVersion, race.Version = e.Version, r.Version
	race.State = competition.PhaseOfficial.String()
	if e.Status == competition.ResultProvisional {
		race.State = competition.PhaseProvisional.String()
	}
	return c.PutCompetition(ctx, race)
}

// partsOf are the parts of a result in parts as pages, and makes e whole. What was journalled between them is passed over.
func partsOf(ctx context.Context, journal Journal, g id.Grain, e *competition.ResultPublished, version uint64) ([][]byte, error) {
	if e.Parts == 0 {
		return nil, nil
	}
	var joiner competition.Joiner
	var pages [][]byte
	for after := e.JournalVersion; ; {
		records, more, err := journal.ReadJournal(ctx, g, after, 0)
		if err != nil {
			return nil, fmt.Errorf("parts of result %d: %w", e.Version, err)
		}
		for _, r := range records {
			after = r.Version
			part, err := competitioncodec.Decode(r.Kind, r.Format, r.Payload)
			if err != nil {
				return nil, err
			}
			whole, ok, err := joiner.Take(part)
			if err != nil {
				return nil, fmt.Errorf("version %d: %w", r.Version, err)
			}
			if p, is := part.(competition.ResultPart); is {
				page := competitioncodec.ResultToProto(competition.ResultPublished{Version: e.Version, Status: e.Status, RulesVersion: e.RulesVersion,
					Rows: p.Rows, Inputs: p.Inputs, JournalVersion: e.JournalVersion, Why: e.Why, At: e.At, Parts: e.Parts, Digest: e.Digest})
				b, err := marshal.Marshal(page)
				if err != nil {
					return nil, fmt.Errorf("part %d of result %d: %w", p.Part, e.Version, err)
				}
				pages = append(pages, b)
			}
			if ok {
				*e = whole
				return pages, nil
			}
		}
		if !more || after >= version {
			return nil, fmt.Errorf("result %d: %w: the journal ends at %d, before it", e.Version, persistence.ErrUnavailable, after)
		}
	}
}
