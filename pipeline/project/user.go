package project

import (
	"context"
	"fmt"

	"paceline/actors/user"
	"paceline/actors/user/usercodec"
	"paceline/persistence"
	"paceline/persistence/view"
)

// User is how a person is shown, and found by handle, and what the person was told.
func User(_ context.Context, c *view.Change, r persistence.Record) error {
	e, err := usercodec.Decode(r.Kind, r.Format, r.Payload)
	if err != nil {
		return err
	}
	if event := usercodec.EventOf(e, r.Version); event != nil {
		b, err := marshal.Marshal(event)
		if err != nil {
			return fmt.Errorf("inbox: %w", err)
		}
		c.PutInbox(c.Grain().ID, view.FeedEntry{Version: r.Version, Kind: event.GetKind(), Bytes: b})
	}
	switch e := e.(type) {
	case user.Registered:
		c.PutPerson(person(c.Grain().ID, e.Profile, r.Version))
	case user.ProfileChanged:
		c.PutPerson(person(c.Grain().ID, e.Profile, r.Version))
	}
	return nil
}

func person(userID string, p user.Profile, version uint64) view.Person {
	return view.Person{UserID: userID, Handle: p.Handle, Name: p.Name, Club: p.Club, Flag: p.Flag,
		Visibility: view.Visibility(p.Visibility), Minor: p.Minor, Version: version}
}
