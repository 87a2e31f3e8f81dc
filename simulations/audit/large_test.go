package audit

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	"paceline/domain/course"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
	"paceline/pipeline/bundle"
)

// field is a race of many, made by the rules alone: each entry has a device, a stream of two minutes and a workout.
type field struct {
	t     testing.TB
	store persistence.Store
	race  *competition.State
	held  *competition.Draft
	heads map[id.Grain]uint64
	last  []competition.Event
}

const fieldGun = unit.InstantMs(1_700_000_000_000)

// append journals events as a grain would; more than an append holds is refused.
func (f *field) append(g id.Grain, n int, encode func(i int) (kind, format uint32, payload []byte, err error)) {
	f.t.Helper()
	a := persistence.Append{Grain: g, Expected: f.heads[g], AppendID: fmt.Sprint(g, f.heads[g])}
	for i := range n {
		kind, format, payload, err := encode(i)
		if err != nil {
			f.t.Fatal(err)
		}
		f.heads[g]++
		a.Records = append(a.Records, persistence.Record{Version: f.heads[g], Kind: kind, Format: format, Payload: payload, Meta: persistence.Meta{At: fieldGun, By: "test"}})
	}
	if _, _, err := f.store.Append(context.Background(), a); err != nil {
		f.t.Fatal(err)
	}
}

func (f *field) do(c competition.Command) {
	f.t.Helper()
	evs, err := competition.Decide(f.race, c)
	if err != nil {
		f.t.Fatalf("%T: %v", c, err)
	}
	for _, e := range evs {
		f.race.Apply(e)
	}
	f.last = evs
	f.append(id.Of(id.Competition, "large"), len(evs), func(i int) (uint32, uint32, []byte, error) { return competitioncodec.Encode(evs[i]) })
}

func (f *field) proceed(at unit.InstantMs) {
	for {
		c := competition.Proceed{Meta: step.Meta{At: at}, FinalAllowed: true}
		if !competition.Due(f.race, c) {
			return
		}
		f.held = competition.DraftFor(f.race, c, f.held)
		c.Draft = f.held
		f.do(c)
	}
}

// rides journals what entry i's device and training know, and returns its answer to a settle. Everybody's speed is
// different, some do not come to the finish.
func (f *field) rides(i int, c *course.Course, bound *competition.Entry) competition.TakeAnswer {
	user := bound.User
	dev, stream, workout := user+"/d", fmt.Sprintf("s%d", i), user+"/w"
	spec := device.ChannelSpec{Channel: sample.DistanceMm, Trust: sample.Measured}
	opened := device.StreamOpened{Stream: stream, Training: workout, Person: user, WindowFrom: fieldGun.Add(-unit.Day), WindowTo: fieldGun.Add(unit.Day),
		Clock: sample.GNSS, Channels: []device.ChannelSpec{spec}, Sport: "run"}
	f.append(id.Grain{Kind: id.Device, ID: dev}, 1, func(int) (uint32, uint32, []byte, error) { return devicecodec.Encode(opened) })
	key := training.StreamKey{Device: dev, Stream: stream}
	s := training.Stream{Key: key, Clock: sample.GNSS}
	s.Declared[sample.DistanceMm], s.Trust[sample.DistanceMm] = true, sample.Measured
	known := []training.Event{
		training.Started{WorkoutID: "w", Sport: "run", Zone: "UTC", DeviceTime: fieldGun},
		training.StreamAttached{Stream: s},
		training.Bound{Competition: "large", Entry: bound.Number, Version: bound.BindingVersion, Track: c.Track(), Gun: fieldGun, Rules: 1, Cutoff: f.race.CutoffAt},
	}
	f.append(id.Grain{Kind: id.Training, ID: workout}, len(known), func(k int) (uint32, uint32, []byte, error) { return trainingcodec.Encode(known[k]) })

	const n = 24
	b := sample.Batch{FirstSeq: 1, AtMs: make([]unit.InstantMs, n), Refused: make([]sample.Refusal, n)}
	b.Columns[sample.DistanceMm].Grow(n)
	speed := int64(2000 + i*7919%3000) // mm/s
	for k := range n {
		b.AtMs[k] = fieldGun.Add(unit.DurationMs(k * 1000))
		b.Columns[sample.DistanceMm].Set(k, speed*int64(k))
	}
	if _, err := f.store.PutBlock(context.Background(), persistence.SeriesKey{Device: dev, Stream: stream, Subject: user}, &b); err != nil {
		f.t.Fatal(err)
	}
	w := training.New()
	for _, e := range known {
		w.Apply(e)
	}
	fold := training.NewFold(w.Params())
	fold.SetFacts(key, training.NewFacts(1, nil, nil))
	fold.Feed(key, &b)
	digest := sample.NewDigest()
	digest.Add(&b, 0, n)
	sum := digest.Sum()
	r := competition.Report{Entry: bound.Number, Training: workout, BindingVersion: bound.BindingVersion, Finished: true}
	for _, g := range fold.Result().Gates {
		r.Gates = append(r.Gates, competition.GateTime{Gate: g.Gate, At: g.At})
	}
	return competition.TakeAnswer{Meta: step.Meta{At: fieldGun}, Number: 1, Report: r,
		Streams: []competition.InputStream{{Device: dev, Stream: stream, Through: n, FactsVersion: 1, Digest: sum[:]}}}
}

