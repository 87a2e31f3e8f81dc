package competition

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/internal/testkit"
)

// settled is a race of n whose settle is answered by all; its result is due, a row to a part.
func settled(t rapid.TB, n int) *race {
	r := running(t, fiveK(), n)
	r.partBytes, r.keeps = 1, true
	end := gun.Add(unit.Hour + unit.Minute)
	r.next(end)
	for i := range n {
		r.answer(r.says(uint32(i+1), 3, true, int64(1000+i), int64(9000-i)))
	}
	return r
}

const afterAll = gun + 2*unit.InstantMs(unit.Hour)

func kinds(evs []Event) string {
	s := names(evs)
	for _, n := range []struct{ long, short string }{{"ResultPart", "part"}, {"ResultPublished", "result"}, {"StatusChanged", "status"}} {
		s = strings.ReplaceAll(s, n.long, n.short)
	}
	return s
}

// TestAResultInParts: parts in a row, then the event that closes them; nothing exists before it, and it is the result that
// one event would have been.
func TestAResultInParts(t *testing.T) {
	testkit.NeedsRule(t, step.RuleResultCloses, func(t testing.TB) {
		r := settled(t, 3)
		before := len(r.events)
		for i := range 3 {
			r.next(afterAll)
			if r.s.Result != nil || r.s.Phase != PhaseSettling {
				t.Fatalf("after part %d: phase %v, result %+v", i+1, r.s.Phase, r.s.Result)
			}
		}
		r.next(afterAll)
		if got := kinds(r.events[before:]); got != "part part part result" {
			t.Fatalf("published by %s", got)
		}
		if closing := r.events[len(r.events)-1].(ResultPublished); closing.Parts != 3 || len(closing.Digest) != 32 || len(closing.Rows)+len(closing.Inputs) > 0 {
			t.Errorf("closed by %+v", closing)
		}
		verifyAll(t, r.events)

		one := settled(t, 3)
		one.partBytes = 0
		one.proceed(afterAll)
		whole, inParts := *one.s.Result, *r.s.Result
		if inParts.Parts, inParts.Digest = 0, nil; !reflect.DeepEqual(whole, inParts) {
			t.Errorf("in parts %+v\nin one   %+v", inParts, whole)
		}
	})
}

// TestPartsAreOfOneState: whatever changes the result between two parts begins it anew, whether the draft is lost or not.
func TestPartsAreOfOneState(t *testing.T) {
	testkit.NeedsRule(t, step.RuleResultOneState, func(t testing.TB) {
		for _, keeps := range []bool{false, true} {
			for parts := 1; parts <= 3; parts++ {
				r := settled(t, 3)
				r.keeps = keeps
				for range parts {
					r.next(afterAll)
				}
				r.do(Penalize{Meta: on(afterAll), Number: 3, Penalty: unit.Minute})
				if _, err := r.report(r.says(1, 9, true, 500, 900)); err != nil { // late input
					t.Fatal(err)
				}
				before := len(r.events)
				r.proceed(afterAll + 5)
				if got := kinds(r.events[before:]); got != "part part part result SettleBegun" {
					t.Fatalf("after %d parts and new facts: %s", parts, got)
				}
				p := *r.s.Result
				if got := table(&p); got != "2:1/finished 3:2/finished 1:0/finished!" || p.Version != 1 || p.At != afterAll+5 {
					t.Errorf("after %d parts: %s, version %d at %d", parts, got, p.Version, p.At)
				}
				verifyAll(t, r.events)
			}
		}
	})
}

