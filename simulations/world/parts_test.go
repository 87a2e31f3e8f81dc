package world

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"paceline/actors/competition"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// inParts is a race whose results are published row by row.
func inParts(play func(w *World, s *script)) func(w *World, s *script) {
	return func(w *World, s *script) {
		w.faults.PartBytes = 1
		play(w, s)
	}
}

// partScenes is what can come between two parts of a result. The undisturbed race publishes it in one event.
var partScenes = map[string]scene{
	"between two parts/nothing": {needs: []step.Rule{step.RuleResultCloses}, script: inParts(func(w *World, s *script) {
		s.out("a part", w.raceGrain(), appends[competition.ResultPart], passes).always()
	}), after: closesAfterAll},
	"between two parts/a crash before each": {script: inParts(func(w *World, s *script) {
		for range 2 {
			s.out("the first not journalled", w.raceGrain(), appends[competition.ResultPart], dies)
			s.out("the second not journalled", w.raceGrain(), appends[competition.ResultPart], dies).after(1)
			s.out("not closed", w.raceGrain(), appends[competition.ResultPublished], dies)
		}
	}), after: closesAfterAll},
	"between two parts/a crash after each": {script: inParts(func(w *World, s *script) {
		s.out("a part, and nobody knows", w.raceGrain(), appends[competition.ResultPart], goesThenDies).left = 3
		s.out("closed, and nobody knows", w.raceGrain(), appends[competition.ResultPublished], goesThenDies).left = 2
	}), after: closesAfterAll},
	"between two parts/fenced": {script: inParts(func(w *World, s *script) {
		s.out("another one goes on", w.raceGrain(), appends[competition.ResultPart], then(func(*activation) {
			_, other := w.home(w.raceGrain())
			w.place(w.raceGrain(), other)
			w.tell(other, w.raceGrain(), &competitionv1.Get{}, func(any, error) {})
		}, held(2*unit.Second))).left = 2
	}), after: closesAfterAll},
	"between two parts/late input": {settle: true, script: inParts(func(w *World, s *script) {
		r := w.victim()
		w.sourceKeeps(r, len(r.streams[0].atMs)/2)
		s.out("a part is under way", w.raceGrain(), appends[competition.ResultPart], then(func(*activation) { w.release(r) }, held(20*unit.Second)))
	}), after: func(t testing.TB, w *World, official string) {
		closesAfterAll(t, w, official)
		if w.abandoned() == 0 {
			t.Error("the first attempt was closed, although late input came between its parts")
		}
	}},
	"between two parts/late input and a crash": {settle: true, needs: []step.Rule{step.RuleResultOneState}, script: inParts(func(w *World, s *script) {
		r := w.victim()
		w.sourceKeeps(r, len(r.streams[0].atMs)/2)
		s.out("a part is under way", w.raceGrain(), appends[competition.ResultPart], then(func(*activation) { w.release(r) }, held(20*unit.Second)))
		s.out("late input is journalled", w.raceGrain(), appends[competition.LateInput], goesThenDies)
	}), after: closesAfterAll},
}

// TestBetweenTwoParts plays these scenes with every rule in force.
func TestBetweenTwoParts(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(partScenes)) {
		t.Run(strings.TrimPrefix(name, "between two parts/"), func(t *testing.T) { partScenes[name].playAll(t, name) })
	}
}

// closesAfterAll: every result was in parts, and each part but those of attempts given up belongs to one.
func closesAfterAll(t testing.TB, w *World, _ string) {
	_, results := w.race() // fails itself on half a result
	for _, r := range results {
		if int(r.Parts) != len(r.Rows) || len(r.Rows) != len(w.plan.riders) {
			t.Errorf("result %d: %d rows of %d riders in %d parts", r.Version, len(r.Rows), len(w.plan.riders), r.Parts)
		}
	}
}

// abandoned is how many attempts were begun and never closed.
func (w *World) abandoned() int {
	begun := map[uint64]bool{}
	for _, p := range raceEvents[competition.ResultPart](w) {
		begun[p.JournalVersion] = true
	}
	for _, p := range raceEvents[competition.ResultPublished](w) {
		delete(begun, p.JournalVersion)
	}
	return len(begun)
}
