package rest

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"paceline/domain/fault"
)

var rewrite = flag.Bool("rewrite", false, "write the table of codes in docs/management.md anew")

// reaches are the packages whose faults can be a request's answer: what the API asks, and what that rests on.
var reaches = []string{
	"actors/competition", "actors/competition/competitioncodec", "actors/device", "actors/device/devicecodec", "actors/leaderboard",
	"actors/machine", "actors/training/trainingcodec", "actors/user", "actors/user/usercodec", "cluster/call", "cmd/node",
	"domain/course", "domain/geo", "domain/id", "gateway/auth", "gateway/lookup", "gateway/rest", "gateway/wire",
	"persistence", "persistence/view", "pipeline/bundle", "pipeline/project",
}

// elsewhere are their codes that the API cannot answer with, and why.
var elsewhere = map[string]string{
	"auth.key_file":                   "at the start of the program",
	"bundle.malformed":                "paceline verify",
	"bundle.format":                   "paceline verify",
	"bundle.altered":                  "paceline verify",
	"clock.implausible":               "streams are opened over the live protocol",
	"competition.old_binding":         "answers a training's report",
	"competition.rules_version":       "paceline verify",
	"course.degrees":                  "files of tracks are read by clients",
	"device.recording_stale":          "answers a training's recording",
	"device.not_yours":                "streams are opened over the live protocol",
	"device.too_many_streams":         "streams are opened over the live protocol",
	"node.cut_off":                    "/readyz says it as text",
	"node.starting":                   "/readyz says it as text",
	"reaction.enough":                 "reactions come over the live protocol",
	"reaction.entry":                  "reactions come over the live protocol",
	"reaction.too_many":               "reactions come over the live protocol",
	"reaction.unknown":                "reactions come over the live protocol",
	"reaction.yourself":               "reactions come over the live protocol",
	"store.slow":                      "/readyz says it as text",
	"persistence.append_invalid":      "the carrier makes no such append",
	"persistence.recording_invalid":   "recordings are written by no request",
	"persistence.recording_too_large": "recordings are written by no request",
}

// prefixes of codes that belong to the live protocol alone.
var live = []string{"stream.", "topic.", "wire."}

// unknownCommand is the one code of gateway/wire that the API uses.
const unknownCommand = "wire.unknown_message"

// TestEveryCodeIsInTheDocument: docs/management.md has a row for every code that the code base can answer a request of the
// management API with, and no other.
func TestEveryCodeIsInTheDocument(t *testing.T) {
	root := filepath.Join("..", "..")
	all := map[string]*fault.Fault{}
	for _, folder := range reaches {
		for _, f := range faultsIn(t, filepath.Join(root, folder)) {
			// Of two with one code the one that asks to try again is what a client must know.
			if have := all[f.Code]; have == nil || f.Retry && !have.Retry || folder == "gateway/rest" {
				all[f.Code] = f
			}
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d codes were found", len(all))
	}
	for code := range elsewhere {
		if all[code] == nil {
			t.Errorf("there is no code %s any more: it needs no reason", code)
		}
		delete(all, code)
	}
	for code := range all {
		for _, p := range live {
			if strings.HasPrefix(code, p) && code != unknownCommand {
				delete(all, code)
			}
		}
	}
	rows := map[string]string{}
	var table strings.Builder
	for _, code := range slices.Sorted(maps.Keys(all)) {
		f := all[code]
		retry := ""
		if f.Retry {
			retry = "yes"
		}
		rows[code] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", code, codes[f.Kind], retry, f.Message)
		table.WriteString(rows[code])
	}
	file := filepath.Join(root, "docs", "management.md")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| code | status | retry | what it says |\n|---|---|---|---|\n"
	before, after, ok := strings.Cut(string(b), head)
	if !ok {
		t.Fatalf("%s has no table of codes", file)
	}
	written, rest, _ := strings.Cut(after, "\n\n")
	written += "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(before+head+table.String()+"\n"+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, row := range rows {
		if !strings.Contains(written, row) {
			t.Errorf("%s: want the row %s", file, row)
		}
		written = strings.Replace(written, row, "", 1)
	}
	if written = strings.TrimSpace(written); written != "" {
		t.Errorf("%s: nobody answers with\n%s", file, written)
	}
}

// faultsIn are the faults that the package's files declare.
func faultsIn(t *testing.T, folder string) []*fault.Fault {
	t.Helper()
	var all []*fault.Fault
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if f := faultOf(n); f != nil && f.Code != "" {
				all = append(all, f)
			}
			return true
		})
	}
	return all
}

var kinds = map[string]fault.Kind{
	"Internal": fault.Internal, "Invalid": fault.Invalid, "Denied": fault.Denied, "NotFound": fault.NotFound, "Conflict": fault.Conflict,
	"Exhausted": fault.Exhausted, "Unavailable": fault.Unavailable, "Unauthentic": fault.Unauthentic,
}

// faultOf reads fault.New(…), fault.Later(…), fault.NotYet(…) and fault.Fault{…}.
func faultOf(n ast.Node) *fault.Fault {
	switch n := n.(type) {
	case *ast.CallExpr:
		switch name := ofFault(n.Fun); {
		case name == "New" && len(n.Args) == 3:
			return &fault.Fault{Kind: kinds[ofFault(n.Args[0])], Code: text(n.Args[1]), Message: text(n.Args[2])}
		case name == "Later" && len(n.Args) == 2:
			return fault.Later(text(n.Args[0]), text(n.Args[1]))
		case name == "NotYet" && len(n.Args) == 2:
			return fault.NotYet(text(n.Args[0]), text(n.Args[1]))
		}
	case *ast.CompositeLit:
		if ofFault(n.Type) != "Fault" {
			return nil
		}
		f := &fault.Fault{}
		for _, e := range n.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch key, _ := kv.Key.(*ast.Ident); key.Name {
			case "Kind":
				f.Kind = kinds[ofFault(kv.Value)]
			case "Code":
				f.Code = text(kv.Value)
			case "Message":
				f.Message = text(kv.Value)
			case "Retry":
				v, ok := kv.Value.(*ast.Ident)
				f.Retry = ok && v.Name == "true"
			}
		}
		return f
	}
	return nil
}

// ofFault is X of fault.X.
func ofFault(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if p, ok := s.X.(*ast.Ident); ok && p.Name == "fault" {
			return s.Sel.Name
		}
	}
	return ""
}

func text(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		s, _ := strconv.Unquote(l.Value)
		return s
	}
	return ""
}
