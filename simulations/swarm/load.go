package swarm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/api/track"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm/athlete"
	"paceline/simulations/swarm/courses"
)

// load is one scenario under way.
type load struct {
	s       Scenario
	n       *Node
	out     io.Writer
	course  *course.Course
	track   course.Track
	gun     unit.InstantMs
	end     unit.InstantMs // of the longest recording
	race    string
	devices []*Device
	viewers []*Viewer
	acks    *latencies
	boards  *latencies
	codes   *Codes
}

// Run holds a scenario against a running node and reports. progress may be nil. An error means that it could not be
// held; what did not hold is in the report.
func Run(ctx context.Context, n *Node, s Scenario, progress io.Writer) (*Report, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = io.Discard
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	races := s.races()
	loads := make([]*load, races)
	acks, boards, codes := newLatencies(), newLatencies(), &Codes{}
	for i := range loads {
		part := s
		part.Devices = s.Devices*(i+1)/races - s.Devices*i/races
		part.Viewers = s.Viewers*(i+1)/races - s.Viewers*i/races
		part.Abandon, part.Seed = min(s.Abandon, part.Devices-1), s.Seed+uint64(i)
		loads[i] = &load{s: part, n: n, out: io.Discard, acks: acks, boards: boards, codes: codes}
	}
	loads[0].out = progress
	for i, l := range loads {
		if err := l.enrol(ctx, s.Devices*i/races); err != nil {
			return nil, err
		}
	}
	gun := n.Now().Add(unit.DurationMs(n.Rate() * float64(s.lead()/time.Millisecond)))
	gun -= gun % 1000
	errs := make(chan error, races)
	reports := make([]*Report, races)
	began := time.Now()
	for i, l := range loads {
		go func() {
			err := l.open(ctx, gun)
			if err == nil {
				reports[i], err = l.hold(ctx)
			}
			if err != nil {
				cancel()
			}
			errs <- err
		}()
	}
	var first error
	for range loads {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	r := &Report{Scenario: s, URL: n.URL, Races: races, Began: began.UTC().Format(time.RFC3339), Ack: acks.spread(), Board: boards.spread()}
	for _, part := range reports {
		r.add(part)
	}
	r.Later, r.Never = codes.Counts()
	r.judge()
	return r, nil
}

// enrol makes the people and their devices; before is how many others there are.
func (l *load) enrol(ctx context.Context, before int) error {
	l.devices = make([]*Device, l.s.Devices)
	began := time.Now()
	err := EachOf(len(l.devices), 32, func(i int) error { return l.register(ctx, i, before+i+1) })
	fmt.Fprintf(l.out, "registered %d athletes in %v\n", l.s.Devices, time.Since(began).Round(time.Millisecond))
	return err
}

// open makes the race, enters everybody and announces the gun.
func (l *load) open(ctx context.Context, gun unit.InstantMs) error {
	l.gun = gun
	if err := l.recordings(); err != nil {
		return err
	}
	margin := int64(l.n.Rate() * float64(20*time.Second/time.Millisecond))
	r, err := l.n.Competitions.CreateCompetition(ctx, connect.NewRequest(&managev1.CreateCompetitionRequest{CommandId: l.n.NewID(),
		Definition: &competitionv1.Definition{Name: "swarm: " + l.s.Name, Track: track.ToProto(l.track), Public: true,
			Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN, ScheduledAtMs: int64(l.gun),
			CutoffAfterMs: int64(l.end-l.gun) + margin, GraceMs: 30_000}}))
	if err != nil {
		return fmt.Errorf("swarm: create the race: %w", err)
	}
	l.race = r.Msg.CompetitionId
	if err := EachOf(len(l.devices), 32, func(i int) error {
		d := l.devices[i]
		d.Competition = l.race
		return l.command(ctx, &competitionv1.Command{Command: &competitionv1.Command_AddEntry{
			AddEntry: &competitionv1.EntryAdded{Entry: uint32(i + 1), UserId: d.User}}})
	}); err != nil {
		return err
	}
	if err := l.command(ctx, &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}}); err != nil {
		return err
	}
	return l.command(ctx, &competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(l.gun)}}})
}

func (l *load) command(ctx context.Context, c *competitionv1.Command) error {
	c.Call = &clusterv1.Call{CommandId: l.n.NewID()}
	if _, err := l.n.Competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{CompetitionId: l.race, Command: c})); err != nil {
		return fmt.Errorf("swarm: %T: %w", c.Command, err)
	}
	return nil
}

func (l *load) register(ctx context.Context, i, number int) error {
	user, device, err := l.n.Enrol(ctx, number)
	if err != nil {
		return err
	}
	l.devices[i] = &Device{Node: l.n.Spread(i), Name: fmt.Sprintf("athlete %d", number), User: user, Device: device,
		Workout: l.n.NewID(), Stream: l.n.NewID(), Sport: string(geo.Run), Channels: athlete.Channels(geo.Run),
		Every: time.Duration(l.s.EveryMs) * time.Millisecond, MaxBackOff: 2 * time.Second, Log: slog.New(l.codes)}
	if i < l.s.Laps {
		l.devices[i].LapEvery = lapEvery
	}
	return nil
}

