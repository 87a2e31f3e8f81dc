package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	maxFileLines = 600
	maxFuncLines = 120
)

// carriers are the only files of a step package that may know the runtime: they carry messages and I/O, and
// the protocol is in the files beside them.
var carriers = map[string]bool{"grain.go": true, "carry.go": true, "carrier.go": true, "lanes.go": true}

// socketImports are what a protocol file may not know, beside the runtime: it says what is to be done
// (step.Out) and is told what became of it.
var socketImports = []string{
	protoActor, "net", "os", "context", "sync", "github.com/coder/websocket", "github.com/hashicorp/memberlist",
	"google.golang.org/grpc", "connectrpc.com/connect", module + "/cluster", module + "/gateway/ws",
}

// clockCalls read or wait for a clock. Durations and instants as values are fine.
var clockCalls = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "Tick": true,
	"NewTimer": true, "NewTicker": true,
}

// finding is one broken rule of one file.
type finding struct {
	line int
	what string
}

// checkFile judges one parsed file by everything that the import graph does not show.
func checkFile(rel string, src []byte) ([]finding, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, rel, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	c := &fileCheck{rel: rel, fset: fset, names: importNames(file)}
	c.test = strings.HasSuffix(rel, "_test.go")
	r, err := roomOf(path.Dir(rel))
	if err != nil {
		return nil, err
	}
	c.lengths(file)
	if isStepFile(r, rel) {
		c.stepImports(file)
	}
	c.calls(file, r)
	return c.found, nil
}

type fileCheck struct {
	rel   string
	test  bool
	fset  *token.FileSet
	names map[string]string // the name in this file → import path
	found []finding
}

func (c *fileCheck) say(pos token.Pos, format string, args ...any) {
	c.found = append(c.found, finding{c.fset.Position(pos).Line, fmt.Sprintf(format, args...)})
}

func (c *fileCheck) lengths(file *ast.File) {
	if lines := c.fset.File(file.FileStart).LineCount(); lines > maxFileLines {
		c.say(file.Package, "%d lines, the limit is %d: split it by verb", lines, maxFileLines)
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		lines := c.span(fn)
		if c.test {
			lines -= c.tableLines(fn)
		}
		if lines > maxFuncLines {
			c.say(fn.Pos(), "func %s has %d lines, the limit is %d", fn.Name.Name, lines, maxFuncLines)
		}
	}
}

func (c *fileCheck) span(n ast.Node) int {
	return c.fset.Position(n.End()).Line - c.fset.Position(n.Pos()).Line + 1
}

// tableLines counts the lines of a test's tables: rows are data, a long table is no long thought.
func (c *fileCheck) tableLines(fn *ast.FuncDecl) int {
	lines := 0
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		switch lit.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			lines += c.span(lit) - 1
			return false
		}
		return true
	})
	return lines
}

// isStepFile says whether a file is protocol without a runtime.
func isStepFile(r room, rel string) bool {
	name := path.Base(rel)
	if strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch {
	case r == shell, r == machine:
		return !carriers[name]
	case path.Dir(rel) == "gateway/session", path.Dir(rel) == "gateway/hub":
		return !carriers[name]
	}
	return false
}

func (c *fileCheck) stepImports(file *ast.File) {
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		for _, ban := range socketImports {
			if under(imported, ban) {
				c.say(spec.Pos(), "imports %s: a step file is the protocol without a runtime (grain.go, carry.go, carrier.go and lanes.go carry)", imported)
			}
		}
	}
}

func (c *fileCheck) calls(file *ast.File, r room) {
	pure := r == rules || r == domain || r == oracle
	timeless := !c.test && (pure || isStepFile(r, c.rel))
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if timeless {
				c.say(n.Pos(), "starts a goroutine")
			}
		case *ast.SelectorExpr:
			c.selector(n, r, pure, timeless)
		}
		return true
	})
}

func (c *fileCheck) selector(n *ast.SelectorExpr, r room, pure, timeless bool) {
	if n.Sel.Name == "SetReceiveTimeout" {
		c.say(n.Pos(), "SetReceiveTimeout races inside the library: idle grains are swept (ADR 0005)")
	}
	pkg, ok := n.X.(*ast.Ident)
	if !ok || pkg.Obj != nil { // a local name hides the import
		return
	}
	name := n.Sel.Name
	switch c.names[pkg.Name] {
	case module + "/domain/step":
		// A rule of the protocol that a program could switch off would be no rule.
		if name == "SwitchOff" && !c.test && r != world && r != testkit {
			c.say(n.Pos(), "step.SwitchOff: only tests switch a rule off")
		}
	case "time":
		if c.test && name == "Sleep" {
			c.say(n.Pos(), "time.Sleep in a test: wait for the condition, with a deadline")
		}
		if timeless && clockCalls[name] {
			c.say(n.Pos(), "time.%s: time comes in with the message", name)
		}
	case "fmt":
		if pure && !c.test && strings.HasPrefix(name, "Print") {
			c.say(n.Pos(), "fmt.%s: %s have no output", name, r)
		}
	case "os":
		envFree := r == program || r == simulated || r == world || r == testkit || c.test
		if !envFree && (name == "Getenv" || name == "LookupEnv" || name == "Environ") {
			c.say(n.Pos(), "os.%s: only cmd reads the environment, the rest is given a Config", name)
		}
	}
}

// importNames maps the names by which a file calls its imports.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}

func TestFiles(t *testing.T) {
	base := root(t)
	for _, rel := range sourceFiles(t) {
		src, err := os.ReadFile(filepath.Join(base, filepath.FromSlash(rel)))
		if err != nil {
			t.Fatal(err)
		}
		found, err := checkFile(rel, src)
		if err != nil {
			t.Errorf("%s: %v", rel, err)
		}
		for _, f := range found {
			t.Errorf("%s:%d: %s", rel, f.line, f.what)
		}
	}
}

// TestShellsHaveStep: the protocol of a shell is one method that the world can call.
func TestShellsHaveStep(t *testing.T) {
	hasStep := map[string]bool{}
	for _, rel := range sourceFiles(t) {
		dir := path.Dir(rel)
		r, err := roomOf(dir)
		if err != nil || r == machine || !isStepFile(r, rel) { // machine's Step is its users'
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), filepath.FromSlash(rel)), nil, 0)
		if err != nil {
			t.Errorf("%s: %v", rel, err)
			continue
		}
		hasStep[dir] = hasStep[dir] || false
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == "Step" {
				hasStep[dir] = true
			}
		}
	}
	for dir, has := range hasStep {
		if !has {
			t.Errorf("%s has no method Step outside its carrier: its protocol cannot be simulated", dir)
		}
	}
}

// TestPackageComments: a package says what it is, beside its code.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, rel := range sourceFiles(t) {
		if strings.HasSuffix(rel, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), filepath.FromSlash(rel)), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", rel, err)
			continue
		}
		documented[path.Dir(rel)] = documented[path.Dir(rel)] || file.Doc != nil
	}
	for dir, has := range documented {
		if !has {
			t.Errorf("%s has no package comment", dir)
		}
	}
}
