package persistence

import (
	"encoding/binary"

	"paceline/domain/id"
)

// keyBuilder writes keys: strings with their length before them (no two lists of strings give the same
// bytes), numbers big endian so that their bytes sort as they do.
type keyBuilder struct{ b []byte }

func (k *keyBuilder) str(s string) *keyBuilder {
	k.b = binary.AppendUvarint(k.b, uint64(len(s)))
	k.b = append(k.b, s...)
	return k
}

func (k *keyBuilder) u64(v uint64) *keyBuilder {
	k.b = binary.BigEndian.AppendUint64(k.b, v)
	return k
}

func (k *keyBuilder) u32(v uint32) *keyBuilder {
	k.b = binary.BigEndian.AppendUint32(k.b, v)
	return k
}

// i64 keeps the order of signed numbers.
func (k *keyBuilder) i64(v int64) *keyBuilder { return k.u64(uint64(v) ^ 1<<63) }

func (k *keyBuilder) String() string { return string(k.b) }

// keyReader reads what keyBuilder wrote; bad is set at the first thing that cannot be.
type keyReader struct {
	b   []byte
	bad bool
}

func (k *keyReader) str() string {
	n, w := binary.Uvarint(k.b)
	if w <= 0 || n > uint64(len(k.b)-w) {
		k.bad, k.b = true, nil
		return ""
	}
	s := string(k.b[w : w+int(n)])
	k.b = k.b[w+int(n):]
	return s
}

func (k *keyReader) u64() uint64 {
	if len(k.b) < 8 {
		k.bad, k.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(k.b)
	k.b = k.b[8:]
	return v
}

func (k *keyReader) u32() uint32 {
	if len(k.b) < 4 {
		k.bad, k.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint32(k.b)
	k.b = k.b[4:]
	return v
}

func (k *keyReader) i64() int64 { return int64(k.u64() ^ 1<<63) }

func (k *keyReader) uvarint() uint64 {
	v, w := binary.Uvarint(k.b)
	if w <= 0 {
		k.bad, k.b = true, nil
		return 0
	}
	k.b = k.b[w:]
	return v
}

func (k *keyReader) varint() int64 {
	v, w := binary.Varint(k.b)
	if w <= 0 {
		k.bad, k.b = true, nil
		return 0
	}
	k.b = k.b[w:]
	return v
}

func (k *keyReader) byte() byte {
	if len(k.b) == 0 {
		k.bad = true
		return 0
	}
	v := k.b[0]
	k.b = k.b[1:]
	return v
}

// Sealed reports whether everything about grains of this kind is a person's and is sealed with that person's
// key.
func Sealed(k id.Kind) bool {
	switch k {
	case id.User, id.Device, id.Training, "account", "inventory", "notification":
		return true
	}
	return false
}

// SubjectOf is whose key seals the journal and the snapshots of a grain: its affinity, which for a user is
// the id; empty for grains that are about no person.
func SubjectOf(g id.Grain) string {
	if Sealed(g.Kind) {
		return g.Affinity()
	}
	return ""
}

func journalPart(g id.Grain, bucket uint64) Part {
	k := keyBuilder{}
	return Part{Table: TableJournal, Key: k.str(string(g.Kind)).str(g.ID).u64(bucket).String(), Subject: SubjectOf(g)}
}

func seqKey(v uint64) string {
	k := keyBuilder{}
	return k.u64(v).String()
}
