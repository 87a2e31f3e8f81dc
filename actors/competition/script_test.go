package competition

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"paceline/actors/leaderboard"
	"paceline/domain/fault"
	"paceline/domain/unit"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew; review the difference")

// TestTranscripts plays testdata/*.txt: a line is a command, what follows it after "> " is what it did. Instants are
// seconds after the gun; an athlete's training is called as the athlete.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(raw))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(raw) {
				t.Errorf("plays as\n%s\nwant\n%s", got, raw)
			}
		})
	}
}

// script is a race and where its transcript is.
type script struct {
	*race
	at unit.InstantMs
}

func play(t *testing.T, text string) string {
	p := &script{race: newRace(t), at: gun - 1000}
	var out strings.Builder
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "> ") {
			continue
		}
		out.WriteString(line + "\n")
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		for _, said := range p.line(words[0], words[1:]) {
			out.WriteString("> " + said + "\n")
		}
	}
	return out.String()
}

func (p *script) line(verb string, args []string) []string {
	switch verb {
	case "at":
		p.at = gun.Add(seconds(args[0]))
		return nil
	case "result":
		return p.result()
	case "proceed":
		return p.goOn()
	}
	c := p.command(verb, args)
	if c == nil {
		return []string{"no such command"}
	}
	evs, err := p.try(c)
	var f *fault.Fault
	if errors.As(err, &f) {
		return []string{f.Code}
	}
	return told(evs)
}

func (p *script) goOn() []string {
	var all []string
	for i := 0; i < 5 && Due(p.s, Proceed{Meta: on(p.at), FinalAllowed: true}); i++ {
		evs, err := p.try(Proceed{Meta: on(p.at), FinalAllowed: true})
		if err != nil {
			return append(all, err.Error())
		}
		all = append(all, told(evs)...)
	}
	return all
}

func seconds(s string) unit.DurationMs {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return unit.DurationMs(v * 1000)
}

// options are words of the form key=value; words without = have the value "".
func options(words []string) map[string]string {
	all := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		all[k] = v
	}
	return all
}

func (p *script) command(verb string, args []string) Command {
	o := options(args)
	meta, first := on(p.at), ""
	if len(args) > 0 {
		first = args[0]
	}
	if first == "as" {
		meta, first = by(args[1], p.at), args[2]
	}
	number := uint32(0)
	if e := p.s.EntryOfUser(first); e != nil {
		number = e.Number
	}
	switch verb {
	case "create":
		return Create{meta, definitionOf(first, o)}
	case "enter":
		return AddEntry{Meta: meta, User: first, Category: o["category"], Offset: seconds("0" + o["offset"])}
	case "lock":
		return Lock{meta}
	case "join":
		return Join{Meta: meta, User: first, Training: first + "/" + "w" + o["training"]}
	case "start":
		return Start{meta, gun}
	case "withdraw":
		return Withdraw{meta, number, ""}
	case "rule":
		return Rule{meta, number, args[1], ""}
	case "penalty":
		n, _ := strconv.Atoi(args[1])
		return Penalize{meta, number, unit.DurationMs(n), ""}
	case "provisional":
		return PublishProvisional{Meta: meta}
	case "official":
		return MakeOfficial{meta, o["early"] == ""}
	case "correct":
		return Correct{meta, first}
	case "cancel":
		return Cancel{meta, first}
	case "giveup":
		return GiveUpSettle{meta, p.s.Settle.Number}
	case "report", "answer":
		rep := p.reportOf(number, args[1:])
		if verb == "report" {
			return TakeReport{meta, rep}
		}
		return TakeAnswer{Meta: meta, Number: p.s.Settle.Number, Report: rep, Streams: streamsOf(rep)}
	}
	return nil
}

func definitionOf(kind string, o map[string]string) Definition {
	d := fiveK()
	if kind == "course" {
		d = lined()
	}
	d.AutoOfficialAfter = -1
	if o["auto"] != "" {
		d.AutoOfficialAfter = seconds(o["auto"])
	}
	if o["by"] == "net" {
		d.RankBy = leaderboard.Net
	}
	if o["start"] == "waves" {
		d.Start = WaveStart
	}
	return d
}

// reportOf reads: seq [facts] then gate times, "-" for a gate not passed, and words flag=code, finished.
func (p *script) reportOf(number uint32, words []string) Report {
	o := options(words)
	through, _ := strconv.ParseUint(words[0], 10, 64)
	_, finished := o["finished"]
	rep := p.says(number, through, finished)
	if f := o["facts"]; f != "" {
		rep.Basis[0].FactsVersion, _ = strconv.ParseUint(f, 10, 64)
	}
	if f := o["flag"]; f != "" {
		rep.Flags = []string{f}
	}
	gate := uint32(0)
	for _, w := range words[1:] {
		if strings.Contains(w, "=") || w == "finished" {
			continue
		}
		if w != "-" {
			rep.Gates = append(rep.Gates, GateTime{gate, gun.Add(seconds(w)).Us()})
		}
		gate++
	}
	return rep
}

func told(evs []Event) []string {
	var all []string
	for _, e := range evs {
		said := fmt.Sprintf("%T", e)[len("competition."):]
		switch e := e.(type) {
		case ReportNoted, Created, SettleAnswered:
		case EntryAdded:
			said += fmt.Sprintf(" %d %s", e.Entry, e.User)
		case RaceStarted:
			said += fmt.Sprintf(" gun %+d s, cut-off %+d s", (e.GunAt-gun)/1000, (e.CutoffAt-gun)/1000)
		case GateTaken:
			said += fmt.Sprintf(" %d gate %d at %s", e.Entry, e.Gate, after(e.At))
		case GateRevised:
			to := after(e.To)
			if e.None {
				to = "none"
			}
			said += fmt.Sprintf(" %d gate %d from %s to %s (%s)", e.Entry, e.Gate, after(e.From), to, e.Why)
		case StatusChanged:
			said += fmt.Sprintf(" %d %s (%s)", e.Entry, e.Status, e.Reason)
		case ResultPublished:
			said += fmt.Sprintf(" version %d, status %d, %d inputs", e.Version, e.Status, len(e.Inputs))
		default:
			said += " " + strings.Trim(fmt.Sprintf("%+v", e), "{}")
		}
		all = append(all, said)
	}
	return all
}

func after(at unit.InstantUs) string { return fmt.Sprintf("%.3f s", float64(at-gun.Us())/1e6) }

// result is the table of the newest result, the phase before it.
func (p *script) result() []string {
	all := []string{p.s.PhaseAt(p.at).String()}
	if p.s.Result == nil {
		return all
	}
	for _, r := range p.s.Result.Rows {
		line := fmt.Sprintf("%2d. entry %d %-8s gun %8.3f net %8.3f (by gun %d, by net %d)", r.Place, r.Entry, r.Status, float64(r.Gun)/1e6, float64(r.Net)/1e6, r.PlaceGun, r.PlaceNet)
		if r.Penalty != 0 {
			line += fmt.Sprintf(" penalty %d ms", r.Penalty)
		}
		if r.UnderReview {
			line += " UNDER REVIEW"
		}
		if r.Disputed {
			line += " disputed"
		}
		all = append(all, line)
	}
	return all
}
