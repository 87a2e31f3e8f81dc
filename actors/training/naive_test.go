package training_test

import (
	"math/big"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"paceline/actors/training"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// naivePoint is a sample of a stream with what the stream has counted by itself.
type naivePoint struct {
	at, mm     int64
	impossible bool
	stream     string
}

// naive computes a distance race from whole streams, the slow way: for every instant ask which stream counts there.
func naive(p training.Params, batches map[string]sample.Batch, facts map[string]training.Facts) (gates []training.Passage, flagged bool) {
	var ranked []string
	rest := slices.Clone(p.Streams)
	for len(rest) > 0 {
		best := 0
		for i := range rest {
			if naiveBetter(&rest[i], &rest[best]) {
				best = i
			}
		}
		ranked = append(ranked, rest[best].Key.Stream)
		rest = slices.Delete(rest, best, best+1)
	}
	own := map[string][]naivePoint{}
	for id, b := range batches {
		f := facts[id]
		own[id] = naiveStream(b, &f, id)
	}
	var line []naivePoint
	for _, id := range ranked {
		better := slices.Clone(line)
		for _, q := range own[id] {
			if naiveHole(better, own[id], q.at) {
				line = append(line, q)
			}
		}
		slices.SortFunc(line, func(a, b naivePoint) int { return int(a.at - b.at) })
	}
	return naiveWalk(p, line, own)
}

func naiveBetter(a, b *training.Stream) bool {
	trust := func(s *training.Stream) int {
		if s.Trust[sample.DistanceMm] == sample.TrustUnknown {
			return 9
		}
		return int(s.Trust[sample.DistanceMm])
	}
	if trust(a) != trust(b) {
		return trust(a) < trust(b)
	}
	if (a.Clock == sample.GNSS) != (b.Clock == sample.GNSS) {
		return a.Clock == sample.GNSS
	}
	return a.Key.Stream < b.Key.Stream
}

func naiveStream(b sample.Batch, f *training.Facts, id string) []naivePoint {
	var out []naivePoint
	raw := int64(0)
	for i := range b.Len() {
		seq := b.FirstSeq + uint64(i)
		at := int64(b.AtMs[i])
		for _, c := range f.Clocks {
			if c.FromSeq <= seq {
				at = int64(b.AtMs[i]) + int64(c.OffsetMs)
			}
		}
		skipped := slices.ContainsFunc(f.Skips, func(s training.Span) bool { return s.From <= seq && seq <= s.To })
		if skipped || len(out) > 0 && at <= out[len(out)-1].at {
			continue
		}
		v, _ := b.Value(sample.DistanceMm, i)
		q := naivePoint{at: at, stream: id}
		if len(out) > 0 {
			last := out[len(out)-1]
			step, again := v-raw, v < raw
			if again {
				step = v
			}
			q.mm = last.mm
			if step*1000 <= 2*12_500*(at-last.at) {
				q.mm += step
			} else {
				q.impossible = !again
			}
		}
		raw = v
		out = append(out, q)
	}
	return out
}

// naiveHole: no better sample lies within the ten seconds around, counted between the better samples on both sides.
func naiveHole(better, own []naivePoint, at int64) bool {
	if len(better) == 0 {
		return true
	}
	before, behind := int64(-1), int64(-1)
	for _, q := range better {
		switch {
		case q.at == at:
			return false
		case q.at < at:
			before = q.at
		case behind < 0:
			behind = q.at
		}
	}
	switch {
	case before < 0:
		return behind-own[0].at > 10_000
	case behind < 0:
		return own[len(own)-1].at-before > 10_000
	}
	return behind-before > 10_000
}

// floorDiv is floor(a·b/c) for c > 0.
func floorDiv(a, b, c int64) int64 {
	q := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	return new(big.Int).Div(q, big.NewInt(c)).Int64()
}

// countedAt is what a stream had counted at an instant; false: it had not begun.
func countedAt(own []naivePoint, at int64) (int64, bool) {
	for i := len(own) - 1; i >= 0; i-- {
		if own[i].at > at {
			continue
		}
		if own[i].at == at || i == len(own)-1 {
			return own[i].mm, true
		}
		return own[i].mm + floorDiv(own[i+1].mm-own[i].mm, at-own[i].at, own[i+1].at-own[i].at), true
	}
	return 0, false
}

func naiveWalk(p training.Params, line []naivePoint, own map[string][]naivePoint) (gates []training.Passage, flagged bool) {
	total := make([]int64, len(line))
	for i := 1; i < len(line); i++ {
		total[i] = total[i-1]
		if was, ok := countedAt(own[line[i].stream], line[i-1].at); ok {
			now, _ := countedAt(own[line[i].stream], line[i].at)
			total[i] += now - was
		}
	}
	start, mark := -1, int64(0)
	for i := range line {
		if line[i].at >= int64(p.Race.Gun) {
			start, mark = i, total[i]
			if i > 0 {
				mark = total[i-1] + floorDiv(total[i]-total[i-1], int64(p.Race.Gun)-line[i-1].at, line[i].at-line[i-1].at)
			}
			break
		}
	}
	if start < 0 {
		return nil, false
	}
	visits := p.Race.Course.Visits()
	for i := max(start, 1); i < len(line); i++ {
		if line[i].impossible && line[i].at > int64(p.Race.Gun) && len(gates) < len(visits) {
			flagged = true
		}
		for len(gates) < len(visits) {
			target := mark + int64(visits[len(gates)].AtMm)
			if total[i] < target {
				break
			}
			at := line[i-1].at*1000 + floorDiv((line[i].at-line[i-1].at)*1000, target-total[i-1], total[i]-total[i-1])
			gates = append(gates, training.Passage{Gate: uint32(len(gates)), At: unit.InstantUs(at)})
		}
	}
	return gates, flagged
}

// The incremental fold finds what the slow computation finds.
func TestFoldAgainstNaive(t *testing.T) {
	found, flags, several := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, batches, facts := scene(t)
		r := cuts(t, p, batches, facts)
		gates, flagged := naive(p, batches, facts)
		if !reflect.DeepEqual(r.Gates, gates) || flagged != (len(r.Flags) > 0) {
			t.Fatalf("%v, flags %v; want %v, %v", r.Gates, r.Flags, gates, flagged)
		}
		found += len(gates)
		if flagged {
			flags++
		}
		if len(p.Streams) > 1 && len(gates) > 0 {
			several++
		}
	})
	if found == 0 || flags == 0 || several == 0 {
		t.Errorf("%d gates, %d flags, %d with several streams: the drawn races show too little", found, flags, several)
	}
}

