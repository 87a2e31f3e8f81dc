package embedded

import (
	"encoding/binary"
	"hash/crc32"
)

// Pebble takes an end that cannot be read for the end of what was written before a crash, in its logs and in its list
// of files. That is right at the very end and wrong before it: what follows was synced. In a log it looks whether a
// later block says so, in the list not at all. So we look ourselves, before anything is changed.
//
// A file is blocks of 32 KiB, a block is chunks: CRC (4), length (2), kind (1), in logs their number (4), in newer ones
// how far the log was synced when the chunk was written (8), then the payload.
const (
	frameBlock   = 32 << 10
	frameHeader  = 7
	frameLog     = frameHeader + 4
	frameSync    = frameLog + 8
	lastPlain    = 4 // kinds 1 to 4: in the list of files
	lastRecycled = 8
	lastSynced   = 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk is one that is what it claims to be.
type chunk struct {
	kind   byte
	log    uint32
	synced uint64
	size   int // header included
	body   []byte
}

// chunkAt reads the chunk at the beginning of b, the rest of a block.
func chunkAt(b []byte) (f chunk, ok bool) {
	if len(b) < frameHeader {
		return f, false
	}
	n := int(binary.LittleEndian.Uint16(b[4:]))
	header := frameHeader
	switch f.kind = b[6]; {
	case f.kind == 0 || f.kind > lastSynced:
		return f, false
	case f.kind > lastRecycled:
		header = frameSync
	case f.kind > lastPlain:
		header = frameLog
	}
	if f.size = header + n; f.size > len(b) {
		return f, false
	}
	sum := crc32.Checksum(b[6:f.size], castagnoli)
	if (sum>>15|sum<<17)+0xa282ead8 != binary.LittleEndian.Uint32(b) {
		return f, false
	}
	if header >= frameLog {
		f.log = binary.LittleEndian.Uint32(b[frameHeader:])
	}
	if header == frameSync {
		f.synced = binary.LittleEndian.Uint64(b[frameLog:])
	}
	f.body = b[header:f.size]
	return f, true
}

// chunks calls each for the chunks of a file from its beginning and returns where the first one is that cannot be read,
// or the length of the file. log is the number of a log; 0: the list of files.
func chunks(file []byte, log uint32, each func(f chunk)) (end int) {
	for at := 0; at < len(file); {
		rest := file[at:min(len(file), at-at%frameBlock+frameBlock)]
		f, ok := chunkAt(rest)
		if !ok && len(rest) < shortest(log) {
			at += len(rest) // no room for a chunk: padding
			continue
		}
		if !ok || f.log != log && f.kind > lastPlain {
			return at
		}
		if each != nil {
			each(f)
		}
		at += f.size
	}
	return len(file)
}

// shortest is the least room that a chunk takes.
func shortest(log uint32) int {
	if log == 0 {
		return frameHeader
	}
	return frameSync
}

// hole reports where a file has bytes that cannot be read although what follows shows that they were synced.
func hole(file []byte, log uint32) (at int, damaged bool) {
	end := chunks(file, log, nil)
	for at := end + 1; at+frameHeader <= len(file); at++ {
		if file[at+6] == 0 || file[at+6] > lastSynced {
			continue
		}
		if log != 0 && (len(file)-at < frameSync || binary.LittleEndian.Uint32(file[at+frameHeader:]) != log) {
			continue // of an earlier log in the same file, mostly: not worth a checksum
		}
		f, ok := chunkAt(file[at:min(len(file), at-at%frameBlock+frameBlock)])
		switch {
		case !ok:
		case log == 0 && f.kind <= lastPlain:
			return end, true // each entry of the list is synced before the next one is written
		case log != 0 && f.log == log && f.synced > uint64(end):
			return end, true
		}
	}
	return end, false
}

// firstLog is the number of the oldest log that the list of files needs, as far as it can be read, and whether it ends
// with something that cannot be.
func firstLog(list []byte) (log uint64, cut bool) {
	var entry []byte
	end := chunks(list, 0, func(f chunk) {
		if f.kind == 1 || f.kind == 2 {
			entry = nil
		}
		entry = append(entry, f.body...)
		if f.kind == 1 || f.kind == 4 {
			if n := logOf(entry); n != 0 {
				log = n
			}
		}
	})
	return log, end < len(list)
}

// logOf reads the number that an entry begins with, behind its comparer's name.
func logOf(entry []byte) uint64 {
	for len(entry) > 0 {
		tag, n := binary.Uvarint(entry)
		if n <= 0 {
			return 0
		}
		entry = entry[n:]
		v, n := binary.Uvarint(entry)
		switch {
		case n <= 0:
			return 0
		case tag == 2:
			return v
		case tag != 1 || v > uint64(len(entry)-n):
			return 0
		}
		entry = entry[n+int(v):]
	}
	return 0
}
