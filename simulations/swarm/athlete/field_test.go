package athlete_test

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm/athlete"
	"paceline/simulations/swarm/courses"
)

const gun = unit.InstantMs(1_800_000_000_000)

func velmar(t testing.TB) (*athlete.Profile, []geo.Point) {
	t.Helper()
	track, err := courses.Read("velmar")
	if err != nil {
		t.Fatal(err)
	}
	heights := make([]int64, len(track.Points))
	for i, p := range track.Points {
		heights[i] = p.AltitudeMm
	}
	p, err := athlete.NewProfile(track.Line(), heights)
	if err != nil {
		t.Fatal(err)
	}
	return p, track.Line()
}

func bytesOf(rs []athlete.Recording) []byte {
	var b bytes.Buffer
	for _, r := range rs {
		b.WriteString(r.Name)
		for i := range r.Samples.Len() {
			b.Write(sample.AppendCanonical(nil, &r.Samples, i))
		}
	}
	return b.Bytes()
}

// The same field is the same bytes; another seed is another race; one more athlete changes nobody's body, so a field
// of runners (who do not draft) keeps its recordings.
func TestSameSeedSameBytes(t *testing.T) {
	p, _ := velmar(t)
	rapid.Check(t, func(t *rapid.T) {
		f := athlete.Field{Profile: p, Sport: geo.Run, Athletes: 3, Seed: rapid.Uint64().Draw(t, "seed"), Gun: gun, LimitS: 300}
		a, b := bytesOf(f.Race()), bytesOf(f.Race())
		if !bytes.Equal(a, b) {
			t.Fatal("two races of one seed differ")
		}
		g := f
		g.Athletes = 4
		if !bytes.HasPrefix(bytesOf(g.Race()), a) {
			t.Fatal("a fourth runner changes the other three")
		}
		g = f
		g.Seed++
		if bytes.Equal(bytesOf(g.Race()), a) {
			t.Fatal("another seed is the same race")
		}
	})
}

// Every sample is one that a device may send: 1 Hz, rising times, distance that never falls, plausible steps and values
// within the product's limits; and the race is one.
func TestRecordingsArePlausible(t *testing.T) {
	p, _ := velmar(t)
	for _, sport := range []geo.Sport{geo.Ride, geo.Run} {
		rs := athlete.Field{Profile: p, Sport: sport, Athletes: 12, Seed: 7, Gun: gun, Abandon: 1}.Race()
		finished, silent := 0, 0
		for _, r := range rs {
			b := &r.Samples
			last, before, beforeAt := int64(-1), geo.Point{}, unit.InstantMs(0)
			for i := range b.Len() {
				if want := gun.Add(unit.DurationMs(i-20) * unit.Second); b.AtMs[i] != want {
					t.Fatalf("%s: sample %d at %d", r.Name, i, b.AtMs[i])
				}
				d, ok := b.Value(sample.DistanceMm, i)
				if !ok || d < last {
					t.Fatalf("%s: distance falls to %d", r.Name, d)
				}
				last = d
				lat, ok := b.Value(sample.LatE7, i)
				lon, _ := b.Value(sample.LonE7, i)
				if !ok {
					silent++
					continue
				}
				q := geo.Point{Lat: lat, Lon: lon}
				if i > 0 && beforeAt != 0 && !geo.LimitsOf(sport).Plausible(geo.DistanceMm(before, q), b.AtMs[i].Sub(beforeAt)) {
					t.Errorf("%s jumps at sample %d", r.Name, i)
				}
				before, beforeAt = q, b.AtMs[i]
				if v, ok := b.Value(sample.HeartRateBpm, i); ok && (v < 40 || v > 220) {
					t.Errorf("%s: %d bpm", r.Name, v)
				}
			}
			if r.FinishUs != 0 {
				finished++
				minutes := float64(r.FinishUs-gun.Us()) / 60e6
				if least, most := map[geo.Sport]float64{geo.Ride: 10, geo.Run: 24}[sport], map[geo.Sport]float64{geo.Ride: 16, geo.Run: 40}[sport]; minutes < least || minutes > most {
					t.Errorf("%s: %.1f minutes by %s", r.Name, minutes, sport)
				}
				if math.Abs(float64(last)/1e6-7.1) > 0.35 {
					t.Errorf("%s: %d m counted", r.Name, last/1000)
				}
			} else if !r.Gave {
				t.Errorf("%s neither finished nor gave up", r.Name)
			}
		}
		if finished != 11 || silent == 0 {
			t.Errorf("%s: %d finished, %d samples without position", sport, finished, silent)
		}
	}
}

// What the device measures without noise crosses the finish within a centimetre's time of when the athlete did, and
// with noise in the order of those that are seconds apart.
func TestGatesSeeTheTrueFinish(t *testing.T) {
	p, line := velmar(t)
	c, err := course.New(course.Track{Format: course.Line, Sport: geo.Ride, Name: "v", Line: line, CorridorMm: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, still := range []bool{true, false} {
		for _, r := range (athlete.Field{Profile: p, Sport: geo.Ride, Athletes: 12, Seed: 3, Gun: gun, Still: still}).Race() {
			got := finish(c, &r.Samples)
			most := unit.DurationUs(1_000_000) // 3 sigma of the receiver at 10 m/s, and a bend
			if still {
				most = 20_000 // a second of acceleration between two samples
			}
			if d := got.Sub(r.FinishUs); d > most || d < -most {
				t.Errorf("still %v: %s at %d, in truth %d (%d µs)", still, r.Name, got, r.FinishUs, d)
			}
		}
	}
}

func finish(c *course.Course, b *sample.Batch) unit.InstantUs {
	s := geo.PassingFrom(gun)
	var before geo.Point
	var beforeAt unit.InstantMs
	for i := range b.Len() {
		lat, ok := b.Value(sample.LatE7, i)
		if !ok {
			continue
		}
		lon, _ := b.Value(sample.LonE7, i)
		q := geo.Point{Lat: lat, Lon: lon}
		for beforeAt != 0 {
			passed, ok := c.Geo().Pass(&s, before, beforeAt, q, b.AtMs[i])
			if !ok {
				break
			}
			if c.Geo().Finished(s) {
				return passed.At
			}
		}
		before, beforeAt = q, b.AtMs[i]
	}
	return 0
}

func TestNamesDiffer(t *testing.T) {
	p, _ := velmar(t)
	seen := map[string]bool{}
	for _, r := range (athlete.Field{Profile: p, Sport: geo.Run, Athletes: 700, Seed: 1, Gun: gun, LimitS: 1}).Race() {
		if seen[r.Name] {
			t.Fatalf("%s twice", r.Name)
		}
		seen[r.Name] = true
	}
}

// Nobody's receiver crosses the line before the gun: everybody who finishes has passed every gate.
func TestNobodyStartsTooEarly(t *testing.T) {
	p, line := velmar(t)
	c, err := course.New(course.Track{Format: course.Line, Sport: geo.Ride, Name: "v", Line: line, CorridorMm: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		for _, r := range (athlete.Field{Profile: p, Sport: geo.Ride, Athletes: 12, Seed: seed, Gun: gun}).Race() {
			if finish(c, &r.Samples) == 0 {
				t.Errorf("seed %d: %s finished and did not start", seed, r.Name)
			}
		}
	}
}
