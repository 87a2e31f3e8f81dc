package demo

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// apartMs is how far a gate time may be from the expected one: through wire and store positions have 1e-7 degrees.
const apartMs = 3

// expectedGate is one row of the file of golden gate times.
type expectedGate struct {
	athlete string
	gate    string
	at      unit.InstantMs
	place   int
	netMs   unit.DurationMs
}

func readExpected(path string) ([]expectedGate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[0]) < 10 {
		return nil, fmt.Errorf("demo: %s is not a file of gate times: %w", path, err)
	}
	var out []expectedGate
	for _, r := range rows[1:] {
		at, err1 := time.Parse(time.RFC3339Nano, r[4])
		place, err2 := strconv.Atoi(r[7])
		net, err3 := strconv.ParseFloat(r[9], 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("demo: %s: %w", path, err)
		}
		out = append(out, expectedGate{r[0], r[1], unit.InstantMs(at.UnixMilli()), place, unit.DurationMs(net*1000 + 0.5)})
	}
	return out, nil
}

// compare prints the published gate times beside the golden ones. Each is within 3 ms, and at every gate the order by
// gun and by net is the same.
func (r *run) compare(p *competitionv1.ResultPublished) (swarm.Check, error) {
	c := swarm.Check{Name: "gate times and orders are the expected ones"}
	want, err := readExpected(r.plan.Expected)
	if err != nil {
		return c, err
	}
	got := map[string]map[string]unit.InstantUs{}
	for _, row := range p.Rows {
		times := map[string]unit.InstantUs{}
		for _, g := range row.Gates {
			times[r.plan.Course.Visits()[g.Gate].ID] = unit.InstantUs(g.AtUs)
		}
		got[strings.ToLower(r.nameOf(row.Entry))] = times
	}
	r.say("\nGate times, published and expected\n")
	w := tabwriter.NewWriter(r.o.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  boat\tgate\tpublished\texpected\tms apart\tplace\tnet from G1")
	worst, first := unit.DurationMs(0), r.plan.Course.Visits()[0].ID
	for _, e := range want {
		at, ok := got[e.athlete][e.gate]
		if !ok {
			_ = w.Flush()
			return c, fmt.Errorf("demo: %s has not passed %s", e.athlete, e.gate)
		}
		apart := at.CutMs().Sub(e.at)
		worst = max(worst, apart, -apart)
		net := at.Sub(got[e.athlete][first]).RoundMs()
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%+d\t%d\t%.3f\n", e.athlete, e.gate, instant(at.CutMs()), instant(e.at), apart, e.place, float64(net)/1000)
	}
	_ = w.Flush()
	orders := 0
	for _, v := range r.plan.Course.Visits() {
		byGun := func(name string) int64 { return int64(got[name][v.ID]) }
		byNet := func(name string) int64 { return int64(got[name][v.ID] - got[name][first]) }
		gun, net := expectedOrders(want, v.ID)
		if o := order(gun, byGun); !slices.Equal(o, gun) {
			c.Detail = fmt.Sprintf("%s: order by gun %v, expected %v", v.ID, o, gun)
			return c, nil
		}
		if o := order(net, byNet); !slices.Equal(o, net) {
			c.Detail = fmt.Sprintf("%s: order by net %v, expected %v", v.ID, o, net)
			return c, nil
		}
		orders += 2
		r.say("  %s by gun %s; by net %s\n", v.ID, strings.Join(gun, ", "), strings.Join(net, ", "))
	}
	c.OK = worst <= apartMs
	c.Detail = fmt.Sprintf("%d times, at most %d ms apart (allowed %d); %d orders equal", len(want), worst, apartMs, orders)
	return c, nil
}

// expectedOrders is who was how at a gate.
func expectedOrders(want []expectedGate, gate string) (gun, net []string) {
	var rows []expectedGate
	for _, e := range want {
		if e.gate == gate {
			rows = append(rows, e)
		}
	}
	slices.SortFunc(rows, func(a, b expectedGate) int { return cmp.Compare(a.place, b.place) })
	for _, e := range rows {
		gun = append(gun, e.athlete)
	}
	slices.SortStableFunc(rows, func(a, b expectedGate) int { return cmp.Compare(a.netMs, b.netMs) })
	for _, e := range rows {
		net = append(net, e.athlete)
	}
	return gun, net
}

// order sorts names by a time; equal times stay as they are.
func order(names []string, by func(string) int64) []string {
	o := slices.Clone(names)
	slices.SortStableFunc(o, func(a, b string) int { return cmp.Compare(by(a), by(b)) })
	return o
}
