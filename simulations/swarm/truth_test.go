package swarm

import (
	"strings"
	"testing"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

const gun = unit.InstantMs(1_000_000)

func kilometre(t testing.TB) *course.Course {
	t.Helper()
	c, err := course.New(course.Track{Format: course.Distance, Sport: geo.Run, Name: "km", DistanceMm: 20_000,
		Gates: []geo.Gate{{ID: "half", Kind: geo.SplitGate, AtMm: 10_000}, {ID: "finish", Kind: geo.FinishGate, AtMm: 20_000}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counted makes samples with a counter, a second apart, the first at the instant.
func counted(from unit.InstantMs, mm ...int64) *sample.Batch {
	b := &sample.Batch{FirstSeq: 1}
	b.Columns[sample.DistanceMm].Grow(len(mm))
	for i, v := range mm {
		b.AtMs = append(b.AtMs, from.Add(unit.DurationMs(i)*unit.Second))
		b.Columns[sample.DistanceMm].Set(i, v)
	}
	return b
}

func TestCrossingsByCounter(t *testing.T) {
	c := kilometre(t)
	for _, k := range []struct {
		name    string
		samples *sample.Batch
		refused map[uint64]sample.Refusal
		want    []unit.InstantUs // after the gun
	}{
		{"on the samples", counted(gun, 0, 10_000, 20_000), nil, []unit.InstantUs{1_000_000, 2_000_000}},
		{"between them", counted(gun, 0, 8_000, 16_000, 24_000), nil, []unit.InstantUs{1_250_000, 2_500_000}},
		{"both in one step", counted(gun, 0, 20_000), nil, []unit.InstantUs{500_000, 1_000_000}},
		{"the gun between two samples", counted(gun-500, 0, 10_000, 20_000, 30_000), nil, []unit.InstantUs{1_000_000, 2_000_000}},
		{"a jump earns nothing", counted(gun, 0, 5_000, 105_000, 110_000, 120_000), nil, []unit.InstantUs{3_000_000, 4_000_000}},
		{"a refused sample is not there", counted(gun, 0, 5_000, 5_001, 20_000), map[uint64]sample.Refusal{3: sample.OutOfRange}, []unit.InstantUs{1_666_666, 3_000_000}},
		{"nothing counts before the gun", counted(gun-5000, 0, 9_000, 18_000, 18_000, 18_000, 18_000, 27_000), nil, nil},
		{"not far enough", counted(gun, 0, 12_000), nil, []unit.InstantUs{833_333}},
		{"a counter that begins again", counted(gun, 4_000, 12_000, 2_000, 12_000), nil, []unit.InstantUs{2_000_000, 3_000_000}},
	} {
		got := Crossings(c, gun, k.samples, k.refused)
		if len(got) != len(k.want) {
			t.Errorf("%s: %v, want %d", k.name, got, len(k.want))
			continue
		}
		for i, x := range got {
			if x.Gate != i || x.At-gun.Us() != k.want[i] {
				t.Errorf("%s: gate %d after %d µs, want %d", k.name, x.Gate, x.At-gun.Us(), k.want[i])
			}
		}
	}
	if got := Implausible(c, counted(gun, 0, 5_000, 105_000, 110_000)); len(got) != 1 || got[0] != 3 {
		t.Errorf("implausible %v, want sample 3", got)
	}
}

// aRace is two devices that have sent everything, and the result that follows.
func aRace(t testing.TB) (*course.Course, []*Device, *competitionv1.ResultPublished) {
	c := kilometre(t)
	p := &competitionv1.ResultPublished{}
	var ds []*Device
	for i, b := range []*sample.Batch{counted(gun, 0, 8_000, 16_000, 24_000), counted(gun, 0, 10_000, 20_000, 30_000)} {
		d := &Device{Name: string(rune('A' + i)), Stream: string(rune('s' + i)), Samples: b}
		d.Prepare(nil)
		d.entry.Store(uint32(i + 1))
		d.sent.Store(4)
		d.acked.Store(4)
		d.refused[4] = sample.OutOfRange
		if i == 1 {
			delete(d.refused, 4)
		}
		ds = append(ds, d)
		sum := Digest(b, 4, d.refused)
		x := Crossings(c, gun, b, d.refused)
		row := &competitionv1.ResultRow{Entry: uint32(i + 1), Status: livev1.EntryStatus_ENTRY_STATUS_FINISHED}
		if i == 1 {
			row.Place = 1
		} else {
			row.Status = livev1.EntryStatus_ENTRY_STATUS_DNF
		}
		for _, g := range x {
			row.Gates = append(row.Gates, &competitionv1.GateTime{Gate: uint32(g.Gate), AtUs: int64(g.At)})
		}
		p.Rows = append(p.Rows, row)
		p.Input = append(p.Input, &competitionv1.EntryInput{Entry: uint32(i + 1), Streams: []*competitionv1.InputStream{{StreamId: d.Stream, ThroughSeq: 4, Digest: sum[:]}}})
	}
	return c, ds, p
}

// The checks hold for a right result and find each way in which one can be wrong.
func TestChecksFindWhatIsWrong(t *testing.T) {
	all := func(c *course.Course, ds []*Device, p *competitionv1.ResultPublished) string {
		for _, k := range []Check{CheckStored(ds, p), CheckGates(ds, c, gun, p), CheckOrder(ds, c, gun, false, p)} {
			if !k.OK {
				return k.Name + ": " + k.Detail
			}
		}
		return ""
	}
	for _, k := range []struct {
		name  string
		spoil func([]*Device, *competitionv1.ResultPublished)
		want  string
	}{
		{"right", func([]*Device, *competitionv1.ResultPublished) {}, ""},
		{"an acknowledged sample lost", func(ds []*Device, p *competitionv1.ResultPublished) {
			sum := Digest(ds[0].Samples, 3, nil)
			p.Input[0].Streams[0].ThroughSeq, p.Input[0].Streams[0].Digest = 3, sum[:]
		}, "acknowledged = stored"},
		{"a value changed", func(ds []*Device, _ *competitionv1.ResultPublished) {
			ds[0].Samples.Columns[sample.DistanceMm].Values[1]++
		}, "acknowledged = stored"},
		{"a refusal that nobody was told of", func(ds []*Device, _ *competitionv1.ResultPublished) { ds[1].refused[2] = sample.OutOfRange }, "acknowledged = stored"},
		{"more stored than sent", func(_ []*Device, p *competitionv1.ResultPublished) { p.Input[1].Streams[0].ThroughSeq = 5 }, "acknowledged = stored"},
		{"a stream forgotten", func(_ []*Device, p *competitionv1.ResultPublished) { p.Input = p.Input[1:] }, "acknowledged = stored"},
		{"a gate a microsecond late", func(_ []*Device, p *competitionv1.ResultPublished) { p.Rows[1].Gates[0].AtUs++ }, "every gate"},
		{"a gate missing", func(_ []*Device, p *competitionv1.ResultPublished) { p.Rows[1].Gates = p.Rows[1].Gates[:1] }, "every gate"},
		{"a row missing", func(_ []*Device, p *competitionv1.ResultPublished) { p.Rows = p.Rows[1:] }, "every gate"},
		{"a place for who did not finish", func(_ []*Device, p *competitionv1.ResultPublished) { p.Rows[0].Place = 2 }, "order right"},
		{"the wrong place", func(_ []*Device, p *competitionv1.ResultPublished) { p.Rows[1].Place = 2 }, "order right"},
		{"a finish out of nothing", func(_ []*Device, p *competitionv1.ResultPublished) {
			p.Rows[0].Status = livev1.EntryStatus_ENTRY_STATUS_FINISHED
		}, "order right"},
	} {
		c, ds, p := aRace(t)
		k.spoil(ds, p)
		if got := all(c, ds, p); (got == "") != (k.want == "") || !strings.HasPrefix(got, k.want) {
			t.Errorf("%s: %q, want %q", k.name, got, k.want)
		}
	}
}
