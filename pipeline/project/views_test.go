package project_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/actors/user"
	"paceline/actors/user/usercodec"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/course"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// journal appends events of one grain and publishes them, as its machine would.
type journal struct {
	store  *persistence.RowStore
	tables *view.Tables
	p      *project.Projector
	g      id.Grain
	at     uint64
}

func newJournal(g id.Grain) *journal {
	rows := memory.New()
	j := &journal{store: persistence.Over(rows), tables: view.New(rows), g: g}
	j.p = project.New(j.store, j.tables, project.Views(j.store))
	return j
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (j *journal) add(t fataler, kind, format uint32, payload []byte, err error) {
	t.Helper()
	ctx := context.Background()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	r := persistence.Record{Version: j.at + 1, Kind: kind, Format: format, Payload: payload, Meta: persistence.Meta{At: unit.InstantMs(1000 * (j.at + 1))}}
	a := persistence.Append{Grain: j.g, Expected: j.at, AppendID: fmt.Sprint(j.at), Records: []persistence.Record{r}}
	if ok, _, err := j.store.Append(ctx, a); !ok || err != nil {
		t.Fatalf("append: %v, %v", ok, err)
	}
	j.at++
	if synced, err := j.p.Publish(ctx, j.g, a.Records); synced != j.at || err != nil {
		t.Fatalf("publish: %d, %v", synced, err)
	}
}

func definition() competition.Definition {
	return competition.Definition{Organization: "default", Name: "Five", Public: true, Categories: []string{"w40"}, ScheduledAt: 500_000,
		Start: competition.MassStart, RankBy: leaderboard.Gun,
		Track: course.Track{Format: course.Distance, Sport: "run", Name: "Five", DistanceMm: 5_000_000}}
}

// same compares the race's rows with what the rules make of the same events.
func same(t fataler, j *journal, s *competition.State) {
	t.Helper()
	ctx := context.Background()
	race, ok, err := j.tables.Competition(ctx, j.g.ID)
	if err != nil || ok != (s.Phase != competition.PhaseNone) {
		t.Fatalf("race: %v, %v", ok, err)
	}
	if !ok {
		return
	}
	if race.State != s.Phase.String() || race.Entries != uint32(len(s.Entries())) || race.GunAt != s.GunAt || race.CutoffAt != s.CutoffAt ||
		race.RulesVersion != s.RulesVersion {
		t.Fatalf("race is %+v, the rules say %v with %d entries, gun %d", race, s.Phase, len(s.Entries()), s.GunAt)
	}
	page, _, err := j.tables.Competitions(ctx, view.CompetitionQuery{OrganizationID: "default", State: s.Phase.String()})
	if err != nil || len(page) != 1 || page[0].Version != race.Version {
		t.Fatalf("list of %v: %+v, %v", s.Phase, page, err)
	}
	all, _, err := j.tables.Competitions(ctx, view.CompetitionQuery{OrganizationID: "default"})
	if err != nil || len(all) != 1 {
		t.Fatalf("the race is %d times in the list (%v)", len(all), err)
	}
	roster, err := j.tables.Roster(ctx, j.g.ID)
	if err != nil || len(roster) != len(s.Entries()) {
		t.Fatalf("roster of %d, %v", len(roster), err)
	}
	for i, e := range s.Entries() {
		r := roster[i]
		if r.Entry != e.Number || r.UserID != e.User || r.Training != e.Training || r.Withdrawn != e.Withdrawn || r.Category != e.Category || r.StartOffsetMs != e.Offset {
			t.Fatalf("roster row %+v, the rules say %+v", r, e)
		}
	}
	want := uint32(0)
	if s.Result != nil {
		want = s.Result.Version
	}
	if race.ResultVersion != want {
		t.Fatalf("result version %d, want %d", race.ResultVersion, want)
	}
}

// TestCompetitionFollowsTheRules: after any events the rows say what the rules' state says.
func TestCompetitionFollowsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, s := newJournal(race), competition.New()
		add := func(e competition.Event) {
			kind, format, payload, err := competitioncodec.Encode(e)
			j.add(t, kind, format, payload, err)
			s.Apply(e)
			same(t, j, s)
		}
		add(competition.Created{Definition: definition()})
		entries, results := uint32(0), uint32(0)
		entry := func() uint32 { return rapid.Uint32Range(1, max(entries, 1)).Draw(t, "entry") }
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			kind := rapid.IntRange(0, 14).Draw(t, "event")
			if entries == 0 {
				kind = 0 // the rules speak of no entry that is not there
			}
			switch kind {
			case 0, 1:
				entries++
				add(competition.EntryAdded{Entry: entries, User: fmt.Sprint("u", entries), Category: "w40", Offset: unit.DurationMs(entries)})
			case 2:
				add(competition.EntryWithdrawn{Entry: entry()})
			case 3:
				add(competition.EntryBound{Entry: entry(), Training: "u/w"})
			case 4:
				add(competition.StartListLocked{RulesVersion: 1})
			case 5:
				add(competition.RaceStarted{GunAt: 1_000_000, CutoffAt: 2_000_000})
			case 6:
				add(competition.GateTaken{Entry: entry(), Gate: 0, At: 1_500_000_000})
			case 7:
				add(competition.ReportNoted{Entry: entry()})
			case 8:
				add(competition.SettleBegun{Number: 1, Final: rapid.Bool().Draw(t, "final")})
			case 9:
				results++
				status := competition.ResultStatus(rapid.IntRange(1, 3).Draw(t, "status"))
				add(competition.ResultPublished{Version: results, Status: status, At: 5})
			case 10:
				add(competition.Decided{Entry: entry(), Decision: rapid.SampledFrom([]string{"clear", "dsq", "reinstate"}).Draw(t, "decision")})
			case 11:
				add(competition.Cancelled{})
			case 12:
				add(competition.Opened{Member: "m"})
			case 13:
				add(competition.EntryReady{Entry: entry()})
			default:
				add(competition.Fenced{})
			}
		}
		if err := j.p.Rebuild(context.Background(), j.store, quick(j.g.Kind)); err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		same(t, j, s)
	})
}

