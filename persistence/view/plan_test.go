package view_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/persistence/memory"
	"paceline/persistence/view"
)

// TestGenerations: what is built beside is not read, a switch shows it at once, also to other processes that look, and
// what no plan names can be deleted.
func TestGenerations(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	v, other := view.New(rows), view.New(rows)
	name := func(v *view.Tables) string {
		t.Helper()
		r, _, err := v.Competition(ctx, race.ID)
		check(t, err)
		list, _, err := v.Competitions(ctx, view.CompetitionQuery{OrganizationID: "default"})
		check(t, err)
		if len(list) != 1 || list[0].Name != r.Name {
			t.Fatalf("the race is %q, in the list %+v", r.Name, list)
		}
		return r.Name
	}
	put := func(gen, through uint64, name string) {
		t.Helper()
		c := v.BeginIn(race, gen)
		check(t, c.PutCompetition(ctx, view.Competition{ID: race.ID, OrganizationID: "default", State: "open", Name: name, Version: through}))
		c.PutFeed(race.ID, view.FeedEntry{Version: through, Kind: name})
		commit(t, c, through)
	}
	person := v.Begin(t.Context(), id.Of(id.User, "u"))
	person.PutPerson(view.Person{UserID: "u", Handle: "h"})
	commit(t, person, 1)

	put(0, 7, "old")
	plan, err := v.ChangePlan(ctx, id.Competition, view.Plan{}, view.Plan{Building: 1, Last: 1}, "me")
	check(t, err)
	put(1, 5, "new") // its cursor is behind; nobody reads it
	if got := name(v); got != "old" {
		t.Fatalf("readers see %q before the switch", got)
	}
	through, err := v.Cursor(ctx, race)
	if check(t, err); through != 7 {
		t.Fatalf("cursor %d, want 7: what is built beside does not count", through)
	}
	put(1, 7, "new")
	_ = name(other) // it holds the old plan now
	plan, err = v.ChangePlan(ctx, id.Competition, plan, view.Plan{Serving: 1, Last: 1, Deleting: true}, "me")
	check(t, err)
	if got := name(v); got != "new" {
		t.Fatalf("readers see %q after the switch", got)
	}
	if ok, err := other.WaitFor(ctx, race, 7); !ok || err != nil || name(other) != "new" {
		t.Fatalf("another process: %v, %v, %q", ok, err, name(other))
	}
	deleted := 0
	for after, more := "", true; more; {
		n, next, err := v.DeleteOthers(ctx, id.Competition, plan.Writes(), after, 2)
		check(t, err)
		deleted += n
		after, more = next, next != ""
	}
	rows.Each(persistence.TableView, func(part string, r persistence.Row) {
		if strings.Contains(string(r.Cell), "old") {
			t.Errorf("%q is left", part)
		}
	})
	if deleted != 4 || name(v) != "new" { // the grain, days, day, feed
		t.Errorf("%d partitions deleted, want 4", deleted)
	}
	if _, ok, err := v.Person(ctx, "u"); !ok || err != nil {
		t.Errorf("a person went with the competitions: %v, %v", ok, err)
	}
}

// TestPlanIsChangedByOne: of two who change a plan at once one wins, whatever becomes of the answers.
func TestPlanIsChangedByOne(t *testing.T) {
	ctx := context.Background()
	for _, fate := range []faulty.Fate{faulty.Done, faulty.Away, faulty.LostNo, faulty.LostYes} {
		rows := faulty.Over(memory.New())
		a, b := view.New(rows), view.New(rows)
		plan, err := a.ChangePlan(ctx, id.User, view.Plan{}, view.Plan{Building: 1, Last: 1}, "a")
		check(t, err)
		rows.Decide = func(faulty.Write) faulty.Fate { return fate }
		_, errA := a.ChangePlan(ctx, id.User, plan, view.Plan{Serving: 1, Last: 1}, "a")
		rows.Decide = nil
		if want := fate == faulty.Done || fate == faulty.LostYes; (errA == nil) != want {
			t.Fatalf("fate %d: %v", fate, errA)
		}
		_, errB := b.ChangePlan(ctx, id.User, plan, view.Plan{Building: 1, Last: 1, Grains: 9}, "b")
		if errors.Is(errB, view.ErrPlanTaken) != (errA == nil) || (errB == nil) == (errA == nil) {
			t.Fatalf("fate %d: one has %v, the other %v", fate, errA, errB)
		}
		now, err := b.LookAtPlan(ctx, id.User)
		check(t, err)
		if want := fmt.Sprint(errA == nil); fmt.Sprint(now.Serving == 1) != want || now.Version != 2 {
			t.Fatalf("fate %d: the plan is %+v", fate, now)
		}
	}
}

// TestOneLocalIDOfTwo: two people who use one local id find the same workout, whoever came last.
func TestOneLocalIDOfTwo(t *testing.T) {
	ctx := context.Background()
	for _, order := range [][]string{{"ann/w", "bob/w"}, {"bob/w", "ann/w"}} {
		v := view.New(memory.New())
		for _, training := range order {
			c := v.Begin(t.Context(), id.Grain{Kind: id.Training, ID: training})
			c.PutTraining(view.Training{ID: training})
			commit(t, c, 1)
		}
		if got, ok, err := v.TrainingOf(ctx, "w"); got != "ann/w" || !ok || err != nil {
			t.Errorf("%v: TrainingOf = %q, %v, %v", order, got, ok, err)
		}
	}
}
