package main

import (
	"context"
	"time"

	"paceline/domain/fault"
)

// Why a supervisor should end this process and start it again: something that only a bug can stop stands still. What
// lies outside of the process (the store, the other nodes) is never such a reason; that is readiness.
var (
	errSweeperStuck   = fault.New(fault.Internal, "node.sweeper_stuck", "What fires wake-ups has stopped.")
	errMembersStuck   = fault.New(fault.Internal, "node.members_stuck", "What follows the members has stopped.")
	errPlacementStuck = fault.New(fault.Internal, "node.placement_stuck", "What activates grains does not answer.")
)

// errLeaving is what readiness says once the process was asked to end.
var errLeaving = fault.Later("node.leaving", "This node is leaving.")

// stuckAfter is how long what turns every second may stand still: longer than a busy machine makes it wait.
const stuckAfter = 30 * time.Second

// answersWithin is how long the placement may take to count its grains: it never waits for anything.
const answersWithin = 5 * time.Second

// ready is nil if clients may be sent here.
func (n *node) ready() error {
	switch {
	case n.leaving.Load():
		return errLeaving
	case n.down.Load():
		return errCutOff
	case n.door.Load() == nil || !n.sweeper.swept.Load():
		return errStarting
	}
	return n.storeReady()
}

// alive is nil as long as a new process would do nothing that this one does not.
func (n *node) alive() error {
	if n.door.Load() == nil || n.leaving.Load() {
		return nil // it begins or ends, within bounds of its own
	}
	ctx, cancel := context.WithTimeout(context.Background(), answersWithin)
	defer cancel()
	_, err := n.cluster.Placement().Counted(ctx)
	return stuck(time.Now(), time.Unix(0, n.sweeper.turned.Load()), n.cluster.Turned(), err)
}

// stuck is the rule of alive.
func stuck(now, sweeper, members time.Time, placement error) error {
	switch {
	case now.Sub(sweeper) > stuckAfter:
		return errSweeperStuck.With("for %v", now.Sub(sweeper).Round(time.Second))
	case now.Sub(members) > stuckAfter:
		return errMembersStuck.With("for %v", now.Sub(members).Round(time.Second))
	case placement != nil:
		return errPlacementStuck.With("for %v", answersWithin)
	}
	return nil
}
