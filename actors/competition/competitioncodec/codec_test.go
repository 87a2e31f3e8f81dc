package competitioncodec_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/step"
	"paceline/domain/unit"
)

var rewrite = flag.Bool("rewrite", false, "write the golden bytes of kinds that have none yet; those that have keep them")

func digest(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// samples is one event of every kind, with every field set.
func samples(t testing.TB) []competition.Event {
	c, err := course.New(course.Track{Format: course.Line, Sport: "ride", Name: "Loop", CorridorMm: 30_000,
		Line: []geo.Point{{Lat: 535_000_000, Lon: 100_000_000}, {Lat: 535_100_000, Lon: 100_000_000}}})
	if err != nil {
		t.Fatal(err)
	}
	b := basis.Of(basis.StreamBasis{Device: "u1/d", Stream: "s1", FoldedThrough: 300, FactsVersion: 4}, basis.StreamBasis{Device: "u1/e", Stream: "s2", FoldedThrough: 7})
	gates := []competition.GateTime{{Gate: 0, At: 1_700_000_000_123_456}, {Gate: 1, At: 1_700_000_900_000_001}}
	input := competition.Input{Entry: 17, Training: "u1/w", Streams: []competition.InputStream{{Device: "u1/d", Stream: "s1", Through: 300, FactsVersion: 4, Digest: digest(1)}},
		Recording: digest(2), Unanswered: true, Gates: gates, Flags: []string{"training.jump"}, BindingVersion: 9}
	return []competition.Event{
		competition.Opened{Member: "node-1"},
		competition.Created{Definition: competition.Definition{Organization: "default", Name: "Spring race", Track: c.Track(), Start: competition.WaveStart,
			RankBy: leaderboard.Net, Categories: []string{"F", "M40"}, Public: true, ScheduledAt: 1_700_000_000_000, CutoffAfter: 7_200_000, Grace: 30_000, AutoOfficialAfter: -1}},
		competition.EntryAdded{Entry: 17, User: "u1", Category: "M40", Heat: 2, Wave: 3, Offset: 60_000},
		competition.EntryWithdrawn{Entry: 17, Reason: "ill"},
		competition.EntryReady{Entry: 17},
		competition.StartListLocked{RulesVersion: 1},
		competition.EntryBound{Entry: 17, Training: "u1/w", Primary: "s1"},
		competition.RaceStarted{GunAt: 1_700_000_000_000, CutoffAt: 1_700_007_200_000},
		competition.GateTaken{Entry: 17, Gate: 1, At: 1_700_000_900_000_001},
		competition.GateRevised{Entry: 17, Gate: 1, From: 1_700_000_900_000_001, To: 1_700_000_900_000_002, None: true, Why: "refolded"},
		competition.ReportNoted{Entry: 17, Basis: b, Finished: true},
		competition.StatusChanged{Entry: 17, Status: leaderboard.DNF, Reason: "result"},
		competition.ReviewChanged{Entry: 17, Review: true, Reason: "training.jump"},
		competition.PenaltyAdded{Entry: 17, Penalty: -5_000, Reason: "train-wait credit"},
		competition.Decided{Entry: 17, Decision: "dsq", Reason: "short cut"},
		competition.SettleBegun{Number: 2, Final: true, Why: "late samples"},
		competition.SettleAnswered{Number: 2, Input: input},
		competition.LateInput{Entry: 17, Stream: "s1", Basis: b, ChangesResult: true},
		competition.ResultPublished{Version: 3, Status: competition.ResultCorrected, RulesVersion: 1, Rows: []competition.Row{{
			Entry: 17, Place: 1, Status: leaderboard.Finished, UnderReview: true, Start: 1_700_000_000_123_456, Finish: 1_700_000_900_000_001, Gun: 900_000_001, Net: 899_876_545,
			Penalty: 120_000, Gates: gates, Heat: 2, Category: "M40", PlaceNet: 1, PlaceGun: 2, Disputed: true,
		}}, Inputs: []competition.Input{input}, JournalVersion: 88, Why: "late samples", At: 1_700_010_000_000},
		competition.Cancelled{Reason: "storm"},
		competition.Fenced{},
		competition.ResultPart{Version: 4, Status: competition.ResultCorrected, Part: 2, Rows: []competition.Row{{
			Entry: 17, Place: 1, Status: leaderboard.Finished, UnderReview: true, Start: 1_700_000_000_123_456, Finish: 1_700_000_900_000_001, Gun: 900_000_001, Net: 899_876_545,
			Penalty: 120_000, Gates: gates, Heat: 2, Category: "M40", PlaceNet: 1, PlaceGun: 2, Disputed: true,
		}}, Inputs: []competition.Input{input}, JournalVersion: 88, Why: "late samples", At: 1_700_010_000_000},
	}
}

// TestTheClosingEventIsStored: and a result in one event is stored as it always was, which the golden bytes show.
func TestTheClosingEventIsStored(t *testing.T) {
	const want = "08031003180130583a0c6c6174652073616d706c65734080fdf783bd31480552200707070707070707070707070707070707070707070707070707070707070707"
	closing := competition.ResultPublished{Version: 3, Status: competition.ResultCorrected, RulesVersion: 1, JournalVersion: 88, Why: "late samples",
		At: 1_700_010_000_000, Parts: 5, Digest: digest(7)}
	kind, format, payload, err := competitioncodec.Encode(closing)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(payload); got != want {
		t.Errorf("stored as %s, want %s", got, want)
	}
	if got, err := competitioncodec.Decode(kind, format, payload); err != nil || !reflect.DeepEqual(got, closing) {
		t.Errorf("decoded %+v (%v), want %+v", got, err, closing)
	}
}

const goldenPath = "testdata/events.golden"

// golden maps each kind to its line: "<kind> <format> <hex>".
func golden(t testing.TB) map[uint32]string {
	raw, err := os.ReadFile(goldenPath)
	if err != nil && !*rewrite {
		t.Fatal(err)
	}
	lines := map[uint32]string{}
	for _, l := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		var kind uint32
		if _, err := fmt.Sscanf(l, "%d", &kind); err == nil {
			lines[kind] = l
		}
	}
	return lines
}

