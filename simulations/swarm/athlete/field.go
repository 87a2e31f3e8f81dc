package athlete

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// Field is a race to be ridden or run.
type Field struct {
	Profile  *Profile
	Sport    geo.Sport // geo.Ride or geo.Run; anything else runs
	Athletes int
	Seed     uint64
	Gun      unit.InstantMs
	PenS     int             // seconds before the gun that devices record; 0: 20
	After    unit.DurationMs // recorded after the finish; 0: 10 s
	LimitS   int             // longest race in seconds; 0: 4 h
	Abandon  int             // how many give up on the way
	Still    bool            // no noise, no silence: what is measured is what is
}

// Recording is one athlete's race as the device wrote it.
type Recording struct {
	Name    string
	Sport   geo.Sport
	Samples sample.Batch // 1 Hz, FirstSeq 1
	Offline []Span       // when the device had no network: samples were kept and sent later
	Gave    bool         // up
	// FinishUs is when the athlete crossed the end of the course, by the physics and not by the device; 0: never.
	FinishUs unit.InstantUs
}

// Span is indices of samples, half open.
type Span struct{ From, To int }

// mover is one athlete under way.
type mover struct {
	Body
	rec     *Recording
	random  *rand.Rand
	ride    bool
	startM  float64 // where in the pen
	atM     float64
	speed   float64
	power   float64
	tank    Tank
	heart   float64
	form    float64 // of the day
	pacing  float64 // how much more on a climb
	quitM   float64 // gives up there; 0: never
	overUs  unit.InstantUs
	shelter float64
	device  device
}

const stepS = 0.25

// Race moves the field from the pen to the finish. Equal fields give equal recordings.
func (f Field) Race() []Recording {
	if f.PenS == 0 {
		f.PenS = 20
	}
	if f.After == 0 {
		f.After = 10 * unit.Second
	}
	if f.LimitS == 0 {
		f.LimitS = 4 * 3600
	}
	out := make([]Recording, f.Athletes)
	movers := make([]*mover, f.Athletes)
	for i := range movers {
		out[i] = Recording{Name: nameOf(i), Sport: f.Sport}
		movers[i] = f.mover(i, &out[i])
	}
	begun := f.Gun.Add(-unit.DurationMs(f.PenS) * unit.Second)
	for sec := 0; sec <= f.PenS+f.LimitS; sec++ {
		at := begun.Add(unit.DurationMs(sec) * unit.Second)
		busy := false
		for _, m := range movers {
			if m.over(at, f.After) {
				continue
			}
			busy = true
			m.device.record(m, f, at)
		}
		if !busy {
			break
		}
		if at < f.Gun {
			continue
		}
		for part := range int(1 / stepS) {
			shelterAll(movers)
			now := at.Us() + unit.InstantUs(part)*unit.InstantUs(stepS*1e6)
			for _, m := range movers {
				m.move(f, now)
			}
		}
	}
	for _, m := range movers {
		m.rec.FinishUs = m.overUs
		m.device.finish(m, f)
	}
	return out
}

// mover draws one athlete. Each has random numbers of its own, so that one more athlete changes nobody else.
func (f Field) mover(i int, rec *Recording) *mover {
	r := rand.New(rand.NewPCG(f.Seed, uint64(i)*0x9e3779b97f4a7c15+1))
	m := &mover{rec: rec, random: r, ride: f.Sport == geo.Ride}
	talent := 1.4 * r.NormFloat64()
	if m.ride {
		mass := 76 + 5*math.Max(-2, math.Min(2, r.NormFloat64()))
		m.Body = Body{MassKg: mass, CdA: 0.32 + 0.008*r.NormFloat64(), Crr: 0.004,
			CriticalW: (3.9 + 0.16*talent) * (mass - 9), ReserveJ: 19_000 + 2500*r.NormFloat64(), CadenceRpm: 88 + 4*r.NormFloat64()}
	} else {
		mass := 66 + 5*math.Max(-2, math.Min(2, r.NormFloat64()))
		// Metres a second on the flat that can be held, times the cost of a metre.
		m.Body = Body{MassKg: mass, CriticalW: (4.1 + 0.22*talent) * mass * joulesPerMetreK, ReserveJ: 220 * mass * joulesPerMetreK, CadenceRpm: 87 + 3*r.NormFloat64()}
	}
	m.HeartRest, m.HeartMax = 48+5*r.NormFloat64(), 188+6*r.NormFloat64()
	m.tank.LeftJ, m.heart = m.ReserveJ, m.HeartRest+35
	m.form, m.pacing = 1+0.012*r.NormFloat64(), 0.5+0.4*r.Float64()
	// Ten metres behind the line: a receiver that wanders over it before the gun would have made a false start.
	m.startM = -10 - 1.2*float64(i/4) - 0.2*r.Float64()
	m.atM = m.startM
	if i >= f.Athletes-f.Abandon {
		m.quitM = f.Profile.LengthM() * (0.35 + 0.4*r.Float64())
	}
	m.device = newDevice(r, f)
	return m
}

