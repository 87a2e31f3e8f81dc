package schema

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// statement is one that may be run again.
type statement struct {
	text  string // without comments, white space made single; the table's name without its keyspace
	verb  verb
	table string
	cols  []column // what createTable and addColumn leave
}

type column struct{ name, cqlType string }

type verb int

const (
	createTable verb = iota
	addColumn        // run only where the column is not there: not every server has ADD IF NOT EXISTS
	tableOptions
	dropTable
)

const (
	name       = `([a-z][a-z0-9_]*)`
	columnType = `([a-z][a-z0-9_]*(?: ?<[a-z0-9_<>, ]*>)?)`
)

var (
	reCreate  = regexp.MustCompile(`(?i)^CREATE TABLE IF NOT EXISTS ` + name + ` ?\(`)
	reAdd     = regexp.MustCompile(`(?i)^ALTER TABLE ` + name + ` ADD ` + name + ` ` + columnType + `$`)
	reOptions = regexp.MustCompile(`(?i)^ALTER TABLE ` + name + ` WITH `)
	reDrop    = regexp.MustCompile(`(?i)^DROP TABLE IF EXISTS ` + name + `$`)

	errNotRepeatable = errors.New("want CREATE TABLE IF NOT EXISTS, ALTER TABLE … ADD of one column, ALTER TABLE … WITH, or DROP TABLE IF EXISTS: " +
		"what may be run again after a migrator has died")
)

func parseStatement(text string) (statement, error) {
	s := statement{text: text}
	switch {
	case reCreate.MatchString(text):
		at := reCreate.FindStringSubmatchIndex(text)
		s.verb, s.table = createTable, text[at[2]:at[3]]
		var err error
		if s.cols, err = columnsOf(text[at[1]:]); err != nil {
			return s, fmt.Errorf("table %s: %w", s.table, err)
		}
	case reAdd.MatchString(text):
		m := reAdd.FindStringSubmatch(text)
		s.verb, s.table, s.cols = addColumn, m[1], []column{{m[2], plainType(m[3])}}
	case reOptions.MatchString(text):
		s.verb, s.table = tableOptions, reOptions.FindStringSubmatch(text)[1]
	case reDrop.MatchString(text):
		s.verb, s.table = dropTable, reDrop.FindStringSubmatch(text)[1]
	default:
		return s, fmt.Errorf("%.60q: %w", text, errNotRepeatable)
	}
	return s, nil
}

// in is the statement with its table in a keyspace.
func (s statement) in(keyspace string) string {
	at := map[verb]*regexp.Regexp{createTable: reCreate, addColumn: reAdd, tableOptions: reOptions, dropTable: reDrop}[s.verb].FindStringSubmatchIndex(s.text)
	return s.text[:at[2]] + keyspace + "." + s.text[at[2]:]
}

// columnsOf reads the columns after the opening parenthesis of a CREATE TABLE.
func columnsOf(body string) ([]column, error) {
	var cols []column
	depth, from := 0, 0
	for i := range len(body) {
		switch body[i] {
		case '(', '<':
			depth++
			continue
		case '>':
			depth--
			continue
		case ')':
			if depth > 0 {
				depth--
				continue
			}
		case ',':
			if depth > 0 {
				continue
			}
		default:
			continue
		}
		c, ok, err := columnOf(strings.TrimSpace(body[from:i]))
		if err != nil {
			return nil, err
		}
		if ok {
			cols = append(cols, c)
		}
		if body[i] == ')' {
			return cols, nil
		}
		from = i + 1
	}
	return nil, errors.New("the parenthesis does not close")
}

var reColumn = regexp.MustCompile(`(?i)^` + name + ` ` + columnType + `$`)

// columnOf reads one definition; false: it is the primary key.
func columnOf(def string) (column, bool, error) {
	if strings.HasPrefix(strings.ToUpper(def), "PRIMARY KEY") {
		return column{}, false, nil
	}
	for _, suffix := range []string{" PRIMARY KEY", " STATIC"} {
		if len(def) > len(suffix) && strings.EqualFold(def[len(def)-len(suffix):], suffix) {
			def = def[:len(def)-len(suffix)]
		}
	}
	m := reColumn.FindStringSubmatch(def)
	if m == nil {
		return column{}, false, fmt.Errorf("%.60q is no column", def)
	}
	return column{m[1], plainType(m[2])}, true, nil
}

// plainType is a type as the server's own tables write it.
func plainType(t string) string {
	t = strings.ToLower(strings.ReplaceAll(t, " ", ""))
	if t == "varchar" {
		t = "text"
	}
	return strings.ReplaceAll(t, ",", ", ")
}

// split cuts a file into statements: without comments, white space outside of quotes made single.
func split(text string) ([]string, error) {
	var all []string
	var b strings.Builder
	space := false
	put := func(s string) {
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteString(s)
	}
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c := text[i]; {
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			i, space = i+end, true
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return nil, errors.New("a comment does not end")
			}
			i, space = i+end+2, true
		case c == '\'' || c == '"':
			end := strings.IndexByte(rest[1:], c) // a doubled quote is two strings side by side, which is the same here
			if end < 0 {
				return nil, errors.New("a quote does not end")
			}
			put(rest[:end+2])
			i += end + 2
		case c == ';':
			all, i, space = append(all, b.String()), i+1, false
			b.Reset()
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i, space = i+1, true
		default:
			put(string(c))
			i++
		}
	}
	if b.Len() > 0 {
		return nil, fmt.Errorf("%.60q does not end with a semicolon", b.String())
	}
	return all, nil
}