func TestRaceIntoViews(t *testing.T) {
	ctx := context.Background()
	j := newJournal(race)
	add := func(e competition.Event) {
		t.Helper()
		kind, format, payload, err := competitioncodec.Encode(e)
		j.add(t, kind, format, payload, err)
	}
	add(competition.Created{Definition: definition()})
	add(competition.EntryAdded{Entry: 17, User: "ann", Category: "w40"})
	add(competition.EntryAdded{Entry: 18, User: "bob"})
	add(competition.StartListLocked{RulesVersion: 1})
	add(competition.RaceStarted{GunAt: 1_000_000, CutoffAt: 2_000_000})
	add(competition.GateTaken{Entry: 17, Gate: 0, At: 1_500_000_123})
	add(competition.StatusChanged{Entry: 17, Status: leaderboard.Finished})
	rows := []competition.Row{{Entry: 17, Place: 1, Status: leaderboard.Finished, Gun: 500_000_123, Net: 500_000_000}, {Entry: 18, Status: leaderboard.DNS}}
	add(competition.ResultPublished{Version: 1, Status: competition.ResultProvisional, Rows: rows, At: 9})
	rows[0].Place, rows[1].Place = 2, 1
	add(competition.ResultPublished{Version: 2, Status: competition.ResultOfficial, Rows: rows, At: 10})

	for version, want := range map[uint32]competitionv1.ResultStatus{0: 2, 1: 1, 2: 2} {
		r, ok, err := j.tables.Result(ctx, race.ID, version)
		var m competitionv1.ResultPublished
		if err != nil || !ok || proto.Unmarshal(r.Bytes, &m) != nil || m.GetStatus() != want || len(m.GetRows()) != 2 {
			t.Errorf("Result(%d) = %+v, %v, %v", version, r, ok, err)
		}
	}
	got, _, err := j.tables.UserResults(ctx, "ann", "", 10)
	want := view.UserResult{UserID: "ann", Competition: race.ID, Entry: 17, Version: 2, Status: "official", Place: 2, EntryStatus: "finished",
		GunUs: 500_000_123, NetUs: 500_000_000, At: 1_000_000}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("UserResults = %+v, %v; want %+v", got, err, want)
	}
	feed, _, err := j.tables.Feed(ctx, race.ID, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range feed {
		var item livev1.FeedItem
		if err := proto.Unmarshal(e.Bytes, &item); err != nil || item.GetVersion() != e.Version || item.GetKind() != e.Kind {
			t.Errorf("feed entry %+v: %v", e, err)
		}
		kinds = append(kinds, e.Kind)
	}
	if fmt.Sprint(kinds) != "[started gate finished provisional official]" {
		t.Errorf("feed %v", kinds)
	}
	d, ok, err := j.tables.Definition(ctx, race.ID)
	var m competitionv1.Definition
	if err != nil || !ok || proto.Unmarshal(d, &m) != nil || m.GetName() != "Five" {
		t.Errorf("Definition: %v, %v", ok, err)
	}
	if e, ok, err := j.tables.EntryOf(ctx, race.ID, "bob"); err != nil || !ok || e.Entry != 18 {
		t.Errorf("EntryOf = %+v, %v, %v", e, ok, err)
	}
}

