package view_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/persistence/memory"
	"paceline/persistence/view"
)

var race = id.Of(id.Competition, "race-1")

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, c *view.Change, through uint64) {
	t.Helper()
	check(t, c.Commit(context.Background(), through))
}

func putRace(t testing.TB, v *view.Tables, r view.Competition) {
	t.Helper()
	c := v.Begin(t.Context(), id.Of(id.Competition, r.ID))
	check(t, c.PutCompetition(context.Background(), r))
	commit(t, c, r.Version)
}

func TestCompetitionLists(t *testing.T) {
	ctx := context.Background()
	v := view.New(memory.New())
	const day = int64(unit.Day)
	for i := range 30 {
		r := view.Competition{ID: fmt.Sprintf("r%02d", i), OrganizationID: "default", Name: "Race", State: "draft",
			ScheduledAt: unit.InstantMs(int64(i/3)*day + int64(i%3)), Version: 1}
		putRace(t, v, r)
		if i%2 == 0 {
			r.State, r.Version = "open", 2
			putRace(t, v, r)
		}
	}
	putRace(t, v, view.Competition{ID: "other", OrganizationID: "club", State: "open", Version: 1})
	list := func(state string, size int) (ids []string) {
		t.Helper()
		for token := ""; ; {
			page, next, err := v.Competitions(ctx, view.CompetitionQuery{OrganizationID: "default", State: state, PageToken: token, PageSize: size})
			check(t, err)
			if len(page) > size {
				t.Fatalf("page of %d, want at most %d", len(page), size)
			}
			for _, r := range page {
				if state != "" && r.State != state {
					t.Fatalf("list row %+v", r)
				}
				ids = append(ids, r.ID)
			}
			if next == "" {
				return ids
			}
			token = next
		}
	}
	all := list("", 500)
	if len(all) != 30 {
		t.Fatalf("%d races, want 30: %v", len(all), all)
	}
	for _, size := range []int{1, 2, 3, 7, 29, 30} {
		if got := list("", size); !reflect.DeepEqual(got, all) {
			t.Fatalf("pages of %d: %v, want %v", size, got, all)
		}
		if got := list("open", size); len(got) != 15 {
			t.Fatalf("pages of %d: %d open races, want 15", size, len(got))
		}
	}
	if all[0] < "r27" || all[29] > "r02" {
		t.Errorf("newest day first: %v", all)
	}
	r, ok, err := v.Competition(ctx, "r04")
	if err != nil || !ok || r.State != "open" {
		t.Errorf("Competition = %+v, %v, %v", r, ok, err)
	}
	c := v.Begin(t.Context(), race)
	c.PutDefinition("r04", []byte("d"))
	commit(t, c, 3)
	if d, ok, err := v.Definition(ctx, "r04"); err != nil || !ok || string(d) != "d" {
		t.Errorf("Definition = %q, %v, %v", d, ok, err)
	}
	for _, bad := range []string{"!", "AAAA", makeLong()} {
		if _, _, err := v.Competitions(ctx, view.CompetitionQuery{OrganizationID: "default", PageToken: bad}); !errors.Is(err, view.ErrPageToken) {
			t.Errorf("token %.8q: %v, want ErrPageToken", bad, err)
		}
	}
}

func makeLong() string { return fmt.Sprintf("%04000d", 0) }

func TestRosterAndPeople(t *testing.T) {
	ctx := context.Background()
	v := view.New(memory.New())
	c := v.Begin(t.Context(), race)
	for i := uint32(1); i <= 300; i++ {
		c.PutEntry(race.ID, view.RosterEntry{Entry: i, UserID: fmt.Sprint("u", i), Category: "W40"})
	}
	e, ok, err := c.Entry(ctx, race.ID, 7)
	if err != nil || !ok || e.UserID != "u7" {
		t.Fatalf("a change does not see itself: %+v, %v, %v", e, ok, err)
	}
	e.Training = "u7/w"
	c.PutEntry(race.ID, e)
	commit(t, c, 3)
	roster, err := v.Roster(ctx, race.ID)
	check(t, err)
	if len(roster) != 300 || roster[6].Training != "u7/w" || roster[299].Entry != 300 {
		t.Fatalf("roster of %d", len(roster))
	}
	if e, ok, err := v.EntryOf(ctx, race.ID, "u7"); err != nil || !ok || e.Entry != 7 {
		t.Errorf("EntryOf = %+v, %v, %v", e, ok, err)
	}
	if _, ok, err := v.EntryOf(ctx, race.ID, "stranger"); err != nil || ok {
		t.Errorf("EntryOf a stranger: %v, %v", ok, err)
	}
	for i, p := range []view.Person{{UserID: "u7", Handle: "Ann", Name: "Ann A."}, {UserID: "u8", Handle: "bob"}, {UserID: "u7", Handle: "anna", Name: "Anna A."}} {
		c := v.Begin(t.Context(), id.Of(id.User, p.UserID))
		c.PutPerson(p)
		commit(t, c, uint64(i+1))
	}
	people, err := v.People(ctx, []string{"u7", "u8", "u9", "u7", ""})
	if err != nil || len(people) != 2 || people["u7"].Name != "Anna A." {
		t.Errorf("People = %+v, %v", people, err)
	}
	for handle, want := range map[string]string{"ANNA": "u7", " bob ": "u8", "ann": "", "eve": ""} {
		if got, ok, err := v.UserByHandle(ctx, handle); err != nil || got != want || ok != (want != "") {
			t.Errorf("UserByHandle(%q) = %q, %v, %v; want %q", handle, got, ok, err, want)
		}
	}
}

