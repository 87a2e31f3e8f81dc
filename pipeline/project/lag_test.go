package project_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/persistence/view"
	"paceline/pipeline/project"
)

// lagging shows the cursors as they were when it was told to hold them, and every other row as it is: a projector's
// write that one replica has and the others do not have yet, read row by row from different ones.
type lagging struct {
	*memory.Rows
	cursor []byte
	held   bool
}

func (l *lagging) Get(ctx context.Context, p persistence.Part, cluster string) ([]byte, bool, error) {
	cell, ok, err := l.Rows.Get(ctx, p, cluster)
	if l.held && cluster == "c" {
		return bytes.Clone(l.cursor), true, err
	}
	if cluster == "c" {
		l.cursor = bytes.Clone(cell)
	}
	return cell, ok, err
}

// TestCursorLagsBehindItsRow: a race's row counts entries and turns a start into a countdown, so an event must not be
// taken into a row that has it, whatever the cursor says.
func TestCursorLagsBehindItsRow(t *testing.T) {
	ctx := context.Background()
	rows := &lagging{Rows: memory.New()}
	slow := project.New(persistence.Over(rows), view.New(rows), project.Views(persistence.Over(rows)))
	j := &journal{store: persistence.Over(rows.Rows), tables: view.New(rows.Rows), g: race}
	j.p = project.New(j.store, j.tables, project.Views(j.store))
	s := competition.New()
	add := func(e competition.Event) persistence.Record {
		kind, format, payload, err := competitioncodec.Encode(e)
		j.add(t, kind, format, payload, err)
		s.Apply(e)
		return persistence.Record{Version: j.at, Kind: kind, Format: format, Payload: payload}
	}
	add(competition.Created{Definition: definition()})
	for _, e := range []competition.Event{
		competition.EntryAdded{Entry: 1, User: "u1", Category: "w40"},
		competition.StartListLocked{RulesVersion: 1},
		competition.RaceStarted{GunAt: 1_000_000, CutoffAt: 2_000_000},
	} {
		t.Run(fmt.Sprintf("%T", e), func(t *testing.T) {
			rows.held = false
			if _, err := view.New(rows).Cursor(ctx, race); err != nil {
				t.Fatal(err)
			}
			r := add(e) // another process has taken it
			rows.held = true
			if through, err := slow.Publish(ctx, race, []persistence.Record{r}); err != nil || through != r.Version {
				t.Fatalf("Publish = %d, %v", through, err)
			}
			same(t, j, s)
		})
	}
}
