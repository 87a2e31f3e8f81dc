package trial

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"paceline/internal/testkit"
	"paceline/simulations/swarm"
)

const (
	fieldLooks, fieldEvery = 12, 10 * time.Second
	// fieldLead is for everybody to enter and to join, which takes some ten conditional writes each.
	fieldLead = 30 * time.Second
	// fieldFrameMs is how often a device sends: five samples at a time.
	fieldFrameMs = 5000
)

// BenchmarkField is P9's half for three nodes: one race over three nodes on a store, all on this machine, with 1,000
// viewers, of whom ten see all and the others the first ten; each device sends a frame of five samples every 5 s. It tells the samples that are due and not acknowledged, in
// each third of two minutes, and each process's share of a core. It fails if anything is lost or wrong, or if what is not
// acknowledged grows by more than two frames a device.
func BenchmarkField(b *testing.B) {
	for _, athletes := range []int{1000, 2000, 3000} {
		b.Run(strconv.Itoa(athletes), func(b *testing.B) { field(b, athletes) })
	}
}

func field(b *testing.B, athletes int) {
	f := costFleet(b, 3)
	node, err := swarm.Connect(b.Context(), f.nodes[0].URL(), f.Token, urls(f.nodes[1:])...)
	if err != nil {
		b.Fatal(err)
	}
	lead := fieldLead + time.Duration(athletes)*30*time.Millisecond
	s := swarm.DefaultScenario()
	s.Name, s.Devices, s.Viewers, s.Seconds, s.PerRace, s.EveryMs, s.Whole = "field", athletes, 1000, int(fieldLooks*fieldEvery/time.Second)+20, athletes, fieldFrameMs, 10
	s.LeadMs, s.RampMs = int(lead/time.Millisecond), int(lead/time.Millisecond)*2/3
	var waits [3]float64
	s.Under = func(ctx context.Context, r swarm.Running) error {
		if !passes(ctx, r.Node.Until(r.Gun.Add(settled))) {
			return nil // the race has failed
		}
		processes := f.processes()
		spent := map[string]time.Duration{}
		for name, pid := range processes {
			spent[name] = spentBy(b, pid)
		}
		asked, began := testkit.Spent(), time.Now()
		for look := range fieldLooks {
			if !passes(ctx, time.Until(began.Add(fieldEvery*time.Duration(look+1)))) {
				return nil
			}
			waits[look*3/fieldLooks] += waiting(r) / (fieldLooks / 3)
		}
		passed := time.Since(began)
		for name, pid := range processes {
			b.Logf("%-10s %.2f of a core", name, (spentBy(b, pid)-spent[name]).Seconds()/passed.Seconds())
		}
		b.Logf("%-10s %.2f of a core", "clients", (testkit.Spent()-asked).Seconds()/passed.Seconds())
		return nil
	}
	progress := &lines{log: b.Logf}
	report, err := swarm.Run(b.Context(), node, s, progress)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range report.Checks {
		if !c.OK {
			b.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	b.Logf("%d athletes: %.1f, %.1f, %.1f samples of a device are due and not acknowledged, in each third; acknowledged after %+v, age of a board %+v",
		athletes, waits[0], waits[1], waits[2], report.Ack, report.Board)
	if waits[2] > waits[0]+2*fieldFrameMs/1000 {
		b.Errorf("what is not acknowledged grows: %.1f, %.1f, %.1f samples a device", waits[0], waits[1], waits[2])
	}
	b.ReportMetric(waits[0], "samples-waiting-first")
	b.ReportMetric(waits[2], "samples-waiting-last")
	b.ReportMetric(report.Ack.P99, "ack-p99-ms")
	b.ReportMetric(float64(athletes), "athletes")
}

// passes is pass, unless ctx ends before.
func passes(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.NewTimer(d).C:
		return true
	}
}

// waiting is how many samples of a device are due and not acknowledged, at the mean of those that have a network.
func waiting(r swarm.Running) float64 {
	now, n, all := r.Node.Now(), 0, 0
	for _, d := range r.Devices {
		if d.NoNetwork() {
			continue
		}
		due := 0
		for due < d.Samples.Len() && d.Samples.AtMs[due] <= now {
			due++
		}
		n++
		all += due - min(due, int(d.Acked()))
	}
	return float64(all) / float64(max(n, 1))
}

// processes are the nodes and the store's servers on this machine, by name.
func (f *Fleet) processes() map[string]int {
	all := map[string]int{}
	for _, p := range f.nodes {
		all[p.name] = p.cmd.Process.Pid
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		words, err := os.ReadFile(l)
		if pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(l))); err == nil && bytes.Contains(words, []byte("CassandraDaemon")) && bytes.Contains(words, []byte("java")) {
			all[fmt.Sprint("store ", len(all)-len(f.nodes)+1)] = pid
		}
	}
	return all
}

// lines are told one by one.
type lines struct {
	log  func(string, ...any)
	rest []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.log("%s", line)
		l.rest = rest
	}
}