var firstNames = []string{"Asta", "Bruno", "Cosima", "Dario", "Elif", "Fenna", "Goran", "Hanae", "Ilse", "Joao", "Kaja", "Lorcan",
	"Mirte", "Nuri", "Oda", "Pavel", "Quill", "Runa", "Senna", "Tove", "Ugo", "Vesna", "Wim", "Ylva"}
var lastNames = []string{"Aldermoor", "Brekke", "Caldwater", "Dunhallow", "Eskeland", "Farrowdale", "Greywick", "Holloway",
	"Inverbrook", "Jarnsund", "Kestrel", "Lindqvarn", "Marrowfen"}

// nameOf invents a name; no two of the first 312 are alike.
func nameOf(i int) string {
	n := firstNames[i%len(firstNames)] + " " + lastNames[(i/len(firstNames)+5*i)%len(lastNames)]
	if i >= len(firstNames)*len(lastNames) {
		n = fmt.Sprintf("%s %d", n, i/(len(firstNames)*len(lastNames))+1)
	}
	return n
}

// shelterAll says for everybody how much wind those ahead take away.
func shelterAll(movers []*mover) {
	order := slices.Clone(movers)
	slices.SortStableFunc(order, func(a, b *mover) int { return cmp.Compare(b.atM, a.atM) })
	ahead := 0
	for i, m := range order {
		m.shelter = 1
		if i == 0 || !m.ride {
			continue
		}
		gap := order[i-1].atM - m.atM
		if gap > 12 {
			ahead = 0
		} else {
			ahead++
		}
		m.shelter = Shelter(gap, ahead)
	}
}

func (m *mover) over(at unit.InstantMs, after unit.DurationMs) bool {
	if m.rec.Gave {
		return true
	}
	return m.overUs != 0 && at.Us() > m.overUs+unit.InstantUs(after)*1000
}

// wish is the power that the athlete puts in now.
func (m *mover) wish(f Field, slope float64) float64 {
	left := m.tank.LeftJ / m.ReserveJ
	togo := f.Profile.LengthM() - m.atM
	w := m.CriticalW * m.form * (1 + m.pacing*math.Max(-0.5, math.Min(0.25, 4*slope)))
	switch {
	case togo < 0:
		w = m.CriticalW * 0.35 // rolls out
	case togo < 400 && left > 0.1:
		w = m.CriticalW * (1.25 + 0.5*left) // the sprint
	case left < 0.15:
		w = math.Min(w, m.CriticalW*0.95)
	}
	if m.shelter < 1 && togo > 400 && left < 0.9 {
		w *= 0.96 // somebody else does the work
	}
	return w
}

func (m *mover) move(f Field, now unit.InstantUs) {
	if m.rec.Gave {
		return
	}
	slope := f.Profile.Slope(m.atM)
	want := m.wish(f, slope) * (1 + 0.02*m.random.NormFloat64())
	m.power += (want - m.power) * (1 - math.Exp(-stepS/2))
	before := m.atM
	if m.ride {
		m.speed = m.Roll(m.speed, m.power, slope, m.shelter, stepS)
		if m.speed > 17 { // brakes: the road bends
			m.speed = 17
		}
	} else {
		m.speed += (m.RunningSpeed(m.power, slope) - m.speed) * (1 - math.Exp(-stepS/1.5))
	}
	m.tank.Spend(&m.Body, m.power, stepS)
	m.heart = m.heartTowards(m.heart, m.power/m.CriticalW, float64(now-f.Gun.Us())/1e6, stepS)
	m.atM += m.speed * stepS
	if end := f.Profile.LengthM(); m.overUs == 0 && before < end && m.atM >= end {
		m.overUs = now + unit.InstantUs(math.Round((end-before)/(m.atM-before)*stepS*1e6))
	}
	if m.quitM > 0 && m.atM >= m.quitM {
		m.rec.Gave = true
	}
}
