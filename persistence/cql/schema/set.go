package schema

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.cql
var files embed.FS

// Migration is one file.
type Migration struct {
	Number int
	Name   string
	// MinReader: binaries that know the migrations through this one work with the keyspace after it. Without a line
	// in the file it is the migration itself, so that no older binary starts.
	MinReader int
	Digest    string // of the statements and MinReader; comments do not count

	statements []statement
}

func (m *Migration) String() string { return fmt.Sprintf("%04d %s", m.Number, m.Name) }

// Statements are the texts, in order.
func (m *Migration) Statements() []string {
	texts := make([]string, len(m.statements))
	for i, s := range m.statements {
		texts[i] = s.text
	}
	return texts
}

// prefixDigest names the first n statements, so that a migration whose later statements never ran may still be mended.
func (m *Migration) prefixDigest(n int) string { return digest(m.Statements()[:n]) }

func digest(texts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, ";\n")))
	return hex.EncodeToString(sum[:])
}

// Set is a binary's migrations, 1 to len without a gap.
type Set []Migration

// Embedded is what this binary carries.
func Embedded() (Set, error) { return Read(files) }

// newest is the number of the last migration.
func (s Set) newest() int { return len(s) }

var (
	reFile      = regexp.MustCompile(`^([0-9]{4})_([a-z0-9_]+)\.cql$`)
	reMinReader = regexp.MustCompile(`(?m)^-- min-reader: ?([0-9]+)\s*$`)
)

// Read reads the .cql files of a folder.
func Read(dir fs.FS) (Set, error) {
	names, err := fs.Glob(dir, "*.cql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var set Set
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		m, err := parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		set = append(set, m)
	}
	slices.SortFunc(set, func(a, b Migration) int { return cmp.Compare(a.Number, b.Number) })
	for i := range set {
		if set[i].Number != i+1 {
			return nil, fmt.Errorf("migrations: there is no %04d, or one twice, before %s", i+1, &set[i])
		}
	}
	return set, nil
}

func parse(file, text string) (Migration, error) {
	at := reFile.FindStringSubmatch(file)
	if at == nil {
		return Migration{}, fmt.Errorf("the name must be like 0001_name.cql")
	}
	m := Migration{Name: at[2]}
	m.Number, _ = strconv.Atoi(at[1]) // four digits
	m.MinReader = m.Number
	if at := reMinReader.FindStringSubmatch(text); at != nil {
		m.MinReader, _ = strconv.Atoi(at[1])
		if m.MinReader < 1 || m.MinReader > m.Number {
			return m, fmt.Errorf("min-reader %s: want 1 to %d", at[1], m.Number)
		}
	}
	texts, err := split(text)
	if err != nil {
		return m, err
	}
	if len(texts) == 0 {
		return m, fmt.Errorf("it has no statement")
	}
	for _, t := range texts {
		s, err := parseStatement(t)
		if err != nil {
			return m, err
		}
		if s.verb == dropTable && m.MinReader < m.Number {
			return m, fmt.Errorf("it drops table %s, so no older binary works with it: leave out min-reader", s.table)
		}
		m.statements = append(m.statements, s)
	}
	m.Digest = digest(append(m.Statements(), fmt.Sprintf("min-reader %d", m.MinReader)))
	return m, nil
}

// table is what migrations leave of one.
type table struct {
	name string
	cols []column
}

// tables are those that the migrations leave, in order of their creation.
func (s Set) tables() []table {
	var all []table
	for i := range s {
		for _, st := range s[i].statements {
			at := slices.IndexFunc(all, func(t table) bool { return t.name == st.table })
			switch {
			case st.verb == createTable && at < 0:
				all = append(all, table{st.table, slices.Clone(st.cols)})
			case st.verb == addColumn && at >= 0:
				all[at].cols = append(all[at].cols, st.cols...)
			case st.verb == dropTable && at >= 0:
				all = slices.Delete(all, at, at+1)
			}
		}
	}
	return all
}
