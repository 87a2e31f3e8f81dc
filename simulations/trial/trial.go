package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// Trial is a race and what is done to its nodes in the middle.
type Trial struct {
	Name      string
	Seconds   int      // of running
	Nodes     int      // of the fleet; 0: as many as run at the start
	Start     int      // run at the start; 0: 3
	Network   bool     // that can be cut, between the nodes
	Ring      int      // servers of a store of its own, with as many copies; 0: the store of all trials
	ClocksOff bool     // of two of three devices, by minutes
	Hz        int      // samples a second of each device; 0: 1
	OneDoor   bool     // all clients have their sockets on the first node
	Shows     []string // rows of the kill table that it can show, see docs/testing.md
	// Previous is for a trial with the build before this one, Prepare says what is other before the nodes start.
	Previous bool
	Prepare  func(f *Fleet)
	// Do is done 8 s after the gun. owner is the node that the race lives on.
	Do func(ctx context.Context, r *Round) error
	// Hold is the whole of a trial that is not one race, in place of Do.
	Hold func(ctx context.Context, f *Fleet, run []*Process, size Size, progress io.Writer) (*Outcome, error)
}

// Size of a race.
type Size struct{ Devices, Viewers int }

// Everyday is what make test holds, Full what make trials does. OfRing is the most where the store is a ring of this
// machine's own, or where a device sends many samples a second: two cores do not hold more.
var Everyday, Full, OfRing = Size{20, 6}, Size{300, 100}, Size{60, 20}

// Store is servers that can be killed, numbered from 1.
type Store interface{ Kill(n int) error }

// Round is a trial under way.
type Round struct {
	Fleet *Fleet
	Store Store
	Race  string
	Owner *Process
	Rest  []*Process // the others that run

	outcome *Outcome
	watch   swarm.Running
	began   time.Time
	epoch   uint64 // of the newest board that a viewer had
	version uint64
	acked   []uint64 // of each device
	silent  []silence
	ruled   []swarm.Answer // what officials at single nodes were answered
	away    *Process       // runs and does not serve: stopped or cut off
}

// silence is a run that must not have written anything after an instant of the nodes' clock.
type silence struct {
	member string
	since  unit.InstantMs
}

// Outcome is a row of the report.
type Outcome struct {
	Name string
	// From the fault to: the first viewer's first board of then on that is whole, the last viewer's, and the first
	// acknowledgement of then on of every device that has a network by its recording.
	Board, Boards, Acks time.Duration
	// Grains: to the last answer of the race and of each athlete's device and training.
	Grains     time.Duration
	Answers    int    // of commands, each compared with the journal
	Journals   int    // in the store
	Events     uint64 // in them
	Reconnects int
	Samples    uint64
	Measured   string // by a trial that is not one race, in place of all of these
	Notes      []string
	Failed     []string
}

func (o *Outcome) String() string {
	row := fmt.Sprintf("%-46s first board %5.2f s   all boards %5.2f s   all acknowledged %5.2f s   all grains answer %5.2f s   %4d reconnects   %6d samples   %5d journals %6d events %5d answers   ",
		o.Name, o.Board.Seconds(), o.Boards.Seconds(), o.Acks.Seconds(), o.Grains.Seconds(), o.Reconnects, o.Samples, o.Journals, o.Events, o.Answers)
	if o.Measured != "" {
		row = fmt.Sprintf("%-46s %s   ", o.Name, o.Measured)
	}
	if len(o.Notes) > 0 {
		row += strings.Join(o.Notes, "; ") + "   "
	}
	if len(o.Failed) == 0 {
		return row + "ok"
	}
	return row + "FAILED: " + strings.Join(o.Failed, "; ")
}

// faultAfter is when in the race the fault comes: most are under way, nobody has finished.
const faultAfter = 8 * time.Second

// backWithin is how long boards and acknowledgements may take to be back. It is not the promise (5 s after a kill, on a
// machine that does nothing else), but what a shared machine of two cores may make of it.
const backWithin = 60 * time.Second

// mostLaps is how many athletes mark laps, each one command of many that are answered while something happens to a node.
const mostLaps = 20

