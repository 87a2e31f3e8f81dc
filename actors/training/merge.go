package training

import "paceline/domain/unit"

// owned is a point of the timeline and the stream that it comes from.
type owned struct {
	point
	stream int // index into the fold's streams
	index  int // into that stream's points
}

// merge makes one timeline of the streams, best first: a worse stream counts only in the holes of the better ones.
func merge(streams []*streamFold, order []int) []owned {
	var line []owned
	for _, s := range order {
		line = fill(line, streams[s].points, s)
	}
	return line
}

// fill puts the points of stream s into the holes of line.
func fill(line []owned, points []point, s int) []owned {
	if len(points) == 0 {
		return line
	}
	out := make([]owned, 0, len(line)+len(points))
	next := 0
	// until adds the points before the line's point i if the hole there is long enough, and passes them by if not.
	until := func(i int) {
		from := next
		for next < len(points) && (i == len(line) || points[next].At < line[i].At) {
			next++
		}
		if from == next || !hole(line, points[from:next], i) {
			return
		}
		for k := from; k < next; k++ {
			if i == 0 || points[k].At > line[i-1].At {
				out = append(out, owned{points[k], s, k})
			}
		}
	}
	for i := range line {
		until(i)
		out = append(out, line[i])
	}
	until(len(line))
	return out
}

// hole reports whether the better stream is silent for more than HoleMs before its point i, where inside are the
// points of the worse one. Before the first and behind the last point the hole reaches as far as inside does.
func hole(line []owned, inside []point, i int) bool {
	switch {
	case len(line) == 0:
		return true
	case i == 0:
		return line[0].At.Sub(inside[0].At) > HoleMs
	case i == len(line):
		return inside[len(inside)-1].At.Sub(line[i-1].At) > HoleMs
	}
	return line[i].At.Sub(line[i-1].At) > HoleMs
}

// earned turns each stream's own counter into that of the timeline.
func earned(line []owned, streams []*streamFold) {
	var total int64
	for i := range line {
		p := &line[i]
		own := streams[p.stream].points
		mm := own[p.index].Mm
		if i > 0 {
			total += mm - counterAt(own, p.index, line[i-1].At)
		}
		p.Mm = total
	}
}

// counterAt is the counter of a stream at an instant not after its point i and not before the one before that.
func counterAt(own []point, i int, at unit.InstantMs) int64 {
	if i == 0 {
		return own[0].Mm
	}
	a, b := &own[i-1], &own[i]
	return a.Mm + share(b.Mm-a.Mm, int64(at-a.At), int64(b.At-a.At))
}
