package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/simulations/swarm"
)

// viewersWatching is how many viewers look on beside the page, at least.
const viewersWatching = 4

// live is the race itself: devices stream, viewers watch, until the result is official.
func (r *run) live(ctx context.Context) (*competitionv1.ResultPublished, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	failed := make(chan error, len(r.race.devices)+max(viewersWatching, 2*len(r.nodes))+1)
	r.watch(ctx, &wg, failed)
	if r.o.Kill {
		r.chooseVictim()
	}
	for _, d := range r.race.devices {
		d.Prepare(nil)
		wg.Go(func() {
			if err := d.Run(ctx); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	for _, d := range r.race.devices {
		if err := d.Entered(ctx); err != nil {
			return nil, fmt.Errorf("demo: %s: %w", d.Name, err)
		}
	}
	if r.o.Kill {
		wg.Go(func() {
			if err := r.powerCut(ctx); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	result, err := r.follow(ctx, failed)
	if err != nil {
		return nil, err
	}
	r.compareBoards(ctx)
	return result, nil
}

func (r *run) watch(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	n := max(viewersWatching, 2*len(r.nodes)) // two on each node, if there are several
	for i := range n {
		v := &swarm.Viewer{Node: r.n.Spread(i), Topic: "competition/" + r.race.competition + "/board", JSON: i == n-1}
		if i == 1 {
			v.Cut = "top:3"
		}
		r.viewers = append(r.viewers, v)
		wg.Go(func() {
			if err := v.Run(ctx); err != nil {
				failed <- err
			}
		})
	}
}

// follow shows progress until the result is official.
func (r *run) follow(ctx context.Context, failed <-chan error) (*competitionv1.ResultPublished, error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	within := r.n.Until(r.plan.Last) + patience + resultSlow
	if r.o.Kill {
		within += upWithin
	}
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	show := newProgress(r)
	defer show.end()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case err := <-failed:
			return nil, fmt.Errorf("demo: %w", err)
		case <-deadline.C:
			return nil, errors.New("demo: there is no official result, " + r.stateNow(ctx))
		case <-tick.C:
		}
		if err := r.nodeEnded(); err != nil {
			return nil, err
		}
		show.tick()
		if r.viewers[0].Now().Head.GetState() != livev1.RaceState_RACE_STATE_OFFICIAL && time.Until(show.askAgain) > 0 {
			continue
		}
		show.askAgain = time.Now().Add(2 * time.Second)
		if result := r.result(ctx); official(result) {
			return result, nil
		}
	}
}

// result is the newest result; nil: none, or nobody answers.
func (r *run) result(ctx context.Context) *competitionv1.ResultPublished {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	p, err := r.n.Result(ctx, r.race.competition)
	if err != nil {
		return nil
	}
	return p
}

// stateNow is what the race's own grain says, for an error.
func (r *run) stateNow(ctx context.Context) string {
	s, err := r.state(ctx)
	if err != nil {
		return err.Error()
	}
	text := "the race is " + s.State.String()
	for _, e := range s.Entries {
		text += fmt.Sprintf("; %d %s %v review %v %s", e.Entry, r.nameOf(e.Entry), e.Status, e.UnderReview, e.ReviewReason)
	}
	return text
}

func (r *run) state(ctx context.Context) (*competitionv1.State, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := r.n.Competitions.GetCompetition(ctx, connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: r.race.competition}))
	if err != nil {
		return nil, fmt.Errorf("demo: read the race: %w", err)
	}
	return s.Msg.Competition, nil
}

// compareBoards waits until every viewer shows what somebody sees who has just come.
func (r *run) compareBoards(ctx context.Context) {
	c := swarm.Check{Name: "boards converge"}
	c.OK, c.Detail = true, fmt.Sprintf("%d viewers show what a new one sees", len(r.viewers))
	for i, v := range r.viewers {
		if different := swarm.Converge(ctx, v, 10*time.Second); different != "" {
			c.OK, c.Detail = false, fmt.Sprintf("viewer %d and a new one: %s", i+1, different)
			break
		}
	}
	r.checks = append(r.checks, c, swarm.CheckViewers(r.viewers))
}
