package training_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/training"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
)

func meta(at unit.InstantMs) step.Meta { return step.Meta{At: at, By: "athlete:u1"} }

func track() course.Track {
	return course.Track{Format: course.Distance, Sport: geo.Run, Name: "1 km", DistanceMm: 1_000_000,
		Gates: []geo.Gate{{ID: "half", Kind: geo.SplitGate, AtMm: 500_000}, {ID: "finish", Kind: geo.FinishGate, AtMm: 1_000_000}}}
}

var (
	started = training.Started{WorkoutID: "w1", Sport: "run", Zone: "Europe/Berlin", UTCOffsetS: 7200, DeviceTime: 5}
	watch   = stream("watch", sample.GNSS, sample.Measured, sample.DistanceMm)
	bound   = training.Bound{Competition: "c1", Entry: 3, Version: 9, Track: track(), Gun: 1000, Cutoff: 900_000, Grace: 30_000}
	passed  = training.Passed{Gate: 0, At: 7_000_000, Binding: 9}
	ended   = training.FinishRequested{By: training.ByPerson, At: 60_000, RequestedAt: 61_000}
	basis1  = basis.Of(basis.StreamBasis{Device: "u/watch", Stream: "watch", FoldedThrough: 60, FactsVersion: 2})
	basis2  = basis.Of(basis.StreamBasis{Device: "u/watch", Stream: "watch", FoldedThrough: 70, FactsVersion: 2})
	flag    = training.Flag{Reason: training.FlagDistanceStep, Stream: "watch", Seq: 4, At: 2000}
)

func state(events ...training.Event) *training.State {
	s := training.New()
	for _, e := range events {
		s.Apply(e)
	}
	return s
}

func plan(steps ...training.PlanStep) training.Started {
	s := started
	s.Plan = steps
	return s
}

var planned = plan(training.PlanStep{ForS: 600, PowerW: 150}, training.PlanStep{ForS: 60, PowerW: 300})

