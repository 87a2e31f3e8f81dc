package sealed_test

import (
	"bytes"
	"context"
	"testing"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/persistence/view"
)

// TestPeopleAreSealed: no name, handle or workout of a person is readable in the rows, and an erased person is
// shown as one.
func TestPeopleAreSealed(t *testing.T) {
	ctx := context.Background()
	rows := memory.New()
	s := seal(t, rows)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	v := view.New(s)
	c := v.Begin(t.Context(), id.Of(id.User, "u"))
	c.PutPerson(view.Person{UserID: "u", Handle: "The.Handle", Name: "The Name", Club: "The Club"})
	c.PutTraining(view.Training{ID: "u/w", Sport: "row", Zone: "Europe/Berlin", StartedAt: 1})
	c.PutEntry("race", view.RosterEntry{Entry: 1, UserID: "u"})
	check(c.Commit(ctx, 1))
	seen := 0
	rows.Each(persistence.TableView, func(part string, r persistence.Row) {
		seen++
		for _, secret := range []string{"The", "the.handle", "Berlin"} {
			if bytes.Contains(r.Cell, []byte(secret)) || bytes.Contains([]byte(part+r.Cluster), []byte(secret)) {
				t.Errorf("%q is readable in %q", secret, part)
			}
		}
	})
	if seen < 7 {
		t.Fatalf("only %d rows were looked at", seen)
	}
	if u, ok, err := v.UserByHandle(ctx, "THE.handle"); err != nil || !ok || u != "u" {
		t.Errorf("UserByHandle = %q, %v, %v", u, ok, err)
	}
	check(s.Erase(ctx, "u"))
	if p, ok, err := v.Person(ctx, "u"); err != nil || !ok || p != (view.Person{UserID: "u", Erased: true}) {
		t.Errorf("Person = %+v, %v, %v; want erased", p, ok, err)
	}
	if u, ok, err := v.UserByHandle(ctx, "the.handle"); err != nil || ok {
		t.Errorf("UserByHandle of an erased person = %q, %v, %v", u, ok, err)
	}
	if e, ok, err := v.EntryOf(ctx, "race", "u"); err != nil || !ok || e.Entry != 1 {
		t.Errorf("EntryOf = %+v, %v, %v: the race stays whole", e, ok, err)
	}
}
