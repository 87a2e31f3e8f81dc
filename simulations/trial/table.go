package trial

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// OwnerKilled is the trial of every day.
var OwnerKilled = Trial{Name: "the race's node is killed", Seconds: 26, Do: func(ctx context.Context, r *Round) error {
	r.Owner.Kill()
	return errors.Join(r.Back(ctx, true), r.Fleet.Agree(ctx, r.Rest...))
}}

// Table is all trials.
var Table = []Trial{
	OwnerKilled,
	{Name: "another node is killed", Seconds: 26, Do: func(ctx context.Context, r *Round) error {
		r.Rest[0].Kill()
		return errors.Join(r.Back(ctx, false), r.Fleet.Agree(ctx, r.Owner, r.Rest[1]))
	}},
	{Name: "two of three are killed", Seconds: 40, Do: func(ctx context.Context, r *Round) error {
		r.Owner.Kill()
		r.Rest[0].Kill()
		return errors.Join(r.Back(ctx, true), r.Fleet.Agree(ctx, r.Rest[1]))
	}},
	{Name: "killed and started at once, same address", Seconds: 40, Do: func(ctx context.Context, r *Round) error {
		r.Owner.Kill()
		return errors.Join(r.Fleet.Start(ctx, r.Owner), r.Back(ctx, true), r.Fleet.Agree(ctx, r.all()...))
	}},
	{Name: "stopped for 15 s, and continued", Seconds: 60, Do: stopped},
	{Name: "the race's node leaves", Seconds: 30, Do: func(ctx context.Context, r *Round) error {
		left := make(chan error, 1)
		go func() { left <- r.Owner.Leave(ctx) }()
		return errors.Join(r.Back(ctx, true), <-left, r.Fleet.Agree(ctx, r.Rest...))
	}},
	{Name: "all are restarted in turn", Seconds: 75, Do: func(ctx context.Context, r *Round) error {
		for _, p := range r.all() {
			if err := errors.Join(p.Leave(ctx), r.Fleet.Start(ctx, p), r.Fleet.Agree(ctx, r.all()...)); err != nil {
				return err
			}
		}
		r.mark() // of the last one
		return r.Back(ctx, false)
	}},
	{Name: "a fourth joins", Nodes: 4, Seconds: 30, Do: func(ctx context.Context, r *Round) error {
		fourth := r.Fleet.nodes[3]
		all := append(r.all(), fourth)
		moves := r.Fleet.Owner(r.Race, all) == fourth
		return errors.Join(r.Fleet.Start(ctx, fourth), r.Back(ctx, moves), r.Fleet.Agree(ctx, all...))
	}},
}

func (r *Round) all() []*Process { return append([]*Process{r.Owner}, r.Rest...) }

// stopped: the others go on without the node, which learns that when it wakes and begins anew, before the race ends.
func stopped(ctx context.Context, r *Round) error {
	const serving = "msg=serving"
	before := r.Owner.count(serving)
	if err := r.Owner.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	back := make(chan error, 1)
	go func() { back <- r.Back(ctx, true) }()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), r.Owner.Signal(syscall.SIGCONT))
	case <-time.After(15 * time.Second):
	}
	if err := r.Owner.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	err := until(ctx, upWithin, func() error {
		if r.Owner.count(serving) == before {
			return fmt.Errorf("trial: %s has not begun anew: %s", r.Owner.name, r.Owner.lastLine(""))
		}
		return nil
	})
	if err == nil && r.watch.Node.Now() >= r.watch.End {
		err = errors.New("trial: the race was over before the old run had ended")
	}
	return errors.Join(err, <-back, r.Fleet.Agree(ctx, r.all()...))
}