// Five real runs as a 5 km race: four finish in good order, the fourth's track jumps and is flagged.
func TestVirtualRace(t *testing.T) {
	folder := filepath.Join(activities(t), "virtual-5k")
	c, err := course.New(course.Track{Format: course.Distance, Sport: geo.Run, Name: "5 km", DistanceMm: 5_000_000})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 5; n++ {
		track := positions(t, filepath.Join(folder, "runner-"+string(rune('0'+n))+".gpx"))
		b := sample.Batch{FirstSeq: 1, AtMs: track.AtMs}
		b.Columns[sample.DistanceMm].Grow(b.Len())
		var mm int64
		for i := range b.Len() {
			if i > 0 {
				mm += int64(geo.DistanceMm(at(&track, i-1), at(&track, i)))
			}
			b.Columns[sample.DistanceMm].Set(i, mm)
		}
		s := stream("watch", sample.GNSS, sample.Measured, sample.DistanceMm)
		f := training.NewFold(training.Params{Streams: []training.Stream{s}, Sport: geo.Run, Race: &training.Race{Course: c, Gun: b.AtMs[0]}})
		feed(t, f, "watch", b)
		r := f.Result()
		if flagged := len(r.Flags) > 0; flagged != (n == 4) {
			t.Errorf("runner %d: flags %+v", n, r.Flags)
		}
		if n != 4 && !r.Finished {
			t.Errorf("runner %d has not finished: %d of 5 km", n, r.ProgressMm)
		}
		t.Logf("runner %d: finished %v, %d m counted of %d", n, r.Finished, r.Totals.DistanceMm/1000, mm/1000)
	}
}

func at(b *sample.Batch, i int) geo.Point {
	lat, _ := b.Value(sample.LatE7, i)
	lon, _ := b.Value(sample.LonE7, i)
	return geo.Point{Lat: lat, Lon: lon}
}