// Enrol makes a person with a number, and his watch.
func (n *Node) Enrol(ctx context.Context, number int) (user, device string, err error) {
	u, err := n.Users.RegisterUser(ctx, connect.NewRequest(&managev1.RegisterUserRequest{CommandId: n.NewID(),
		Profile: &userv1.Profile{Handle: fmt.Sprintf("swarm-%d", number), Name: fmt.Sprintf("Athlete %d", number)}}))
	if err != nil {
		return "", "", fmt.Errorf("swarm: register athlete %d: %w", number, err)
	}
	d, err := n.Devices.RegisterDevice(ctx, connect.NewRequest(&managev1.RegisterDeviceRequest{CommandId: n.NewID(),
		Device: &devicev1.Registered{Owner: u.Msg.UserId, Name: "watch", Model: "swarm"}}))
	if err != nil {
		return "", "", fmt.Errorf("swarm: register device %d: %w", number, err)
	}
	return u.Msg.UserId, d.Msg.DeviceId, nil
}

// recordings lets runners run; the race is as long as most of them get in the time, with a gate every tenth of it.
func (l *load) recordings() error {
	road, err := courses.Read(courses.Names[0])
	if err != nil {
		return err
	}
	profile, err := athlete.NewProfile(road.Line(), nil)
	if err != nil {
		return err
	}
	field := athlete.Field{Profile: profile, Sport: geo.Run, Athletes: l.s.Devices, Seed: l.s.Seed, Gun: l.gun, PenS: 5, LimitS: l.s.Seconds, Abandon: l.s.Abandon}
	far := int64(1 << 62)
	for i, r := range field.Race() {
		b := r.Samples
		if l.s.Hz > 1 {
			b = finer(&r.Samples, l.s.Hz)
		}
		// Devices do not tick together.
		for k := range b.AtMs {
			b.AtMs[k] = b.AtMs[k].Add(unit.DurationMs(1000 * i / l.s.Devices))
		}
		l.devices[i].Samples = &b
		for _, s := range r.Offline {
			l.devices[i].Offline = append(l.devices[i].Offline, Span{s.From * l.s.Hz, s.To * l.s.Hz})
		}
		mm, _ := b.Value(sample.DistanceMm, b.Len()-1)
		l.end = max(l.end, b.AtMs[b.Len()-1])
		if l.s.ClocksOff {
			l.devices[i].wrongClock(i)
		}
		if !r.Gave && mm > 0 {
			far = min(far, mm)
		}
	}
	length := max(unit.DistanceMm(far*85/100)/10_000*10_000, 10_000)
	l.track = course.Track{Format: course.Distance, Sport: geo.Run, Name: "swarm", DistanceMm: length}
	for i := unit.DistanceMm(1); i < 10; i++ {
		l.track.Gates = append(l.track.Gates, geo.Gate{ID: fmt.Sprintf("tenth%d", i), Kind: geo.SplitGate, Mandatory: true, AtMm: length / 10 * i})
	}
	l.track.Gates = append(l.track.Gates, geo.Gate{ID: "finish", Kind: geo.FinishGate, Mandatory: true, AtMm: length})
	l.course, err = course.New(l.track)
	return err
}

// finer puts hz samples where there was one: values are held, distance and time go on evenly.
func finer(b *sample.Batch, hz int) sample.Batch {
	out := sample.Batch{FirstSeq: 1}
	n := b.Len() * hz
	for c := range b.Columns {
		if b.Columns[c].Present != nil {
			out.Columns[c].Grow(n)
		}
	}
	for i := range b.Len() {
		for k := range hz {
			out.AtMs = append(out.AtMs, b.AtMs[i].Add(unit.DurationMs(1000*k/hz)))
			for c := range b.Columns {
				v, ok := b.Value(sample.Channel(c), i)
				if !ok {
					continue
				}
				if next, more := b.Value(sample.DistanceMm, min(i+1, b.Len()-1)); sample.Channel(c) == sample.DistanceMm && more {
					v += (next - v) * int64(k) / int64(hz)
				}
				out.Columns[c].Set(i*hz+k, v)
			}
		}
	}
	return out
}

