package view

import (
	"context"
	"encoding/binary"
	"errors"

	"paceline/domain/id"
	"paceline/persistence"
)

// inboxPart is where an entry of a person's inbox lies: sealed with the person's key.
func (g generation) inboxPart(userID string, version uint64) persistence.Part {
	return sealed(userID, g.part(tableInbox, userID, u64Key(version/feedBlock)))
}

// PutInbox adds an entry to a person's inbox. One event is at most one entry.
func (c *Change) PutInbox(userID string, e FeedEntry) {
	cell := binary.AppendUvarint(nil, uint64(len(e.Kind)))
	cell = append(append(cell, e.Kind...), e.Bytes...)
	c.set(persistence.Mutation{Part: c.in.inboxPart(userID, e.Version), Row: persistence.Row{Cluster: u64Key(e.Version), Cell: cell}})
}

// Inbox implements Reader. Somebody whose key is gone has none.
func (t *Tables) Inbox(ctx context.Context, userID string, after uint64, limit int) ([]FeedEntry, bool, error) {
	if limit <= 0 {
		limit = 100
	}
	in, err := t.serving(ctx, id.User)
	if err != nil {
		return nil, false, err
	}
	through, err := t.Cursor(ctx, id.Of(id.User, userID))
	if err != nil {
		return nil, false, err
	}
	var list []FeedEntry
	for version := after + 1; version <= through; version = (version/feedBlock + 1) * feedBlock {
		rows, err := t.rows.Range(ctx, in.inboxPart(userID, version), persistence.Range{From: u64Key(version), Limit: limit + 1 - len(list)})
		if errors.Is(err, persistence.ErrErased) {
			return nil, false, nil
		}
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