// TestPartsGoOnAfterACrash: at any part, with another size of parts, by whoever has only the journal. What changes no
// result does not begin it anew.
func TestPartsGoOnAfterACrash(t *testing.T) {
	want := settled(t, 7)
	want.partBytes = 0
	want.proceed(afterAll)
	for parts := 1; parts <= 7; parts++ {
		r := settled(t, 7)
		for range parts {
			r.next(afterAll)
		}
		again := &race{t: t, s: New(), partBytes: 700, keeps: true}
		for _, e := range r.events {
			again.s.Apply(e)
		}
		again.events = r.events
		again.s.Apply(Opened{"n2"})
		again.s.Apply(Fenced{})
		again.events = append(again.events, Opened{"n2"}, Fenced{})
		again.proceed(afterAll + 9)
		p := *again.s.Result
		if p.Version != 1 || p.JournalVersion != r.s.Publishing.Base || p.At != afterAll {
			t.Errorf("after %d parts: %+v", parts, p)
		}
		if !reflect.DeepEqual(p.Rows, want.s.Result.Rows) || !reflect.DeepEqual(p.Inputs, want.s.Result.Inputs) || !bytes.Equal(p.Digest, Digest(p.Rows, rowOrder(&p))) {
			t.Errorf("after %d parts: %s", parts, table(&p))
		}
		verifyAll(t, again.events)
	}
}

// rowOrder are a result's inputs as its digest has them.
func rowOrder(p *ResultPublished) []Input {
	d := Draft{inputs: map[uint32]Input{}}
	for _, in := range p.Inputs {
		d.inputs[in.Entry] = in
	}
	return d.inputsOf(p.Rows)
}

// TestAnotherBuildBeginsAgain: rows that this build would not have computed are not gone on with.
func TestAnotherBuildBeginsAgain(t *testing.T) {
	r := settled(t, 3)
	r.next(afterAll)
	r.s.Publishing.Rows[0].Net++
	before := len(r.events)
	r.draft, r.keeps = nil, false
	r.proceed(afterAll)
	if got := kinds(r.events[before:]); got != "part part part result SettleBegun" {
		t.Errorf("it goes on with %s", got)
	}
	r.s = New()
	for _, e := range r.events {
		r.s.Apply(e)
	}
	verifyAll(t, r.events)
}

// TestARepublishedResultInParts: the officials' command begins it, the race goes on with it, and nothing comes between.
func TestARepublishedResultInParts(t *testing.T) {
	d := fiveK()
	d.AutoOfficialAfter = -1
	r := running(t, d, 2)
	r.partBytes = 1
	r.proceed(afterAll)
	for i := range uint32(2) {
		r.answer(r.says(i+1, 3, true, 1000, 9000+int64(i)))
	}
	r.proceed(afterAll)
	r.do(Penalize{Meta: on(afterAll), Number: 1, Penalty: unit.Minute}, PublishProvisional{on(afterAll + 1), 1})
	if r.s.Result.Version != 1 || len(Timers(r.s)) != 0 || r.s.Phase != PhaseProvisional {
		t.Fatalf("version %d, timers %v", r.s.Result.Version, Timers(r.s))
	}
	for _, c := range []Command{PublishProvisional{on(afterAll + 2), 1}, MakeOfficial{on(afterAll + 2), true}} {
		if _, err := r.try(c); !errors.Is(err, ErrSettling) {
			t.Errorf("%T between parts: %v", c, err)
		}
	}
	r.do(Penalize{Meta: on(afterAll), Number: 1, Penalty: unit.Minute})
	r.proceed(afterAll + 3)
	if p := r.s.Result; p.Version != 2 || p.Rows[1].Penalty != 2*unit.Minute || p.At != afterAll+3 || p.Status != ResultProvisional {
		t.Errorf("version %d: %s", p.Version, table(p))
	}
	r.do(PublishProvisional{on(afterAll + 4), 1}, Cancel{on(afterAll + 5), "storm"})
	if r.s.Publishing != nil || Due(r.s, Proceed{Meta: on(afterAll + 6)}) {
		t.Error("a cancelled race publishes")
	}
	verifyAll(t, r.events)
}

