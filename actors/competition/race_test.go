package competition

import (
	"fmt"
	"reflect"
	"strings"

	"pgregory.net/rapid"

	"paceline/actors/leaderboard"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/step"
	"paceline/domain/unit"
)

const gun unit.InstantMs = 1_700_000_000_000

// fiveK is a distance race with a gate half way: gate 0, finish 1.
func fiveK() Definition {
	return Definition{Name: "5 km", RankBy: leaderboard.Gun, Start: MassStart, Categories: []string{"F", "M"}, CutoffAfter: unit.Hour, Grace: unit.Minute,
		Track: course.Track{Format: course.Distance, Sport: "run", DistanceMm: 5_000_000, Gates: []geo.Gate{
			{ID: "half", Kind: geo.SplitGate, AtMm: 2_500_000}, {ID: "finish", Kind: geo.FinishGate, AtMm: 5_000_000}}}}
}

// lined is a GPS course of start, split and finish: gates 0, 1, 2.
func lined() Definition {
	d := fiveK()
	d.Track = course.Track{Format: course.Line, Sport: "ride", CorridorMm: 50_000,
		Line: []geo.Point{{Lat: 535_000_000, Lon: 100_000_000}, {Lat: 535_300_000, Lon: 100_000_000}}}
	south, north := int64(99_990_000), int64(100_010_000)
	gate := func(name string, kind geo.GateKind, lat int64) geo.Gate {
		return geo.Gate{ID: name, Kind: kind, A: geo.Point{Lat: lat, Lon: south}, B: geo.Point{Lat: lat, Lon: north}, Direction: geo.RightToLeft, Mandatory: true, AtMm: geo.Unplaced}
	}
	d.Track.Gates = []geo.Gate{gate("start", geo.StartGate, 535_010_000), gate("split", geo.SplitGate, 535_150_000), gate("finish", geo.FinishGate, 535_290_000)}
	return d
}

// race runs commands against a state and keeps what happened.
type race struct {
	t      rapid.TB
	s      *State
	events []Event

	partBytes int  // what a part of a result holds; 0: what it may
	keeps     bool // drafts, as the shell does
	draft     *Draft
}

func newRace(t rapid.TB) *race { return &race{t: t, s: New()} }

// try decides and applies one command; whatever happens, Decide must have left the state alone, and the invariants hold.
func (r *race) try(c Command) ([]Event, error) {
	r.t.Helper()
	before := r.s.Clone()
	evs, err := Decide(r.s, c)
	if !reflect.DeepEqual(before, r.s) {
		r.t.Fatalf("Decide(%T) changed the state", c)
	}
	for _, e := range evs {
		r.s.Apply(e)
	}
	if err := r.s.Check(); err != nil {
		r.t.Fatalf("after %T %+v: %v", c, c, err)
	}
	r.events = append(r.events, evs...)
	return evs, err
}

func (r *race) do(cs ...Command) {
	r.t.Helper()
	for _, c := range cs {
		if _, err := r.try(c); err != nil {
			r.t.Fatalf("%T: %v", c, err)
		}
	}
}

// proceed lets the race go on at an instant as far as it can.
func (r *race) proceed(at unit.InstantMs) {
	r.t.Helper()
	for i := 0; Due(r.s, Proceed{Meta: on(at), FinalAllowed: true}); i++ {
		if i > 10+3*len(r.s.Entries()) {
			r.t.Fatal("it goes on for ever")
		}
		r.next(at)
	}
}

// next lets it take one step.
func (r *race) next(at unit.InstantMs) {
	r.t.Helper()
	c := Proceed{Meta: on(at), FinalAllowed: true, PartBytes: r.partBytes}
	if r.draft = DraftFor(r.s, c, r.draft); r.keeps {
		c.Draft = r.draft
	}
	r.do(c)
}

func on(at unit.InstantMs) step.Meta { return step.Meta{At: at, By: "operator:op"} }

func by(who string, at unit.InstantMs) step.Meta { return step.Meta{At: at, By: who} }

// locked is a race with n bound entries and a locked start list.
func locked(t rapid.TB, d Definition, n int) *race {
	r := newRace(t)
	r.do(Create{on(gun - 1000), d})
	for i := 1; i <= n; i++ {
		r.do(AddEntry{Meta: on(gun - 900), User: fmt.Sprintf("u%d", i)})
	}
	r.do(Lock{on(gun - 800)})
	for i := 1; i <= n; i++ {
		r.do(Join{Meta: on(gun - 700), User: fmt.Sprintf("u%d", i), Training: fmt.Sprintf("u%d/w", i)})
	}
	return r
}

// running is locked and started.
func running(t rapid.TB, d Definition, n int) *race {
	r := locked(t, d, n)
	r.do(Start{on(gun - 500), gun})
	return r
}

// says is a report of an entry: through which seq, and gates in ms after the gun by their number; below 0: not passed.
func (r *race) says(entry uint32, through uint64, finished bool, ms ...int64) Report {
	e := r.s.Entry(entry)
	rep := Report{Entry: entry, Training: e.Training, BindingVersion: e.BindingVersion, Finished: finished,
		Basis: basis.Of(basis.StreamBasis{Device: e.User + "/d", Stream: "s", FoldedThrough: through, FactsVersion: 1})}
	for g, at := range ms {
		if at >= 0 {
			rep.Gates = append(rep.Gates, GateTime{uint32(g), gun.Add(unit.DurationMs(at)).Us()})
		}
	}
	return rep
}

func (r *race) report(rep Report) ([]Event, error) { return r.try(TakeReport{on(gun + 1), rep}) }

// answer settles one entry with a report.
func (r *race) answer(rep Report) {
	r.t.Helper()
	r.do(TakeAnswer{Meta: on(gun + 2), Number: r.s.Settle.Number, Report: rep, Streams: streamsOf(rep), Recording: []byte{1}})
}

func streamsOf(rep Report) []InputStream {
	var all []InputStream
	for _, b := range rep.Basis {
		all = append(all, InputStream{Device: b.Device, Stream: b.Stream, Through: b.FoldedThrough, FactsVersion: b.FactsVersion, Digest: []byte{byte(b.FoldedThrough)}})
	}
	return all
}

// table is a result as people read it.
func table(r *ResultPublished) string {
	if r == nil {
		return "no result"
	}
	var b strings.Builder
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "%d:%d/%s", row.Entry, row.Place, row.Status)
		if row.UnderReview {
			b.WriteByte('!')
		}
		if row.Disputed {
			b.WriteByte('?')
		}
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String())
}

// names are the events' types.
func names(evs []Event) string {
	var all []string
	for _, e := range evs {
		all = append(all, strings.TrimPrefix(fmt.Sprintf("%T", e), "competition."))
	}
	return strings.Join(all, " ")
}