// TestGoldenBytes: what is stored today is read for ever, and is what it always was.
func TestGoldenBytes(t *testing.T) {
	lines := golden(t)
	var out []string
	for i, e := range samples(t) {
		kind, format, payload, err := competitioncodec.Encode(e)
		if err != nil {
			t.Fatalf("%T: %v", e, err)
		}
		if kind != uint32(i+1) {
			t.Errorf("%T has kind %d, want %d", e, kind, i+1)
		}
		line := strings.TrimSpace(fmt.Sprintf("%d %d %s", kind, format, hex.EncodeToString(payload)))
		if *rewrite && lines[kind] == "" {
			lines[kind] = line
		}
		if lines[kind] != line {
			t.Errorf("%T is stored as\n%s, want\n%s", e, line, lines[kind])
		}
		out = append(out, lines[kind])
		got, err := competitioncodec.Decode(kind, format, payload)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("decoded %+v (%v), want %+v", got, err, e)
		}
	}
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(goldenPath), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenPath, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAudiencesAreStored: and a race of a time before there were any is stored as it was, which the golden bytes show.
func TestAudiencesAreStored(t *testing.T) {
	created := samples(t)[1].(competition.Created)
	created.Definition.Audiences = competition.Audiences{Public: competition.Audience{Columns: competition.ProgressColumns, Delay: 7},
		Entrant: competition.Audience{Columns: competition.PositionColumns, Delay: 30_000}}
	kind, format, payload, err := competitioncodec.Encode(created)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := competitioncodec.Decode(kind, format, payload); err != nil || !reflect.DeepEqual(got, created) {
		t.Errorf("decoded %+v (%v), want %+v", got, err, created)
	}
}

func TestUnknownIsRefused(t *testing.T) {
	for _, tt := range []struct {
		kind, format uint32
		payload      []byte
		want         error
	}{
		{0, 1, nil, competitioncodec.ErrKind}, {23, 1, nil, competitioncodec.ErrKind}, {1, 2, nil, competitioncodec.ErrFormat},
		{9, 1, []byte{0xff}, competitioncodec.ErrBytes},
	} {
		if _, err := competitioncodec.Decode(tt.kind, tt.format, tt.payload); !errors.Is(err, tt.want) {
			t.Errorf("Decode(%d, %d) = %v, want %v", tt.kind, tt.format, err, tt.want)
		}
	}
	if _, _, _, err := competitioncodec.Encode(nil); !errors.Is(err, competitioncodec.ErrKind) {
		t.Errorf("Encode(nil) = %v", err)
	}
}

