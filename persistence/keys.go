package persistence

import (
	"encoding/binary"

	"paceline/domain/id"
)

// Key writes keys of rows: strings with their length before them (no two lists of strings give the same
// bytes), numbers big endian so that their bytes sort as they do. The zero Key is empty.
type Key struct{ b []byte }

// Str appends a string.
func (k *Key) Str(s string) *Key {
	k.b = binary.AppendUvarint(k.b, uint64(len(s)))
	k.b = append(k.b, s...)
	return k
}

// U64 appends a number.
func (k *Key) U64(v uint64) *Key {
	k.b = binary.BigEndian.AppendUint64(k.b, v)
	return k
}

// U32 appends a number.
func (k *Key) U32(v uint32) *Key {
	k.b = binary.BigEndian.AppendUint32(k.b, v)
	return k
}

// I64 appends a number, keeping the order of signed ones.
func (k *Key) I64(v int64) *Key { return k.U64(uint64(v) ^ 1<<63) }

// String is the key so far.
func (k *Key) String() string { return string(k.b) }

// KeyReader reads what Key wrote. After the first thing that cannot be, it returns zeros and is Bad.
type KeyReader struct {
	b   []byte
	bad bool
}

// ReadKey begins to read a key.
func ReadKey(key string) *KeyReader { return &KeyReader{b: []byte(key)} }

// Bad reports whether the key was not what was asked for.
func (k *KeyReader) Bad() bool { return k.bad }

// End reports whether everything was read and nothing was Bad.
func (k *KeyReader) End() bool { return !k.bad && len(k.b) == 0 }

// Str reads what Str of Key wrote.
func (k *KeyReader) Str() string {
	n, w := binary.Uvarint(k.b)
	if w <= 0 || n > uint64(len(k.b)-w) {
		k.bad, k.b = true, nil
		return ""
	}
	s := string(k.b[w : w+int(n)])
	k.b = k.b[w+int(n):]
	return s
}

// U64 reads what U64 of Key wrote.
func (k *KeyReader) U64() uint64 {
	if len(k.b) < 8 {
		k.bad, k.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(k.b)
	k.b = k.b[8:]
	return v
}

// U32 reads what U32 of Key wrote.
func (k *KeyReader) U32() uint32 {
	if len(k.b) < 4 {
		k.bad, k.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint32(k.b)
	k.b = k.b[4:]
	return v
}

// I64 reads what I64 of Key wrote.
func (k *KeyReader) I64() int64 { return int64(k.U64() ^ 1<<63) }

func (k *KeyReader) uvarint() uint64 {
	v, w := binary.Uvarint(k.b)
	if w <= 0 {
		k.bad, k.b = true, nil
		return 0
	}
	k.b = k.b[w:]
	return v
}

func (k *KeyReader) varint() int64 {
	v, w := binary.Varint(k.b)
	if w <= 0 {
		k.bad, k.b = true, nil
		return 0
	}
	k.b = k.b[w:]
	return v
}

func (k *KeyReader) byte() byte {
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
	default:
		return false
	}
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
	k := Key{}
	return Part{Table: TableJournal, Key: k.Str(string(g.Kind)).Str(g.ID).U64(bucket).String(), Subject: SubjectOf(g)}
}

func seqKey(v uint64) string {
	k := Key{}
	return k.U64(v).String()
}
