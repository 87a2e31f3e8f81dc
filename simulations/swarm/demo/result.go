package demo

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
	"paceline/simulations/swarm/gpx"
)

// Result is the table as it is written.
type Result struct {
	Competition  string `json:"competition"`
	Title        string `json:"title"`
	Status       string `json:"status"`
	Version      uint32 `json:"version"`
	RulesVersion uint32 `json:"rules_version"`
	GunAt        string `json:"gun_at"`
	Rows         []Row  `json:"rows"`
}

// Row is one entry. Times are in milliseconds: gun time cut as the instant of the finish is (the gun is a whole
// millisecond), differences (net, gap) rounded.
type Row struct {
	Place       uint32     `json:"place,omitempty"`
	Entry       uint32     `json:"entry"`
	Name        string     `json:"name"`
	Club        string     `json:"club,omitempty"`
	Status      string     `json:"status"`
	UnderReview bool       `json:"under_review,omitempty"`
	Review      string     `json:"review_reason,omitempty"`
	GunMs       int64      `json:"gun_ms,omitempty"`
	NetMs       int64      `json:"net_ms,omitempty"`
	GapMs       int64      `json:"gap_ms,omitempty"`
	PlaceNet    uint32     `json:"place_net,omitempty"`
	Gates       []GateTime `json:"gates"`
}

// GateTime is a gate passed.
type GateTime struct {
	Gate string `json:"gate"`
	At   string `json:"at"`
}

// publish prints and writes the result, and checks it against what was sent.
func (r *run) publish(ctx context.Context, p *competitionv1.ResultPublished) error {
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	table := r.table(p, state)
	r.print(table)
	r.printTrainers()
	if err := r.write(table); err != nil {
		return err
	}
	if r.o.Data == "" {
		if err := r.writeRecordings(); err != nil {
			return err
		}
	}
	r.checks = append(r.checks,
		swarm.CheckStored(r.race.devices, p),
		swarm.CheckGates(r.race.devices, r.plan.Course, r.gun(), p),
		swarm.CheckOrder(r.race.devices, r.plan.Course, r.gun(), false, p),
		r.checkReviews(p))
	r.checkVictim(p)
	if r.plan.Expected != "" {
		c, err := r.compare(p)
		if err != nil {
			return err
		}
		r.checks = append(r.checks, c)
	}
	return nil
}

func (r *run) table(p *competitionv1.ResultPublished, state *competitionv1.State) *Result {
	reasons := map[uint32]string{}
	for _, e := range state.GetEntries() {
		reasons[e.Entry] = e.ReviewReason
	}
	t := &Result{Competition: r.race.competition, Title: r.plan.Title, Version: p.Version, RulesVersion: p.RulesVersion,
		Status: strings.ToLower(strings.TrimPrefix(p.Status.String(), "RESULT_STATUS_")), GunAt: instant(r.gun())}
	visits := r.plan.Course.Visits()
	best := int64(0)
	for _, row := range p.Rows {
		if row.Place > 0 && (best == 0 || row.GunUs < best) {
			best = row.GunUs
		}
	}
	for _, row := range p.Rows {
		o := Row{Place: row.Place, Entry: row.Entry, Name: r.nameOf(row.Entry), Club: r.plan.Entrants[row.Entry-1].Club,
			Status: strings.TrimPrefix(row.Status.String(), "ENTRY_STATUS_"), UnderReview: row.UnderReview, PlaceNet: row.PlaceNet,
			GunMs: row.GunUs / 1000, NetMs: int64(unit.DurationUs(row.NetUs).RoundMs()), Gates: []GateTime{}}
		if row.UnderReview {
			o.Review = reasons[row.Entry]
		}
		if row.Place > 0 {
			o.GapMs = int64(unit.DurationUs(row.GunUs - best).RoundMs())
		}
		for _, g := range row.Gates {
			o.Gates = append(o.Gates, GateTime{visits[g.Gate].ID, instant(unit.InstantUs(g.AtUs).CutMs())})
		}
		t.Rows = append(t.Rows, o)
	}
	slices.SortStableFunc(t.Rows, func(a, b Row) int {
		if (a.Place == 0) != (b.Place == 0) {
			return cmp.Compare(b.Place, a.Place)
		}
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(len(b.Gates), len(a.Gates)), cmp.Compare(a.Entry, b.Entry))
	})
	return t
}

func instant(at unit.InstantMs) string { return at.Time().Format("2006-01-02T15:04:05.000Z") }

// clock shows milliseconds as h:mm:ss.000.
func clock(ms int64) string {
	if ms == 0 {
		return "–"
	}
	return fmt.Sprintf("%s.%03d", hms(ms*1000), ms%1000)
}

