// Package audit takes an exported bundle apart for the oracle and compares what the oracle finds with what was
// published. `paceline verify` runs it after the rules have verified the same bundle.
//
// It is not a second set of rules: it only translates. The oracle gets the raw samples, clocks, skips, gates of one lap
// and the sport's name. Two things it takes as the product reads them, because they are read and not computed: who starts
// at which gun and what officials have decided (competition.Starters, a replay of the journal), and the end points of
// gates that the organizer left to be placed on the line.
package audit

import (
	"fmt"
	"slices"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/actors/leaderboard"
	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/pipeline/bundle"
	"paceline/simulations/oracle"
)

// Compare recomputes the newest result by the oracle. It returns, for each entry that differs, what differs.
func Compare(b *bundle.Bundle) (map[uint32][]string, error) {
	src, err := b.Newest()
	if err != nil {
		return nil, err
	}
	c := Course(src.State.Course)
	starters := competition.Starters(src.State)
	entries := make([]oracle.Entry, len(starters))
	inputs := make(map[uint32]*competition.Input, len(src.Result.Inputs))
	for i := range src.Result.Inputs {
		inputs[src.Result.Inputs[i].Entry] = &src.Result.Inputs[i]
	}
	for i, s := range starters {
		if entries[i], err = entry(b, src, s, inputs[s.Entry]); err != nil {
			return nil, err
		}
	}
	rows := oracle.Standings(c, entries, src.State.Definition.RankBy == leaderboard.Net)
	return differences(src.Result.Rows, rows), nil
}

// Course is a course as the oracle takes it: the gates of one lap as the journal has them, and the name of the sport.
func Course(c *course.Course) *oracle.Course {
	t := c.Track()
	o := oracle.Track{Distance: t.Format == course.Distance, Sport: string(t.Sport), Laps: t.Laps}
	for _, g := range t.Gates {
		o.Gates = append(o.Gates, oracle.Gate{A: oracle.Point{Lat: g.A.Lat, Lon: g.A.Lon}, B: oracle.Point{Lat: g.B.Lat, Lon: g.B.Lon},
			Direction: int(g.Direction), AtMm: int64(g.AtMm), Start: g.Kind == geo.StartGate, Mandatory: g.Mandatory})
	}
	return oracle.NewCourse(o)
}

// entry collects what the oracle needs of one entry.
func entry(b *bundle.Bundle, src *bundle.Source, s competition.Starter, in *competition.Input) (oracle.Entry, error) {
	e := oracle.Entry{Number: s.Entry, GunMs: s.GunAt, Bound: s.Bound, PenaltyMs: s.Penalty, CutoffMs: src.State.CutoffAt}
	switch s.Ruling {
	case leaderboard.DSQ, leaderboard.DNF, leaderboard.DNS:
		e.Decision = s.Ruling.String()
	default: // no ruling
	}
	open := func(reason string) bool { return !slices.Contains(s.Cleared, reason) }
	e.Review = slices.ContainsFunc(s.Review, open)
	e.LeapCleared = !open(training.FlagDistanceStep) && !open(training.FlagPositionStep)
	if in == nil {
		return e, nil
	}
	if in.Unanswered {
		e.Unanswered, e.Review = true, e.Review || open(competition.ReasonUnanswered)
		for _, g := range in.Gates {
			e.Given = append(e.Given, oracle.Passage{Gate: int(g.Gate), At: g.At})
		}
		return e, nil
	}
	t := src.Trainings[s.Entry]
	if t == nil {
		for _, g := range in.Gates { // erased: only the digest is left
			e.Given = append(e.Given, oracle.Passage{Gate: int(g.Gate), At: g.At})
		}
		return e, nil
	}
	if t.Bound != nil {
		e.Primary = t.Bound.Primary
	}
	if t.Finish != nil {
		e.Finish = &oracle.Finish{At: t.Finish.At, Last: map[string]uint64{}}
		for _, x := range t.Finish.Streams {
			e.Finish.Last[x.Stream] = x.LastSeq
		}
	}
	needs := sample.LatE7
	if src.State.Course.Geo() == nil {
		needs = sample.DistanceMm
	}
	for _, st := range in.Streams {
		o, err := stream(b, t, st, needs)
		if err != nil {
			return e, fmt.Errorf("entry %d: %w", s.Entry, err)
		}
		e.Streams = append(e.Streams, o)
	}
	return e, nil
}

