package bundle

import (
	"cmp"
	"fmt"
	"slices"

	"paceline/actors/competition"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	bundlev1 "paceline/api/gen/paceline/bundle/v1"
	"paceline/domain/id"
	"paceline/domain/sample"
)

// Verdict on one entry.
type Verdict string

// The verdicts.
const (
	Verified Verdict = "verified"
	Differs  Verdict = "differs"
	Erased   Verdict = "erased" // only the digest is left; times are taken from the result
)

// Entry is what was found out about one entry.
type Entry struct {
	Entry       uint32
	Verdict     Verdict
	Differences []string // what differs
	Notes       []string // e.g. seqs that a client sent with two values
}

// Report is what was found out about a result.
type Report struct {
	Competition  string
	Version      uint32 // of the result
	RulesVersion uint32
	Result       competition.ResultPublished
	Entries      []Entry // by number
}

// Agrees reports whether nothing differs.
func (r *Report) Agrees() bool {
	return !slices.ContainsFunc(r.Entries, func(e Entry) bool { return e.Verdict == Differs })
}

// Source is what a result was computed from, as the bundle has it: the state of the race just before it was
// published, and each entry's workout.
type Source struct {
	Result    competition.ResultPublished
	State     *competition.State
	Trainings map[uint32]*training.State
}

// Newest is the newest result and its source.
func (b *Bundle) Newest() (*Source, error) {
	j := b.journals[id.Of(id.Competition, b.Manifest.CompetitionId)]
	if j == nil {
		return nil, ErrNotABundle.With("no journal of the competition")
	}
	_, results, err := replay(j, 0)
	if err != nil {
		return nil, err
	}
	if len(results) == 0 {
		return nil, ErrNoResult
	}
	newest := results[len(results)-1]
	before, _, err := replay(j, newest.result.JournalVersion)
	if err != nil {
		return nil, err
	}
	src := &Source{Result: newest.result, State: before, Trainings: map[uint32]*training.State{}}
	for _, e := range before.Entries() {
		t := b.journals[id.Grain{Kind: id.Training, ID: e.Training}]
		if e.Training == "" || t == nil || t.Erased {
			continue
		}
		if src.Trainings[e.Number], err = workout(t); err != nil {
			return nil, err
		}
	}
	return src, nil
}

func workout(j *bundlev1.Journal) (*training.State, error) {
	s := training.New()
	for _, r := range j.Records {
		e, err := trainingcodec.Decode(r.Kind, r.Format, r.Payload)
		if err != nil {
			return nil, fmt.Errorf("training/%s version %d: %w", j.Id, r.Version, err)
		}
		s.Apply(e)
	}
	return s, nil
}

// Verify recomputes the newest result by the pinned rules.
func (b *Bundle) Verify() (*Report, error) {
	src, err := b.Newest()
	if err != nil {
		return nil, err
	}
	if err := b.checkReadable(b.journals[id.Of(id.Competition, b.Manifest.CompetitionId)], src); err != nil {
		return nil, err
	}
	p := src.Result
	r := &Report{Competition: b.Manifest.CompetitionId, Version: p.Version, RulesVersion: p.RulesVersion, Result: p}
	found := map[uint32]*Entry{}
	for _, e := range src.State.Entries() {
		found[e.Number] = &Entry{Entry: e.Number, Verdict: Verified}
	}
	inputs := make([]competition.Input, len(p.Inputs))
	for i, in := range p.Inputs {
		e := found[in.Entry]
		if e == nil {
			return nil, ErrAltered.With("the result names entry %d, which does not exist", in.Entry)
		}
		inputs[i] = b.input(e, src.Trainings[in.Entry], in)
	}
	rows, err := competition.Standings(p.RulesVersion, src.State.Definition, src.State.CutoffAt, competition.Starters(src.State), inputs)
	if err != nil {
		return nil, err
	}
	compare(found, p.Rows, rows)
	for _, e := range found {
		if len(e.Differences) > 0 {
			e.Verdict = Differs
		}
		r.Entries = append(r.Entries, *e)
	}
	slices.SortFunc(r.Entries, func(a, b Entry) int { return cmp.Compare(a.Entry, b.Entry) })
	return r, nil
}

func (e *Entry) differ(format string, args ...any) {
	e.Differences = append(e.Differences, fmt.Sprintf(format, args...))
}

