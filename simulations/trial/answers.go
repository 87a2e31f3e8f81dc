package trial

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"connectrpc.com/connect"

	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/simulations/swarm"
)

// asked is how long one question may take; atOnce how many are under way.
const (
	asked  = 2 * time.Second
	atOnce = 16
)

// answer asks the race, if there is one, and each athlete's device and training, by a node that serves, until each has answered, and notes
// when the last one has.
func (r *Round) answer(ctx context.Context, away *Process) error {
	n, err := r.asker(ctx, away)
	if err != nil {
		return err
	}
	var questions []func(context.Context) error
	if r.Race != "" {
		questions = append(questions, func(ctx context.Context) error {
			_, err := n.Competitions.GetCompetition(ctx, connect.NewRequest(&managev1.GetCompetitionRequest{CompetitionId: r.Race}))
			return err
		})
	}
	for _, d := range r.watch.Devices {
		questions = append(questions, func(ctx context.Context) error {
			_, err := n.Devices.GetDevice(ctx, connect.NewRequest(&managev1.GetDeviceRequest{DeviceId: d.Device}))
			return err
		}, func(ctx context.Context) error {
			_, err := n.Trainings.GetTraining(ctx, connect.NewRequest(&managev1.GetTrainingRequest{TrainingId: d.User + "/" + d.Workout}))
			return err
		})
	}
	errs := make(chan error, len(questions))
	gate := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, ask := range questions {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			errs <- until(ctx, backWithin, func() error {
				ctx, cancel := context.WithTimeout(ctx, asked)
				defer cancel()
				return ask(ctx)
			})
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return fmt.Errorf("trial: a grain does not answer: %w", err)
		}
	}
	if r.outcome.Grains == 0 {
		r.outcome.Grains = time.Since(r.began)
	}
	return nil
}

// asker is a client of the nodes that run and serve.
func (r *Round) asker(ctx context.Context, away *Process) (n *swarm.Node, err error) {
	var serve []string
	for _, p := range r.Fleet.nodes {
		if p != away && p.Signal(syscall.Signal(0)) == nil {
			serve = append(serve, p.URL())
		}
	}
	return n, until(ctx, backWithin, func() error { // one may be leaving just now
		n, err = swarm.Connect(ctx, serve[0], r.Fleet.Token, serve[1:]...)
		return err
	})
}
