package persistence

import (
	"context"
	"fmt"

	"paceline/domain/sample"
)

// tailSamples is how far recovery reads back: device.Accept looks at the last 64 handled seqs at most.
const tailSamples = 512

// RecoverSeries implements Series. It goes up from the floor through the keys of the rows (not their cells):
// the end of the unbroken cover is not the end of the last row. An empty bucket ends the search only if no
// skip spans its end. Then it reads the last 512 handled samples back from there.
func (s *RowStore) RecoverSeries(ctx context.Context, k SeriesKey, floor uint64, skips []Span) (SeriesEnd, error) {
	c := cover{skips: newSpans(skips)}
	c.reach(floor)
	for bucket, more := (floor+1)/SeriesBucket, true; more; {
		to := (bucket+1)*SeriesBucket - 1
		rows, err := s.bucketRows(ctx, k, bucket, floor+1, to, true)
		if err != nil {
			return SeriesEnd{}, fmt.Errorf("recover %s: %w", k.Stream, err)
		}
		for i := range rows {
			c.add(rows[i].key)
		}
		bucket, more = c.skips.nextBucket(bucket, len(rows) == 0)
	}
	tail, err := s.readBack(ctx, k, floor, c.through, c.skips)
	if err != nil {
		return SeriesEnd{}, fmt.Errorf("recover %s: %w", k.Stream, err)
	}
	return SeriesEnd{Through: c.through, Tail: tail, Blocks: c.recent()}, nil
}

// cover is the end of what rows (in ascending order of their first seq) and skips cover without a hole.
type cover struct {
	skips   spans
	through uint64
	keys    []BlockKey // those that may reach beyond through-512
	trimAt  int        // so many keys are worth a look at which are old
}

// reach extends the cover to seq and over a skip that begins there.
func (c *cover) reach(seq uint64) {
	c.through = max(c.through, seq)
	if sk, ok := c.skips.at(c.through + 1); ok {
		c.through = sk.To
	}
}

func (c *cover) add(k BlockKey) {
	if k.First <= c.through+1 {
		c.reach(k.Last)
	}
	c.keys = append(c.keys, k)
	if len(c.keys) > c.trimAt {
		c.keys = c.recent()
		c.trimAt = 2*len(c.keys) + tailSamples
	}
}

// recent are the keys that end at or beyond through-512.
func (c *cover) recent() []BlockKey {
	var out []BlockKey
	for _, k := range c.keys {
		if k.Last+tailSamples >= c.through {
			out = append(out, k)
		}
	}
	return out
}

// readBack collects the last handled samples at or below through and above the floor, jumping over skips: seqs
// in a skip were not handled.
func (s *RowStore) readBack(ctx context.Context, k SeriesKey, floor, through uint64, skips spans) ([]sample.Batch, error) {
	var tail []sample.Batch
	for left := uint64(tailSamples); left > 0 && through > floor; {
		if sk, ok := skips.at(through); ok {
			through = max(sk.From, floor+1) - 1
			continue
		}
		from := floor + 1
		if through > left {
			from = max(from, through-left+1)
		}
		read, err := s.ReadSeries(ctx, SeriesQuery{Key: k, From: from, To: through, Skips: skips})
		if err != nil {
			return nil, err
		}
		tail = append(read.Batches, tail...)
		for i := range read.Batches {
			left -= uint64(read.Batches[i].Len())
		}
		through = from - 1
	}
	return tail, nil
}
