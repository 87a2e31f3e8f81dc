package world

import (
	"fmt"
	"math"
	"math/rand/v2"

	"paceline/api/gen/paceline/competition/v1"
	"paceline/api/gen/paceline/live/v1"
	"paceline/domain/id"
	"paceline/domain/unit"
)

// plan is what a seed's race is, before anything goes wrong: the same for the calm run and the disturbed one.
type plan struct {
	competition string
	definition  *competitionv1.Definition
	origin      unit.InstantMs // node clock at the world's beginning
	gun         unit.InstantMs
	riders      []rider
	others      []id.Grain // of a script, outside of the race
}

// rider is one athlete with one or two devices.
type rider struct {
	entry    uint32
	user     string
	workout  string
	offsetMs int64 // of the entry's own start, for waves and individual starts
	streams  []stream
	quits    bool // never reaches the finish
	penalty  int64
}

// stream is what one device measures.
type stream struct {
	device, id string
	clockOff   int64 // node clock minus device clock
	kind       livev1.ClockKind
	trust      livev1.Trust
	atMs       []int64 // device clock
	lat, lon   []int64
	distanceMm []int64
	heartRate  []int64
	lost       [2]int // samples from..to (indices, half open) that the device has really lost

	// Of a script.
	clockFrom uint64 // the clock is off only from this seq on; 0: from the beginning
	mark      int    // the client stops for onMark when it has this many acknowledged
	kept      int    // this many of the last samples stay with the device
}

// openOff is how far the clock is off when the stream is opened.
func (s *stream) openOff() int64 {
	if s.clockFrom > 0 {
		return 0
	}
	return s.clockOff
}

const (
	originMs  = 1_710_000_000_000
	baseLatE7 = 475_000_000
	baseLonE7 = 85_000_000
)

// metresPerE7Lat is how long 1e-7 degrees of latitude are.
const metresPerE7Lat = 6371000 * math.Pi / 180 / 1e7

func metresPerE7Lon() float64 {
	return metresPerE7Lat * math.Cos(float64(baseLatE7)/1e7*math.Pi/180)
}

// newPlan draws a race from the seed.
func newPlan(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 77))
	p := plan{origin: originMs, gun: originMs + 60_000}
	p.competition = id.New(originMs, random10(r))
	d := &competitionv1.Definition{
		OrganizationId: id.DefaultOrganization, Name: fmt.Sprintf("race %d", seed), Public: true,
		ScheduledAtMs: int64(p.gun), CutoffAfterMs: 20 * 60_000, GraceMs: 30_000, AutoOfficialAfterMs: 0,
		RankBy: competitionv1.RankBy_RANK_BY_GUN, Start: competitionv1.StartKind(1 + r.IntN(3)),
		Categories: []string{"open"},
	}
	lengthM := 200 + r.Float64()*150
	gps := r.IntN(2) == 0
	if gps {
		d.RankBy = competitionv1.RankBy(1 + r.IntN(2))
		d.Track = lineTrack(lengthM, r.IntN(3) == 0)
	} else {
		d.Track = &competitionv1.Track{Format: competitionv1.Format_FORMAT_DISTANCE, Sport: "run", Name: "distance",
			DistanceMm: int64(lengthM * 1000), Gates: []*competitionv1.Gate{
				{Id: "half", Kind: competitionv1.GateKind_GATE_KIND_SPLIT, AtMm: int64(lengthM * 500), Mandatory: true},
				{Id: "finish", Kind: competitionv1.GateKind_GATE_KIND_FINISH, AtMm: int64(lengthM * 1000), Mandatory: true},
			}}
	}
	p.definition = d
	for i := range 2 + r.IntN(3) {
		p.riders = append(p.riders, newRider(r, &p, i, lengthM, gps))
	}
	if seed%3 == 0 { // through gateways a clock is measured, and what is measured depends on the road
		p.rightClocks()
	}
	return p
}

// rightClocks makes all device clocks right.
func (p *plan) rightClocks() {
	for i := range p.riders {
		for j := range p.riders[i].streams {
			s := &p.riders[i].streams[j]
			for k := range s.atMs {
				s.atMs[k] += s.clockOff
			}
			s.clockOff = 0
		}
	}
}