// input finds an entry's gates and flags again, from the samples and facts that the published input names.
func (b *Bundle) input(e *Entry, t *training.State, in competition.Input) competition.Input {
	again := in
	switch {
	case in.Unanswered && len(in.Streams) == 0:
		return in
	case t == nil:
		e.Verdict = Erased
		return in
	}
	params := t.Params()
	if params.Race == nil {
		if len(in.Gates) > 0 {
			e.differ("the workout rides in no race")
		}
		return in
	}
	fold := training.NewFold(params)
	for _, st := range in.Streams {
		if err := b.feed(e, fold, st); err != nil {
			e.differ("%v", err)
		}
	}
	if e.Verdict == Erased {
		return in
	}
	found := fold.Result()
	again.Gates = nil
	for _, g := range found.Gates {
		again.Gates = append(again.Gates, competition.GateTime{Gate: g.Gate, At: g.At})
	}
	again.Flags = nil
	for _, f := range found.Flags {
		again.Flags = append(again.Flags, f.Reason)
	}
	if !slices.Equal(again.Flags, in.Flags) && len(again.Flags)+len(in.Flags) > 0 {
		e.differ("flags %v, the result says %v", again.Flags, in.Flags)
	}
	return again
}

// feed folds one stream through the seq and by the facts that the input names, and compares its digest.
func (b *Bundle) feed(e *Entry, fold *training.Fold, st competition.InputStream) error {
	j := b.journals[id.Grain{Kind: id.Device, ID: st.Device}]
	s := b.samples[streamKey{st.Device, st.Stream}]
	if j == nil || s == nil {
		return fmt.Errorf("stream %s is not in the bundle", st.Stream)
	}
	if j.Erased || s.Erased {
		e.Verdict = Erased
		return nil
	}
	if len(s.Conflicts) > 0 {
		e.Notes = append(e.Notes, fmt.Sprintf("stream %s: the client sent two values for seqs %v", st.Stream, s.Conflicts))
	}
	f, err := streamFacts(j, st.Stream, st.FactsVersion)
	if err != nil {
		return err
	}
	key := training.StreamKey{Device: st.Device, Stream: st.Stream}
	var clocks []training.ClockFrom
	for _, c := range f.Clocks {
		clocks = append(clocks, training.ClockFrom{FromSeq: c.FromSeq, OffsetMs: c.Offset})
	}
	var skips []training.Span
	for _, k := range f.Skips {
		skips = append(skips, training.Span{From: k.From, To: k.To})
	}
	fold.SetFacts(key, training.NewFacts(f.Version, clocks, skips))
	batches, err := b.batches(st.Device, st.Stream)
	if err != nil {
		return err
	}
	digest := sample.NewDigest()
	for _, part := range cutThrough(batches, st.Through) {
		digest.Add(&part, 0, part.Len())
		fold.Feed(key, &part)
	}
	if sum := digest.Sum(); string(sum[:]) != string(st.Digest) {
		e.differ("stream %s: the digest of its samples through %d is %x, the result says %x", st.Stream, st.Through, sum[:6], head(st.Digest))
	}
	if got := fold.Through(key); got != st.Through {
		e.differ("stream %s: samples reach %d, the result says %d", st.Stream, got, st.Through)
	}
	return nil
}

func head(b []byte) []byte { return b[:min(len(b), 6)] }

// compare names what differs between the published rows and those found again, row by row and in their order.
func compare(found map[uint32]*Entry, published, again []competition.Row) {
	at := make(map[uint32]int, len(published))
	for k := len(published) - 1; k >= 0; k-- {
		at[published[k].Entry] = k
	}
	for i := range again {
		e := found[again[i].Entry]
		k, ok := at[again[i].Entry]
		if !ok {
			e.differ("the result has no row for it")
			continue
		}
		if k != i {
			e.differ("row %d, the result has it in row %d", i+1, k+1)
		}
		compareRow(e, &published[k], &again[i])
	}
	if len(published) != len(again) {
		for _, e := range found {
			e.differ("%d rows, the result has %d", len(again), len(published))
		}
	}
}

func compareRow(e *Entry, was, is *competition.Row) {
	field := func(name string, was, is any) {
		if was != is {
			e.differ("%s is %v, the result says %v", name, is, was)
		}
	}
	field("place", was.Place, is.Place)
	field("place by gun", was.PlaceGun, is.PlaceGun)
	field("place by net", was.PlaceNet, is.PlaceNet)
	field("status", was.Status, is.Status)
	field("under review", was.UnderReview, is.UnderReview)
	field("disputed", was.Disputed, is.Disputed)
	field("start", was.Start, is.Start)
	field("finish", was.Finish, is.Finish)
	field("gun time", was.Gun, is.Gun)
	field("net time", was.Net, is.Net)
	field("penalty", was.Penalty, is.Penalty)
	field("heat", was.Heat, is.Heat)
	field("category", was.Category, is.Category)
	if !slices.Equal(was.Gates, is.Gates) {
		e.differ("gates are %v, the result says %v", is.Gates, was.Gates)
	}
}