func TestDecide(t *testing.T) {
	live := []training.Event{started, training.StreamAttached{Stream: watch}}
	racing := append(live[:2:2], bound)
	finishing := append(live[:2:2], ended)
	over := append(finishing[:3:3], training.Finished{Basis: basis1, Totals: training.Totals{Samples: 60}})
	observe := func(gates []training.Passage, flags ...training.Flag) training.Observe {
		return training.Observe{Meta: meta(1), Competition: "c1", Binding: 9, Gates: gates, Flags: flags, Why: "late"}
	}
	older, newer, other := bound, bound, bound
	older.Version, newer.Version, other.Competition = 8, 12, "c2"
	odd := bound
	odd.Version, odd.Track.DistanceMm = 10, 1
	for _, c := range []struct {
		name  string
		given []training.Event
		when  training.Command
		then  []training.Event
		err   error
	}{
		{"start", nil, training.Start{Meta: meta(1), Started: started}, []training.Event{started}, nil},
		{"start twice", live, training.Start{Meta: meta(1), Started: started}, nil, nil},
		{"start otherwise", live, training.Start{Meta: meta(1), Started: training.Started{WorkoutID: "w1", Sport: "ride"}}, nil, training.ErrStarted},
		{"start again", over, training.Start{Meta: meta(1), Started: started}, nil, training.ErrFinished},
		{"no sport", nil, training.Start{Meta: meta(1)}, nil, training.ErrSport},
		{"a sport that nobody knows", nil, training.Start{Meta: meta(1), Started: training.Started{Sport: "running"}}, nil, training.ErrSport},
		{"start with a plan", nil, training.Start{Meta: meta(1), Started: planned}, []training.Event{planned}, nil},
		{"start with the same plan twice", []training.Event{planned}, training.Start{Meta: meta(1), Started: planned}, nil, nil},
		{"start with another plan", []training.Event{planned}, training.Start{Meta: meta(1), Started: started}, nil, training.ErrStarted},
		{"a step of no time", nil, training.Start{Meta: meta(1), Started: plan(training.PlanStep{PowerW: 100})}, nil, training.ErrPlan},
		{"a step of a day and a second", nil, training.Start{Meta: meta(1), Started: plan(training.PlanStep{ForS: 86_401})}, nil, training.ErrPlan},
		{"a step that nobody can", nil, training.Start{Meta: meta(1), Started: plan(training.PlanStep{ForS: 1, PowerW: 2501})}, nil, training.ErrPlan},
		{"a plan of 501 steps", nil, training.Start{Meta: meta(1), Started: plan(slices.Repeat([]training.PlanStep{{ForS: 1}}, 501)...)}, nil, training.ErrPlan},
		{"attach what is of the workout's sport", live[:1], training.Attach{Meta: meta(1), Stream: watch, Sport: "run"}, []training.Event{training.StreamAttached{Stream: watch}}, nil},
		{"attach what names no sport", live[:1], training.Attach{Meta: meta(1), Stream: watch}, []training.Event{training.StreamAttached{Stream: watch}}, nil},
		{"attach what is of another sport", live[:1], training.Attach{Meta: meta(1), Stream: watch, Sport: "ride"}, nil, training.ErrSportDiffers},
		{"attach what is attached and of another sport", live, training.Attach{Meta: meta(1), Stream: watch, Sport: "ride"}, nil, training.ErrSportDiffers},
		{"zone", nil, training.Start{Meta: meta(1), Started: training.Started{Sport: "run", UTCOffsetS: 100_000}}, nil, training.ErrZone},
		{"attach before the start", nil, training.Attach{Meta: meta(1), Stream: watch}, nil, training.ErrNotStarted},
		{"attach again", live, training.Attach{Meta: meta(1), Stream: watch}, nil, nil},
		{"attach nothing", live, training.Attach{Meta: meta(1)}, nil, training.ErrStream},
		{"attach after the finish", over, training.Attach{Meta: meta(62_000), Stream: stream("late", sample.NTP, sample.Measured)},
			[]training.Event{training.StreamAttached{Stream: stream("late", sample.NTP, sample.Measured)}}, nil},
		{"attach long after", over, training.Attach{Meta: meta(61_000 + unit.InstantMs(8*unit.Day)), Stream: stream("late", sample.NTP, sample.Measured)}, nil, training.ErrFinished},
		{"bind", live, training.Bind{Meta: meta(1), Bound: bound}, []training.Event{bound}, nil},
		{"bind before the start", nil, training.Bind{Meta: meta(1), Bound: bound}, []training.Event{bound}, nil},
		{"bind again", racing, training.Bind{Meta: meta(1), Bound: bound}, nil, nil},
		{"bind older", racing, training.Bind{Meta: meta(1), Bound: older}, nil, nil},
		{"bind newer", racing, training.Bind{Meta: meta(1), Bound: newer}, []training.Event{newer}, nil},
		{"bind elsewhere", racing, training.Bind{Meta: meta(1), Bound: other}, nil, training.ErrBoundElsewhere},
		{"bind to no track", racing, training.Bind{Meta: meta(1), Bound: odd}, nil, training.ErrTrack},
		{"unbind", racing, training.Unbind{Meta: meta(1), Competition: "c1", Version: 10}, []training.Event{training.Unbound{Competition: "c1", Version: 10}}, nil},
		{"unbind late", racing, training.Unbind{Meta: meta(1), Competition: "c1", Version: 9}, nil, nil},
		{"unbind from another", racing, training.Unbind{Meta: meta(1), Competition: "c2", Version: 99}, nil, nil},
		{"bind after unbind, a late copy", append(racing[:3:3], training.Unbound{Competition: "c1", Version: 10}), training.Bind{Meta: meta(1), Bound: bound}, nil, nil},
		{"bind elsewhere after unbind", append(racing[:3:3], training.Unbound{Competition: "c1", Version: 10}), training.Bind{Meta: meta(1), Bound: other}, []training.Event{other}, nil},
		{"pause", live, training.Pause{Meta: meta(1), EventTime: 50}, []training.Event{training.Paused{At: 50}}, nil},
		{"pause twice", append(live[:2:2], training.Paused{At: 50}), training.Pause{Meta: meta(1), EventTime: 60}, nil, nil},
		{"resume", append(live[:2:2], training.Paused{At: 50}), training.Resume{Meta: meta(1), EventTime: 40}, []training.Event{training.Resumed{At: 50}}, nil},
		{"resume without pause", live, training.Resume{Meta: meta(1), EventTime: 40}, nil, nil},
		{"lap", append(live[:2:2], training.LapMarked{Lap: 1, At: 7}), training.Lap{Meta: meta(1), EventTime: 60}, []training.Event{training.LapMarked{Lap: 2, At: 60}}, nil},
		{"lap after the end", over, training.Lap{Meta: meta(1), EventTime: 60}, nil, training.ErrFinished},
		{"finish", live, training.Finish{Meta: meta(61_000), By: training.ByPerson, EventTime: 60_000}, []training.Event{ended}, nil},
		{"finish in the future", live, training.Finish{Meta: meta(61_000), EventTime: 99_000}, []training.Event{training.FinishRequested{At: 61_000, RequestedAt: 61_000}}, nil},
		{"finish while paused", append(live[:2:2], training.Paused{At: 50}), training.Finish{Meta: meta(61_000), By: training.ByPerson, EventTime: 60_000}, []training.Event{training.Resumed{At: 60_000}, ended}, nil},
		{"finish twice", finishing, training.Finish{Meta: meta(62_000), EventTime: 1}, nil, nil},
		{"finish what has not begun", nil, training.Finish{Meta: meta(1)}, nil, training.ErrNotStarted},
		{"gate", racing, observe(passages0(0, 7_000_000)), []training.Event{passed}, nil},
		{"gate again", append(racing[:3:3], passed), observe(passages0(0, 7_000_000)), nil, nil},
		{"gate otherwise, and the next", append(racing[:3:3], passed), observe(passages0(0, 8_000_000, 1, 9_000_000)),
			[]training.Event{training.Revised{Gate: 0, From: 7_000_000, To: 8_000_000, Why: "late", Binding: 9}, training.Passed{Gate: 1, At: 9_000_000, Binding: 9}}, nil},
		{"gate vanished", append(racing[:3:3], passed), observe(nil), []training.Event{training.Revised{Gate: 0, From: 7_000_000, None: true, Why: "late", Binding: 9}}, nil},
		{"flag", racing, observe(nil, flag), []training.Event{training.Flagged{Flag: flag}}, nil},
		{"flag again", append(racing[:3:3], training.Flagged{Flag: flag}), observe(nil, flag), nil, nil},
		{"flag cleared", append(racing[:3:3], training.Flagged{Flag: flag}), observe(nil), []training.Event{training.FlagCleared{Reason: flag.Reason}}, nil},
		{"observed under another binding", append(racing[:3:3], newer), observe(passages0(0, 7_000_000)), nil, training.ErrStale},
		{"observed unbound", live, observe(passages0(0, 7_000_000)), nil, training.ErrStale},
		{"conclude", finishing, training.Conclude{Meta: meta(1), Basis: basis1, Totals: training.Totals{Samples: 60}}, []training.Event{training.Finished{Basis: basis1, Totals: training.Totals{Samples: 60}}}, nil},
		{"conclude what goes on", live, training.Conclude{Meta: meta(1), Basis: basis1}, nil, nil},
		{"conclude again", over, training.Conclude{Meta: meta(1), Basis: basis1, Totals: training.Totals{Samples: 60}}, nil, nil},
		{"conclude with more", over, training.Conclude{Meta: meta(1), Basis: basis2, Totals: training.Totals{Samples: 70}},
			[]training.Event{training.TotalsRevised{Replaces: basis1, Basis: basis2, Totals: training.Totals{Samples: 70}}}, nil},
		{"recording", over, training.NoteRecording{Meta: meta(1), Written: training.RecordingWritten{Recording: [32]byte{1}}}, []training.Event{training.RecordingWritten{Recording: [32]byte{1}}}, nil},
		{"the same recording", append(over[:4:4], training.RecordingWritten{Recording: [32]byte{1}}), training.NoteRecording{Meta: meta(1), Written: training.RecordingWritten{Recording: [32]byte{1}}}, nil, nil},
	} {
		got, err := training.Decide(state(c.given...), c.when)
		if !errors.Is(err, c.err) || (len(got) > 0 || len(c.then) > 0) && !reflect.DeepEqual(got, c.then) {
			t.Errorf("%s: %+v, %v; want %+v, %v", c.name, got, err, c.then, c.err)
		}
	}
}