func random10(r *rand.Rand) (b [10]byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// lineTrack runs east, with a start, a split and a finish; an out-and-back turns at its half.
func lineTrack(lengthM float64, outAndBack bool) *competitionv1.Track {
	lon := func(m float64) int32 { return int32(baseLonE7 + m/metresPerE7Lon()) }
	point := func(m float64) *competitionv1.Point {
		return &competitionv1.Point{LatE7: baseLatE7, LonE7: lon(m)}
	}
	gate := func(name string, kind competitionv1.GateKind, m float64, dir int32) *competitionv1.Gate {
		const half = int32(3600) // about 40 m
		return &competitionv1.Gate{Id: name, Kind: kind, Mandatory: true, Direction: dir, AtMm: int64(m * 1000),
			A: &competitionv1.Point{LatE7: baseLatE7 - half, LonE7: lon(along(m, lengthM, outAndBack))},
			B: &competitionv1.Point{LatE7: baseLatE7 + half, LonE7: lon(along(m, lengthM, outAndBack))}}
	}
	t := &competitionv1.Track{Format: competitionv1.Format_FORMAT_COURSE, Sport: "run", Name: "line", CorridorMm: 60_000}
	if outAndBack {
		t.Line = []*competitionv1.Point{point(0), point(lengthM / 2), point(0)}
	} else {
		t.Line = []*competitionv1.Point{point(0), point(lengthM)}
	}
	back := int32(1)
	if outAndBack {
		back = -1
	}
	t.Gates = []*competitionv1.Gate{
		gate("start", competitionv1.GateKind_GATE_KIND_START, 10, 1),
		gate("split", competitionv1.GateKind_GATE_KIND_SPLIT, lengthM*0.4, 1),
		gate("finish", competitionv1.GateKind_GATE_KIND_FINISH, lengthM-10, back),
	}
	return t
}

// along is how far east one is after m metres of the course.
func along(m, lengthM float64, outAndBack bool) float64 {
	if outAndBack && m > lengthM/2 {
		return lengthM - m
	}
	return m
}

func newRider(r *rand.Rand, p *plan, i int, lengthM float64, gps bool) rider {
	user := id.New(originMs, random10(r))
	v := rider{entry: uint32(i + 1), user: user, workout: id.New(originMs+1, random10(r)), quits: r.IntN(8) == 0}
	switch p.definition.Start {
	case competitionv1.StartKind_START_KIND_WAVES:
		v.offsetMs = int64(i%2) * 10_000
	case competitionv1.StartKind_START_KIND_INDIVIDUAL:
		v.offsetMs = int64(i) * 5_000
	default: // everybody at the gun
	}
	if r.IntN(6) == 0 {
		v.penalty = 1000 * int64(1+r.IntN(30))
	}
	outAndBack := len(p.definition.Track.Line) == 3
	start := int64(p.gun) + v.offsetMs
	speed := 4 + r.Float64()*3 // m/s
	var atMs, posM []float64
	for t, m := -3.0, 0.0; m < lengthM+15; t += 1 {
		if t > 0 {
			m += speed * (0.9 + 0.2*r.Float64())
		}
		if v.quits && m > lengthM/2 {
			break
		}
		atMs, posM = append(atMs, float64(start)+t*1000+float64(r.IntN(200))), append(posM, m)
	}
	for k := range 1 + r.IntN(2)/1*boolInt(r.IntN(4) == 0) {
		v.streams = append(v.streams, newStream(r, user, k, atMs, posM, lengthM, outAndBack, gps))
	}
	return v
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func newStream(r *rand.Rand, user string, k int, atMs, posM []float64, lengthM float64, outAndBack, gps bool) stream {
	s := stream{device: user + "/" + id.New(originMs, random10(r)), id: id.New(originMs+2, random10(r)),
		kind: livev1.ClockKind_CLOCK_KIND_GNSS, trust: livev1.Trust_TRUST_MEASURED}
	if k > 0 {
		s.trust = livev1.Trust_TRUST_ESTIMATED
	}
	if r.IntN(3) == 0 {
		s.kind = livev1.ClockKind_CLOCK_KIND_FREE
		s.clockOff = int64(r.IntN(600_000)) - 300_000
	}
	hole := -1
	if r.IntN(3) == 0 {
		hole = 5 + r.IntN(len(atMs)-5)
	}
	for i := range atMs {
		if hole >= 0 && i >= hole && i < hole+4+k*3 {
			continue // a hole in time, not in seq
		}
		s.atMs = append(s.atMs, int64(atMs[i])-s.clockOff)
		s.heartRate = append(s.heartRate, int64(120+r.IntN(60)))
		s.distanceMm = append(s.distanceMm, int64(posM[i]*1000))
		if gps {
			east := along(posM[i], lengthM, outAndBack)
			s.lat = append(s.lat, baseLatE7+int64(r.IntN(200))-100)
			s.lon = append(s.lon, baseLonE7+int64(east/metresPerE7Lon()))
		}
	}
	if r.IntN(6) == 0 && len(s.atMs) > 20 {
		from := 8 + r.IntN(len(s.atMs)-12)
		s.lost = [2]int{from, from + 1 + r.IntN(3)}
	}
	return s
}
