package persistence

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"

	"paceline/domain/sample"
	"paceline/domain/unit"
)

// A stored block is: format, packing, then the columns (packed or plain). Columns are: number of samples, first
// seq, device times, marks, and for each present channel its number, its presence and its values. Integers go
// as zigzag varints of themselves, of their differences, or of the differences of those, whichever is shortest.
const (
	blockFormat = 1

	packPlain = 0
	packS2    = 1
	// packMin: shorter columns never gain from packing.
	packMin = 64
	// maxBlockRaw bounds what a decoder allocates: every value of every channel at its longest.
	maxBlockRaw = sample.MaxBatch * (sample.Channels + 1) * (binary.MaxVarintLen64 + 1)

	modeValue  = 0
	modeDelta  = 1
	modeDelta2 = 2
)

// blockScratch is what encoding one block needs; pooled, because the accept path allocates nothing per sample.
type blockScratch struct {
	raw    []byte
	packed []byte
	values []int64
}

var blockScratches = sync.Pool{New: func() any { return new(blockScratch) }}

// AppendBlock appends the stored form of a batch.
func AppendBlock(dst []byte, b *sample.Batch) []byte {
	s := blockScratches.Get().(*blockScratch)
	defer blockScratches.Put(s)
	s.raw = s.appendColumns(s.raw[:0], b)
	// Packed beside, because packing wants more room than it then needs; dst grows to what is kept.
	body, packing := s.raw, byte(packPlain)
	if len(s.raw) >= packMin {
		s.packed = slices.Grow(s.packed[:0], s2.MaxEncodedLen(len(s.raw)))
		if packed := s2.Encode(s.packed[:cap(s.packed)], s.raw); len(packed) < len(s.raw) {
			body, packing = packed, packS2
		}
	}
	dst = slices.Grow(dst, 2+len(body))
	return append(append(dst, blockFormat, packing), body...)
}

// DecodeBlock reads the stored form. It allocates at most what MaxBatch samples need.
func DecodeBlock(cell []byte) (sample.Batch, error) {
	if len(cell) < 2 || cell[0] != blockFormat {
		return sample.Batch{}, fmt.Errorf("%w: block format", ErrCorrupt)
	}
	raw := cell[2:]
	switch cell[1] {
	case packPlain:
	case packS2:
		n, err := s2.DecodedLen(raw)
		if err != nil || n > maxBlockRaw {
			return sample.Batch{}, fmt.Errorf("%w: block of %d bytes", ErrCorrupt, n)
		}
		if raw, err = s2.Decode(nil, raw); err != nil {
			return sample.Batch{}, fmt.Errorf("%w: block: %w", ErrCorrupt, err)
		}
	default:
		return sample.Batch{}, fmt.Errorf("%w: block packing %d", ErrCorrupt, cell[1])
	}
	k := KeyReader{b: raw}
	b, err := readColumns(&k, sample.MaxBatch)
	if err != nil {
		return sample.Batch{}, err
	}
	if len(k.b) > 0 {
		return sample.Batch{}, fmt.Errorf("%w: %d bytes after the block", ErrCorrupt, len(k.b))
	}
	return b, nil
}

func (s *blockScratch) appendColumns(dst []byte, b *sample.Batch) []byte {
	n := b.Len()
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, b.FirstSeq)
	s.values = s.values[:0]
	for _, t := range b.AtMs {
		s.values = append(s.values, int64(t))
	}
	dst = appendInts(dst, s.values)
	dst = appendMarks(dst, b)
	count := len(dst)
	dst = append(dst, 0)
	for c := range b.Columns {
		col := &b.Columns[c]
		s.values = s.values[:0]
		if col.Present != nil {
			for i := range n {
				if col.Has(i) {
					s.values = append(s.values, col.Values[i])
				}
			}
		}
		if len(s.values) == 0 {
			continue
		}
		dst[count]++
		dst = append(dst, byte(c))
		if len(s.values) == n {
			dst = append(dst, 0)
		} else {
			dst = appendPresence(append(dst, 1), col, n)
		}
		dst = appendInts(dst, s.values)
	}
	return dst
}

