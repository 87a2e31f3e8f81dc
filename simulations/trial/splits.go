package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"paceline/simulations/swarm"
)

// Splits are the trials in which nodes do not see each other, though clients and store see all of them.
var Splits = []Trial{
	{Name: "split 2|1, the race's node alone", Seconds: 50, Network: true, Shows: []string{competitionsNode, lateRow}, Do: func(ctx context.Context, r *Round) error {
		return r.cutOff(ctx, r.Owner, r.Rest)
	}},
	{Name: "split 2|1, the race's node among the two", Seconds: 50, Network: true, Shows: []string{lateRow, gatewaysNode}, Do: func(ctx context.Context, r *Round) error {
		return r.cutOff(ctx, r.Rest[0], []*Process{r.Owner, r.Rest[1]})
	}},
	{Name: "split 1|1", Seconds: 50, Start: 2, Network: true, Do: func(ctx context.Context, r *Round) error {
		// Of equal sides the one with the smallest id goes on.
		if r.Owner.member() < r.Rest[0].member() {
			return r.cutOff(ctx, r.Rest[0], []*Process{r.Owner})
		}
		return r.cutOff(ctx, r.Owner, r.Rest)
	}},
}

// cutOff cuts one node off the others, until it has stepped down and clients that know no other node have come to the
// others all the same; then the network heals, and the node must begin anew before the race ends.
func (r *Round) cutOff(ctx context.Context, out *Process, rest []*Process) error {
	const stepsDown = "this member steps down"
	before, runs := out.count(stepsDown), out.count(serving)
	run := out.member()
	stranger, err := r.stranger(ctx, out)
	if err != nil {
		return err
	}
	enough, err := r.twoOwners(ctx, out)
	if err != nil {
		return err
	}
	r.mark()
	if err := r.Fleet.Cut(out); err != nil {
		return errors.Join(err, enough())
	}
	back := make(chan error, 1)
	go func() { back <- errors.Join(r.Back(ctx, out == r.Owner), r.Fleet.Agree(ctx, rest...)) }()
	err = until(ctx, upWithin, func() error {
		if out.count(stepsDown) == before {
			return fmt.Errorf("trial: %s, cut off, has not stepped down: %s", out.name, out.lastLine(""))
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, <-back, enough())
	}
	stepped, at := time.Since(r.began), r.watch.Node.Now()
	err = errors.Join(out.saysCutOff(ctx), <-back, r.moved(ctx, stranger), enough())
	if out.count(serving) != runs {
		err = errors.Join(err, fmt.Errorf("trial: %s has begun anew while it was cut off", out.name))
	}
	healed := time.Now()
	if err = errors.Join(err, r.Fleet.Heal(out)); err != nil {
		return err
	}
	err = until(ctx, upWithin, func() error {
		if out.count(serving) == runs {
			return fmt.Errorf("trial: %s has not begun anew: %s", out.name, out.lastLine(""))
		}
		return nil
	})
	if err == nil && r.watch.Node.Now() >= r.watch.End {
		err = errors.New("trial: the race was over before the network had healed")
	}
	r.note("stepped down after %.1f s, served anew %.1f s after the healing", stepped.Seconds(), time.Since(healed).Seconds())
	r.silent = append(r.silent, silence{member: run, since: at.Add(lastAppendMs)})
	return errors.Join(err, r.Fleet.Agree(ctx, append([]*Process{out}, rest...)...))
}

// lastAppendMs is how long an append that was under way when its node stepped down may take.
const lastAppendMs = 2_000

// stranger is a viewer that knows one node only.
func (r *Round) stranger(ctx context.Context, p *Process) (*swarm.Viewer, error) {
	n, err := swarm.Connect(ctx, p.URL(), r.Fleet.Token)
	if err != nil {
		return nil, err
	}
	v := &swarm.Viewer{Node: n, Topic: "competition/" + r.Race + "/board"}
	go func() { _ = v.Run(ctx) }() // ends with the trial; what it shows is looked at
	return v, until(ctx, backWithin, func() error {
		if v.Now().Head == nil {
			return fmt.Errorf("trial: no board on %s", p.name)
		}
		return nil
	})
}

// moved waits until a viewer whose only node has stepped down shows what the others show.
func (r *Round) moved(ctx context.Context, stranger *swarm.Viewer) error {
	epoch, version := uint64(0), uint64(0)
	for _, v := range r.watch.Viewers {
		if b := v.Now(); b.Epoch > epoch || b.Epoch == epoch && b.Version > version {
			epoch, version = b.Epoch, b.Version
		}
	}
	return until(ctx, backWithin, func() error {
		if b := stranger.Now(); b.Recovering || b.Epoch < epoch || b.Epoch == epoch && b.Version <= version {
			return fmt.Errorf("trial: a client of the node that stepped down was not sent to the others: it shows {%d, %d}, they {%d, %d}", b.Epoch, b.Version, epoch, version)
		}
		return nil
	})
}

// saysCutOff waits until the node's readiness says why nobody should come.
func (p *Process) saysCutOff(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	return until(ctx, 10*time.Second, func() error {
		a, err := client.Get(p.URL() + "/readyz")
		if err != nil {
			return err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err == nil && !strings.Contains(string(text), "cut off from those that serve") {
			err = fmt.Errorf("trial: %s, which has stepped down, says %s: %s", p.name, a.Status, text)
		}
		return err
	})
}

// member is the id of the node's present run.
func (p *Process) member() string {
	for _, word := range strings.Fields(p.lastLine(serving)) {
		if id, ok := strings.CutPrefix(word, "member="); ok {
			return id
		}
	}
	return ""
}