func passages0(pairs ...int64) []training.Passage {
	var out []training.Passage
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, training.Passage{Gate: uint32(pairs[i]), At: unit.InstantUs(pairs[i+1])})
	}
	return out
}

func TestElapsedLeavesPausesOut(t *testing.T) {
	s := state(started, training.Paused{At: 10_000}, training.Resumed{At: 25_000}, training.Paused{At: 30_000})
	if got := s.Elapsed(training.Totals{ElapsedMs: 60_000}); got != 45_000 {
		t.Errorf("Elapsed = %d, want 45000: a pause that lasts is not over", got)
	}
}

func TestRebindingKeepsGatesOfTheSameRace(t *testing.T) {
	newer := bound
	newer.Version, newer.Gun = 12, 2000
	s := state(started, bound, passed, newer)
	if got := s.Passages(); len(got) != 1 || s.Bound.Gun != 2000 {
		t.Errorf("%v", got)
	}
	elsewhere := bound
	elsewhere.Competition, elsewhere.Version = "c2", 1
	s = state(started, bound, passed, training.Unbound{Competition: "c1", Version: 10}, elsewhere)
	if got := s.Passages(); len(got) != 0 {
		t.Errorf("gates of another race: %v", got)
	}
}

func TestTooMuch(t *testing.T) {
	s := state(started)
	for i := range training.MaxStreams {
		s.Apply(training.StreamAttached{Stream: stream(string(rune('a'+i)), sample.NTP, sample.Measured)})
	}
	if _, err := training.Decide(s, training.Attach{Meta: meta(1), Stream: stream("zz", sample.NTP, sample.Measured)}); !errors.Is(err, training.ErrStreams) {
		t.Errorf("a seventeenth stream: %v", err)
	}
	for i := range training.MaxLaps {
		s.Apply(training.LapMarked{Lap: uint32(i) + 1})
	}
	if _, err := training.Decide(s, training.Lap{Meta: meta(1)}); !errors.Is(err, training.ErrTooManyLaps) {
		t.Errorf("one lap more: %v", err)
	}
}

