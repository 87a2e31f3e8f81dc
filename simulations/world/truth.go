package world

import (
	"fmt"

	"paceline/actors/competition"
	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/api/track"
	"paceline/domain/course"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/simulations/audit"
	"paceline/simulations/oracle"
)

// facts projects a device's journal from the store for one stream.
func (w *World) facts(c *source) (*device.StreamFacts, error) {
	f := device.NewStreamFacts(c.s.id)
	for after := uint64(0); ; {
		records, more, err := w.stored.ReadJournal(background, id.Grain{Kind: id.Device, ID: c.s.device}, after, 0)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			after = r.Version
			e, err := devicecodec.Decode(r.Kind, r.Format, r.Payload)
			if err != nil {
				return nil, err
			}
			f.Apply(r.Version, e)
		}
		if !more {
			return f, nil
		}
	}
}

// oracleRows is what the oracle says the result is, from the plan alone: nothing of it has been through the product.
func (p *plan) oracleRows() ([]oracle.Row, error) {
	c, err := course.New(track.FromProto(p.definition.Track))
	if err != nil {
		return nil, err
	}
	entries := make([]oracle.Entry, len(p.riders))
	for i := range p.riders {
		r := &p.riders[i]
		e := oracle.Entry{Number: r.entry, GunMs: p.gun.Add(unit.DurationMs(r.offsetMs)), Bound: true, PenaltyMs: unit.DurationMs(r.penalty),
			CutoffMs: p.gun.Add(unit.DurationMs(p.definition.CutoffAfterMs))}
		for k := range r.streams {
			e.Streams = append(e.Streams, r.streams[k].oracle(p.definition.Track.Format))
		}
		entries[i] = e
	}
	return oracle.Standings(audit.Course(c), entries, p.definition.RankBy == competitionv1.RankBy_RANK_BY_NET), nil
}

func (s *stream) oracle(format competitionv1.Format) oracle.Stream {
	o := oracle.Stream{ID: s.id, Device: s.device, Trust: int(s.trust), GNSS: s.kind == livev1.ClockKind_CLOCK_KIND_GNSS,
		Declared: s.lat != nil || format == competitionv1.Format_FORMAT_DISTANCE}
	if s.clockOff != 0 {
		o.Clocks = []oracle.Clock{{FromSeq: max(s.clockFrom, 1), OffsetMs: unit.DurationMs(s.clockOff)}}
	}
	if s.lost[1] > s.lost[0] {
		o.Skips = []oracle.Skip{{From: uint64(s.lost[0] + 1), To: uint64(s.lost[1])}}
	}
	for i := range s.atMs[:len(s.atMs)-s.kept] {
		x := oracle.Sample{Seq: uint64(i + 1), DeviceMs: unit.InstantMs(s.atMs[i]), Distance: &s.distanceMm[i]}
		if s.lat != nil {
			x.Position = &oracle.Point{Lat: s.lat[i], Lon: s.lon[i]}
		}
		o.Samples = append(o.Samples, x)
	}
	return o
}

// checkOracle compares the official result with the oracle's.
func (w *World) checkOracle() {
	if w.noOracle {
		return
	}
	rows, err := w.plan.oracleRows()
	if err != nil {
		w.failf("oracle: %v", err)
		return
	}
	_, results := w.race()
	if len(results) == 0 {
		return
	}
	published := results[len(results)-1].Rows
	if len(published) != len(rows) {
		w.failf("the result has %d rows, the oracle says %d", len(published), len(rows))
		return
	}
	for i, o := range rows {
		p := published[i]
		got := fmt.Sprintf("entry %d place %d %s finish %d gun %d net %d", p.Entry, p.Place, p.Status, p.Finish, p.Gun, p.Net)
		want := fmt.Sprintf("entry %d place %d %s finish %d gun %d net %d", o.Entry, o.Place, o.Status, o.EndUs, o.GunUs, o.NetUs)
		if got != want {
			w.failf("row %d is %q, the oracle says %q", i+1, got, want)
		}
	}
}

// checkResults computes each published result again, from the state that it names and its own input.
func (w *World) checkResults() {
	final, results := w.race()
	for _, r := range results {
		s := w.raceThrough(r.JournalVersion)
		rows, err := competition.Standings(r.RulesVersion, s.Definition, s.CutoffAt, competition.Starters(s), r.Inputs)
		if err != nil || fmt.Sprint(rows) != fmt.Sprint(r.Rows) {
			w.failf("result %d says %v, computed again %v (%v)", r.Version, r.Rows, rows, err)
		}
	}
	if last := len(results) - 1; last >= 0 && fmt.Sprint(*final.Result) != fmt.Sprint(results[last]) {
		w.failf("the race holds result %v, published is %v", *final.Result, results[last])
	}
}