func TestTrainingIntoViews(t *testing.T) {
	ctx := context.Background()
	j := newJournal(id.Scoped(id.Training, "ann", "w1"))
	for _, e := range []training.Event{
		training.Started{WorkoutID: "w1", Sport: "row", Zone: "Europe/Berlin", UTCOffsetS: 7200, DeviceTime: 1718463600000},
		training.Bound{Competition: "c0"}, training.Unbound{Competition: "other"}, training.Unbound{Competition: "c0"}, training.Bound{Competition: "c1"},
		training.LapMarked{Lap: 1}, training.FinishRequested{By: training.ByPerson},
		training.Finished{Totals: training.Totals{ElapsedMs: 1, DistanceMm: 2}}, training.TotalsRevised{Totals: training.Totals{ElapsedMs: 3, DistanceMm: 4}},
		training.Fenced{},
	} {
		kind, format, payload, err := trainingcodec.Encode(e)
		j.add(t, kind, format, payload, err)
	}
	got, _, err := j.tables.Trainings(ctx, "ann", "2024-06", "", 10)
	want := view.Training{ID: "ann/w1", Sport: "row", Zone: "Europe/Berlin", UTCOffsetS: 7200, StartedAt: 1718463600000, Phase: "finished",
		ElapsedMs: 3, DistanceMm: 4, Competition: "c1", Version: 9}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("Trainings = %+v, %v; want %+v", got, err, want)
	}
	if id, ok, err := j.tables.TrainingOf(ctx, "w1"); err != nil || !ok || id != "ann/w1" {
		t.Errorf("TrainingOf = %q, %v, %v", id, ok, err)
	}
}

func TestUserIntoViews(t *testing.T) {
	ctx := context.Background()
	j := newJournal(id.Of(id.User, "u1"))
	for _, e := range []user.Event{
		user.Registered{Profile: user.Profile{Handle: "ann", Name: "Ann", Visibility: user.Public}},
		user.ProfileChanged{Profile: user.Profile{Handle: "anna", Name: "Anna", Club: "RC", Flag: "DE", Visibility: user.Private, Minor: true}},
		user.Fenced{},
	} {
		kind, format, payload, err := usercodec.Encode(e)
		j.add(t, kind, format, payload, err)
	}
	want := view.Person{UserID: "u1", Handle: "anna", Name: "Anna", Club: "RC", Flag: "DE", Visibility: view.Private, Minor: true, Version: 2}
	if p, ok, err := j.tables.Person(ctx, "u1"); err != nil || !ok || p != want {
		t.Errorf("Person = %+v, %v, %v; want %+v", p, ok, err, want)
	}
	if u, ok, err := j.tables.UserByHandle(ctx, "anna"); err != nil || !ok || u != "u1" {
		t.Errorf("UserByHandle = %q, %v, %v", u, ok, err)
	}
}