func anyCommand(t *rapid.T, at unit.InstantMs) training.Command {
	m := meta(at)
	event := unit.InstantMs(rapid.Int64Range(-5, 100_000).Draw(t, "event"))
	names := []string{"a", "b", "c"}
	switch rapid.IntRange(0, 11).Draw(t, "command") {
	case 0:
		return training.Start{Meta: m, Started: started}
	case 1:
		return training.Attach{Meta: m, Stream: stream(rapid.SampledFrom(names).Draw(t, "stream"), sample.GNSS, sample.Measured, sample.DistanceMm)}
	case 2:
		b := bound
		b.Competition = rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "competition")
		b.Version = rapid.Uint64Range(1, 9).Draw(t, "version")
		b.Gun = unit.InstantMs(rapid.Int64Range(0, 3).Draw(t, "gun")) * 1000
		return training.Bind{Meta: m, Bound: b}
	case 3:
		return training.Unbind{Meta: m, Competition: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "competition"), Version: rapid.Uint64Range(1, 10).Draw(t, "version")}
	case 4:
		return training.Pause{Meta: m, EventTime: event}
	case 5:
		return training.Resume{Meta: m, EventTime: event}
	case 6:
		return training.Lap{Meta: m, EventTime: event}
	case 7:
		return training.Finish{Meta: m, By: training.BySystem, EventTime: event, Streams: []training.StreamEnd{{Stream: "b", LastSeq: 3}, {Stream: "a", LastSeq: 1}, {Stream: "b", LastSeq: 2}}}
	case 8:
		return training.Conclude{Meta: m, Basis: rapid.SampledFrom([]basis.Basis{basis1, basis2}).Draw(t, "basis"), Totals: training.Totals{ElapsedMs: 90_000}}
	case 9:
		return training.NoteRecording{Meta: m, Written: training.RecordingWritten{Recording: [32]byte{byte(rapid.IntRange(0, 2).Draw(t, "digest"))}}}
	}
	o := training.Observe{Meta: m, Competition: "c1", Binding: rapid.Uint64Range(1, 9).Draw(t, "version"), Why: "late"}
	at0 := int64(0)
	for g := range rapid.IntRange(0, 2).Draw(t, "gates") {
		at0 += rapid.Int64Range(1, 1000).Draw(t, "us")
		o.Gates = append(o.Gates, training.Passage{Gate: uint32(g), At: unit.InstantUs(at0)})
	}
	if rapid.Bool().Draw(t, "flagged") {
		o.Flags = []training.Flag{flag}
	}
	return o
}

// Whatever is commanded: the state holds its invariants, Decide leaves it alone, replay gives the same state, and a
// command that is repeated at once says nothing new (laps and starts of pauses have their ids for that).
func TestCommandsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := training.New()
		var journal []training.Event
		at := unit.InstantMs(10_000)
		for range rapid.IntRange(1, 40).Draw(t, "commands") {
			at += unit.InstantMs(rapid.Int64Range(0, 5000).Draw(t, "dt"))
			c := anyCommand(t, at)
			before, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			events, err := training.Decide(s, c)
			if after, _ := json.Marshal(s); string(before) != string(after) {
				t.Fatalf("Decide(%T) has changed the state", c)
			}
			if err != nil {
				continue
			}
			for _, e := range events {
				s.Apply(e)
				training.React(s, e)
			}
			journal = append(journal, events...)
			if err := s.Check(); err != nil {
				t.Fatalf("after %T: %v", c, err)
			}
			if _, lap := c.(training.Lap); !lap {
				if again, err := training.Decide(s, c); err == nil && len(again) > 0 {
					t.Fatalf("%T again says %+v", c, again)
				}
			}
		}
		live, _ := json.Marshal(s)
		if replayed, _ := json.Marshal(state(journal...)); string(live) != string(replayed) {
			t.Fatalf("replay gives\n%s\nwant\n%s", replayed, live)
		}
	})
}