// hold runs devices and viewers until the result is official, then looks at the truth.
func (l *load) hold(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	began := time.Now()
	failed := make(chan error, l.s.Devices+l.s.Viewers+1)
	l.watch(ctx, &wg, failed)
	for i, d := range l.devices {
		d.Prepare(l.acks.add)
		wg.Go(func() {
			if !wait(ctx, l.s.ramp(i, len(l.devices))) {
				return
			}
			if err := d.Run(ctx); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	for _, d := range l.devices {
		if err := d.Entered(ctx); err != nil {
			return nil, fmt.Errorf("swarm: %s: %w", d.Name, err)
		}
	}
	fmt.Fprintf(l.out, "%d devices have joined, %d viewers watch; gun in %v\n", l.s.Devices, l.s.Viewers, l.n.Until(l.gun).Round(time.Millisecond))
	if l.s.Under != nil {
		under := Running{Race: l.race, Gun: l.gun, End: l.end, Node: l.n, Devices: l.devices, Viewers: l.viewers}
		wg.Go(func() {
			if err := l.s.Under(ctx, under); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	result, acked, err := l.follow(ctx, failed)
	if err != nil {
		return nil, err
	}
	return l.report(ctx, began, acked, result), nil
}

func (l *load) watch(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	for i := range l.s.Viewers {
		v := &Viewer{Node: l.n.Spread(i), Topic: "competition/" + l.race + "/board", Cut: l.s.cutOf(i), Log: slog.New(l.codes)}
		v.onFrame = func(_ time.Time, b *livev1.Board) {
			if b.GetAtMs() != 0 {
				l.boards.add(time.Duration(float64(l.n.Now().Sub(unit.InstantMs(b.AtMs))) / l.n.Rate() * float64(time.Millisecond)))
			}
		}
		l.viewers = append(l.viewers, v)
		wg.Go(func() {
			if !wait(ctx, l.s.ramp(i, l.s.Viewers)) {
				return
			}
			if err := v.Run(ctx); err != nil {
				failed <- err
			}
		})
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// follow shows progress until the result is official; acked is when the last sample was acknowledged.
func (l *load) follow(ctx context.Context, failed <-chan error) (result *competitionv1.ResultPublished, acked time.Time, err error) {
	deadline := time.NewTimer(l.n.Until(l.end) + 2*time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	stormed := false
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil, acked, ctx.Err()
		case err := <-failed:
			return nil, acked, err
		case <-deadline.C:
			return nil, acked, fmt.Errorf("swarm: no official result %v after the end", 2*time.Minute)
		case <-tick.C:
		}
		if l.s.StormAt > 0 && !stormed && l.n.Now() >= l.gun.Add(unit.DurationMs(l.s.StormAt)*unit.Second) {
			stormed = true
			for _, d := range l.devices {
				d.Drop()
			}
			fmt.Fprintf(l.out, "dropped %d devices at once\n", len(l.devices))
		}
		done, samples := l.counts()
		if i%6 == 0 {
			fmt.Fprintf(l.out, "%v to go, %d samples acknowledged, %d of %d devices done\n", l.n.Until(l.end).Round(time.Second), samples, done, len(l.devices))
		}
		if done == len(l.devices) {
			if acked.IsZero() {
				acked = time.Now()
			}
			if p := l.result(ctx); p.GetStatus() == competitionv1.ResultStatus_RESULT_STATUS_OFFICIAL {
				return p, acked, nil
			}
		}
	}
}

func (l *load) counts() (done int, samples uint64) {
	for _, d := range l.devices {
		a := d.Acked()
		samples += a
		if a >= uint64(d.Samples.Len()) {
			done++
		}
	}
	return done, samples
}

func (l *load) result(ctx context.Context) *competitionv1.ResultPublished {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a node that hangs is asked again
	defer cancel()
	p, err := l.n.Result(ctx, l.race)
	if err != nil {
		return nil
	}
	return p
}

func (l *load) report(ctx context.Context, began, acked time.Time, p *competitionv1.ResultPublished) *Report {
	r := &Report{OfficialS: time.Since(acked).Seconds()}
	r.RaceS = acked.Sub(time.Now().Add(l.n.Until(l.gun))).Seconds()
	_, r.Samples = l.counts()
	r.SamplesPS = float64(r.Samples) / r.RaceS
	for _, v := range l.viewers {
		_, _, n := v.Faults()
		r.Frames += n
	}
	r.FramesPS = float64(r.Frames) / acked.Sub(began).Seconds()
	for _, d := range l.devices {
		r.Reconnects += max(0, d.Connects()-1)
	}
	r.Checks = append(r.Checks, CheckStored(l.devices, p), CheckGates(l.devices, l.course, l.gun, p),
		CheckOrder(l.devices, l.course, l.gun, false, p), l.converged(ctx), CheckViewers(l.viewers))
	return r
}

// converged compares every viewer with one that has just come.
func (l *load) converged(ctx context.Context) Check {
	c := Check{Name: "boards converge"}
	fresh := map[string]Board{}
	for i, v := range l.viewers {
		if b, ok := fresh[v.Cut]; ok && v.Now().Difference(b) == "" {
			continue
		}
		if different := Converge(ctx, v, 10*time.Second); different != "" {
			return c.fail("viewer %d: %s", i+1, different)
		}
		fresh[v.Cut] = v.Now()
	}
	c.OK, c.Detail = true, fmt.Sprintf("%d viewers", len(l.viewers))
	return c
}

// EachOf does n things, some at once, and returns the first error.
func EachOf(n, atOnce int, f func(int) error) error {
	errs := make(chan error, n)
	gate := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			if err := f(i); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
