package competition

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/leaderboard"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/unit"
)

func TestDecide(t *testing.T) {
	draft := func(t rapid.TB) *race { r := newRace(t); r.do(Create{on(gun - 1000), fiveK()}); return r }
	individually := func(t rapid.TB) *race {
		r, d := newRace(t), fiveK()
		d.Start = IndividualStart
		r.do(Create{on(gun - 1000), d})
		return r
	}
	open := func(t rapid.TB) *race {
		r := draft(t)
		r.do(AddEntry{Meta: on(gun - 900), Number: 7, User: "u7"})
		return r
	}
	full := func(t rapid.TB) *race {
		r, d := newRace(t), fiveK()
		r.do(Create{on(gun - 1000), d})
		for i := range MaxEntriesInOne(len(r.s.Course.Visits())) {
			r.do(AddEntry{Meta: on(gun - 900), User: fmt.Sprint("u", i), InOne: true})
		}
		return r
	}
	two := func(t rapid.TB) *race { return running(t, fiveK(), 2) }
	provisional := func(t rapid.TB) *race { return settledRace(t) }
	unbound := func(t rapid.TB) *race { r := open(t); r.do(Lock{on(gun - 800)}, Start{on(gun - 700), gun}); return r }
	cutoff := gun.Add(fiveK().CutoffAfter)
	for _, tt := range []struct {
		name  string
		given func(rapid.TB) *race
		when  Command
		want  string // events, or the fault's code
	}{
		{"nothing exists", newRace, Lock{on(gun)}, "competition.not_found"},
		{"create", newRace, Create{on(gun), fiveK()}, "Created"},
		{"create twice", draft, Create{on(gun), fiveK()}, "competition.exists"},
		{"enter", draft, AddEntry{Meta: on(gun), User: "a", Category: "F"}, "EntryAdded"},
		{"enter oneself", draft, AddEntry{Meta: by("athlete:a", gun), User: "a", Category: "F"}, "EntryAdded"},
		{"enter oneself with a number", draft, AddEntry{Meta: by("athlete:a", gun), User: "a", Number: 3}, "competition.officials_only"},
		{"enter oneself in a heat", draft, AddEntry{Meta: by("athlete:a", gun), User: "a", Heat: 2}, "competition.officials_only"},
		{"enter oneself in a wave", draft, AddEntry{Meta: by("athlete:a", gun), User: "a", Wave: 2}, "competition.officials_only"},
		{"give oneself a start", individually, AddEntry{Meta: by("athlete:a", gun), User: "a", Offset: 600_000}, "competition.officials_only"},
		{"be given a start", individually, AddEntry{Meta: on(gun), User: "a", Offset: 600_000}, "EntryAdded"},
		{"enter in no category of this race", draft, AddEntry{Meta: on(gun), User: "a", Category: "X"}, "competition.category"},
		{"a mass start has no offsets", draft, AddEntry{Meta: on(gun), User: "a", Offset: 1}, "competition.start_offset"},
		{"a number too high", draft, AddEntry{Meta: on(gun), User: "a", Number: 100_000}, "competition.number"},
		{"one more than a result of one event holds", full, AddEntry{Meta: on(gun), User: "z", InOne: true}, "competition.full"},
		{"one more, in parts", full, AddEntry{Meta: on(gun), User: "z"}, "EntryAdded"},
		{"nobody", draft, AddEntry{Meta: on(gun), User: ""}, "id.malformed"},
		{"a person twice", open, AddEntry{Meta: on(gun), User: "u7"}, "competition.already_entered"},
		{"a number twice", open, AddEntry{Meta: on(gun), User: "b", Number: 7}, "competition.number_taken"},
		{"lock an empty list", draft, Lock{on(gun)}, "competition.no_entries"},
		{"lock", open, Lock{on(gun)}, "StartListLocked"},
		{"lock twice", two, Lock{on(gun)}, "competition.not_open"},
		{"enter after the lock", two, AddEntry{Meta: on(gun), User: "z"}, "competition.not_open"},
		{"start before the lock", open, Start{on(gun), gun}, "competition.not_locked"},
		{"start twice", two, Start{on(gun), gun + 1}, "competition.already_running"},
		{"start two days ago", func(t rapid.TB) *race { return locked(t, fiveK(), 1) }, Start{on(gun), gun - 2*86_400_000}, "competition.gun"},
		{"join without an entry", open, Join{Meta: on(gun), User: "x", Training: "x/w"}, "competition.no_entry"},
		{"join with somebody else's training", open, Join{Meta: on(gun), User: "u7", Training: "x/w"}, "competition.not_your_training"},
		{"join with no training", open, Join{Meta: on(gun), User: "u7", Training: "u7/"}, "id.malformed"},
		{"join", open, Join{Meta: on(gun), User: "u7", Training: "u7/w"}, "EntryBound"},
		{"join again", two, Join{Meta: by("athlete:u1", gun-1), User: "u1", Training: "u1/w"}, ""},
		{"another training before the gun", two, Join{Meta: by("athlete:u1", gun-1), User: "u1", Training: "u1/x"}, "EntryBound"},
		{"another training after the gun", two, Join{Meta: by("athlete:u1", gun), User: "u1", Training: "u1/x"}, "competition.binding_fixed"},
		{"another training by an official", two, Join{Meta: on(gun), User: "u1", Training: "u1/x"}, "EntryBound"},
		{"join just before the cut-off", unbound, Join{Meta: by("athlete:u7", cutoff-1), User: "u7", Training: "u7/w"}, "EntryBound"},
		{"join at the cut-off", unbound, Join{Meta: by("athlete:u7", cutoff), User: "u7", Training: "u7/w"}, "competition.cut_off"},
		{"join at the cut-off, by an official", unbound, Join{Meta: on(cutoff), User: "u7", Training: "u7/w"}, "EntryBound"},
		{"ready", open, Ready{on(gun), "u7"}, "EntryReady"},
		{"ready after the gun", two, Ready{on(gun), "u1"}, "competition.already_running"},
		{"withdraw before the gun", two, Withdraw{on(gun - 1), 1, "ill"}, "StatusChanged(dns) EntryWithdrawn"},
		{"withdraw after it", two, Withdraw{on(gun + 1), 1, "ill"}, "StatusChanged(dnf) EntryWithdrawn"},
		{"withdraw oneself", two, Withdraw{by("athlete:u2", gun-1), 0, ""}, "StatusChanged(dns) EntryWithdrawn"},
		{"leave before the gun", two, Leave{by("athlete:u2", gun-1), "u2"}, "StatusChanged(dns) EntryWithdrawn"},
		{"leave the race", two, Leave{by("device:mill/mill", gun+1), "u2"}, "StatusChanged(dnf) EntryWithdrawn"},
		{"leave without an entry", two, Leave{by("athlete:x", gun), "x"}, "competition.no_entry"},
		{"leave a race that is over", provisional, Leave{by("athlete:u1", gun+5), "u1"}, "competition.over"},
		{"withdraw nobody", two, Withdraw{on(gun), 9, ""}, "competition.no_entry"},
		{"a penalty of nothing", two, Penalize{on(gun), 1, 0, ""}, "competition.penalty"},
		{"a decision that is none", two, Rule{on(gun), 1, "banish", ""}, "competition.decision"},
		{"a reason without end", two, Rule{on(gun), 1, "dsq", strings.Repeat("x", 201)}, "competition.reason"},
		{"official without a result", two, MakeOfficial{on(gun), true}, "competition.no_result"},
		{"provisional before the gun", two, PublishProvisional{Meta: on(gun - 1)}, "competition.not_running"},
		{"provisional settles now", two, PublishProvisional{Meta: on(gun)}, "SettleBegun"},
		{"correct what is not official", two, Correct{on(gun), ""}, "competition.not_official"},
		{"official too early", provisional, MakeOfficial{on(gun), false}, "competition.too_early"},
		{"official settles once more", provisional, MakeOfficial{on(gun), true}, "SettleBegun"},
		{"provisional again", provisional, PublishProvisional{Meta: on(gun + 5)}, "ResultPublished"},
		{"join when it is over", provisional, Join{Meta: on(gun), User: "u1", Training: "u1/x"}, "competition.over"},
		{"cancel", two, Cancel{on(gun), "storm"}, "Cancelled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			evs, err := tt.given(t).try(tt.when)
			got := names(evs)
			for _, e := range evs {
				if e, ok := e.(StatusChanged); ok {
					got = strings.Replace(got, "StatusChanged", "StatusChanged("+e.Status.String()+")", 1)
				}
			}
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), ": ")
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

// settledRace has a provisional result: 1 before 2, both finished.
func settledRace(t rapid.TB) *race {
	d := fiveK()
	d.AutoOfficialAfter = -1
	r := running(t, d, 2)
	a, b := r.says(1, 10, true, 600_000, 1_200_000), r.says(2, 12, true, 590_000, 1_300_000)
	_, _ = r.report(a)
	_, _ = r.report(b)
	r.proceed(gun + 1_300_000)
	r.answer(a)
	r.answer(b)
	r.proceed(gun + 1_300_000)
	if got := table(r.s.Result); got != "1:1/finished 2:2/finished" {
		t.Fatalf("settled: %q", got)
	}
	return r
}

func TestDefinitionIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Definition)
		want   error
	}{
		{"fine", func(*Definition) {}, nil},
		{"no name", func(d *Definition) { d.Name = "" }, ErrName},
		{"65 categories", func(d *Definition) {
			for i := range 65 {
				d.Categories = append(d.Categories, fmt.Sprint(i))
			}
		}, leaderboard.ErrCategories},
		{"no such start", func(d *Definition) { d.Start = 4 }, ErrStartKind},
		{"no such ranking", func(d *Definition) { d.RankBy = 3 }, ErrRankBy},
		{"cut off before the gun", func(d *Definition) { d.CutoffAfter = -1 }, ErrCutoff},
		{"official before the result", func(d *Definition) { d.AutoOfficialAfter = -2 }, ErrAuto},
		{"no course", func(d *Definition) { d.Track = course.Track{} }, course.ErrSport},
		{"a line without end", func(d *Definition) { d.Track.Line = make([]geo.Point, MaxLinePoints+1) }, ErrTooLong},
		{"no such columns", func(d *Definition) { d.Audiences.Public.Columns = 3 }, ErrAudience},
		{"a map of the future", func(d *Definition) { d.Audiences.Entrant.Delay = -1 }, ErrAudience},
		{"a map of yesterday", func(d *Definition) { d.Audiences.Entrant.Delay = MaxAudienceDelay + 1 }, ErrAudience},
		{"a map of an hour ago", func(d *Definition) { d.Audiences.Public = Audience{PositionColumns, MaxAudienceDelay} }, nil},
		{"organization that is no id", func(d *Definition) { d.Organization = "a/b" }, errors.New("id.malformed")},
	} {
		d := fiveK()
		tt.change(&d)
		_, err := Decide(New(), Create{on(gun), d})
		if (err == nil) != (tt.want == nil) || err != nil && !strings.Contains(err.Error(), strings.Split(tt.want.Error(), ":")[0]) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestAudiencesHaveDefaults: the public sees how far somebody is, entrants where; also in a race of a time before a race
// could say so.
func TestAudiencesHaveDefaults(t *testing.T) {
	want := Audiences{Public: Audience{Columns: ProgressColumns}, Entrant: Audience{Columns: PositionColumns}}
	r := newRace(t)
	r.do(Create{on(gun), fiveK()})
	old := fiveK()
	for name, got := range map[string]Audiences{"created": r.s.Definition.Audiences, "shown": r.s.Definition.Shown(), "old": old.Shown()} {
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	d := fiveK()
	d.Audiences.Entrant = Audience{ProgressColumns, unit.Minute}
	r = newRace(t)
	r.do(Create{on(gun), d})
	if got := r.s.Definition.Shown(); got.Entrant != d.Audiences.Entrant || got.Public != want.Public {
		t.Errorf("declared %+v, shown %+v", d.Audiences, got)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	r := newRace(t)
	r.do(Create{on(gun), fiveK()})
	for i := range MaxEntries(2) {
		r.s.Apply(EntryAdded{Entry: uint32(i + 1), User: fmt.Sprintf("u%d", i)})
	}
	if _, err := r.try(AddEntry{Meta: on(gun), User: "one-more"}); !errors.Is(err, ErrFull) || MaxEntries(2) < 500 {
		t.Errorf("entry %d of a 5 km race: %v", MaxEntries(2)+1, err)
	}
}

// TestReviewAndClear: a flag takes the place, an official gives it back, and the same flag does not take it again.
func TestReviewAndClear(t *testing.T) {
	r := running(t, fiveK(), 2)
	a, b := r.says(1, 10, true, 600_000, 1_200_000), r.says(2, 12, true, 590_000, 1_300_000)
	a.Flags = []string{"training.jump", "training.jump"}
	evs, _ := r.report(a)
	if got := names(evs); got != "GateTaken GateTaken StatusChanged ReviewChanged ReportNoted" {
		t.Errorf("events %q", got)
	}
	_, _ = r.report(b)
	r.proceed(gun + 1_300_000)
	r.answer(a)
	r.answer(b)
	r.proceed(gun + 1_300_000 - 1)
	if got := table(r.s.Result); got != "2:1/finished 1:0/finished!" {
		t.Errorf("under review: %q", got)
	}
	// Official at once (auto 0): the final settle flags it again; in between an official has looked.
	r.do(Rule{on(gun + 1_300_000), 1, DecisionClear, "a tunnel"})
	r.proceed(gun + 1_300_000)
	r.answer(a)
	r.answer(b)
	r.proceed(gun + 1_300_000)
	if got := table(r.s.Result); got != "1:1/finished 2:2/finished" || r.s.Phase != PhaseOfficial {
		t.Errorf("cleared: %q in %s", got, r.s.Phase)
	}
}

func TestDecisionsEnterTheNextResult(t *testing.T) {
	for _, tt := range []struct {
		name string
		cs   []Command
		want string
	}{
		{"a penalty turns the order", []Command{Penalize{on(gun), 1, 100_001, "draft"}}, "2:1/finished 1:2/finished"},
		{"a credit makes a tie", []Command{Penalize{on(gun), 2, -100_000, "train"}}, "1:1/finished 2:1/finished"},
		{"disqualified", []Command{Rule{on(gun), 1, DecisionDSQ, "cut"}}, "2:1/finished 1:0/dsq"},
		{"and back", []Command{Rule{on(gun), 1, DecisionDSQ, "cut"}, Rule{on(gun), 1, DecisionReinstate, "no"}}, "1:1/finished 2:2/finished"},
		{"dnf by decision", []Command{Rule{on(gun), 1, DecisionDNF, "lifted"}}, "2:1/finished 1:0/dnf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := settledRace(t)
			r.do(tt.cs...)
			r.do(PublishProvisional{Meta: on(gun + 2)})
			if got := table(r.s.Result); got != tt.want {
				t.Errorf("result %q, want %q", got, tt.want)
			}
			if r.s.Result.Version != 2 {
				t.Errorf("version %d, want 2", r.s.Result.Version)
			}
		})
	}
}

func TestGatesCountFromTheGunThroughTheCutOff(t *testing.T) {
	r := running(t, fiveK(), 1)
	hour := int64(unit.Hour)
	if evs, _ := r.report(r.says(1, 1, false, -1)); len(evs) != 0 {
		t.Errorf("nothing new gives %q", names(evs))
	}
	early := r.says(1, 2, false, 0)
	early.Gates[0].At--
	if evs, _ := r.report(early); len(evs) != 0 {
		t.Errorf("a gate before the gun gives %q", names(evs))
	}
	late := r.says(1, 3, false, 0, hour)
	late.Gates[1].At++
	if evs, _ := r.report(late); names(evs) != "GateTaken ReportNoted" {
		t.Errorf("a finish after the cut-off gives %q", names(evs))
	}
	if evs, _ := r.report(r.says(1, 4, false, 0, hour)); names(evs) != "GateTaken StatusChanged ReportNoted" {
		t.Errorf("a finish at the cut-off gives %q", names(evs))
	}
}

func TestARevisedGateNamesWhatItReplaces(t *testing.T) {
	r := running(t, fiveK(), 1)
	_, _ = r.report(r.says(1, 1, false, 1000, 2000))
	evs, _ := r.report(r.says(1, 2, false, 1500))
	want := []Event{
		GateRevised{Entry: 1, Gate: 0, From: gun.Add(1000).Us(), To: gun.Add(1500).Us(), Why: "reported"},
		GateRevised{Entry: 1, Gate: 1, From: gun.Add(2000).Us(), None: true, Why: "reported"},
		StatusChanged{1, leaderboard.Racing, "reported"},
	}
	if fmt.Sprint(evs[:3]) != fmt.Sprint(want) || len(evs) != 4 {
		t.Errorf("events %+v, want %+v and ReportNoted", evs, want)
	}
}

// TestAnAnswerTooLargeIsReviewed: a training with absurdly many streams cannot make the result too large to store.
func TestAnAnswerTooLargeIsReviewed(t *testing.T) {
	r := running(t, fiveK(), 1)
	for i := uint32(2); i <= 500; i++ { // as if they had been locked, too
		r.s.Apply(EntryAdded{Entry: i, User: fmt.Sprintf("x%d", i)})
		r.s.Apply(StatusChanged{i, leaderboard.DNS, "test"})
	}
	r.s.LockedCount = 500
	rep := r.says(1, 1, true, 1000, 2000)
	_, _ = r.report(rep)
	r.proceed(gun + 3000)
	a := TakeAnswer{Meta: on(gun), Number: 1, Report: rep, Streams: make([]InputStream, 3000)}
	r.do(a)
	r.proceed(gun + 3000)
	row := r.s.Result.Rows[0]
	if row.Entry != 1 || row.Place != 0 || !row.UnderReview || row.Finish == 0 {
		t.Errorf("row %+v, want the finish kept, under review", row)
	}
}
