package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"paceline/domain/unit"
	"paceline/pipeline/bundle"
	"paceline/simulations/audit"
)

type verifyCmd struct {
	Bundle string `arg:"" help:"The zip that export has written."`
	JSON   bool   `name:"json" help:"Print the verdicts as JSON."`
}

// verdict is what both computations say about one entry.
type verdict struct {
	Entry   uint32   `json:"entry"`
	Place   uint32   `json:"place,omitempty"`
	GunUs   int64    `json:"gun_us,omitempty"`
	NetUs   int64    `json:"net_us,omitempty"`
	Rules   string   `json:"rules"`  // verified, differs or erased
	Oracle  string   `json:"oracle"` // verified, differs or erased
	Differs []string `json:"differs,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

type verification struct {
	Competition   string    `json:"competition"`
	ResultVersion uint32    `json:"result_version"`
	RulesVersion  uint32    `json:"rules_version"`
	Agrees        bool      `json:"agrees"`
	Entries       []verdict `json:"entries"`
}

var errDisagrees = errors.New("the bundle does not verify: what was published is not what follows from its input")

// Run computes the newest result of a bundle again, by the pinned rules and by the oracle.
func (v verifyCmd) Run(p process) error {
	found, err := verify(v.Bundle)
	if err != nil {
		return fmt.Errorf("verify %s: %w", v.Bundle, err)
	}
	if v.JSON {
		b, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintln(p.out, string(b))
	} else {
		found.print(p.out)
	}
	if !found.Agrees {
		return errDisagrees
	}
	return nil
}

func verify(path string) (*verification, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := bundle.Read(f, info.Size())
	if err != nil {
		return nil, err
	}
	byRules, err := b.Verify()
	if err != nil {
		return nil, err
	}
	byOracle, err := audit.Compare(b)
	if err != nil {
		return nil, err
	}
	return join(byRules, byOracle), nil
}

func join(byRules *bundle.Report, byOracle map[uint32][]string) *verification {
	v := &verification{Competition: byRules.Competition, ResultVersion: byRules.Version, RulesVersion: byRules.RulesVersion, Agrees: true}
	rows := map[uint32]int{}
	for i := range byRules.Result.Rows {
		rows[byRules.Result.Rows[i].Entry] = i
	}
	for _, e := range byRules.Entries {
		one := verdict{Entry: e.Entry, Rules: string(e.Verdict), Oracle: string(bundle.Verified), Differs: e.Differences, Notes: e.Notes}
		if i, ok := rows[e.Entry]; ok {
			row := &byRules.Result.Rows[i]
			one.Place, one.GunUs, one.NetUs = row.Place, int64(row.Gun), int64(row.Net)
		}
		switch differs := byOracle[e.Entry]; {
		case e.Verdict == bundle.Erased: // the oracle has nothing to compute from either
			one.Oracle = string(bundle.Erased)
		case len(differs) > 0:
			one.Oracle = string(bundle.Differs)
			for _, d := range differs {
				one.Differs = append(one.Differs, "oracle: "+d)
			}
		}
		v.Agrees = v.Agrees && len(one.Differs) == 0
		v.Entries = append(v.Entries, one)
	}
	return v
}

func (v *verification) print(w io.Writer) {
	fmt.Fprintf(w, "competition %s, result %d, rules %d\n", v.Competition, v.ResultVersion, v.RulesVersion)
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "entry\tplace\tgun\tnet\tby the rules\tby the oracle")
	for _, e := range v.Entries {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Entry, place(e.Place), gunTime(e.GunUs), netTime(e.NetUs), e.Rules, e.Oracle)
		for _, d := range e.Differs {
			fmt.Fprintf(t, "\t\t\t\tdiffers: %s\n", d)
		}
		for _, n := range e.Notes {
			fmt.Fprintf(t, "\t\t\t\tnote: %s\n", n)
		}
	}
	_ = t.Flush() // the terminal has gone
	if v.Agrees {
		fmt.Fprintf(w, "verified: all %d entries agree\n", len(v.Entries))
	}
}

func place(p uint32) string {
	if p == 0 {
		return "–"
	}
	return fmt.Sprint(p)
}

// Gun time is shown cut to the millisecond, as the instants that it comes from; net is a difference and rounded.
func gunTime(us int64) string { return took(us, unit.DurationMs(us/1000)) }
func netTime(us int64) string { return took(us, unit.DurationUs(us).RoundMs()) }

func took(us int64, ms unit.DurationMs) string {
	if us == 0 {
		return "–"
	}
	d := time.Duration(ms) * time.Millisecond
	return fmt.Sprintf("%d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}