// largeField runs a race of n to its provisional result.
func largeField(t testing.TB, n int) *field {
	f := &field{t: t, store: persistence.Over(memory.New()), race: competition.New(), heads: map[id.Grain]uint64{}}
	op := step.Meta{At: fieldGun.Add(-1000), By: "operator:op"}
	f.do(competition.Create{Meta: op, Definition: competition.Definition{Name: "Large", Track: distanceTrack(), CutoffAfter: unit.Minute, AutoOfficialAfter: -1}})
	for i := range n {
		f.do(competition.AddEntry{Meta: op, User: fmt.Sprintf("u%d", i)})
	}
	f.do(competition.Lock{Meta: op})
	for i := range n {
		f.do(competition.Join{Meta: op, User: fmt.Sprintf("u%d", i), Training: fmt.Sprintf("u%d/w", i)})
	}
	f.do(competition.Start{Meta: op, GunAt: fieldGun})
	f.proceed(fieldGun.Add(unit.Hour))
	for i, e := range f.race.Entries() {
		f.do(f.rides(i, f.race.Course, e))
	}
	f.proceed(fieldGun.Add(unit.Hour))
	return f
}

// TestALargeFieldVerifies: a race of 3,000 has its result in parts; rules and oracle find it again from the bundle, and a
// flipped place or a part that is missing is found.
func TestALargeFieldVerifies(t *testing.T) {
	const n = 3000
	f := largeField(t, n)
	if p := f.race.Result; p == nil || p.Parts < 2 || len(p.Rows) != n {
		t.Fatalf("result %+v", p)
	}
	var out bytes.Buffer
	if err := bundle.Write(context.Background(), f.store, "large", &out); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	report, err := b.Verify()
	if err != nil || !report.Agrees() || len(report.Entries) != n {
		t.Fatalf("%d entries, %v", len(report.Entries), err)
	}
	diff, err := Compare(b)
	if err != nil || len(diff) > 0 {
		t.Fatalf("the oracle finds %d others, %v", len(diff), err)
	}
	placed := 0
	for _, r := range report.Result.Rows {
		if r.Place != 0 {
			placed++
		}
	}
	t.Logf("%d entries, %d with a place, in %d parts; bundle of %d KB", n, placed, report.Result.Parts, out.Len()>>10)

	j := b.Journal(id.Of(id.Competition, "large"))
	for i, r := range j.Records {
		if r.Kind != competitioncodec.KindResultPart {
			continue
		}
		was, wasKind := r.Payload, r.Kind
		e, _ := competitioncodec.Decode(r.Kind, r.Format, r.Payload)
		part := e.(competition.ResultPart)
		part.Rows[0].Place++
		_, _, r.Payload, _ = competitioncodec.Encode(part)
		if _, err := b.Verify(); err == nil || !strings.Contains(err.Error(), "result_parts") {
			t.Errorf("record %d with another place: %v", i, err)
		}
		r.Kind, _, r.Payload, _ = competitioncodec.Encode(competition.Fenced{})
		if _, err := b.Verify(); err == nil || !strings.Contains(err.Error(), "result_parts") {
			t.Errorf("record %d missing: %v", i, err)
		}
		r.Kind, r.Payload = wasKind, was
	}
}
