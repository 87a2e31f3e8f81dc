package main

import (
	"fmt"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBoundsAreWhatTheyAreSaidToBe: docs/bounds.md names every queue with the number in the code and the test that holds it
// there. A number that has changed and a test that is gone are found here.
func TestBoundsAreWhatTheyAreSaidToBe(t *testing.T) {
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, "docs", "bounds.md"))
	if err != nil {
		t.Fatal(err)
	}
	stated := regexp.MustCompile("`(\\w+)(?:: | = )(\\d+)`")
	tests := regexp.MustCompile("`(Test\\w+)`")
	rows := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		rows++
		file := strings.Trim(cells[1], " `")
		code, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Error(err)
			continue
		}
		found := stated.FindAllStringSubmatch(cells[3], -1)
		if len(found) == 0 {
			t.Errorf("%s: no number in %q", file, cells[3])
		}
		for _, f := range found {
			if got := constantIn(string(code), f[1]); got != f[2] {
				t.Errorf("%s: %s is %q, the document says %s", file, f[1], got, f[2])
			}
		}
		named := tests.FindAllStringSubmatch(cells[5], -1)
		if len(named) == 0 {
			t.Errorf("%s: %q names no test", file, cells[5])
		}
		folder := strings.Trim(strings.Fields(cells[5])[0], "`")
		for _, n := range named {
			if !hasTest(t, filepath.Join(root, folder), n[1]) {
				t.Errorf("%s: there is no %s in %s", file, n[1], folder)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows: the table was not found", rows)
	}
}

// constantIn is the value of the first assignment to a name that is a constant expression, durations in milliseconds.
func constantIn(code, name string) string {
	for _, m := range regexp.MustCompile(`\b`+name+`\b\s*[:=]\s*([^,\n}/]+)`).FindAllStringSubmatch(code, -1) {
		expr := strings.NewReplacer("unit.Second", "1000", "unit.Minute", "60000").Replace(strings.TrimSpace(m[1]))
		if v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr); err == nil && v.Value != nil {
			return v.Value.ExactString()
		}
	}
	return ""
}

func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), fmt.Sprintf("func %s(", name)) {
			return true
		}
	}
	return false
}