func TestFeed(t *testing.T) {
	ctx := context.Background()
	v := view.New(memory.New())
	const last = 3 * 4096
	c := v.Begin(t.Context(), race)
	var want []uint64
	for n := uint64(1); n <= last; n += 100 {
		c.PutFeed(race.ID, view.FeedEntry{Version: n, Kind: "gate", Bytes: []byte(fmt.Sprint(n))})
		want = append(want, n)
	}
	commit(t, c, last)
	for _, limit := range []int{1, 10, 41, 1000} {
		var got []uint64
		for after, more := uint64(0), true; more; {
			page, m, err := v.Feed(ctx, race.ID, after, limit)
			check(t, err)
			if len(page) > limit || m && len(page) < limit {
				t.Fatalf("page of %d, limit %d, more %v", len(page), limit, m)
			}
			for _, e := range page {
				if e.Kind != "gate" || string(e.Bytes) != fmt.Sprint(e.Version) {
					t.Fatalf("entry %+v", e)
				}
				got = append(got, e.Version)
				after = e.Version
			}
			more = m
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("limit %d: %d entries, want %d", limit, len(got), len(want))
		}
	}
	newest, err := v.LastFeed(ctx, race.ID, 50)
	check(t, err)
	if len(newest) != 50 || newest[49].Version != want[len(want)-1] || newest[0].Version != want[len(want)-50] {
		t.Errorf("LastFeed: %d entries up to %d", len(newest), newest[len(newest)-1].Version)
	}
}

func TestResults(t *testing.T) {
	ctx := context.Background()
	v := view.New(memory.New())
	c := v.Begin(t.Context(), race)
	for i := uint32(1); i <= 3; i++ {
		c.PutResult(view.Result{Competition: race.ID, Version: i, Status: "provisional", Bytes: []byte{byte(i)}})
		c.PutUserResult(view.UserResult{UserID: "u", Competition: race.ID, Version: i, Place: i, At: 100})
	}
	c.PutUserResult(view.UserResult{UserID: "u", Competition: "older", Place: 9, At: 50})
	commit(t, c, 1)
	for version, want := range map[uint32]byte{0: 3, 1: 1, 2: 2} {
		if r, ok, err := v.Result(ctx, race.ID, version); err != nil || !ok || r.Bytes[0] != want {
			t.Errorf("Result(%d) = %+v, %v, %v", version, r, ok, err)
		}
	}
	if _, ok, err := v.Result(ctx, race.ID, 4); err != nil || ok {
		t.Errorf("Result(4): %v, %v", ok, err)
	}
	first, next, err := v.UserResults(ctx, "u", "", 1)
	if err != nil || len(first) != 1 || first[0].Competition != race.ID || first[0].Version != 3 || next == "" {
		t.Fatalf("UserResults = %+v, %q, %v", first, next, err)
	}
	second, next, err := v.UserResults(ctx, "u", next, 1)
	if err != nil || len(second) != 1 || second[0].Competition != "older" || next != "" {
		t.Fatalf("UserResults, second page = %+v, %q, %v", second, next, err)
	}
}