// Run holds the trial on a fresh fleet.
func (t Trial) Run(ctx context.Context, f *Fleet, size Size, progress io.Writer) (*Outcome, error) {
	if t.Prepare != nil {
		t.Prepare(f)
	}
	run := f.nodes[:t.starts()]
	if err := f.Start(ctx, run...); err != nil {
		return nil, err
	}
	if err := f.Agree(ctx, run...); err != nil {
		return nil, err
	}
	if t.Hold != nil {
		return t.Hold(ctx, f, run, size, progress)
	}
	also := run[1:]
	if t.OneDoor {
		also = nil
	}
	node, err := swarm.Connect(ctx, run[0].URL(), f.Token, urls(also)...)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Name: t.Name}
	if (t.Ring > 0 || t.Hz > 1) && size.Devices > OfRing.Devices {
		size = OfRing
		o.Notes = append(o.Notes, fmt.Sprintf("%d devices and %d viewers", size.Devices, size.Viewers))
	}
	r := &Round{Fleet: f, Store: f.store, outcome: o}
	s := swarm.DefaultScenario()
	s.Name, s.Devices, s.Viewers, s.Seconds, s.ClocksOff = t.Name, size.Devices, size.Viewers, t.Seconds, t.ClocksOff
	s.Hz, s.Laps = max(s.Hz, t.Hz), mostLaps
	s.Under = func(ctx context.Context, running swarm.Running) error {
		r.Race, r.watch = running.Race, running
		r.Owner = f.Owner(running.Race, run)
		for _, p := range run {
			if p != r.Owner {
				r.Rest = append(r.Rest, p)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(node.Until(running.Gun) + faultAfter):
		}
		r.mark()
		return t.Do(ctx, r)
	}
	report, err := swarm.Run(ctx, node, s, progress)
	if err != nil {
		return nil, errors.Join(err, r.checkAnswers(ctx)) // a race may not end because of what has been written over
	}
	o.Reconnects, o.Samples = report.Reconnects, report.Samples
	for _, c := range report.Checks {
		if !c.OK {
			o.Failed = append(o.Failed, c.Name+": "+c.Detail)
		}
	}
	o.refusals(report, size.Devices)
	if err := errors.Join(r.verify(ctx), r.checkJournals(ctx)); err != nil {
		o.Failed = append(o.Failed, err.Error())
	}
	if o.Acks == 0 || o.Boards == 0 || o.Grains == 0 {
		o.Failed = append(o.Failed, "the race ended before everything was back")
	}
	return o, nil
}

func (t Trial) starts() int {
	if t.Start > 0 {
		return t.Start
	}
	return 3
}

func (t Trial) wants() int { return max(t.Nodes, t.starts()) }

func urls(of []*Process) []string {
	var all []string
	for _, p := range of {
		all = append(all, p.URL())
	}
	return all
}

func (r *Round) note(format string, args ...any) {
	r.outcome.Notes = append(r.outcome.Notes, fmt.Sprintf(format, args...))
}

// mark notes what everybody has at the fault; what is waited for is what comes of then on.
func (r *Round) mark() {
	r.began, r.epoch, r.version, r.acked = time.Now(), 0, 0, nil
	for _, v := range r.watch.Viewers {
		if b := v.Now(); b.Epoch > r.epoch || b.Epoch == r.epoch && b.Version > r.version {
			r.epoch, r.version = b.Epoch, b.Version
		}
	}
	for _, d := range r.watch.Devices {
		r.acked = append(r.acked, d.Acked())
	}
}

// Back measures until boards and acknowledgements are there again. lost says that the race has to be read anew, so that
// only a board of a later epoch counts.
func (r *Round) Back(ctx context.Context, lost bool) error {
	answered := make(chan error, 1)
	go func() { answered <- r.answer(ctx, r.away) }()
	back := make([]bool, len(r.watch.Viewers))
	epoch, version, acked := r.epoch, r.version, r.acked
	err := until(ctx, backWithin, func() error {
		since := time.Since(r.began)
		missing := 0
		for i, v := range r.watch.Viewers {
			if back[i] {
				continue
			}
			b := v.Now()
			if b.Recovering || b.Epoch < epoch || b.Epoch == epoch && (lost || b.Version <= version) {
				missing++
				continue
			}
			back[i] = true
			if r.outcome.Board == 0 {
				r.outcome.Board = since
			}
		}
		silent := 0
		for i, d := range r.watch.Devices {
			if d.Acked() <= acked[i] && acked[i] < uint64(d.Samples.Len()) && !d.NoNetwork() {
				silent++
			}
		}
		if missing == 0 && r.outcome.Boards == 0 {
			r.outcome.Boards = since
		}
		if silent == 0 && r.outcome.Acks == 0 {
			r.outcome.Acks = since
		}
		if missing+silent > 0 {
			return fmt.Errorf("trial: %d viewers without a new board, %d devices without an acknowledgement", missing, silent)
		}
		return nil
	})
	return errors.Join(err, <-answered)
}

// verify exports the result from a node that runs and computes it again.
func (r *Round) verify(ctx context.Context) error {
	out := filepath.Join(r.Fleet.folder, "bundle.zip")
	var err error
	for _, p := range r.Fleet.nodes {
		if p.Signal(syscall.Signal(0)) != nil {
			continue
		}
		if _, err = r.Fleet.Command(ctx, "export", "--listen="+p.http, "--data-dir="+r.Fleet.in("data"), "--keys-dir="+r.Fleet.in("keys"), "--out="+out, r.Race); err == nil {
			_, err = r.Fleet.Command(ctx, "verify", out)
			return err
		}
	}
	if err == nil {
		err = fmt.Errorf("trial: no node runs any more")
	}
	return err
}
