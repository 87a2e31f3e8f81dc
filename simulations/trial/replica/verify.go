package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"paceline/persistence"
)

// reading is what was found in the store, so far: each call of check goes on behind the last.
type reading struct {
	store persistence.Store

	version []uint64           // of each grain: read through
	events  []map[uint64]event // of each grain: by version
	last    []uint64           // of each client: newest command that is there whole
	partial []int              // of each client: parts read of the command after it
	whole   [][]uint64         // of each client: the commands that are there whole, ascending
	through []uint64           // of each stream

	// found is how much of what was acknowledged is there.
	found count
	// What must not be.
	lost, twice int
	wrong       []string
}

func newReading(s persistence.Store) *reading {
	r := &reading{store: s, version: make([]uint64, grains), events: make([]map[uint64]event, grains),
		last: make([]uint64, clients), partial: make([]int, clients), whole: make([][]uint64, clients), through: make([]uint64, streams)}
	for g := range r.events {
		r.events[g] = make(map[uint64]event)
	}
	return r
}

const mostWrong = 20

func (r *reading) complain(format string, args ...any) {
	if len(r.wrong) < mostWrong {
		r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
	}
}

// check reads what is new and compares it with what the node has been told before.
func (r *reading) check(ctx context.Context, t told) error {
	for g := range grains {
		if err := r.journal(ctx, g); err != nil {
			return err
		}
	}
	for s := range streams {
		if err := r.stream(ctx, s); err != nil {
			return err
		}
	}
	r.found = count{}
	for c, n := range t.acked {
		there, again := slices.BinarySearch(r.whole[c], n)
		if again {
			there++
		}
		r.found.commands += there
		if r.last[c] < n {
			r.lost += int(n - r.last[c])
			r.complain("client %d: %d was acknowledged, the journal ends at %d", c, n, r.last[c])
			r.last[c] = n // said once
		}
	}
	for s, n := range t.through {
		r.found.samples += min(n, r.through[s])
		if r.through[s] < n {
			r.lost += int(n - r.through[s])
			r.complain("stream %d: acknowledged through %d, the rows end at %d", s, n, r.through[s])
			r.through[s] = n
		}
	}
	for _, a := range t.answers {
		if a.version == 0 {
			continue
		}
		if e := r.events[grainOf(a.client)][a.version]; e.client != a.client || e.n != a.n || e.part != e.of {
			r.lost++
			r.complain("client %d: command %d was answered with version %d, where %+v is", a.client, a.n, a.version, e)
		}
	}
	return nil
}

func (r *reading) journal(ctx context.Context, g int) error {
	for {
		var records []persistence.Record
		var more bool
		err := retried(ctx, func() (err error) {
			records, more, err = r.store.ReadJournal(ctx, grainName(g), r.version[g], 0)
			return err
		})
		if err != nil {
			return fmt.Errorf("replica: read the journal of grain %d: %w", g, err)
		}
		for i := range records {
			if err := r.record(g, &records[i]); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

func (r *reading) record(g int, rec *persistence.Record) error {
	if rec.Version != r.version[g]+1 {
		r.complain("grain %d: version %d after %d", g, rec.Version, r.version[g])
	}
	r.version[g] = rec.Version
	e, err := decodeEvent(rec.Kind, rec.Payload)
	if err != nil {
		return fmt.Errorf("grain %d, version %d: %w", g, rec.Version, err)
	}
	r.events[g][rec.Version] = e
	if e.kind == kindFenced {
		return nil
	}
	switch {
	case e.n <= r.last[e.client]:
		r.twice++
		r.complain("client %d: command %d is in the journal of grain %d again, at %d", e.client, e.n, g, rec.Version)
		return nil
	case e.n != r.last[e.client]+1 || e.part != r.partial[e.client]+1 || e.of != parts(e.n) || grainOf(e.client) != g ||
		e.part > 1 && r.events[g][rec.Version-1] != (event{kindNoted, e.client, e.n, e.part - 1, e.of}):
		// A client sends a command only when the one before it was acknowledged.
		r.lost += int(max(e.n, r.last[e.client]+1) - r.last[e.client] - 1)
		r.complain("client %d: part %d of command %d at %d follows part %d after command %d", e.client, e.part, e.n, rec.Version, r.partial[e.client], r.last[e.client])
	}
	if r.partial[e.client] = e.part; e.part == e.of {
		r.last[e.client], r.partial[e.client] = e.n, 0
		r.whole[e.client] = append(r.whole[e.client], e.n)
	}
	return nil
}

func (r *reading) stream(ctx context.Context, s int) error {
	for more := true; more; {
		var got persistence.SeriesRead
		err := retried(ctx, func() (err error) {
			got, err = r.store.ReadSeries(ctx, persistence.SeriesQuery{Key: streamKey(s), From: r.through[s] + 1, MaxSamples: 1 << 14})
			return err
		})
		if err != nil {
			return fmt.Errorf("replica: read stream %d: %w", s, err)
		}
		if len(got.Conflicts) > 0 {
			r.complain("stream %d: rows disagree about %v", s, got.Conflicts)
		}
		for i := range got.Batches {
			b := &got.Batches[i]
			if b.FirstSeq != r.through[s]+1 {
				// A hole. Behind it lies only what nobody was told of, or check will say what was lost.
				return nil
			}
			for k := range b.Len() {
				seq := b.FirstSeq + uint64(k)
				if want := block(s, seq, 1); !b.Same(k, want, 0) {
					r.complain("stream %d: sample %d has other values", s, seq)
				}
			}
			r.through[s] = b.LastSeq()
		}
		more = got.More
	}
	return nil
}

// retried repeats a read until the store answers: it may have a replica away.
func retried(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, awaitMost)
	defer cancel()
	for {
		err := do()
		if err == nil || !errors.Is(err, persistence.ErrUnavailable) || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}
