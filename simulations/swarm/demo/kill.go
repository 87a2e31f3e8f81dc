package demo

import (
	"context"
	"fmt"
	"time"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/simulations/swarm"
)

// chooseVictim picks who finishes first. The device's last sample is the one that crosses the finish; when it is
// acknowledged the device is gone for good and the node is killed: nobody but the node can bring that finish home.
func (r *run) chooseVictim() {
	best, last := -1, 0
	for i := range r.plan.Entrants {
		e := &r.plan.Entrants[i]
		at, index, ok := r.plan.finish(e)
		if !ok {
			continue
		}
		if best >= 0 {
			if other, _, _ := r.plan.finish(&r.plan.Entrants[best]); other <= at {
				continue
			}
		}
		best, last = i, index
	}
	if best < 0 {
		return
	}
	r.victim = r.race.devices[best]
	cut := r.victim.Samples.Slice(0, last+1)
	r.victim.Samples, r.victim.Offline = &cut, nil
	r.victim.DieAcked = make(chan struct{})
}

// powerCut kills the race's node at the worst moment. The only one is started again on the same folder; of several the
// others carry on without it.
func (r *run) powerCut(ctx context.Context) error {
	if r.victim == nil {
		return fmt.Errorf("demo: nobody finishes, so there is no worst moment")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.victim.DieAcked:
	}
	node, before := r.home(), r.newestEpoch()
	if err := node.kill(); err != nil {
		return err
	}
	killed := time.Now()
	racing := 0
	for _, d := range r.race.devices {
		if d.Acked() < uint64(d.Samples.Len()) {
			racing++
		}
	}
	r.say("\n  SIGKILL: %s is gone, just after %s's last sample was acknowledged; that device stays silent, %d others are under way.\n", r.called(node), r.victim.Name, racing)
	r.checks = append(r.checks, swarm.Check{Name: "killed in the middle of the race", OK: racing > 0, Detail: fmt.Sprintf("%d were under way", racing)})
	if len(r.nodes) > 1 {
		return r.carriedOn(ctx, node, before, killed)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(downFor):
	}
	began := time.Now()
	if err := node.start(0, 0); err != nil {
		return err
	}
	if err := node.up(ctx); err != nil {
		return err
	}
	r.say("  The node is back on the same %s after %v.\n", r.keeps(), time.Since(began).Round(time.Millisecond))
	return nil
}

// checkVictim is the promise that the acknowledged finish counts.
func (r *run) checkVictim(result *competitionv1.ResultPublished) {
	if r.victim == nil {
		return
	}
	c := swarm.Check{Name: "whose last frame was acknowledged before the kill has finished"}
	for _, row := range result.Rows {
		if row.Entry == r.victim.Entry() && row.Status == livev1.EntryStatus_ENTRY_STATUS_FINISHED {
			c.OK, c.Detail = true, fmt.Sprintf("%s, place %d, without another word from the device", r.victim.Name, row.Place)
		}
	}
	if !c.OK {
		c.Detail = r.victim.Name + " has not"
	}
	r.checks = append(r.checks, c)
}