func TestTrainings(t *testing.T) {
	ctx := context.Background()
	v := view.New(memory.New())
	start := unit.InstantMs(time.Date(2024, 6, 30, 23, 30, 0, 0, time.UTC).UnixMilli())
	for i, tt := range []view.Training{{ID: "u/w1", StartedAt: start}, {ID: "u/w2", StartedAt: start, UTCOffsetS: 3600}, {ID: "u/w3", StartedAt: start - 1000}} {
		c := v.Begin(t.Context(), id.Grain{Kind: id.Training, ID: tt.ID})
		tt.Phase = "live"
		c.PutTraining(tt)
		tt.Phase = "finished"
		c.PutTraining(tt)
		got, ok, err := c.Training(ctx, tt.ID)
		if err != nil || !ok || got.Phase != "finished" {
			t.Fatalf("a change does not see itself: %+v, %v, %v", got, ok, err)
		}
		commit(t, c, uint64(i+1))
	}
	june, next, err := v.Trainings(ctx, "u", "2024-06", "", 10)
	if err != nil || next != "" || len(june) != 2 || june[0].ID != "u/w1" || june[1].ID != "u/w3" {
		t.Errorf("June = %+v, %v", june, err)
	}
	if july, _, err := v.Trainings(ctx, "u", "2024-07", "", 10); err != nil || len(july) != 1 || july[0].ID != "u/w2" {
		t.Errorf("July, by the workout's own offset = %+v, %v", july, err)
	}
	if got, ok, err := v.TrainingOf(ctx, "w3"); err != nil || !ok || got != "u/w3" {
		t.Errorf("TrainingOf = %q, %v, %v", got, ok, err)
	}
}

func TestWaitFor(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	v := view.New(rows)
	commit(t, v.Begin(t.Context(), race), 3)
	if ok, err := v.WaitFor(ctx, race, 3); !ok || err != nil {
		t.Fatalf("WaitFor what is there: %v, %v", ok, err)
	}
	began := time.Now()
	if ok, err := v.WaitFor(ctx, race, 4); ok || err != nil || time.Since(began) < 400*time.Millisecond {
		t.Fatalf("WaitFor what never comes: %v, %v after %v", ok, err, time.Since(began))
	}
	for name, writer := range map[string]*view.Tables{"same process": v, "another process": view.New(rows)} {
		done := make(chan error)
		cursor, err := v.Cursor(ctx, race)
		check(t, err)
		go func() {
			ok, err := v.WaitFor(ctx, race, cursor+1)
			if err == nil && !ok {
				err = errors.New("not reached")
			}
			done <- err
		}()
		commit(t, writer.Begin(t.Context(), race), cursor+1)
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if ok, err := v.WaitFor(gone, race, 100); ok || err == nil {
		t.Errorf("WaitFor, cancelled: %v, %v", ok, err)
	}
}

func TestParseStream(t *testing.T) {
	for s, want := range map[string]id.Grain{"competition/c": race0("c"), "training/u/w": {Kind: id.Training, ID: "u/w"}, "": {}, "/x": {}, "x/": {}, "x": {}} {
		g, err := view.ParseStream(s)
		if g != want || (err == nil) != (want != id.Grain{}) {
			t.Errorf("ParseStream(%q) = %+v, %v", s, g, err)
		}
	}
}

func race0(c string) id.Grain { return id.Of(id.Competition, c) }

// TestThoseWhoWaitAreBounded: as many as may wait do, one more is told to come again, what is there already is answered
// without waiting, and whoever leaves makes room.
func TestThoseWhoWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := view.New(memory.New())
		commit(t, v.Begin(t.Context(), race), 3)
		const most = 256
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		type answer struct {
			there bool
			err   error
		}
		answers := make(chan answer, most)
		for i := range uint64(most) {
			go func() {
				there, err := v.WaitFor(ctx, race0(fmt.Sprint("r", i%3)), 4+i)
				answers <- answer{there, err}
			}()
		}
		synctest.Wait()
		if there, err := v.WaitFor(ctx, race, 4); there || !errors.Is(err, view.ErrWaiting) || !fault.Of(err).Retry {
			t.Errorf("one more: %v, %v, want ErrWaiting", there, err)
		}
		if there, err := v.WaitFor(ctx, race, 3); !there || err != nil {
			t.Errorf("for what is there: %v, %v", there, err)
		}
		commit(t, v.Begin(t.Context(), race0("r0")), 4)
		if got := <-answers; !got.there || got.err != nil {
			t.Errorf("the one whose version came: %+v", got)
		}
		synctest.Wait()
		go func() {
			there, err := v.WaitFor(ctx, race, 4)
			answers <- answer{there, err}
		}()
		synctest.Wait()
		if len(answers) > 0 {
			t.Errorf("with room for one: %+v at once", <-answers)
		}
		leave()
		for range most {
			if got := <-answers; got.there || !errors.Is(got.err, context.Canceled) {
				t.Errorf("who gave up: %+v", got)
			}
		}
		if there, err := v.WaitFor(t.Context(), race, 4); there || err != nil {
			t.Errorf("when all have left: %v, %v, want that the time runs out", there, err)
		}
	})
}
