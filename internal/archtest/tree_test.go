package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// listed is what `go list` says about one package of the module.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// root is the module's folder: tests run in their package's folder.
func root(t testing.TB) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(abs, "go.mod")); err != nil {
		t.Fatalf("the module's root is not %s: %v", abs, err)
	}
	return abs
}

func packages(t testing.TB) []listed {
	t.Helper()
	// -e: a package that does not compile yet is still judged by its imports.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// sourceFiles are the hand-written Go files of the module, by path below its root, with forward slashes.
func sourceFiles(t testing.TB) []string {
	t.Helper()
	base := root(t)
	var files []string
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, base+string(filepath.Separator)))
		if d.IsDir() {
			switch name := d.Name(); {
			case path == base:
				return nil
			case name == "testdata", name == "node_modules", strings.HasPrefix(name, "."):
				return fs.SkipDir
			case rel == "api/gen", rel == "tools", rel == "bin":
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, ".go") {
			files = append(files, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found: the test looks at nothing")
	}
	return files
}

func TestArrows(t *testing.T) {
	all := packages(t)
	if len(all) < 3 {
		t.Fatalf("go list found %d packages: the test looks at nothing", len(all))
	}
	for _, p := range all {
		from, kind := origin(p.ImportPath)
		if kind != ours {
			t.Errorf("go list names %s, which is not in module %s", p.ImportPath, module)
			continue
		}
		for _, imported := range p.Imports {
			if err := checkArrow(from, imported, false); err != nil {
				t.Error(err)
			}
		}
		for _, imported := range append(p.TestImports, p.XTestImports...) {
			if err := checkArrow(from, imported, true); err != nil {
				t.Error(fmt.Errorf("in a test: %w", err))
			}
		}
		if _, err := roomOf(from); err != nil {
			t.Error(err)
		}
	}
}

// TestFolderNames keeps out the names under which everything without a home would gather.
func TestFolderNames(t *testing.T) {
	bad := map[string]bool{}
	for _, name := range strings.Fields("util utils common helper helpers manager service services base types models impl misc shared lib pkg") {
		bad[name] = true
	}
	for _, p := range packages(t) {
		path, _ := origin(p.ImportPath)
		for _, part := range strings.Split(path, "/") {
			if bad[part] {
				t.Errorf("%s: %q names no domain word", path, part)
			}
		}
	}
}
