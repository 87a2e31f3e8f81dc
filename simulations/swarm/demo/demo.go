package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// run is one demo under way.
type run struct {
	o       Options
	plan    *Plan
	folder  string
	out     string
	nodes   []*child // of one cluster, or the only one
	show    *child   // the one whose page is shown
	n       *swarm.Node
	rate    float64
	race    *enrolled
	viewers []*swarm.Viewer
	victim  *swarm.Device // dies before the kill; nil: nobody
	checks  []swarm.Check
}

// errStopped is the end of a demo that somebody has interrupted.
var errStopped = errors.New("demo: stopped before the result was verified")

// Run holds a race. It returns nil only if every check holds and verify agrees on every entry.
func Run(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	plan, err := planOf(o, time.Now())
	if err != nil {
		return err
	}
	folder, err := o.runFolder()
	if err != nil {
		return err
	}
	r := &run{o: o, plan: plan, folder: folder, out: o.Out, rate: o.Speed}
	if r.out == "" {
		r.out = folder
	}
	if r.rate == 0 {
		r.rate = plan.speed()
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.announce()
	if err := r.makeNodes(ctx); err != nil {
		return errors.Join(err, r.stopNodes())
	}
	if err := r.prepareStore(ctx); err != nil {
		return errors.Join(err, r.stopNodes())
	}
	err = r.hold(ctx)
	if err != nil && ctx.Err() != nil {
		err = errStopped
	}
	if err == nil && !o.Once {
		r.say("\n%s: %s (Ctrl-C ends it)\n", r.stays(), r.page(r.show))
		<-ctx.Done()
	}
	return errors.Join(err, r.stopNodes())
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.o.Stdout, format, args...) }

func (r *run) page(on *child) string { return on.url() + "/race/" + r.race.competition }

func (r *run) announce() {
	p := r.plan
	r.say("%s: %d athletes, %.1f km, gun %s\n", p.Title, len(p.Entrants), float64(p.Course.LengthMm())/1e6, p.Gun.Time().Format("2006-01-02T15:04:05Z"))
	for _, n := range p.Notes {
		r.say("  %s\n", n)
	}
	r.say("  The node's clock runs %.1f times as fast as the wall's: about %s.\n", r.rate,
		(time.Duration(float64(p.Last-p.Gun)/r.rate) * time.Millisecond).Round(time.Second))
	r.say("  Everything of this run: %s\n", r.folder)
}

// hold is the race from the registration to the checks.
func (r *run) hold(ctx context.Context) error {
	if err := r.startNodes(ctx); err != nil {
		return err
	}
	mint, err := r.nodes[0].tokens()
	if err != nil {
		return err
	}
	if r.n, err = swarm.Connect(ctx, r.nodes[0].url(), mint, r.otherURLs()...); err != nil {
		return err
	}
	if r.race, err = enrol(ctx, r.n, r.plan, r.rate); err != nil {
		return err
	}
	r.sayPages()
	result, err := r.live(ctx)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, result); err != nil {
		return err
	}
	bundle, err := r.export(ctx)
	if err != nil {
		return err
	}
	r.check(swarm.Check{Name: "verify agrees on every entry"}, r.verify(ctx, bundle))
	return r.verdict()
}

// check notes a promise; err says that it is broken.
func (r *run) check(c swarm.Check, err error) {
	if c.OK = err == nil; err != nil {
		c.Detail = err.Error()
	}
	r.checks = append(r.checks, c)
}

// verdict prints all checks.
func (r *run) verdict() error {
	r.say("\n")
	failed := 0
	for _, c := range r.checks {
		mark := "ok    "
		if !c.OK {
			mark = "FAILED"
			failed++
		}
		r.say("  %s  %s", mark, c.Name)
		if c.Detail != "" {
			r.say(": %s", c.Detail)
		}
		r.say("\n")
	}
	if err := r.writeChecks(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("demo: %d of %d checks have failed; everything of this run is in %s", failed, len(r.checks), r.folder)
	}
	return nil
}

// verify runs `paceline verify` on the bundle, as anybody can who was given it.
func (r *run) verify(ctx context.Context, bundle string) error {
	r.say("\n$ paceline verify %s\n", bundle)
	cmd := exec.CommandContext(ctx, r.o.Binary, "verify", bundle)
	cmd.Stdout, cmd.Stderr = r.o.Stdout, r.o.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("paceline verify: %w", err)
	}
	return nil
}

func (r *run) path(name string) string { return filepath.Join(r.out, name) }

// nameOf is the athlete behind an entry number.
func (r *run) nameOf(entry uint32) string {
	if entry == 0 || int(entry) > len(r.plan.Entrants) {
		return "?"
	}
	return r.plan.Entrants[entry-1].Name
}

// gun is the instant that was announced.
func (r *run) gun() unit.InstantMs { return r.plan.Gun }

func official(p *competitionv1.ResultPublished) bool {
	return p.GetStatus() == competitionv1.ResultStatus_RESULT_STATUS_OFFICIAL
}