// appendMarks writes 0 if no sample is refused, else 1 and runs of (length, mark).
func appendMarks(dst []byte, b *sample.Batch) []byte {
	n := b.Len()
	refused := false
	for i := 0; i < n && !refused; i++ {
		refused = b.Mark(i) != sample.Accepted
	}
	if !refused {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	for i := 0; i < n; {
		j := i + 1
		for j < n && b.Mark(j) == b.Mark(i) {
			j++
		}
		dst = append(binary.AppendUvarint(dst, uint64(j-i)), byte(b.Mark(i)))
		i = j
	}
	return dst
}

func appendPresence(dst []byte, col *sample.Column, n int) []byte {
	for i := 0; i < n; i += 8 {
		w := byte(col.Present[i>>6] >> (i & 63))
		if left := n - i; left < 8 {
			w &= 1<<left - 1
		}
		dst = append(dst, w)
	}
	return dst
}

func appendInts(dst []byte, v []int64) []byte {
	var cost [3]int
	var last, lastDelta int64
	for _, x := range v {
		d := x - last // wraps, and wraps back when it is read
		cost[modeValue] += varintLen(x)
		cost[modeDelta] += varintLen(d)
		cost[modeDelta2] += varintLen(d - lastDelta)
		last, lastDelta = x, d
	}
	mode := modeDelta
	if cost[modeDelta2] < cost[mode] {
		mode = modeDelta2
	}
	if cost[modeValue] < cost[mode] {
		mode = modeValue
	}
	dst = append(dst, byte(mode))
	last, lastDelta = 0, 0
	for _, x := range v {
		d := x - last
		switch mode {
		case modeValue:
			dst = binary.AppendVarint(dst, x)
		case modeDelta:
			dst = binary.AppendVarint(dst, d)
		default:
			dst = binary.AppendVarint(dst, d-lastDelta)
		}
		last, lastDelta = x, d
	}
	return dst
}

func varintLen(x int64) int {
	z := uint64(x)<<1 ^ uint64(x>>63)
	return (bits.Len64(z|1) + 6) / 7
}

func readInts(k *KeyReader, n int, put func(i int, v int64)) {
	mode := k.byte()
	if mode > modeDelta2 {
		k.bad = true
		return
	}
	var last, lastDelta int64
	for i := range n {
		v := k.varint()
		if k.bad {
			return
		}
		switch mode {
		case modeDelta:
			v += last
		case modeDelta2:
			lastDelta += v
			v = last + lastDelta
		}
		last = v
		put(i, v)
	}
}

// readColumns reads one batch of at most most samples.
func readColumns(k *KeyReader, most int) (sample.Batch, error) {
	n, first := k.uvarint(), k.uvarint()
	// Each sample takes at least one byte, so a short input cannot ask for much memory.
	if k.bad || n == 0 || n > uint64(most) || n > uint64(len(k.b)) || first == 0 || first+n < first {
		return sample.Batch{}, fmt.Errorf("%w: block of %d samples from %d", ErrCorrupt, n, first)
	}
	b := sample.Batch{FirstSeq: first, AtMs: make([]unit.InstantMs, n)}
	readInts(k, int(n), func(i int, v int64) { b.AtMs[i] = unit.InstantMs(v) })
	readMarks(k, &b)
	columns := k.byte()
	last := -1
	for range columns {
		c := int(k.byte())
		if k.bad || c <= last || c >= sample.Channels {
			return sample.Batch{}, fmt.Errorf("%w: channel %d after %d", ErrCorrupt, c, last)
		}
		last = c
		readColumn(k, &b.Columns[c], int(n))
	}
	if k.bad {
		return sample.Batch{}, fmt.Errorf("%w: block ends too early", ErrCorrupt)
	}
	return b, nil
}

func readMarks(k *KeyReader, b *sample.Batch) {
	switch k.byte() {
	case 0:
		return
	case 1:
	default:
		k.bad = true
		return
	}
	n := b.Len()
	b.Refused = make([]sample.Refusal, 0, n)
	for len(b.Refused) < n {
		run, mark := k.uvarint(), k.byte()
		if k.bad || run == 0 || run > uint64(n-len(b.Refused)) {
			k.bad = true
			return
		}
		for range run {
			b.Refused = append(b.Refused, sample.Refusal(mark))
		}
	}
}

func readColumn(k *KeyReader, col *sample.Column, n int) {
	present := n
	presence := k.byte()
	if k.bad || presence > 1 || len(k.b) < (n+7)/8*int(presence) {
		k.bad = true
		return
	}
	col.Grow(n)
	for w := range col.Present {
		col.Present[w] = ^uint64(0)
	}
	if presence == 1 {
		clear(col.Present)
		for i := 0; i < n; i += 8 {
			col.Present[i>>6] |= uint64(k.byte()) << (i & 63)
		}
	}
	if n&63 != 0 {
		col.Present[len(col.Present)-1] &= 1<<(n&63) - 1
	}
	if presence == 1 {
		present = 0
		for _, w := range col.Present {
			present += bits.OnesCount64(w)
		}
	}
	at := -1
	readInts(k, present, func(_ int, v int64) {
		for at++; !col.Has(at); at++ {
		}
		col.Values[at] = v
	})
}
