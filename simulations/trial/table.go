package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"paceline/domain/id"
	"paceline/simulations/swarm"
)

// OwnerKilled is the trial of every day.
var OwnerKilled = Trial{Name: "the race's node is killed", Seconds: 26, Shows: []string{competitionsNode}, Do: func(ctx context.Context, r *Round) error {
	r.Owner.Kill()
	return errors.Join(r.Back(ctx, true), r.Fleet.Agree(ctx, r.Rest...))
}}

// Rows of the kill table (docs/testing.md). A kill comes when it comes: with hundreds of devices some are in the middle of
// each of these, and none of what they had acknowledged may be missing; the world shows each row by itself.
const (
	beforeAck        = "after append, before ack"
	afterAck         = "after ack, before training got it"
	notReported      = "folded, not reported"
	unknownOutcome   = "report there, gate append in flight"
	competitionsNode = "competition's node"
	gatewaysNode     = "gateway's node"
	lateRow          = "late row of a dead activation lands after the takeover"
	clockSet         = "ClockSet after the fold"
)

// Table is all trials but the splits.
var Table = []Trial{
	OwnerKilled,
	{Name: "another node is killed", Seconds: 26, Shows: []string{gatewaysNode, beforeAck, afterAck}, Do: func(ctx context.Context, r *Round) error {
		r.Rest[0].Kill()
		return errors.Join(r.Back(ctx, false), r.Fleet.Agree(ctx, r.Owner, r.Rest[1]))
	}},
	{Name: "two of three are killed", Seconds: 40, Shows: []string{competitionsNode, gatewaysNode}, Do: func(ctx context.Context, r *Round) error {
		r.Owner.Kill()
		r.Rest[0].Kill()
		return errors.Join(r.Back(ctx, true), r.Fleet.Agree(ctx, r.Rest[1]))
	}},
	{Name: "killed and started at once, same address", Seconds: 40, Shows: []string{competitionsNode}, Do: func(ctx context.Context, r *Round) error {
		r.Owner.Kill()
		return errors.Join(r.Fleet.Start(ctx, r.Owner), r.Back(ctx, true), r.Fleet.Agree(ctx, r.all()...))
	}},
	{Name: "the node with most devices is killed", Seconds: 26, Shows: []string{beforeAck, afterAck, notReported}, Do: func(ctx context.Context, r *Round) error {
		most := r.mostDevices()
		most.Kill()
		return errors.Join(r.Back(ctx, most == r.Owner), r.Fleet.Agree(ctx, r.without(most)...))
	}},
	{Name: "race's node and a replica of the store killed", Seconds: 40, Ring: 3, Shows: []string{competitionsNode, unknownOutcome}, Do: func(ctx context.Context, r *Round) error {
		replica := make(chan error, 1)
		go func() { replica <- r.Store.Kill(3) }()
		r.Owner.Kill()
		return errors.Join(<-replica, r.Back(ctx, true), r.Fleet.Agree(ctx, r.Rest...))
	}},
	{Name: "clocks minutes off, the race's node is killed", Seconds: 30, ClocksOff: true, Shows: []string{competitionsNode, clockSet}, Do: OwnerKilled.Do},
	{Name: "stopped for 15 s, and continued", Seconds: 60, Shows: []string{lateRow, gatewaysNode}, Do: stopped},
	{Name: "the race's node leaves", Seconds: 30, Do: func(ctx context.Context, r *Round) error {
		left := make(chan error, 1)
		go func() { left <- r.Owner.Leave(ctx) }()
		return errors.Join(r.Back(ctx, true), <-left, r.Fleet.Agree(ctx, r.Rest...))
	}},
	{Name: "all are restarted in turn", Seconds: 75, Do: func(ctx context.Context, r *Round) error {
		return r.inTurn(ctx, func(p *Process) error {
			return errors.Join(p.Leave(ctx), r.Fleet.Start(ctx, p), r.Fleet.Agree(ctx, r.all()...))
		})
	}},
	{Name: "a fourth joins", Nodes: 4, Seconds: 30, Do: func(ctx context.Context, r *Round) error {
		fourth := r.Fleet.nodes[3]
		all := append(r.all(), fourth)
		moves := r.Fleet.Owner(r.Race, all) == fourth
		return errors.Join(r.Fleet.Start(ctx, fourth), r.Back(ctx, moves), r.Fleet.Agree(ctx, all...))
	}},
}

// inTurn does something to all nodes, one at a time. What is measured counts from when it begins with the last one.
func (r *Round) inTurn(ctx context.Context, do func(p *Process) error) error {
	all := r.all()
	for _, p := range all[:len(all)-1] {
		if err := do(p); err != nil {
			return err
		}
	}
	r.note("times since the last node's turn began")
	r.mark()
	back := make(chan error, 1)
	go func() { back <- r.Back(ctx, false) }()
	return errors.Join(do(all[len(all)-1]), <-back)
}

func (r *Round) all() []*Process { return append([]*Process{r.Owner}, r.Rest...) }

func (r *Round) without(p *Process) []*Process {
	return slices.DeleteFunc(r.all(), func(other *Process) bool { return other == p })
}

// mostDevices is the node on which most devices live.
func (r *Round) mostDevices() *Process {
	all := r.all()
	count := make(map[*Process]int)
	for _, d := range r.watch.Devices {
		count[all[swarm.OwnerOf(id.Of(id.Device, d.Device), addresses(all))]]++
	}
	return slices.MaxFunc(all, func(a, b *Process) int { return cmp.Compare(count[a], count[b]) })
}

// serving is what a run says when it begins to serve.
const serving = "msg=serving"

// stopped: the others go on without the node, which learns that when it wakes and begins anew, before the race ends.
func stopped(ctx context.Context, r *Round) error {
	before := r.Owner.count(serving)
	enough, err := r.twoOwners(ctx, r.Owner)
	if err != nil {
		return err
	}
	if err := r.Owner.Signal(syscall.SIGSTOP); err != nil {
		return errors.Join(err, enough())
	}
	back := make(chan error, 1)
	go func() { back <- r.Back(ctx, true) }()
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), r.Owner.Signal(syscall.SIGCONT), enough())
	case <-time.After(15 * time.Second):
	}
	if err := r.Owner.Signal(syscall.SIGCONT); err != nil {
		return errors.Join(err, enough())
	}
	err = until(ctx, upWithin, func() error {
		if r.Owner.count(serving) == before {
			return fmt.Errorf("trial: %s has not begun anew: %s", r.Owner.name, r.Owner.lastLine(""))
		}
		return nil
	})
	if err == nil && r.watch.Node.Now() >= r.watch.End {
		err = errors.New("trial: the race was over before the old run had ended")
	}
	return errors.Join(err, <-back, enough(), r.Fleet.Agree(ctx, r.all()...))
}
