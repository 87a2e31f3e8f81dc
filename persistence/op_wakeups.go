package persistence

import "context"

type (
	// ReadWakeupsOp → []Wakeup: the rows of some minutes of one shard.
	ReadWakeupsOp struct {
		Shard   int
		Minutes []int64
	}
	// LowWaterOp → int64.
	LowWaterOp struct{ Shard int }
	// PutLowWaterOp → nil.
	PutLowWaterOp struct {
		Shard  int
		Minute int64
	}
)

// Run implements Op.
func (o ReadWakeupsOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	var all []Wakeup
	for _, minute := range o.Minutes {
		rows, err := s.ReadWakeups(ctx, o.Shard, minute)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// Run implements Op.
func (o LowWaterOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return s.LowWater(ctx, o.Shard)
}

// Run implements Op.
func (o PutLowWaterOp) Run(ctx context.Context, s Store, _ EventStream) (any, error) {
	return nil, s.PutLowWater(ctx, o.Shard, o.Minute)
}
