// Benchreport reads the output of `go test -bench`, several rounds of it one after the other, and prints each of our
// figures beside the bare baseline of the same rounds, their ratio, and the bar that docs/performance.md names.
//
// It judges nothing: a benchmark fails only on truth, never on time. A ratio is the median over the rounds, each
// round's figure divided by its own baseline; the range beside it says how far the rounds lie apart. A pair that
// was not measured is named as such.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// figures are one benchmark's values by unit, one for each round.
type figures map[string][]float64

func main() {
	found, err := read(os.Stdin)
	if err == nil {
		err = print(os.Stdout, found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

// read collects all benchmarks by "package name".
func read(r io.Reader) (map[string]figures, error) {
	found := map[string]figures{}
	pkg := ""
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		word := strings.Fields(lines.Text())
		switch {
		case len(word) == 2 && word[0] == "pkg:":
			pkg = strings.TrimPrefix(word[1], "paceline/")
		case len(word) >= 4 && strings.HasPrefix(word[0], "Benchmark"):
			name := pkg + " " + withoutProcs(strings.TrimPrefix(word[0], "Benchmark"))
			if found[name] == nil {
				found[name] = figures{}
			}
			for i := 2; i+1 < len(word); i += 2 {
				v, err := strconv.ParseFloat(word[i], 64)
				if err != nil {
					return nil, fmt.Errorf("%q: %w", lines.Text(), err)
				}
				found[name][word[i+1]] = append(found[name][word[i+1]], v)
			}
		}
	}
	return found, lines.Err()
}

// withoutProcs takes off the "-2" that says how many processors there were.
func withoutProcs(name string) string {
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			return name[:i]
		}
	}
	return name
}

func print(w io.Writer, found map[string]figures) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tunit\tours\tbare\tratio\t(range)\tbar\t")
	for _, p := range pairs {
		ours := found[p.ours][p.unit]
		if len(ours) == 0 {
			fmt.Fprintf(t, "%s\t%s\tnot measured\t\t\t\t%s\t\n", p.what, p.unit, p.bar)
			continue
		}
		bare := found[p.bare][cmp.Or(p.bareUnit, p.unit)]
		r := ratios(ours, bare, p.faster)
		if p.bare == "" || len(r) == 0 {
			why := ""
			if p.bare != "" {
				why = "not measured"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\t\t%s\t\n", p.what, p.unit, number(median(ours)), why, p.bar)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f×\t(%.2f–%.2f)\t%s\t\n", p.what, p.unit, number(median(ours)), number(median(bare)),
			median(r), slices.Min(r), slices.Max(r), p.bar)
	}
	return t.Flush()
}

// ratios divides round by round. faster: how many times as fast ours is, instead of how many times as dear.
func ratios(ours, bare []float64, faster bool) []float64 {
	var r []float64
	for i := range min(len(ours), len(bare)) {
		switch {
		case bare[i] == 0 || ours[i] == 0:
		case faster:
			r = append(r, bare[i]/ours[i])
		default:
			r = append(r, ours[i]/bare[i])
		}
	}
	return r
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

func number(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