// TestHalfAResultIsNone: a closing event that does not close what is there publishes nothing, here and for whoever reads
// the journal.
func TestHalfAResultIsNone(t *testing.T) {
	r := settled(t, 3)
	r.proceed(afterAll)
	at := slices.IndexFunc(r.events, func(e Event) bool { _, ok := e.(ResultPart); return ok })
	begun := r.events[:at]
	part := func(i int) ResultPart { return r.events[at+i].(ResultPart) }
	closing := r.events[at+3].(ResultPublished)
	other := part(1)
	other.JournalVersion--
	flipped := part(1)
	flipped.Rows = slices.Clone(flipped.Rows)
	flipped.Rows[0].Net++
	input := part(1)
	input.Inputs = slices.Clone(input.Inputs)
	input.Inputs[0].Streams = slices.Clone(input.Inputs[0].Streams)
	input.Inputs[0].Streams[0].Through++
	another := closing
	another.Version++
	for name, evs := range map[string][]Event{
		"a part is missing":         {part(0), part(1), closing},
		"the first is missing":      {part(1), part(2), closing},
		"no part":                   {closing},
		"parts out of order":        {part(0), part(2), part(1), closing},
		"a part twice":              {part(0), part(1), part(1), part(2), closing},
		"a part of another attempt": {part(0), other, part(2), closing},
		"another row":               {part(0), flipped, part(2), closing},
		"another input":             {part(0), input, part(2), closing},
		"another version":           {part(0), part(1), part(2), another},
	} {
		s, results, failed := New(), Joiner{}, false
		for _, e := range slices.Concat(begun, evs) {
			s.Apply(e)
			_, ok, err := results.Take(e)
			failed = failed || err != nil
			if ok && !failed {
				t.Errorf("%s: read as a result", name)
			}
		}
		if !failed || s.Result != nil || s.Publishing != nil || !Due(s, Proceed{Meta: on(afterAll)}) {
			t.Errorf("%s: failed %v, result %+v, publishing %+v", name, failed, s.Result, s.Publishing)
		}
	}
}

// TestALargeFieldIsBoundedInEveryCommand: what one command emits does not grow with the field, nor is anything of it
// computed for each part.
func TestALargeFieldIsBoundedInEveryCommand(t *testing.T) {
	const n = 3000
	r := &race{t: t, s: New()}
	do := func(c Command) []Event {
		evs, err := Decide(r.s, c)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		for _, e := range evs {
			r.s.Apply(e)
		}
		return evs
	}
	do(Create{on(gun - 1000), fiveK()})
	for i := 1; i <= n; i++ {
		do(AddEntry{Meta: on(gun - 900), User: fmt.Sprintf("u%d", i)})
	}
	do(Lock{on(gun - 800)})
	for i := 1; i <= 500; i++ {
		do(Join{Meta: on(gun - 700), User: fmt.Sprintf("u%d", i), Training: fmt.Sprintf("u%d/w", i)})
	}
	do(Start{on(gun), gun})
	var got []string
	for at := afterAll; Due(r.s, Proceed{Meta: on(at)}); {
		evs := do(Proceed{Meta: on(at)})
		got = append(got, fmt.Sprint(len(evs)))
	}
	if s := strings.Join(got, " "); s != "2048 452 1" {
		t.Errorf("the cut-off takes commands of %s events", s)
	}
	got = nil
	for r.s.Settle.Open {
		evs := do(GiveUpSettle{Meta: on(afterAll), Number: 1})
		if len(evs) == 0 {
			break
		}
		got = append(got, fmt.Sprint(len(evs)))
	}
	if s := strings.Join(got, " "); s != "256 256 256 232" {
		t.Errorf("giving up takes commands of %s events", s)
	}
	var held *Draft
	for at := afterAll; r.s.Result == nil; {
		c := Proceed{Meta: on(at), Draft: held}
		d := DraftFor(r.s, c, held)
		if held != nil && d != held {
			t.Fatal("the result is computed again between two parts")
		}
		held, c.Draft = d, d
		evs := do(c)
		if p, ok := evs[len(evs)-1].(ResultPart); ok {
			size := 0
			for i := range p.Rows {
				size += rowBytesOf(p.Rows[i].Category, len(p.Rows[i].Gates)) + statusBytes
			}
			for _, in := range p.Inputs {
				size += in.bytes()
			}
			if size > MaxResultBytes {
				t.Errorf("part %d weighs %d", p.Part, size)
			}
		}
	}
	if p := r.s.Result; len(p.Rows) != n || p.Parts < 2 {
		t.Errorf("%d rows in %d parts", len(p.Rows), p.Parts)
	}
}
