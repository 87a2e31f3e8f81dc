package persistence_test

import (
	"context"
	"errors"
	"fmt"

	"paceline/domain/id"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/persistence/memory"
)

// An append whose outcome was lost: look, or append the same again; the head says whose append is there.
func Example() {
	ctx := context.Background()
	rows := faulty.Over(memory.New())
	store := persistence.Over(rows)
	race := id.Of(id.Competition, "race")
	a := persistence.Append{Grain: race, AppendID: "first", Records: []persistence.Record{{Version: 1, Kind: 1, Format: 1}}}

	rows.Decide = func(faulty.Write) faulty.Fate { return faulty.LostYes }
	_, _, err := store.Append(ctx, a)
	fmt.Println("unknown:", errors.Is(err, persistence.ErrUnknown))

	rows.Decide = nil
	applied, head, err := store.Append(ctx, a)
	fmt.Println("again:", applied, head.Version, head.AppendID, err)

	_, head, err = store.Append(ctx, persistence.Append{Grain: race, AppendID: "other", Records: a.Records})
	fmt.Println("another:", head.AppendID, err)
	// Output:
	// unknown: true
	// again: false 1 first <nil>
	// another: first <nil>
}