// TestUnknownKindStops: an event of a later release is not passed over.
// TestInboxIntoViews: every reaction is an entry of the inbox under its event's version, and a profile is none.
func TestInboxIntoViews(t *testing.T) {
	j := newJournal(id.Of(id.User, "u1"))
	add := func(e user.Event) {
		t.Helper()
		kind, format, payload, err := usercodec.Encode(e)
		j.add(t, kind, format, payload, err)
	}
	add(user.Registered{Profile: user.Profile{Handle: "ada", Name: "Ada"}})
	for i := range 3 {
		add(user.Reacted{Competition: "race", Entry: uint32(i + 1), Reaction: "bell", From: "athlete:u2", At: 1000})
	}
	add(user.ProfileChanged{Profile: user.Profile{Handle: "ada", Name: "Ada L"}})
	add(user.Reacted{Competition: "race", Entry: 4, Reaction: "wave", From: "athlete:u3", At: 9000})
	read := func(after uint64, limit int) (versions []uint64, more bool) {
		t.Helper()
		entries, more, err := j.tables.Inbox(context.Background(), "u1", after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			versions = append(versions, e.Version)
		}
		return versions, more
	}
	if v, more := read(0, 0); fmt.Sprint(v) != "[2 3 4 6]" || more {
		t.Errorf("versions %v, more %v, want 2 3 4 6 and no more", v, more)
	}
	if v, more := read(2, 2); fmt.Sprint(v) != "[3 4]" || !more {
		t.Errorf("versions %v, more %v, want 3 4 and more", v, more)
	}
	if v, more := read(6, 2); len(v) != 0 || more {
		t.Errorf("versions %v, more %v, want none", v, more)
	}
	entries, _, err := j.tables.Inbox(context.Background(), "u1", 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got livev1.Event
	if err := proto.Unmarshal(entries[0].Bytes, &got); err != nil {
		t.Fatal(err)
	}
	if want := (&livev1.Event{Kind: "reaction", Text: "wave", AtMs: 9000, Version: 6, CompetitionId: "race", Entry: 4}); !proto.Equal(&got, want) {
		t.Errorf("entry = %v, want %v: and never who it is from", &got, want)
	}
}

func TestUnknownKindStops(t *testing.T) {
	for _, g := range []id.Grain{race, id.Of(id.User, "u"), id.Scoped(id.Training, "u", "w")} {
		j := newJournal(g)
		a := []persistence.Record{{Version: 1, Kind: 9999, Format: 1}}
		if synced, err := j.p.Publish(context.Background(), g, a); synced != 0 || err == nil {
			t.Errorf("%v: Publish = %d, %v; want an error", g, synced, err)
		}
	}
}

// TestAResultInPartsIntoViews: parts show nothing; with the closing event its pages are there, everybody's row too, and
// nothing of an attempt that was given up.
func TestAResultInPartsIntoViews(t *testing.T) {
	ctx := context.Background()
	j := newJournal(race)
	add := func(e competition.Event) {
		t.Helper()
		kind, format, payload, err := competitioncodec.Encode(e)
		j.add(t, kind, format, payload, err)
	}
	add(competition.Created{Definition: definition()})
	for i, user := range []string{"ann", "bob", "cem"} {
		add(competition.EntryAdded{Entry: uint32(17 + i), User: user})
	}
	row := func(entry, place uint32) []competition.Row {
		return []competition.Row{{Entry: entry, Place: place, Status: leaderboard.Finished}}
	}
	part := func(journal uint64, n uint32, rows []competition.Row) competition.ResultPart {
		return competition.ResultPart{Version: 1, Status: competition.ResultProvisional, Part: n, Rows: rows, JournalVersion: journal, At: 9}
	}
	add(part(4, 1, row(19, 1)))
	add(competition.PenaltyAdded{Entry: 19, Penalty: 1000})
	add(part(6, 1, row(18, 1)))
	add(part(6, 2, row(17, 2)))
	add(part(6, 3, row(19, 3)))
	if _, ok, err := j.tables.Result(ctx, race.ID, 0); ok || err != nil {
		t.Fatalf("half a result is shown: %v", err)
	}
	if got, _, err := j.tables.UserResults(ctx, "bob", "", 10); len(got) > 0 || err != nil {
		t.Fatalf("half a result is shown to bob: %+v, %v", got, err)
	}
	all := append(append(row(18, 1), row(17, 2)...), row(19, 3)...)
	add(competition.ResultPublished{Version: 1, Status: competition.ResultProvisional, JournalVersion: 6, Parts: 3, Digest: competition.Digest(all, nil), At: 9})
	r, ok, err := j.tables.Result(ctx, race.ID, 0)
	var m competitionv1.ResultPublished
	if err != nil || !ok || proto.Unmarshal(r.Bytes, &m) != nil || m.GetParts() != 3 || len(m.GetRows()) > 0 {
		t.Fatalf("Result = %+v, %v, %v", &m, ok, err)
	}
	for n := uint32(1); n <= 4; n++ {
		page, ok, err := j.tables.ResultPart(ctx, race.ID, 1, n)
		m.Reset()
		if err != nil || ok != (n <= 3) || proto.Unmarshal(page, &m) != nil || ok && (len(m.Rows) != 1 || m.Rows[0].Entry != all[n-1].Entry || m.Parts != 3) {
			t.Errorf("page %d: %v, %v, %v", n, &m, ok, err)
		}
	}
	for i, user := range []string{"bob", "ann", "cem"} {
		if got, _, err := j.tables.UserResults(ctx, user, "", 10); err != nil || len(got) != 1 || got[0].Place != uint32(i+1) {
			t.Errorf("%s has %+v, %v", user, got, err)
		}
	}
}
