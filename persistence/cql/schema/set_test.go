package schema

import (
	"strings"
	"testing"
	"testing/fstest"
)

// folder is a set of migrations from texts: the first is number 1, and so on.
func folder(t testing.TB, files map[string]string) Set {
	t.Helper()
	set, err := Read(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func mapFS(files map[string]string) fstest.MapFS {
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

const oneTable = `CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);`

func TestEmbedded(t *testing.T) {
	set, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, tab := range set.tables() {
		names[tab.name] = true
		if len(tab.cols) == 0 {
			t.Errorf("table %s has no columns", tab.name)
		}
	}
	for _, want := range []string{"journal", "series", "subject_key"} {
		if !names[want] {
			t.Errorf("the migrations leave %v, without %s", names, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a gap":                       {map[string]string{"0001_a.cql": oneTable, "0003_b.cql": oneTable}, "there is no 0002"},
		"a number twice":              {map[string]string{"0001_a.cql": oneTable, "0001_b.cql": oneTable}, "there is no 0002, or one twice"},
		"no number":                   {map[string]string{"first.cql": oneTable}, "must be like 0001_name.cql"},
		"nothing":                     {map[string]string{"0001_a.cql": "-- only a comment\n"}, "no statement"},
		"no semicolon":                {map[string]string{"0001_a.cql": "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY)"}, "does not end with a semicolon"},
		"made only once":              {map[string]string{"0001_a.cql": "CREATE TABLE a (id int PRIMARY KEY);"}, "may be run again"},
		"rows":                        {map[string]string{"0001_a.cql": oneTable + "INSERT INTO a (id) VALUES (1);"}, "may be run again"},
		"two columns at once":         {map[string]string{"0001_a.cql": oneTable + "ALTER TABLE a ADD b int, c int;"}, "may be run again"},
		"a type that changes":         {map[string]string{"0001_a.cql": oneTable + "ALTER TABLE a ALTER id TYPE text;"}, "may be run again"},
		"another keyspace":            {map[string]string{"0001_a.cql": "CREATE TABLE IF NOT EXISTS k.a (id int PRIMARY KEY);"}, "may be run again"},
		"dropped under older readers": {map[string]string{"0001_a.cql": oneTable, "0002_b.cql": "-- min-reader: 1\nDROP TABLE IF EXISTS a;"}, "no older binary works with it"},
		"a reader that is newer":      {map[string]string{"0001_a.cql": "-- min-reader: 2\n" + oneTable}, "want 1 to 1"},
		"a comment without end":       {map[string]string{"0001_a.cql": oneTable + "/* "}, "does not end"},
		"a quote without end":         {map[string]string{"0001_a.cql": "ALTER TABLE a WITH comment = 'x;"}, "does not end"},
		"no parenthesis":              {map[string]string{"0001_a.cql": "CREATE TABLE IF NOT EXISTS a (id int;"}, "does not close"},
	} {
		if _, err := Read(mapFS(tc.files)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", name, err, tc.want)
		}
	}
}

func TestTables(t *testing.T) {
	set := folder(t, map[string]string{
		"0001_a.cql": `-- the first; with a semicolon
			create table if not exists first (
				part blob, // the key
				at   timestamp,
				tags map<text, frozen<list<int>>>, /* ; */
				head varchar STATIC,
				PRIMARY KEY ((part), at)
			) WITH CLUSTERING ORDER BY (at DESC) AND comment = 'it''s; -- all';
			CREATE TABLE IF NOT EXISTS second (id text PRIMARY KEY);`,
		"0002_b.cql": `-- min-reader: 1
			ALTER TABLE second ADD seen bigint;
			ALTER TABLE first WITH gc_grace_seconds = 10;`,
		"0003_c.cql": `DROP TABLE IF EXISTS first; CREATE TABLE IF NOT EXISTS third (id uuid PRIMARY KEY);`,
	})
	text := func(tables []table) string {
		var b strings.Builder
		for _, tab := range tables {
			b.WriteString(tab.name + "(")
			for _, c := range tab.cols {
				b.WriteString(c.name + " " + c.cqlType + ";")
			}
			b.WriteString(") ")
		}
		return strings.TrimSpace(b.String())
	}
	if got, want := text(set[:2].tables()), "first(part blob;at timestamp;tags map<text, frozen<list<int>>>;head text;) second(id text;seen bigint;)"; got != want {
		t.Errorf("after two: %s, want %s", got, want)
	}
	if got, want := text(set.tables()), "second(id text;seen bigint;) third(id uuid;)"; got != want {
		t.Errorf("after three: %s, want %s", got, want)
	}
	if got, want := set[0].statements[0].in("k"), "create table if not exists k.first ( part blob,"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "'it''s; -- all'") {
		t.Errorf("in a keyspace: %s, want %s …", got, want)
	}
	if set[0].MinReader != 1 || set[1].MinReader != 1 || set[2].MinReader != 3 {
		t.Errorf("min readers %d %d %d, want 1 1 3", set[0].MinReader, set[1].MinReader, set[2].MinReader)
	}
}

// TestDigest: what a server is told counts, comments and white space do not.
func TestDigest(t *testing.T) {
	of := func(text string) string { return folder(t, map[string]string{"0001_a.cql": text})[0].Digest }
	base := of(oneTable)
	if of("-- why\n"+strings.ReplaceAll(oneTable, " ", "\n\t ")) != base {
		t.Error("a comment or white space changes the digest")
	}
	if of(strings.Replace(oneTable, "int", "bigint", 1)) == base {
		t.Error("another type does not change the digest")
	}
	set := folder(t, map[string]string{"0001_a.cql": oneTable, "0002_b.cql": oneTable})
	with := folder(t, map[string]string{"0001_a.cql": oneTable, "0002_b.cql": "-- min-reader: 1\n" + oneTable})
	if set[1].Digest == with[1].Digest {
		t.Error("another min-reader does not change the digest")
	}
}

func TestParseReplication(t *testing.T) {
	for text, want := range map[string]string{
		"3":              "{'class': 'NetworkTopologyStrategy', 'near': 3}",
		"east:3, west:2": "{'class': 'NetworkTopologyStrategy', 'east': 3, 'west': 2}",
		"":               "", "0": "", "x": "", "-1": "", "10": "", "3,3": "", "east:3,2": "", ":3": "", "east:": "", "east:3,east:3": "", "e'a:3": "",
	} {
		r, err := ParseReplication(text)
		if got := ""; err == nil {
			if got = r.cql("near"); got != want {
				t.Errorf("%q: %s, want %q", text, got, want)
			}
		} else if want != "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestGoodKeyspace(t *testing.T) {
	for name, want := range map[string]bool{"paceline": true, "p_1": true, "": false, "Paceline": false, "1p": false, "a-b": false, "a;b": false,
		"system": false, "system_auth": false, strings.Repeat("a", 49): false, strings.Repeat("a", 48): true} {
		if GoodKeyspace(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
