package replica

import (
	"fmt"
	"strings"
)

// line is one row of the crash matrix.
type line struct {
	kill    string
	rounds  int
	acked   count
	found   count
	lost    int
	twice   int
	wrong   int
	reading bool // of everything, not of what was new
}

// Report is the crash matrix.
type Report struct {
	replicas int
	lines    []*line
	outcomes map[string]int
	wrong    []string
	seen     line // of the reading, up to the last round
	newest   *line
}

func newReport(replicas int) *Report { return &Report{replicas: replicas} }

func (r *Report) of(kill string) *line {
	for _, l := range r.lines {
		if l.kill == kill {
			return l
		}
	}
	l := &line{kill: kill}
	r.lines = append(r.lines, l)
	return l
}

// add notes a round: what was acknowledged since the reading before, and how much of it this one found.
func (r *Report) add(kill string, acked count, read *reading) {
	l := r.of(kill)
	l.rounds++
	l.acked.commands += acked.commands - r.seen.acked.commands
	l.acked.samples += acked.samples - r.seen.acked.samples
	l.found.commands += read.found.commands - r.seen.found.commands
	l.found.samples += read.found.samples - r.seen.found.samples
	l.lost += read.lost - r.seen.lost
	l.twice += read.twice - r.seen.twice
	l.wrong += len(read.wrong) - r.seen.wrong
	r.wrong = append(r.wrong, read.wrong[r.seen.wrong:]...)
	r.seen = line{acked: acked, found: read.found, lost: read.lost, twice: read.twice, wrong: len(read.wrong)}
	r.newest = l
}

func (r *Report) lastLine() string {
	l := r.newest
	return fmt.Sprintf("so far %d commands acknowledged, %d found; %d samples, %d found; %d lost, %d twice", l.acked.commands, l.found.commands, l.acked.samples, l.found.samples, l.lost, l.twice)
}

func (r *Report) addReading(name string, acked count, read *reading) {
	l := r.of(name)
	l.reading = true
	l.rounds++
	l.acked, l.found = acked, read.found
	l.lost += read.lost
	l.twice += read.twice
	l.wrong += len(read.wrong)
	r.wrong = append(r.wrong, read.wrong...)
}

// Wrong is what must not be; empty: everything held.
func (r *Report) Wrong() []string { return r.wrong }

// Lost and Twice are how many were.
func (r *Report) Lost() (n int) {
	for _, l := range r.lines {
		n += l.lost
	}
	return n
}

// Twice is how many commands are in a journal more than once.
func (r *Report) Twice() (n int) {
	for _, l := range r.lines {
		n += l.twice
	}
	return n
}

// Unknown is how many appends came back without an outcome.
func (r *Report) Unknown() int { return r.outcomes["unknown"] }

// String is the matrix.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d replicas\n", r.replicas)
	fmt.Fprintf(&b, "| %-42s | rounds | commands acknowledged | found | samples acknowledged | found | lost | twice |\n", "killed")
	fmt.Fprintf(&b, "|%s|---|---|---|---|---|---|---|\n", strings.Repeat("-", 44))
	for _, l := range r.lines {
		fmt.Fprintf(&b, "| %-42s | %6d | %21d | %5d | %20d | %5d | %4d | %5d |\n", l.kill, l.rounds, l.acked.commands, l.found.commands, l.acked.samples, l.found.samples, l.lost, l.twice)
	}
	o := r.outcomes
	fmt.Fprintf(&b, "Appends without an outcome: %d; a look at the head found %d applied; of those sent again %d had not been there, %d had arrived in between, %d met another's. Blocks without an outcome, sent again: %d. Activations that ended: %d.\n",
		o["unknown"], o["there"], o["absent"], o["late"], o["overtaken"], o["again"], o["moved"])
	for _, w := range r.wrong {
		fmt.Fprintln(&b, "WRONG:", w)
	}
	return b.String()
}
