package devicegrain

import (
	"sort"

	"paceline/domain/sample"
)

// recentSamples is how many handled samples a lane remembers, to compare what comes again.
const recentSamples = 512

// recent remembers the last handled samples by a print of 64 bits: a device that sends one sample a frame would
// fill a node with batches. Two values with the same print count as one value: only the client that sent both
// could notice. Skipped seqs are not among them.
type recent struct {
	seen []seen // ascending in seq; the last recentSamples count
}

type seen struct {
	seq   uint64
	print uint64
	mark  sample.Refusal
}

// add remembers a batch that follows what is remembered.
func (r *recent) add(b *sample.Batch) {
	for i := range b.Len() {
		if seq := b.FirstSeq + uint64(i); len(r.seen) == 0 || seq > r.seen[len(r.seen)-1].seq {
			r.seen = append(r.seen, seen{seq, printOf(b, i), b.Mark(i)})
		}
	}
	if n := len(r.seen); n >= 2*recentSamples { // seldom, so that it costs little for each sample
		r.seen = append(r.seen[:0], r.seen[n-recentSamples:]...)
	}
}

func (r *recent) find(seq uint64) (seen, bool) {
	i := sort.Search(len(r.seen), func(i int) bool { return r.seen[i].seq >= seq })
	if i < len(r.seen) && r.seen[i].seq == seq {
		return r.seen[i], true
	}
	return seen{}, false
}

// printOf is a hash of device time and values, not of the mark: that follows from them.
func printOf(b *sample.Batch, i int) uint64 {
	h := mix(0, uint64(b.AtMs[i]))
	for c := range b.Columns {
		if col := &b.Columns[c]; col.Has(i) {
			h = mix(mix(h, uint64(c)), uint64(col.Values[i]))
		}
	}
	return h
}

// mix is a step of splitmix64, so that each bit reaches all others.
func mix(h, v uint64) uint64 {
	h = (h ^ v) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