// FuzzDecode: no bytes make it panic, and what it reads it writes the same way again.
func FuzzDecode(f *testing.F) {
	for _, e := range samples(f) {
		kind, format, payload, _ := competitioncodec.Encode(e)
		f.Add(kind, format, payload)
	}
	f.Fuzz(func(t *testing.T, kind, format uint32, payload []byte) {
		e, err := competitioncodec.Decode(kind, format, payload)
		if err != nil {
			return
		}
		k, fm, again, err := competitioncodec.Encode(e)
		if err != nil || k != kind || fm != format {
			t.Fatalf("kind %d comes back as %d %d %v", kind, k, fm, err)
		}
		e2, err := competitioncodec.Decode(k, fm, again)
		if err != nil || !reflect.DeepEqual(e, e2) {
			t.Fatalf("%+v comes back as %+v (%v)", e, e2, err)
		}
	})
}

// TestNothingOfALargeFieldIsTooLarge: with the longest ids, every gate passed and every entry under review each command
// is an append that can be stored, whatever belongs to it.
func TestNothingOfALargeFieldIsTooLarge(t *testing.T) {
	const appendBytes = 256 << 10 // persistence.MaxAppendBytes, which a codec does not know
	long := func(n, i int) string { return fmt.Sprintf("%0*d", n, i) }
	for _, visits := range []int{1, 2, 20, 200} {
		s := competition.New()
		def := competition.Definition{Name: "Large", Categories: []string{long(32, 1)}, CutoffAfter: 3_600_000, AutoOfficialAfter: -1,
			Track: course.Track{Format: course.Distance, Sport: "run", DistanceMm: 5_000_000}}
		for g := range visits {
			kind := geo.SplitGate
			if g == visits-1 {
				kind = geo.FinishGate
			}
			def.Track.Gates = append(def.Track.Gates, geo.Gate{ID: fmt.Sprint("g", g), Kind: kind, AtMm: unit.DistanceMm(5_000_000 * (g + 1) / visits)})
		}
		size := 0
		do := func(c competition.Command) []competition.Event {
			t.Helper()
			evs, err := competition.Decide(s, c)
			if err != nil {
				t.Fatalf("%T: %v", c, err)
			}
			size = 0
			for _, e := range evs {
				_, _, payload, err := competitioncodec.Encode(e)
				if err != nil {
					t.Fatal(err)
				}
				size += len(payload)
				s.Apply(e)
			}
			if size > appendBytes {
				t.Fatalf("%d gates: %T emits %d bytes", visits, c, size)
			}
			return evs
		}
		at := step.Meta{At: 1_700_000_000_000, By: "operator:op"}
		do(competition.Create{Meta: at, Definition: def})
		n := 80_000 / (40 + visits) // some that one event holds, and some that it does not
		for i := range n {
			do(competition.AddEntry{Meta: at, User: long(64, i), Category: long(32, 1), Heat: competition.MaxHeat})
		}
		do(competition.Lock{Meta: at})
		for i := range n {
			do(competition.Join{Meta: at, User: long(64, i), Training: long(64, i) + "/" + long(64, i)})
		}
		do(competition.Start{Meta: at, GunAt: at.At})
		do(competition.PublishProvisional{Meta: at})
		for i, e := range s.Entries() {
			rep := competition.Report{Entry: e.Number, Training: e.Training, BindingVersion: e.BindingVersion}
			for g := range visits {
				rep.Gates = append(rep.Gates, competition.GateTime{Gate: uint32(g), At: at.At.Us() + unit.InstantUs(g*1_000_000+i)})
			}
			for f := range 3 {
				rep.Flags = append(rep.Flags, long(64, f))
			}
			if i%2 == 0 {
				do(competition.TakeReport{Meta: at, Report: rep})
				continue
			}
			do(competition.TakeAnswer{Meta: at, Number: 1, Report: rep, Recording: digest(1), Streams: []competition.InputStream{{
				Device: long(64, i) + "/" + long(64, i), Stream: long(64, i), Through: 1 << 40, FactsVersion: 1 << 30, Digest: digest(2)}}})
		}
		for len(do(competition.GiveUpSettle{Meta: at, Number: 1})) > 0 {
		}
		var held *competition.Draft
		sizes := []int{}
		for s.Result == nil {
			held = competition.DraftFor(s, competition.Proceed{Meta: at}, held)
			do(competition.Proceed{Meta: at, Draft: held})
			sizes = append(sizes, size)
		}
		if len(s.Result.Rows) != n || len(s.Result.Inputs) != n {
			t.Fatalf("%d gates: a result of %d entries, want %d", visits, len(s.Result.Rows), n)
		}
		t.Logf("%d gates: %d entries, appends of %v bytes", visits, n, sizes)
	}
}
