package device

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"paceline/domain/fault"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts answer into them; review the difference")

// TestScripts runs testdata/*.txt: a line is a command ("open s1 by=athlete:u1 …", "send s1 1 h=140@10 …"), and
// what follows from it stands below, indented.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(in))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(in) {
				t.Errorf("%s answers\n%s", file, got)
			}
		})
	}
}

// script is a device and the samples that its streams took.
type script struct {
	t     *testing.T
	s     *State
	at    unit.InstantMs
	tails map[string]*Tail
	out   strings.Builder
}

func runScript(t *testing.T, in string) string {
	sc := &script{t: t, s: New(), at: noon, tails: map[string]*Tail{}}
	for _, line := range strings.Split(strings.TrimRight(in, "\n"), "\n") {
		if strings.HasPrefix(line, "\t") {
			continue // an answer
		}
		fmt.Fprintln(&sc.out, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		sc.line(strings.Fields(line))
		if err := sc.s.Check(); err != nil {
			t.Fatalf("behind %q: %v", line, err)
		}
	}
	return sc.out.String()
}

func (sc *script) say(format string, args ...any) { fmt.Fprintf(&sc.out, "\t"+format+"\n", args...) }

// args are the words of a line: those with "=" by name, the others in order.
type args struct {
	t     *testing.T
	plain []string
	named map[string]string
}

func (a *args) word(i int) string {
	if i >= len(a.plain) {
		a.t.Fatalf("a word is missing in %v", a.plain)
	}
	return a.plain[i]
}

func (a *args) number(i int) uint64 { return uint64(a.parse(a.word(i))) }

func (a *args) named64(name string) int64 {
	if a.named[name] == "" {
		return 0
	}
	return a.parse(a.named[name])
}

func (a *args) parse(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

// spans reads "3-4,7-9".
func (a *args) spans(s string) (out []Span) {
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		from, to, _ := strings.Cut(part, "-")
		out = append(out, Span{uint64(a.parse(from)), uint64(a.parse(to))})
	}
	return out
}

func (sc *script) line(words []string) {
	a := &args{t: sc.t, named: map[string]string{}}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok && !strings.Contains(w, "@") {
			a.named[name] = value
		} else {
			a.plain = append(a.plain, w)
		}
	}
	meta := step.Meta{At: sc.at, By: a.named["by"]}
	through := uint64(a.named64("through"))
	switch words[0] {
	case "wait": // seconds
		sc.at = sc.at.Add(unit.DurationMs(a.number(0)) * unit.Second)
	case "register":
		sc.decide(Register{meta, a.word(0), Registered{Owner: a.named["owner"], Name: a.named["name"]}})
	case "claim":
		until := unit.InstantMs(0)
		if s := a.named64("for"); s != 0 {
			until = sc.at.Add(unit.DurationMs(s) * unit.Second)
		}
		sc.decide(Claim{meta, a.word(0), until})
	case "release":
		sc.decide(Release{meta})
	case "open":
		sc.decide(OpenStream{Meta: meta, Stream: a.word(0), Workout: a.named["workout"], Person: a.named["person"],
			Clock: clocks[a.named["clock"]], Channels: heartAndPower, Sport: a.named["sport"],
			DeviceTime: noon.Add(unit.DurationMs(a.named64("device"))), NodeTime: sc.at})
	case "clock":
		sc.decide(SetClock{meta, a.word(0), through, unit.DurationMs(a.named64("offset")), unit.DurationMs(a.named64("error")), "ping"})
	case "skip":
		sc.decide(Skip{meta, a.word(0), a.spans(a.word(1))[0], through, a.spans(a.named["held"]), "lost"})
	case "close":
		sc.decide(CloseStream{meta, a.word(0), a.number(1), through})
	case "record":
		sc.decide(Record{meta, a.word(0), a.word(1), a.number(2), [32]byte{byte(a.named64("digest"))}, [32]byte{9}, a.spans(a.named["skips"])})
	case "send":
		sc.send(a)
	case "time": // event time of a seq, at noon by the device's clock
		f, ok := sc.s.Stream(a.word(0))
		if !ok {
			sc.t.Fatalf("no stream %s", a.word(0))
		}
		sc.say("%+d ms", f.EventMs(a.number(1), noon).Sub(noon))
	default:
		sc.t.Fatalf("no command %q", words[0])
	}
}

var clocks = map[string]sample.ClockKind{"gnss": sample.GNSS, "ntp": sample.NTP, "free": sample.Free}

func (sc *script) decide(c Command) {
	events, err := Decide(sc.s, c)
	if err != nil {
		f := fault.Of(err)
		sc.say("refused %s %s", f.Code, f.Detail)
		return
	}
	if len(events) == 0 {
		sc.say("nothing")
	}
	for _, e := range events {
		sc.s.Apply(e)
		sc.say("%T %+v", e, e)
		for _, f := range React(sc.s, e) {
			sc.say("  → %T %+v", f, f)
		}
	}
}

// send judges samples: "h=140@10" is a heart rate at 10 s by the device's clock, "p=" power, "-@10" nothing.
func (sc *script) send(a *args) {
	f, ok := sc.s.Stream(a.word(0))
	if !ok {
		sc.t.Fatalf("no stream %s", a.word(0))
	}
	tail := sc.tails[a.word(0)]
	if tail == nil {
		tail = &Tail{}
		sc.tails[a.word(0)] = tail
	}
	var rows []row
	for _, w := range a.plain[2:] {
		value, at, _ := strings.Cut(w, "@")
		r := row{noon.Add(unit.DurationMs(a.parse(at)) * unit.Second), map[sample.Channel]int64{}}
		for _, part := range strings.Split(value, "+") {
			if name, v, ok := strings.Cut(part, "="); ok {
				r.values[map[string]sample.Channel{"h": sample.HeartRateBpm, "p": sample.PowerW, "lat": sample.LatE7}[name]] = a.parse(v)
			}
		}
		rows = append(rows, r)
	}
	b := batch(a.number(1), rows...)
	Accept(f, tail, b)
	for i := range b.Len() {
		sc.say("%d %v", b.FirstSeq+uint64(i), b.Mark(i))
	}
}