// stream is one stream's raw samples and facts, as far as the input says.
func stream(b *bundle.Bundle, t *training.State, st competition.InputStream, needs sample.Channel) (oracle.Stream, error) {
	o := oracle.Stream{ID: st.Stream, Device: st.Device}
	for _, s := range t.Streams {
		if s.Key.Device == st.Device && s.Key.Stream == st.Stream {
			o.Trust, o.GNSS, o.Declared = int(s.Trust[needs]), s.Clock == sample.GNSS, s.Declared[needs]
		}
	}
	j := b.Journal(id.Grain{Kind: id.Device, ID: st.Device})
	if j == nil {
		return o, fmt.Errorf("no journal of device %s", st.Device)
	}
	for _, r := range j.Records {
		if r.Version > st.FactsVersion {
			break
		}
		e, err := devicecodec.Decode(r.Kind, r.Format, r.Payload)
		if err != nil {
			return o, err
		}
		if device.StreamOf(e) != st.Stream {
			continue
		}
		switch e := e.(type) {
		case device.ClockSet:
			o.Clocks = append(o.Clocks, oracle.Clock{FromSeq: e.FromSeq, OffsetMs: e.Offset})
		case device.Skipped:
			for _, k := range e.Spans {
				o.Skips = append(o.Skips, oracle.Skip{From: k.From, To: k.To})
			}
		}
	}
	batches, err := b.Batches(st.Device, st.Stream)
	if err != nil {
		return o, err
	}
	for i := range batches {
		o.Samples = append(o.Samples, Samples(&batches[i], st.Through)...)
	}
	return o, nil
}

// Samples are those of a batch through a seq, as the oracle takes them.
func Samples(b *sample.Batch, through uint64) []oracle.Sample {
	var out []oracle.Sample
	for i := range b.Len() {
		seq := b.FirstSeq + uint64(i)
		if seq > through {
			break
		}
		x := oracle.Sample{Seq: seq, DeviceMs: b.AtMs[i], Refused: b.Mark(i) != sample.Accepted}
		lat, ok := b.Value(sample.LatE7, i)
		lon, okLon := b.Value(sample.LonE7, i)
		if ok && okLon {
			x.Position = &oracle.Point{Lat: lat, Lon: lon}
		}
		if mm, ok := b.Value(sample.DistanceMm, i); ok {
			x.Distance = &mm
		}
		out = append(out, x)
	}
	return out
}

// differences names what the oracle sees otherwise.
func differences(published []competition.Row, rows []oracle.Row) map[uint32][]string {
	out := map[uint32][]string{}
	differ := func(entry uint32, name string, was, is any) {
		if was != is {
			out[entry] = append(out[entry], fmt.Sprintf("oracle: %s is %v, the result says %v", name, is, was))
		}
	}
	at := make(map[uint32]int, len(published))
	for k := range published {
		at[published[k].Entry] = k
	}
	for i := range rows {
		o := &rows[i]
		k, ok := at[o.Entry]
		if !ok {
			differ(o.Entry, "row", "missing", "there")
			continue
		}
		p := &published[k]
		differ(o.Entry, "row", k+1, i+1)
		differ(o.Entry, "place", p.Place, o.Place)
		differ(o.Entry, "status", p.Status.String(), o.Status)
		differ(o.Entry, "under review", p.UnderReview, o.Review)
		differ(o.Entry, "finish", p.Finish, o.EndUs)
		differ(o.Entry, "gun time", p.Gun, o.GunUs)
		differ(o.Entry, "net time", p.Net, o.NetUs)
		if gates := gateTimes(p.Gates); !equal(gates, o.Gates) {
			differ(o.Entry, "gates", fmt.Sprint(gates), fmt.Sprint(o.Gates))
		}
	}
	return out
}

func gateTimes(gates []competition.GateTime) map[int]unit.InstantUs {
	out := map[int]unit.InstantUs{}
	for _, g := range gates {
		out[int(g.Gate)] = g.At
	}
	return out
}

func equal(a, b map[int]unit.InstantUs) bool {
	if len(a) != len(b) {
		return false
	}
	for g, t := range a {
		if u, ok := b[g]; !ok || t != u {
			return false
		}
	}
	return true
}
