package persistence

import (
	"context"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"paceline/domain/id"
	"paceline/domain/unit"
)

// ShardOf is the wake-up shard of a grain. Fixed for ever: rows lie under it.
func ShardOf(g id.Grain) int { return int(xxhash.Sum64String(g.Identity()) % WakeupShards) }

// MinuteOf is the minute (since 1970, wall clock) in which a wake-up's row lies.
func MinuteOf(due unit.InstantMs) int64 {
	m := int64(due) / int64(unit.Minute)
	if int64(due)%int64(unit.Minute) < 0 {
		m--
	}
	return m
}

func wakeupPart(shard int, minute int64) Part {
	k := Key{}
	return Part{Table: TableWakeup, Key: k.U32(uint32(shard)).I64(minute).String()}
}

// wakeupRow is all key: two activations, or two reasons, are two rows.
func wakeupRow(w Wakeup) Row {
	k := Key{}
	k.I64(int64(w.Due)).Str(string(w.Grain.Kind)).Str(w.Grain.ID).Str(w.Reason).Str(w.Activation)
	return Row{Cluster: k.String(), Cell: []byte{}}
}

// PutWakeup implements Wakeups.
func (s *RowStore) PutWakeup(ctx context.Context, w Wakeup) error {
	m := Mutation{Part: wakeupPart(ShardOf(w.Grain), MinuteOf(w.Due)), Row: wakeupRow(w)}
	if err := s.put(ctx, []Mutation{m}); err != nil {
		return fmt.Errorf("wake-up of %v: %w", w.Grain, err)
	}
	return nil
}

// DeleteWakeup implements Wakeups.
func (s *RowStore) DeleteWakeup(ctx context.Context, w Wakeup) error {
	m := Mutation{Part: wakeupPart(ShardOf(w.Grain), MinuteOf(w.Due)), Row: wakeupRow(w), Delete: true}
	if err := s.put(ctx, []Mutation{m}); err != nil {
		return fmt.Errorf("delete wake-up of %v: %w", w.Grain, err)
	}
	return nil
}

// ReadWakeups implements Wakeups.
func (s *RowStore) ReadWakeups(ctx context.Context, shard int, minute int64) ([]Wakeup, error) {
	rows, err := s.rows.Range(ctx, wakeupPart(shard, minute), Range{KeysOnly: true})
	if err != nil {
		return nil, fmt.Errorf("wake-ups of shard %d: %w", shard, err)
	}
	ws := make([]Wakeup, len(rows))
	for i, r := range rows {
		k := KeyReader{b: []byte(r.Cluster)}
		w := &ws[i]
		w.Due = unit.InstantMs(k.I64())
		w.Grain.Kind = id.Kind(k.Str())
		w.Grain.ID, w.Reason, w.Activation = k.Str(), k.Str(), k.Str()
		if k.bad {
			return nil, fmt.Errorf("%w: wake-up in shard %d", ErrCorrupt, shard)
		}
	}
	return ws, nil
}

func lowWaterPart() Part { return Part{Table: TableLowWater, Key: "wakeup"} }

// LowWater implements Wakeups; 0 if none was ever written.
func (s *RowStore) LowWater(ctx context.Context, shard int) (int64, error) {
	cell, ok, err := s.rows.Get(ctx, lowWaterPart(), (&Key{}).U32(uint32(shard)).String())
	if err != nil || !ok {
		return 0, err
	}
	k := KeyReader{b: cell}
	if m := k.I64(); !k.bad {
		return m, nil
	}
	return 0, fmt.Errorf("%w: low water of shard %d", ErrCorrupt, shard)
}

// PutLowWater implements Wakeups.
func (s *RowStore) PutLowWater(ctx context.Context, shard int, minute int64) error {
	m := Mutation{Part: lowWaterPart(), Row: Row{
		Cluster: (&Key{}).U32(uint32(shard)).String(),
		Cell:    []byte((&Key{}).I64(minute).String()),
	}}
	return s.put(ctx, []Mutation{m})
}
