package athlete

import (
	"math"
	"math/rand/v2"

	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// device is what an athlete wears: a receiver whose error wanders, a meter, a strap that sometimes loses the skin, a
// counter of distance that is a little off. Its clock is set by satellites and is right.
type device struct {
	still    bool
	random   *rand.Rand
	leftErr  float64 // metres; both wander
	alongErr float64
	scale    float64 // of the distance counter
	counted  float64 // metres
	lastM    float64
	begun    bool
	noStrap  int // seconds that the strap is still silent
	noSky    int // seconds without a position
	offline  int
	batch    sample.Batch
	rows     []row
}

// row is one sample before it becomes columns; -1<<63 is absent.
type row [sample.Channels]int64

const absent = math.MinInt64

// wander is the time constant of the position's error; its spread is positionErrM.
const (
	wanderS      = 25.0
	positionErrM = 1.2
)

func newDevice(r *rand.Rand, f Field) device {
	d := device{still: f.Still, random: r, scale: 1}
	if !f.Still {
		d.scale = 1 + 0.002*r.NormFloat64()
		d.leftErr, d.alongErr = positionErrM*r.NormFloat64(), positionErrM*r.NormFloat64()
	}
	return d
}

// record writes one sample.
func (d *device) record(m *mover, f Field, at unit.InstantMs) {
	if !d.begun {
		d.begun, d.lastM = true, m.atM
	}
	d.counted += math.Max(0, m.atM-d.lastM) * d.scale
	d.lastM = m.atM
	d.disturb(len(d.rows), m)
	var r row
	for c := range r {
		r[c] = absent
	}
	noise := func(sd float64) float64 {
		if d.still {
			return 0
		}
		return sd * d.random.NormFloat64()
	}
	if d.noSky == 0 {
		p := f.Profile.PointAt(m.atM+d.alongErr, d.leftErr)
		r[sample.LatE7], r[sample.LonE7] = p.Lat, p.Lon
	}
	r[sample.AltitudeMm] = round((f.Profile.HeightM(m.atM) + noise(0.2)) * 1000)
	r[sample.DistanceMm] = round(d.counted * 1000)
	r[sample.SpeedMmS] = round(math.Max(0, m.speed+noise(0.05)) * 1000)
	if d.noStrap == 0 {
		r[sample.HeartRateBpm] = min(max(round(m.heart+noise(0.8)), 30), 225)
	}
	effort := m.power / m.CriticalW
	moving := m.speed > 0.5
	r[sample.PowerW], r[sample.CadenceRpm] = 0, 0
	if moving {
		w := m.power
		if !m.ride {
			w = m.power / 4 // what reaches the ground, as a runner's pod estimates it
		}
		r[sample.PowerW] = min(max(round(w*(1+noise(0.015))), 0), 2400)
		r[sample.CadenceRpm] = min(max(round(m.CadenceRpm*(0.85+0.15*effort)+noise(1)), 20), 125)
	}
	d.rows = append(d.rows, r)
	d.batch.AtMs = append(d.batch.AtMs, at)
}

// disturb moves the errors on and decides what falls silent.
func (d *device) disturb(i int, m *mover) {
	if d.still {
		return
	}
	keep := math.Exp(-1 / wanderS)
	kick := positionErrM * math.Sqrt(1-keep*keep)
	d.leftErr = d.leftErr*keep + kick*d.random.NormFloat64()
	d.alongErr = d.alongErr*keep + kick*d.random.NormFloat64()
	d.noStrap, d.noSky = max(0, d.noStrap-1), max(0, d.noSky-1)
	if d.noStrap == 0 && d.random.Float64() < 1.0/400 {
		d.noStrap = 8 + d.random.IntN(25)
	}
	if d.noSky == 0 && m.speed > 1 && d.random.Float64() < 1.0/700 {
		d.noSky = 2 + d.random.IntN(6)
	}
	if d.offline > 0 {
		if d.offline--; d.offline == 0 {
			m.rec.Offline[len(m.rec.Offline)-1].To = i
		}
	} else if m.speed > 1 && d.random.Float64() < 1.0/900 {
		d.offline = 15 + d.random.IntN(50)
		m.rec.Offline = append(m.rec.Offline, Span{i, i})
	}
}

// finish turns the rows into columns.
func (d *device) finish(m *mover, _ Field) {
	n := len(d.rows)
	d.batch.FirstSeq = 1
	for c := range d.batch.Columns {
		col := &d.batch.Columns[c]
		for i := range d.rows {
			if d.rows[i][c] == absent || c == 0 {
				continue
			}
			if col.Present == nil {
				col.Grow(n)
			}
			col.Set(i, d.rows[i][c])
		}
	}
	if k := len(m.rec.Offline); k > 0 && d.offline > 0 {
		m.rec.Offline[k-1].To = n
	}
	m.rec.Samples = d.batch
}

func round(x float64) int64 { return int64(math.Round(x)) }

// Channels are the columns that these devices fill, with how they come about.
func Channels(s geo.Sport) map[sample.Channel]sample.Trust {
	power := sample.Measured
	if s != geo.Ride {
		power = sample.Estimated
	}
	return map[sample.Channel]sample.Trust{sample.LatE7: sample.Measured, sample.LonE7: sample.Measured,
		sample.AltitudeMm: sample.Measured, sample.DistanceMm: sample.Measured, sample.SpeedMmS: sample.Measured,
		sample.HeartRateBpm: sample.Measured, sample.PowerW: power, sample.CadenceRpm: sample.Measured}
}
