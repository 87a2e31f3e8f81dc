// Testreport reads `go test -json` from standard input and prints what a person wants to know: one line for
// each package as go test writes it, the whole output of what failed, and at the end every test that was
// skipped, with the reason that it gave. It ends with 1 if anything failed.
//
// It is not a test runner and hides nothing: the raw stream is kept by scripts/test.sh.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
	Elapsed    float64
}

type report struct {
	out     io.Writer
	outputs map[string][]string // package + test → its lines, until it has ended
	skipped []string
	broken  []string
	passed  int
	failed  int
	bare    []string // packages without tests
}

func main() {
	r := &report{out: os.Stdout, outputs: map[string][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.end() {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line) // not ours: shown as it is
		return
	}
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "output":
		if e.Test == "" && packageLine(e.Output) {
			fmt.Fprint(r.out, e.Output)
			return
		}
		r.outputs[key] = append(r.outputs[key], e.Output)
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "build-fail":
		r.broken = append(r.broken, e.ImportPath+" does not build")
	case "pass", "fail", "skip":
		r.ended(e, key)
	}
}

// packageLine is true for the lines by which go test sums a package up.
func packageLine(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?   \t")
}

func (r *report) ended(e event, key string) {
	output := r.outputs[key]
	delete(r.outputs, key)
	if e.Test == "" {
		switch {
		case e.Action == "skip":
			r.bare = append(r.bare, e.Package)
		case e.Action == "fail":
			r.broken = append(r.broken, e.Package)
			fmt.Fprint(r.out, strings.Join(output, ""))
		}
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		fmt.Fprintf(r.out, "--- in %s\n%s", e.Package, strings.Join(output, ""))
		r.broken = append(r.broken, e.Package+" "+e.Test)
	case "skip":
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(output)))
	}
}

// reason is what a skipped test said, without go test's own lines.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "it gave no reason"
	}
	return strings.Join(said, " ")
}

func (r *report) end() bool {
	// What has output and never ended was cut off: a crash, a timeout, a build that broke.
	for key, output := range r.outputs {
		pkg, test, _ := strings.Cut(key, "\x00")
		if test == "" || len(output) == 0 {
			continue
		}
		fmt.Fprintf(r.out, "--- cut off: %s %s\n%s", pkg, test, strings.Join(output, ""))
		r.broken = append(r.broken, pkg+" "+test+" was cut off")
	}
	if len(r.bare) > 0 {
		fmt.Fprintf(r.out, "packages without tests: %d\n", len(r.bare))
	}
	fmt.Fprintf(r.out, "skipped: %d\n", len(r.skipped))
	for _, s := range r.skipped {
		fmt.Fprintln(r.out, "  SKIP", s)
	}
	fmt.Fprintf(r.out, "tests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skipped))
	for _, b := range r.broken {
		fmt.Fprintln(r.out, "  FAIL", b)
	}
	if len(r.broken) > 0 || r.failed > 0 {
		fmt.Fprintln(r.out, "FAIL")
		return false
	}
	if r.passed == 0 {
		fmt.Fprintln(r.out, "FAIL: no test ran")
		return false
	}
	fmt.Fprintln(r.out, "ok")
	return true
}
