package swarm

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a load has shown. Times are wall clock.
type Report struct {
	Scenario   Scenario `json:"scenario"`
	URL        string   `json:"url"`
	Races      int      `json:"races"`
	Began      string   `json:"began"`
	RaceS      float64  `json:"race_seconds"` // from the gun to the last acknowledgement
	Samples    uint64   `json:"samples"`      // acknowledged
	SamplesPS  float64  `json:"samples_per_s"`
	Frames     int      `json:"board_frames"`
	FramesPS   float64  `json:"board_frames_per_s"`
	Reconnects int      `json:"reconnects"`
	// What nodes have refused clients, by code: tried again by the client itself, and what it cannot.
	Later map[string]int `json:"refused_for_now,omitempty"`
	Never map[string]int `json:"refused,omitempty"`

	Ack        Spread  `json:"ack"`
	Board      Spread  `json:"board_age"`
	OfficialS  float64 `json:"official_after_seconds"` // from the last acknowledgement to the official result
	Checks     []Check `json:"checks"`
	Objectives []Check `json:"objectives"`
}

// Spread is percentiles in milliseconds.
type Spread struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// OK reports whether everything holds.
func (r *Report) OK() bool {
	for _, cs := range [][]Check{r.Checks, r.Objectives} {
		for _, c := range cs {
			if !c.OK {
				return false
			}
		}
	}
	return true
}

// add takes the report of one of several races that ran at once.
func (r *Report) add(o *Report) {
	r.RaceS, r.OfficialS = max(r.RaceS, o.RaceS), max(r.OfficialS, o.OfficialS)
	r.Samples, r.Frames, r.Reconnects = r.Samples+o.Samples, r.Frames+o.Frames, r.Reconnects+o.Reconnects
	r.SamplesPS, r.FramesPS = r.SamplesPS+o.SamplesPS, r.FramesPS+o.FramesPS
	for i, c := range o.Checks {
		switch {
		case i >= len(r.Checks):
			r.Checks = append(r.Checks, c)
		case r.Checks[i].OK: // the first that does not hold is kept
			r.Checks[i].OK = c.OK
			r.Checks[i].Detail += "; " + c.Detail
		}
	}
}

// JSON is the report for programs.
func (r *Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("swarm: report: %w", err)
	}
	return append(b, '\n'), nil
}

// Text is the report for people.
func (r *Report) Text() string {
	b := &strings.Builder{}
	s := r.Scenario
	fmt.Fprintf(b, "%s: %d devices at %d Hz, %d viewers, %d s, %d races\n", s.Name, s.Devices, s.Hz, s.Viewers, s.Seconds, r.Races)
	fmt.Fprintf(b, "  %d samples acknowledged, %.0f/s; %d board frames, %.0f/s; %d reconnects\n", r.Samples, r.SamplesPS, r.Frames, r.FramesPS, r.Reconnects)
	line := func(name string, p Spread) {
		fmt.Fprintf(b, "  %-28s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f ms (%d)\n", name, p.P50, p.P90, p.P99, p.P999, p.Max, p.Count)
	}
	line("due → acknowledged", r.Ack)
	line("board's tick → viewer", r.Board)
	fmt.Fprintf(b, "  official %.1f s after the last acknowledgement\n", r.OfficialS)
	for _, cs := range [][]Check{r.Checks, r.Objectives} {
		for _, c := range cs {
			mark := "ok    "
			if !c.OK {
				mark = "FAILED"
			}
			fmt.Fprintf(b, "  %s  %s: %s\n", mark, c.Name, c.Detail)
		}
	}
	return b.String()
}

// judge compares with the scenario's objectives.
func (r *Report) judge() {
	o := r.Scenario.Objectives
	limit := func(name string, got, most float64) {
		if most > 0 {
			r.Objectives = append(r.Objectives, Check{name, got <= most, fmt.Sprintf("%.1f, at most %.1f", got, most)})
		}
	}
	limit("ack p99, ms", r.Ack.P99, o.AckP99Ms)
	limit("board p99, ms", r.Board.P99, o.BoardP99Ms)
	if o.MinSamplesPS > 0 {
		r.Objectives = append(r.Objectives, Check{"samples acknowledged a second", r.SamplesPS >= o.MinSamplesPS,
			fmt.Sprintf("%.0f, at least %.0f", r.SamplesPS, o.MinSamplesPS)})
	}
	if o.MaxReconnects != 0 {
		most := max(o.MaxReconnects, 0)
		if r.Scenario.StormAt > 0 {
			most += r.Scenario.Devices
		}
		r.Objectives = append(r.Objectives, Check{"reconnects", r.Reconnects <= most, fmt.Sprintf("%d, at most %d", r.Reconnects, most)})
	}
}

// latencies is a histogram that many goroutines write.
type latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram // µs
}

func newLatencies() *latencies {
	return &latencies{h: hdrhistogram.New(1, int64(time.Hour/time.Microsecond), 3)}
}

func (l *latencies) add(d time.Duration) {
	us := min(max(d.Microseconds(), 1), int64(time.Hour/time.Microsecond))
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.h.RecordValue(us) // within the bounds
}

func (l *latencies) spread() Spread {
	l.mu.Lock()
	defer l.mu.Unlock()
	ms := func(q float64) float64 { return float64(l.h.ValueAtQuantile(q)) / 1000 }
	return Spread{l.h.TotalCount(), ms(50), ms(90), ms(99), ms(99.9), float64(l.h.Max()) / 1000}
}
