package schema

import (
	"context"
	"fmt"
	"time"
)

// recordTable notes what was run. One partition, so that the holder and every row can be conditional on it.
const recordTable = "schema_migration"

const createRecord = `CREATE TABLE IF NOT EXISTS ` + recordTable + ` (
	scope text, number int, holder text static,
	name text, digest text, min_reader int, statements int, done int, done_digest text,
	who text, begun_at timestamp, finished_at timestamp,
	PRIMARY KEY (scope, number))`

const scope = "paceline"

// Record is one noted migration.
type Record struct {
	Number, MinReader int
	Name, Digest      string
	Statements, Done  int
	DoneDigest        string // of the first Done statements
	Who               string
	Begun, Finished   time.Time // zero: not finished
}

func (r *Record) String() string { return fmt.Sprintf("%04d %s", r.Number, r.Name) }
func (r *Record) finished() bool { return !r.Finished.IsZero() }

// half says what is known of a migration that is not finished.
func (r *Record) half() string {
	return fmt.Sprintf("migration %s was begun at %s by %s and not finished (%d of %d statements)",
		r, r.Begun.UTC().Format(time.RFC3339), r.Who, r.Done, r.Statements)
}

// records reads what is noted, by number.
func records(ctx context.Context, s asker, keyspace string) ([]Record, error) {
	rows, err := s.ask(ctx, "", `SELECT number, name, digest, min_reader, statements, done, done_digest, who, begun_at, finished_at FROM `+
		keyspace+"."+recordTable+` WHERE scope = ?`, scope)
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, row := range rows {
		number, _ := row["number"].(int)
		if number == 0 { // the partition has a holder and no rows yet
			continue
		}
		r := Record{Number: number, Name: text(row, "name"), Digest: text(row, "digest"), DoneDigest: text(row, "done_digest"), Who: text(row, "who")}
		r.MinReader, _ = row["min_reader"].(int)
		r.Statements, _ = row["statements"].(int)
		r.Done, _ = row["done"].(int)
		r.Begun, _ = row["begun_at"].(time.Time)
		r.Finished, _ = row["finished_at"].(time.Time)
		all = append(all, r)
	}
	return all, nil
}

// agrees compares what is noted with what this binary carries. pending are those that are still to be run.
func (s Set) agrees(noted []Record) (pending Set, newer []Record, err error) {
	done := 0
	for i := range noted {
		r := &noted[i]
		switch {
		case r.Number > s.newest():
			newer = append(newer, *r)
		case r.Number != i+1:
			return nil, nil, troubled(ErrMissing, "migration %04d is not noted, but %s is: was a row of %s deleted?", i+1, r, recordTable)
		case !r.finished():
		case r.Digest != s[i].Digest:
			return nil, nil, troubled(ErrChanged, "migration %s was applied with other content than this binary's (digest %.12s, not %.12s): "+
				"an applied migration is never edited, write a new one", r, r.Digest, s[i].Digest)
		default:
			done = r.Number
		}
	}
	if done < s.newest() {
		pending = s[done:]
	}
	return pending, newer, nil
}

// readable refuses a schema whose newer migrations leave this binary behind.
func (s Set) readable(newer []Record) error {
	for i := range newer {
		if r := &newer[i]; r.MinReader > s.newest() {
			return troubled(ErrNewer, "schema %d is newer than this binary knows (%d): migration %s wants a binary that knows %d",
				newer[len(newer)-1].Number, s.newest(), r, r.MinReader)
		}
	}
	return nil
}
