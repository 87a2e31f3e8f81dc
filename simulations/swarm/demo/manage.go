package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/api/track"
	"paceline/simulations/swarm"
)

// enrolled is the race as the node knows it.
type enrolled struct {
	competition string
	devices     []*swarm.Device // by entrant
}

// enrol registers everybody, opens the race, enters them, locks the list and announces the gun.
func enrol(ctx context.Context, n *swarm.Node, p *Plan, rate float64) (*enrolled, error) {
	e := &enrolled{devices: make([]*swarm.Device, len(p.Entrants))}
	if err := each(len(p.Entrants), func(i int) error {
		d, err := register(ctx, n, p, i)
		e.devices[i] = d
		return err
	}); err != nil {
		return nil, err
	}
	margin := int64(patience/time.Millisecond) * int64(max(rate, 1))
	created, err := n.Competitions.CreateCompetition(ctx, connect.NewRequest(&managev1.CreateCompetitionRequest{
		CommandId: n.NewID(), Definition: &competitionv1.Definition{
			Name: p.Title, Track: track.ToProto(p.Track), Start: competitionv1.StartKind_START_KIND_MASS,
			RankBy: competitionv1.RankBy_RANK_BY_GUN, Public: true, ScheduledAtMs: int64(p.Gun),
			CutoffAfterMs: int64(p.Last-p.Gun) + margin, GraceMs: 30_000, AutoOfficialAfterMs: 0}}))
	if err != nil {
		return nil, fmt.Errorf("demo: create the race: %w", err)
	}
	e.competition = created.Msg.CompetitionId
	for i, d := range e.devices {
		d.Competition = e.competition
		// One after the other: the numbers are the order in which they are listed.
		if _, err := command(ctx, n, e.competition, &competitionv1.Command{Command: &competitionv1.Command_AddEntry{
			AddEntry: &competitionv1.EntryAdded{Entry: uint32(i + 1), UserId: d.User}}}); err != nil {
			return nil, fmt.Errorf("demo: enter %s: %w", d.Name, err)
		}
	}
	if _, err := command(ctx, n, e.competition, &competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}}); err != nil {
		return nil, fmt.Errorf("demo: lock the start list: %w", err)
	}
	if _, err := command(ctx, n, e.competition, &competitionv1.Command{Command: &competitionv1.Command_Start{
		Start: &competitionv1.StartRace{GunAtMs: int64(p.Gun)}}}); err != nil {
		return nil, fmt.Errorf("demo: announce the gun: %w", err)
	}
	return e, nil
}

func register(ctx context.Context, n *swarm.Node, p *Plan, i int) (*swarm.Device, error) {
	e := &p.Entrants[i]
	user, err := n.Users.RegisterUser(ctx, connect.NewRequest(&managev1.RegisterUserRequest{CommandId: n.NewID(),
		Profile: &userv1.Profile{Handle: handle(e.Name), Name: e.Name, Club: e.Club, Flag: e.Flag, Visibility: userv1.Visibility_VISIBILITY_PUBLIC}}))
	if err != nil {
		return nil, fmt.Errorf("demo: register %s: %w", e.Name, err)
	}
	device, err := n.Devices.RegisterDevice(ctx, connect.NewRequest(&managev1.RegisterDeviceRequest{CommandId: n.NewID(),
		Device: &devicev1.Registered{Owner: user.Msg.UserId, Name: e.Name + "'s watch", Model: "replay"}}))
	if err != nil {
		return nil, fmt.Errorf("demo: register the device of %s: %w", e.Name, err)
	}
	d := &swarm.Device{Node: n.Spread(i), Name: e.Name, User: user.Msg.UserId, Device: device.Msg.DeviceId, Workout: n.NewID(), Stream: n.NewID(),
		Sport: string(p.Track.Sport), Channels: e.Channels, Samples: &e.Samples, Offline: e.Offline, MaxBackOff: time.Second, Trainer: e.Trainer}
	return d, nil
}

// handle is a name as an account has it.
func handle(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c - 'A' + 'a'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			b[i] = '-'
		}
	}
	return string(b)
}

func command(ctx context.Context, n *swarm.Node, competition string, c *competitionv1.Command) (*competitionv1.CommandDone, error) {
	c.Call = &clusterv1.Call{CommandId: n.NewID()}
	r, err := n.Competitions.Command(ctx, connect.NewRequest(&managev1.CommandRequest{CompetitionId: competition, Command: c}))
	if err != nil {
		return nil, err
	}
	return r.Msg.Done, nil
}

// each does n things at once and returns the first error.
func each(n int, f func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
