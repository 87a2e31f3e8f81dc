package schema

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// State is what a keyspace is found to be.
type State struct {
	Keyspace string
	Noted    []Record
	Pending  Set      // this binary's that are not applied, or not finished
	Warnings []string // what is no reason not to start: see durable.go

	Datacenter string // that this binary would write through
	Through    string // that the nodes write through; "": none has yet (see datacenter.go)
}

// Check says whether a binary with these migrations may serve on the keyspace, and touches nothing. Its error is one
// sentence that names what is missing.
func (s Set) Check(ctx context.Context, t Target) (State, error) {
	st, err := s.look(ctx, t, func(ctx context.Context, db asker, st *State) error {
		if err := s.fit(st); err != nil {
			return err
		}
		if err := s.missing(ctx, db, t.Keyspace); err != nil {
			return err
		}
		if err := t.sameDatacenter(ctx, db, st); err != nil {
			return err
		}
		var err error
		st.Warnings, err = warnings(ctx, db, t)
		return err
	})
	return st, err
}

// Status says what is applied and what is not; a keyspace that must be migrated is no error.
func (s Set) Status(ctx context.Context, t Target) (State, error) {
	return s.look(ctx, t, func(ctx context.Context, db asker, st *State) (err error) {
		st.Warnings = t.warned(ctx, db)
		st.Through, err = t.through(ctx, db)
		return err
	})
}

func (s Set) look(ctx context.Context, t Target, then func(context.Context, asker, *State) error) (State, error) {
	st := State{Keyspace: t.Keyspace}
	db, err := t.connect(ctx)
	if err != nil {
		return st, err
	}
	defer db.close()
	if err := t.place(ctx, db); err != nil {
		return st, err
	}
	if st.Noted, err = records(ctx, db, t.Keyspace); err != nil {
		return st, err
	}
	if st.Pending, _, err = s.agrees(st.Noted); err != nil {
		return st, err
	}
	return st, then(ctx, db, &st)
}

// place refuses a keyspace that is not there, or not ours, and a datacenter that does not exist.
func (t Target) place(ctx context.Context, db asker) error {
	if err := t.knownDatacenter(db); err != nil {
		return err
	}
	keyspaces, err := db.ask(ctx, "", `SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?`, t.Keyspace)
	if err != nil {
		return err
	}
	if len(keyspaces) == 0 {
		return troubled(ErrKeyspace, "there is no keyspace %s (--cql-keyspace); `paceline migrate --cql-replication=3` makes it", t.Keyspace)
	}
	names, err := tableNames(ctx, db, t.Keyspace)
	if err != nil {
		return err
	}
	if slices.Contains(names, recordTable) {
		return nil
	}
	if len(names) > 0 {
		return troubled(ErrForeign, "keyspace %s holds tables that are not Paceline's (%s): choose another with --cql-keyspace", t.Keyspace, few(names))
	}
	return troubled(ErrNoSchema, "keyspace %s has no tables yet: run `paceline migrate`", t.Keyspace)
}

func (t Target) knownDatacenter(db asker) error {
	if t.Datacenter == "" {
		return nil
	}
	var have []string
	for _, h := range db.hosts() {
		if h.datacenter == t.Datacenter {
			return nil
		}
		if !slices.Contains(have, h.datacenter) {
			have = append(have, h.datacenter)
		}
	}
	return troubled(ErrDatacenter, "there is no datacenter %s (--cql-datacenter): the servers' are %s", t.Datacenter, few(have))
}

func tableNames(ctx context.Context, db asker, keyspace string) ([]string, error) {
	rows, err := db.ask(ctx, "", `SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?`, keyspace)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range rows {
		names = append(names, text(r, "table_name"))
	}
	slices.Sort(names)
	return names, nil
}

// fit refuses a schema that is too old, too new or half.
func (s Set) fit(st *State) error {
	for i := range st.Noted {
		// A newer one may just be running, beside this binary that it leaves working.
		if r := &st.Noted[i]; !r.finished() && r.Number <= s.newest() {
			return troubled(ErrHalf, "%s: run `paceline migrate` again", r.half())
		}
	}
	if len(st.Pending) > 0 {
		var lacking []string
		for i := range st.Pending {
			lacking = append(lacking, st.Pending[i].String())
		}
		return troubled(ErrOlder, "keyspace %s is at schema %d and this binary needs %d (missing: %s): run `paceline migrate`",
			st.Keyspace, st.Pending[0].Number-1, s.newest(), few(lacking))
	}
	return s.readable(st.Noted[s.newest():])
}

// missing compares the tables with what the migrations leave.
func (s Set) missing(ctx context.Context, db asker, keyspace string) error {
	rows, err := db.ask(ctx, "", `SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = ?`, keyspace)
	if err != nil {
		return err
	}
	have := map[string]map[string]string{}
	for _, r := range rows {
		t := text(r, "table_name")
		if have[t] == nil {
			have[t] = map[string]string{}
		}
		have[t][text(r, "column_name")] = plainType(text(r, "type"))
	}
	var lacking []string
	for _, t := range s.tables() {
		if have[t.name] == nil {
			lacking = append(lacking, "table "+t.name)
			continue
		}
		for _, c := range t.cols {
			switch is := have[t.name][c.name]; is {
			case c.cqlType:
			case "":
				lacking = append(lacking, fmt.Sprintf("column %s.%s", t.name, c.name))
			default:
				lacking = append(lacking, fmt.Sprintf("column %s.%s of type %s (it is %s)", t.name, c.name, c.cqlType, is))
			}
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return troubled(ErrMissing, "keyspace %s says that it is at schema %d, but lacks %s: it was changed by hand, restore it from a backup", keyspace, s.newest(), few(lacking))
}

// few names some and counts the others.
func few(names []string) string {
	const most = 6
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
