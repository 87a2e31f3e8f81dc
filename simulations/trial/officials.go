package trial

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/domain/id"
	"paceline/simulations/swarm"
)

// ruleEvery is the pause between two commands of one official.
const ruleEvery = 200 * time.Millisecond

// official gives the race a command and then one that takes it back, again and again, at one node only: one that is cut off
// is asked as long as it answers. So an activation that goes on beside its successor answers clients, if it answers.
type official struct {
	at    *Process
	node  *swarm.Node
	entry uint32
	given []swarm.Answer
}

// twoOwners has officials at all nodes where the race may have two activations, because its own node is the one that is away.
func (r *Round) twoOwners(ctx context.Context, away *Process) (enough func() error, err error) {
	if r.away = away; away != r.Owner {
		return func() error { return nil }, nil
	}
	return r.officials(ctx, r.all())
}

// officials rule at each of the nodes until the returned function is called. That finishes what is under way, at a node that
// serves; what was answered is compared with the journal in the end.
func (r *Round) officials(ctx context.Context, at []*Process) (enough func() error, err error) {
	all := make([]*official, len(at))
	for i, p := range at {
		node, err := swarm.Connect(ctx, p.URL(), r.Fleet.Token)
		if err != nil {
			return nil, err
		}
		all[i] = &official{at: p, node: node, entry: uint32(i + 1)}
	}
	stop, ended := make(chan struct{}), make(chan error, len(all))
	for _, o := range all {
		go func() { ended <- o.rule(ctx, r, stop) }()
	}
	return func() error {
		close(stop)
		var first error
		for range all {
			if err := <-ended; first == nil {
				first = err
			}
		}
		for _, o := range all {
			r.ruled = append(r.ruled, o.given...)
		}
		return first
	}, nil
}

// rule ends after a command that takes one back, so that the result is what it would be.
func (o *official) rule(ctx context.Context, r *Round, stop <-chan struct{}) error {
	tick := time.NewTicker(ruleEvery)
	defer tick.Stop()
	for penalty := int64(1); ; penalty = -penalty {
		if err := o.give(ctx, r, stop, penalty); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if penalty > 0 {
			continue
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// give repeats a command until it is answered, at the official's own node as long as that may be, then at any.
func (o *official) give(ctx context.Context, r *Round, stop <-chan struct{}, penalty int64) error {
	cmd := &competitionv1.Command{Call: &clusterv1.Call{CommandId: o.node.NewID()},
		Command: &competitionv1.Command_Penalty{Penalty: &competitionv1.PenaltyAdded{Entry: o.entry, PenaltyMs: penalty, Reason: "trial"}}}
	node := o.node
	return until(ctx, 2*backWithin, func() error {
		select {
		case <-stop:
			var err error
			if node, err = r.asker(ctx, r.away); err != nil {
				return err
			}
		default:
		}
		ctx, cancel := context.WithTimeout(ctx, asked)
		defer cancel()
		a, err := node.Competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{CompetitionId: r.Race, Command: cmd}))
		if err != nil {
			return fmt.Errorf("trial: an official at %s: %w", o.at.name, err)
		}
		o.given = append(o.given, swarm.Answer{Client: "official at " + o.at.name, Stream: id.Of(id.Competition, r.Race).String(),
			Command: cmd.Call.CommandId, Version: a.Msg.GetDone().GetVersion()})
		return nil
	})
}
