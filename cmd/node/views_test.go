package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/id"
	"paceline/persistence/view"
)

// metric reads one number that an operator sees.
func metric(t *testing.T, s serving, name string) float64 {
	t.Helper()
	for line := range strings.Lines(get(t, s.url+"/metrics")) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// TestViewsRebuiltWhileServing: on a node under load views are made anew; what was acknowledged before and meanwhile is in
// them, a caller reads what it has just written, and the cache answers again.
func TestViewsRebuiltWhileServing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--data-dir", data)
	api := manage(t, s, data)
	created := 0
	create := func() {
		t.Helper()
		created++
		race := must[managev1.CreateCompetitionResponse](t)(api.competitions.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
			Definition: &competitionv1.Definition{Name: fmt.Sprint("race ", created), Public: true, Start: competitionv1.StartKind_START_KIND_MASS,
				RankBy: competitionv1.RankBy_RANK_BY_GUN, CutoffAfterMs: 600_000, GraceMs: 30_000, ScheduledAtMs: time.Now().UnixMilli(),
				Track: &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "running", DistanceMm: 400_000}}})))
		list := must[managev1.ListCompetitionsResponse](t)(api.competitions.ListCompetitions(t.Context(), connect.NewRequest(
			&managev1.ListCompetitionsRequest{PageSize: 500, AtLeastStream: "competition/" + race.CompetitionId, AtLeastVersion: race.Version})))
		if len(list.Competitions) != created {
			t.Fatalf("%d races in the list after the creation of %d", len(list.Competitions), created)
		}
	}
	var people []string
	register := func() {
		t.Helper()
		u := must[managev1.RegisterUserResponse](t)(api.users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			Profile: &userv1.Profile{Handle: fmt.Sprint("person", len(people)), Name: "P", Visibility: userv1.Visibility_VISIBILITY_PRIVATE}})))
		people = append(people, u.UserId)
	}
	for range 5 {
		create()
		register()
	}
	listen := strings.TrimPrefix(s.url, "http://")
	done := make(chan string, 1)
	go func() {
		code, out, errs := pacelineWithin(t, 2*time.Minute, "views", "rebuild", "--rate", "5000", "--data-dir", data, "--listen", listen)
		done <- fmt.Sprint(code, out, errs)
	}()
	var said string
	for said == "" {
		create()
		for range 10 {
			register()
		}
		select {
		case said = <-done:
		case <-time.After(100 * time.Millisecond):
		}
	}
	create()
	for _, want := range []string{"people: done", "trainings: done", "competitions: done", "competitions: switched"} {
		if !strings.HasPrefix(said, "0") || !strings.Contains(said, want) {
			t.Fatalf("views rebuild says %q, want %q", said, want)
		}
	}
	if metric(t, s, "paceline_view_cache_misses_total") == 0 || metric(t, s, "paceline_view_cache_hit_ratio") > 1 {
		t.Error("the cache is not counted")
	}
	before := metric(t, s, "paceline_view_cache_hits_total")
	for range 20 {
		must[managev1.ListCompetitionsResponse](t)(api.competitions.ListCompetitions(t.Context(), connect.NewRequest(&managev1.ListCompetitionsRequest{})))
	}
	if hits := metric(t, s, "paceline_view_cache_hits_total") - before; hits < 15 {
		t.Errorf("%v of 20 reads of one list were hits", hits)
	}
	_, err := api.competitions.ListCompetitions(t.Context(), connect.NewRequest(&managev1.ListCompetitionsRequest{AtLeastStream: "competition/none", AtLeastVersion: 7}))
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("what never comes: %v", err)
	}
	if code := s.stop(); code != 0 {
		t.Fatalf("the node ends with %d: %s", code, s.out)
	}
	allThere(t, data, created, people, 1)
	if code, out, errs := pacelineWithin(t, time.Minute, "views", "rebuild", "--offline", "--view", "people", "--data-dir", data); code != 0 || !strings.Contains(out, "people: done") {
		t.Fatalf("offline: %d %s %s", code, out, errs)
	}
	allThere(t, data, created, people, 2)
}

// allThere looks into the folder: every race and person is in the views that are read, which are of a generation.
func allThere(t *testing.T, data string, races int, people []string, generation uint64) {
	t.Helper()
	ctx := context.Background()
	st, err := openStore(ctx, settings{DataDir: data, Store: "embedded", StoreCacheMB: 8, StoreMemtableMB: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	tables := view.New(st.rows)
	for _, u := range people {
		if _, ok, err := tables.Person(ctx, u); !ok || err != nil {
			t.Fatalf("%s of %d people: %v, %v", u, len(people), ok, err)
		}
	}
	list, _, err := tables.Competitions(ctx, view.CompetitionQuery{OrganizationID: id.DefaultOrganization, PageSize: 500})
	if err != nil || len(list) != races {
		t.Fatalf("%d races, want %d (%v)", len(list), races, err)
	}
	if p, err := tables.LookAtPlan(ctx, id.User); err != nil || p.Serving != generation || p.Building != 0 || p.Deleting {
		t.Fatalf("plan %+v, %v; want generation %d, and nothing under way", p, err, generation)
	}
	t.Logf("%d people, %d races", len(people), len(list))
}

func TestWrongRebuilds(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for args, want := range map[string]string{
		"--rate 0":             "--rate",
		"--view everything":    "--view",
		"--offline":            "data folder",
		"--listen 127.0.0.1:1": "tokens.json",
	} {
		code, _, errs := paceline(t, append([]string{"views", "rebuild", "--data-dir", data}, strings.Fields(args)...)...)
		if code == 0 || !strings.Contains(errs, want) || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
			t.Errorf("views rebuild %s = %d %q, want one sentence about %q", args, code, errs, want)
		}
	}
}