func (r *run) print(t *Result) {
	r.say("\n%s, %s result (version %d)\n", t.Title, t.Status, t.Version)
	w := tabwriter.NewWriter(r.o.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  place\tno.\tname\tclub\tgun\tnet\tgap\tgates\tstatus")
	for _, row := range t.Rows {
		place, gap, status := "–", "", strings.ToLower(row.Status)
		if row.Place > 0 {
			place = strconv.Itoa(int(row.Place))
		}
		if row.Place > 1 {
			gap = fmt.Sprintf("+%d.%03d", row.GapMs/1000, row.GapMs%1000)
		}
		if row.UnderReview {
			status += ", UNDER_REVIEW: " + row.Review
		}
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\t%d/%d\t%s\n", place, row.Entry, row.Name, row.Club, clock(row.GunMs), clock(row.NetMs), gap,
			len(row.Gates), len(r.plan.Course.Visits()), status)
	}
	_ = w.Flush()
}

func (r *run) write(t *Result) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.WriteFile(r.path("result.json"), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	f, err := os.Create(r.path("result.csv"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer f.Close()
	w := csv.NewWriter(f)
	head := []string{"place", "entry", "name", "club", "status", "under_review", "review_reason", "gun_ms", "net_ms", "gap_ms", "place_net"}
	for _, v := range r.plan.Course.Visits() {
		head = append(head, v.ID)
	}
	_ = w.Write(head)
	for _, row := range t.Rows {
		line := []string{number(row.Place), number(row.Entry), row.Name, row.Club, row.Status, strconv.FormatBool(row.UnderReview), row.Review,
			strconv.FormatInt(row.GunMs, 10), strconv.FormatInt(row.NetMs, 10), strconv.FormatInt(row.GapMs, 10), number(row.PlaceNet)}
		at := map[string]string{}
		for _, g := range row.Gates {
			at[g.Gate] = g.At
		}
		for _, v := range r.plan.Course.Visits() {
			line = append(line, at[v.ID])
		}
		_ = w.Write(line)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.say("\n  %s\n  %s\n", r.path("result.json"), r.path("result.csv"))
	return nil
}

func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

func (r *run) writeChecks() error {
	b, err := json.MarshalIndent(r.checks, "", "  ")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.WriteFile(r.path("checks.json"), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// writeRecordings writes what the project's own athletes have done as GPX: recordings that may be given away.
func (r *run) writeRecordings() error {
	folder := r.path("recordings")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	for i := range r.plan.Entrants {
		e := &r.plan.Entrants[i]
		f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%02d-%s.gpx", i+1, handle(e.Name))))
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		err = gpx.Write(f, gpx.FromBatch(e.Name, string(r.plan.Track.Sport), &e.Samples))
		if end := f.Close(); err == nil {
			err = end
		}
		if err != nil {
			return fmt.Errorf("demo: %s: %w", f.Name(), err)
		}
	}
	return nil
}

// checkReviews: under review is who took a step that nobody can, and nobody else.
func (r *run) checkReviews(p *competitionv1.ResultPublished) swarm.Check {
	c := swarm.Check{Name: "under review is who must be"}
	n := 0
	for _, row := range p.Rows {
		e := &r.plan.Entrants[row.Entry-1]
		if want := r.plan.reviewExpected(e); want != row.UnderReview {
			c.Detail = fmt.Sprintf("%s: %v, want %v", e.Name, row.UnderReview, want)
			return c
		}
		if row.UnderReview {
			n++
		}
		if row.Status == livev1.EntryStatus_ENTRY_STATUS_DNS {
			c.Detail = e.Name + " did not start, though the device was there"
			return c
		}
	}
	c.OK, c.Detail = true, fmt.Sprintf("%d of %d", n, len(p.Rows))
	return c
}

// export fetches the bundle.
func (r *run) export(ctx context.Context) (string, error) {
	s, err := r.n.Competitions.ExportBundle(ctx, connect.NewRequest(&managev1.ExportBundleRequest{CompetitionId: r.race.competition}))
	if err != nil {
		return "", fmt.Errorf("demo: export: %w", err)
	}
	defer func() { _ = s.Close() }()
	path := r.path("bundle.zip")
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	defer f.Close()
	size := 0
	for s.Receive() {
		n, err := f.Write(s.Msg().Chunk)
		if err != nil {
			return "", fmt.Errorf("demo: %w", err)
		}
		size += n
	}
	if err := s.Err(); err != nil {
		return "", fmt.Errorf("demo: export: %w", err)
	}
	r.say("  %s (%d KB)\n", path, (size+1023)/1024)
	return path, nil
}
