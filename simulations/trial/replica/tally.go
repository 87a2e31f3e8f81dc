package replica

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"paceline/actors/machine"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// The load: so many clients on so many grains, and so many streams.
const (
	grains  = 6
	clients = 12
	streams = 6
)

func grainOf(client int) int         { return client % grains }
func grainName(g int) id.Grain       { return id.Of(id.Competition, fmt.Sprint("trial-", g)) }
func command(c int, n uint64) string { return fmt.Sprintf("client-%d-%d", c, n) }

// parts is how many events a command becomes: groups of several are whole or not at all.
func parts(n uint64) int { return 1 + int(n%3) }

const (
	kindNoted  = 1
	kindFenced = 2
	filler     = 120 // bytes of every event beside its numbers
)

// event is part Part of Parts of command N of a client.
type event struct {
	kind     uint32
	client   int
	n        uint64
	part, of int
}

func (e event) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(e.client))
	b = binary.AppendUvarint(b, e.n)
	b = append(b, byte(e.part), byte(e.of))
	return append(b, bytes.Repeat([]byte{byte(e.n)}, filler)...)
}

var errNoEvent = errors.New("replica: these bytes are no event of the trial")

func decodeEvent(kind uint32, b []byte) (event, error) {
	if kind == kindFenced {
		return event{kind: kind}, nil
	}
	c, k := binary.Uvarint(b)
	if k <= 0 || c >= clients {
		return event{}, errNoEvent
	}
	n, m := binary.Uvarint(b[k:])
	b = b[k+max(m, 0):]
	if kind != kindNoted || m <= 0 || len(b) != 2+filler || !bytes.Equal(b[2:], bytes.Repeat([]byte{byte(n)}, filler)) {
		return event{}, errNoEvent
	}
	return event{kind: kind, client: int(c), n: n, part: int(b[0]), of: int(b[1])}, nil
}

// note is the command: n of a client. It carries its number, and says nothing of what came before: what is written
// twice is found by reading, not prevented by the rule.
type note struct {
	step.Meta
	client int
	n      uint64
}

type tally struct{ events uint64 }

func spec() machine.Spec[tally, machine.Command, event] {
	return machine.Spec[tally, machine.Command, event]{
		New: func() *tally { return &tally{} },
		Decide: func(_ *tally, c machine.Command) ([]event, error) {
			n, ok := c.(note)
			if !ok {
				return nil, fault.New(fault.Invalid, "trial.unknown", "Unknown command.")
			}
			events := make([]event, parts(n.n))
			for i := range events {
				events[i] = event{kind: kindNoted, client: n.client, n: n.n, part: i + 1, of: len(events)}
			}
			return events, nil
		},
		Apply:       func(s *tally, _ event) { s.events++ },
		Answer:      func(_ event, v uint64) any { return v },
		Encode:      func(e event) (uint32, uint32, []byte, error) { return e.kind, 1, e.encode(), nil },
		Decode:      func(kind, _ uint32, b []byte) (event, error) { return decodeEvent(kind, b) },
		EncodeState: func(s *tally) ([]byte, error) { return binary.AppendUvarint(nil, s.events), nil },
		DecodeState: func(b []byte) (*tally, error) {
			n, w := binary.Uvarint(b)
			if w <= 0 {
				return nil, errNoEvent
			}
			return &tally{events: n}, nil
		},
		Fenced: func() event { return event{kind: kindFenced} },
	}
}

func streamKey(s int) persistence.SeriesKey {
	return persistence.SeriesKey{Device: fmt.Sprint("trial/device-", s), Stream: fmt.Sprint("stream-", s), Subject: "trial"}
}

// block is samples first..first+n-1 of a stream; every value is a function of stream and seq.
func block(s int, first uint64, n int) *sample.Batch {
	b := &sample.Batch{FirstSeq: first}
	b.Columns[sample.PowerW].Grow(n)
	for i := range n {
		seq := first + uint64(i)
		b.AtMs = append(b.AtMs, unit.InstantMs(1_700_000_000_000+1000*int64(seq)))
		b.Columns[sample.PowerW].Set(i, powerOf(s, seq))
	}
	return b
}

func powerOf(s int, seq uint64) int64 { return int64((seq*7 + uint64(s)*131) % 1500) }

// blockLength is drawn, so that two lives of the node cut a stream differently; a block ends at the border of its bucket.
func blockLength(seq uint64) int {
	return int(min(1+rand.Uint64N(9), persistence.SeriesBucket-seq%persistence.SeriesBucket))
}
