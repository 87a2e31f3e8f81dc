package sample

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// Digest is the running SHA-256 over samples in canonical form: independent of block borders, channel order in
// a frame and encoding. For each sample in order of seq: seq, device time, mark, and (channel, value) for each
// present channel in ascending order, closed by 0; integers as unsigned varints, signed ones zigzag-coded.
type Digest struct {
	h       hash.Hash
	buf     []byte
	Samples uint64 // how many went in
	Last    uint64 // the last seq that went in
}

// NewDigest begins an empty digest.
func NewDigest() *Digest { return &Digest{h: sha256.New()} }

// Add takes samples from..to (indices, half open) of b.
func (d *Digest) Add(b *Batch, from, to int) {
	for i := from; i < to; i++ {
		d.buf = AppendCanonical(d.buf[:0], b, i)
		d.h.Write(d.buf)
		d.Samples++
		d.Last = b.FirstSeq + uint64(i)
	}
}

// Sum is the digest of all samples added so far.
func (d *Digest) Sum() [32]byte { return [32]byte(d.h.Sum(nil)) }

// AppendCanonical appends the canonical bytes of sample i.
func AppendCanonical(dst []byte, b *Batch, i int) []byte {
	dst = binary.AppendUvarint(dst, b.FirstSeq+uint64(i))
	dst = binary.AppendVarint(dst, int64(b.AtMs[i]))
	dst = append(dst, byte(b.Mark(i)))
	for c := range b.Columns {
		if v, ok := b.Value(Channel(c), i); ok {
			dst = append(dst, byte(c))
			dst = binary.AppendVarint(dst, v)
		}
	}
	return append(dst, 0)
}
