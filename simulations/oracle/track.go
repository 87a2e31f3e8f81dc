package oracle

import (
	"math"
	"math/big"
	"sort"

	"paceline/domain/unit"
)

// Point is degrees in 1e-7.
type Point struct{ Lat, Lon int64 }

// Sample is one handled sample of a stream, in the device's clock.
type Sample struct {
	Seq      uint64
	DeviceMs unit.InstantMs
	Refused  bool
	Position *Point
	Distance *int64 // mm, the device's own counter
}

// Clock says what to add to the device's time from a seq on. Order: as journalled.
type Clock struct {
	FromSeq  uint64
	OffsetMs unit.DurationMs
}

// Skip is a range of seqs that does not count.
type Skip struct{ From, To uint64 }

// Stream is everything about one stream.
type Stream struct {
	ID       string
	Device   string
	Trust    int // of the channel that the race needs: 1 is best, 0 unknown and worst
	GNSS     bool
	Declared bool // it measures what the race needs
	Samples  []Sample
	Clocks   []Clock
	Skips    []Skip
}

// Finish is what finish_workout said; nil: nothing.
type Finish struct {
	At   unit.InstantMs    // event time
	Last map[string]uint64 // stream → last seq that counts in any case
}

// at is one point of a timeline.
type at struct {
	ms     int64
	p      Point
	mm     int64 // credited
	stream int
	index  int
	seq    uint64
	leap   bool // the step to it is impossible by the stream's own counter
}

const holeMs = 10_000

// own is a stream's samples that count, with event times and credited distance.
func own(s *Stream, finish *Finish, c *Course, number int) []at {
	var out []at
	lastMs, counted := int64(math.MinInt64), false
	var raw, total, rawMs int64
	for _, x := range s.Samples {
		if x.Refused || skipped(s, x.Seq) {
			continue
		}
		ms := int64(x.DeviceMs) + offset(s, x.Seq)
		if ms <= lastMs {
			continue
		}
		if finish != nil && ms > int64(finish.At) {
			last, named := finish.Last[s.ID]
			if !named || x.Seq > last {
				continue
			}
		}
		lastMs = ms
		a := at{ms: ms, stream: number, seq: x.Seq}
		if x.Distance != nil {
			if counted {
				step, again := *x.Distance-raw, false
				if step < 0 {
					step, again = max(*x.Distance, 0), true
				}
				if c.leaps(step, ms-rawMs) {
					a.leap = !again
				} else {
					total += step
				}
			}
			counted, raw, rawMs = true, *x.Distance, ms
		}
		a.mm = total
		if c.distance && x.Distance == nil || !c.distance && x.Position == nil {
			continue
		}
		if x.Position != nil {
			a.p = *x.Position
		}
		a.index = len(out)
		out = append(out, a)
	}
	return out
}

func skipped(s *Stream, seq uint64) bool {
	for _, k := range s.Skips {
		if k.From <= seq && seq <= k.To {
			return true
		}
	}
	return false
}

// offset is that of the clock with the highest from_seq at or before the sample; of equal ones the last journalled.
func offset(s *Stream, seq uint64) int64 {
	best, from := int64(0), uint64(0)
	for _, c := range s.Clocks {
		f := max(c.FromSeq, 1)
		if f <= seq && f >= from {
			best, from = int64(c.OffsetMs), f
		}
	}
	return best
}

// order is the streams that measure what the race needs, best first.
func order(streams []Stream, primary string) []int {
	var o []int
	for i := range streams {
		if streams[i].Declared {
			o = append(o, i)
		}
	}
	trust := func(s *Stream) int {
		if s.Trust == 0 {
			return 9
		}
		return s.Trust
	}
	sort.SliceStable(o, func(x, y int) bool {
		a, b := &streams[o[x]], &streams[o[y]]
		switch {
		case primary != "" && (a.ID == primary) != (b.ID == primary):
			return a.ID == primary
		case trust(a) != trust(b):
			return trust(a) < trust(b)
		case a.GNSS != b.GNSS:
			return a.GNSS
		case a.ID != b.ID:
			return a.ID < b.ID
		}
		return a.Device < b.Device
	})
	return o
}

// timeline joins the streams: a worse one only in holes of more than 10 s.
func timeline(streams []Stream, primary string, finish *Finish, c *Course) []at {
	tracks := make([][]at, len(streams))
	var line []at
	for n, i := range order(streams, primary) {
		tracks[i] = own(&streams[i], finish, c, i)
		if n == 0 {
			line = append(line, tracks[i]...)
			continue
		}
		line = fill(line, tracks[i])
	}
	if c.distance {
		credit(line, tracks)
	}
	return line
}

// fill adds those points of a worse stream that lie in a hole of the line.
func fill(line, worse []at) []at {
	if len(line) == 0 {
		return append([]at(nil), worse...)
	}
	first, last := line[0].ms, line[len(line)-1].ms
	joined := append([]at(nil), line...)
	for _, p := range worse {
		fits := false
		switch {
		case p.ms < first:
			fits = first-worse[0].ms > holeMs
		case p.ms > last:
			fits = worse[len(worse)-1].ms-last > holeMs
		default:
			for i := 1; i < len(line); i++ {
				if line[i-1].ms < p.ms && p.ms < line[i].ms {
					fits = line[i].ms-line[i-1].ms > holeMs
				}
			}
		}
		if fits {
			joined = append(joined, p)
		}
	}
	sort.SliceStable(joined, func(x, y int) bool { return joined[x].ms < joined[y].ms })
	return joined
}

// credit makes one counter of the streams' own.
func credit(line []at, tracks [][]at) {
	total := int64(0)
	for i := range line {
		track, k := tracks[line[i].stream], line[i].index
		mine := track[k].mm
		if i > 0 {
			before := track[0].mm
			if k > 0 {
				a, b := track[k-1], track[k]
				before = a.mm + ratioFloor(b.mm-a.mm, clamp(line[i-1].ms-a.ms, 0, b.ms-a.ms), b.ms-a.ms)
			}
			total += mine - before
		}
		line[i].mm = total
	}
}

func clamp(v, lo, hi int64) int64 { return min(max(v, lo), hi) }

// ratioFloor is floor(total·part/whole) for whole > 0.
func ratioFloor(total, part, whole int64) int64 {
	if whole <= 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(total), big.NewInt(part))
	return n.Div(n, big.NewInt(whole)).Int64() // Euclidean: floor for a positive divisor
}
