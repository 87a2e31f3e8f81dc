package demo

import (
	"fmt"
	"os"
	"strings"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
)

// progress is the line that shows how the race goes.
type progress struct {
	r        *run
	terminal bool
	every    time.Duration
	next     time.Time
	askAgain time.Time // for the result
	acked    uint64
	ackedAt  time.Time
	perS     float64
}

func newProgress(r *run) *progress {
	p := &progress{r: r, every: 3 * time.Second, ackedAt: time.Now()}
	if f, ok := r.o.Stdout.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.terminal, p.every = true, 250*time.Millisecond
		}
	}
	return p
}

// tick shows the line when it is time.
func (p *progress) tick() {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(p.every)
	var acked uint64
	for _, d := range p.r.race.devices {
		acked += d.Acked()
	}
	if s := now.Sub(p.ackedAt).Seconds(); s > 0.2 {
		p.perS = 0.5*p.perS + 0.5*float64(acked-min(acked, p.acked))/s
		p.acked, p.ackedAt = acked, now
	}
	line := p.line()
	if p.terminal {
		fmt.Fprintf(p.r.o.Stdout, "\r\x1b[K%s", line)
		return
	}
	p.r.say("%s\n", line)
}

func (p *progress) end() {
	if p.terminal {
		p.r.say("\n")
	}
}

func (p *progress) line() string {
	r := p.r
	node := r.n.Now()
	clock := node.Sub(r.gun())
	sign := ""
	if clock < 0 {
		sign, clock = "-", -clock
	}
	board := r.viewers[0].Now()
	racing, done := 0, 0
	for _, row := range board.Rows {
		switch row.Status {
		case livev1.EntryStatus_ENTRY_STATUS_RACING:
			racing++
		case livev1.EntryStatus_ENTRY_STATUS_FINISHED:
			done++
		default:
		}
	}
	b := &strings.Builder{}
	fmt.Fprintf(b, "  %s%s  %d athletes, %d racing, %d finished  %4.0f samples/s", sign, hms(int64(clock)*1000), len(r.race.devices), racing, done, p.perS)
	if len(board.Rows) > 0 && board.Rows[0].Place > 0 {
		lead := board.Rows[0]
		fmt.Fprintf(b, "  leader %s %.2f km", r.nameOf(lead.Entry), float64(lead.ProgressMm)/1e6)
	}
	if board.Recovering {
		b.WriteString("  (recovering)")
	}
	if left := r.n.Until(r.plan.Last); left > 0 {
		fmt.Fprintf(b, "  %d s left", int(left.Seconds()))
	} else {
		fmt.Fprintf(b, "  %s", strings.ToLower(strings.TrimPrefix(board.Head.GetState().String(), "RACE_STATE_")))
	}
	return b.String()
}

// hms shows microseconds as h:mm:ss.
func hms(us int64) string {
	s := us / 1_000_000
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
