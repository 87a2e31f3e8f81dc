package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	competitionv1 "paceline/api/gen/paceline/competition/v1"
	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	liveclient "paceline/api/live"
	"paceline/api/track"
	"paceline/domain/course"
	"paceline/domain/geo"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

const controlRate = 6

// hilly is 600 m north: 100 m flat, then up with 6 %.
func hilly(t *testing.T) *course.Course {
	t.Helper()
	tr := course.Track{Format: course.Line, Sport: geo.Ride, Name: "hill", CorridorMm: 30_000}
	for i := range 7 {
		tr.Line = append(tr.Line, geo.Point{Lat: 500_000_000 + int64(i)*8993, Lon: 80_000_000})
		tr.HeightsMm = append(tr.HeightsMm, max(0, int64(i)-1)*6000)
	}
	c, err := course.New(tr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// home is a rider on a trainer in a race over a hill, with a connection of the test's own.
type home struct {
	*race
	c       *course.Course
	client  *liveclient.Client
	user    string
	workout string
	stream  string
	ride    *liveclient.Stream

	mu     sync.Mutex
	set    []*livev1.Control
	refuse bool
	shown  *livev1.ControlState
}

func openHome(t *testing.T) *home {
	t.Helper()
	data := t.TempDir()
	s := serve(t, "--data-dir", data, "--clock-rate", fmt.Sprint(controlRate))
	mint := func(subject string) (string, error) {
		code, token, errs := paceline(t, "token", subject, "--data-dir", data)
		if code != 0 {
			return "", fmt.Errorf("token: %s", errs)
		}
		return strings.TrimSpace(token), nil
	}
	n, err := swarm.Connect(t.Context(), s.url, mint)
	if err != nil {
		t.Fatal(err)
	}
	h := &home{race: &race{t: t, node: n}, c: hilly(t), workout: n.NewID(), stream: n.NewID()}
	h.gun = n.Now().Add(3 * unit.Second * controlRate)
	h.id = must[managev1.CreateCompetitionResponse](t)(n.Competitions.CreateCompetition(t.Context(), connect.NewRequest(&managev1.CreateCompetitionRequest{
		Definition: &competitionv1.Definition{
			Name: "Hill", Public: true, Start: competitionv1.StartKind_START_KIND_MASS, RankBy: competitionv1.RankBy_RANK_BY_GUN,
			Track: track.ToProto(h.c.Track()), CutoffAfterMs: 600_000, GraceMs: 30_000, AutoOfficialAfterMs: -1, ScheduledAtMs: int64(h.gun),
		}}))).CompetitionId
	h.user = must[managev1.RegisterUserResponse](t)(n.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: "rider", Name: "rider", Visibility: userv1.Visibility_VISIBILITY_PUBLIC}}))).UserId
	device := must[managev1.RegisterDeviceResponse](t)(n.Devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
		Device: &devicev1.Registered{Owner: h.user, Name: "trainer"}}))).DeviceId
	h.command(&competitionv1.Command{Command: &competitionv1.Command_AddEntry{AddEntry: &competitionv1.EntryAdded{Entry: 1, UserId: h.user}}})
	h.command(&competitionv1.Command{Command: &competitionv1.Command_Lock{Lock: &competitionv1.Lock{}}})
	h.command(&competitionv1.Command{Command: &competitionv1.Command_Start{Start: &competitionv1.StartRace{GunAtMs: int64(h.gun)}}})

	h.client = liveclient.New(liveclient.Config{URL: n.Live(), Clock: n.Now, Token: func(context.Context) (string, error) { return mint("athlete:" + h.user) }})
	go func() { _ = h.client.Run(t.Context()) }()
	h.do(&livev1.Command{Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{Sport: "ride", Zone: "Etc/UTC", DeviceTimeMs: int64(n.Now())}}})
	h.ride = h.client.Stream(&livev1.OpenStream{DeviceId: device, StreamId: h.stream, WorkoutId: h.workout, Sport: "ride", Clock: livev1.ClockKind_CLOCK_KIND_GNSS,
		Channels: []*livev1.ChannelSpec{{Channel: livev1.Channel_CHANNEL_LAT_E7, Trust: livev1.Trust_TRUST_VIRTUAL}, {Channel: livev1.Channel_CHANNEL_LON_E7, Trust: livev1.Trust_TRUST_VIRTUAL}},
		Control:  &livev1.ControlOffer{Enabled: true, Equipment: livev1.Equipment_EQUIPMENT_BIKE, InclineBp: &livev1.ControlRange{Least: -500, Most: 450, RampPerS: 300}}}, nil)
	h.ride.OnControl(func(c *livev1.Control) liveclient.Result {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.set = append(h.set, c)
		if h.refuse {
			return liveclient.Refused
		}
		return liveclient.Applied
	})
	h.do(&livev1.Command{Command: &livev1.Command_Join{Join: &livev1.Join{CompetitionId: h.id, PrimaryStreamId: h.stream}}})
	h.client.Subscribe("workout/"+h.workout, "", func(u liveclient.Update) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if w := u.Snapshot.GetWorkout(); w != nil {
			h.shown = w.Control
		} else if w := u.Delta.GetWorkout(); w != nil {
			h.shown = w.Control
		}
	}, func(err error) { t.Errorf("watch the workout: %v", err) })
	return h
}

func (h *home) do(c *livev1.Command) {
	h.t.Helper()
	c.WorkoutId = h.workout
	if _, err := h.client.Do(h.t.Context(), c); err != nil {
		h.t.Fatalf("%T: %v", c.Command, err)
	}
}

// where the rider is i seconds after the gun, at 10 m/s over the start.
func (h *home) where(i int) geo.Point {
	return geo.Point{Lat: 500_000_000 + int64(i)*899 - 300, Lon: 80_000_000}
}

// pedal sends seconds from..to of the ride, each when the node's clock passes it.
func (h *home) pedal(from, to int) {
	h.t.Helper()
	for i := from; i <= to; i++ {
		at := h.gun.Add(unit.DurationMs(i) * unit.Second)
		select {
		case <-h.t.Context().Done():
			return
		case <-time.After(h.node.Until(at)):
		}
		b := &sample.Batch{AtMs: []unit.InstantMs{at}}
		p := h.where(i)
		for c, v := range map[sample.Channel]int64{sample.LatE7: p.Lat, sample.LonE7: p.Lon} {
			b.Columns[c].Grow(1)
			b.Columns[c].Set(0, v)
		}
		if err := h.ride.Put(b); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.ride.Wait(h.t.Context(), h.ride.LastSeq()); err != nil {
		h.t.Fatal(err)
	}
}

// The course of the race sets the rider's trainer, over a real node: by the position just sent, within what the trainer
// offers, no longer than two seconds, and not in a pause. What it answers is shown to those who may watch the workout.
func TestTheCourseSetsTheTrainer(t *testing.T) {
	h := openHome(t)
	h.pedal(-3, 24)
	h.mu.Lock()
	set := append([]*livev1.Control(nil), h.set...)
	h.refuse = true
	h.mu.Unlock()
	if len(set) < 12 {
		t.Fatalf("%d settings in 24 s of the ride (%d late)", len(set), h.ride.LateControls())
	}
	steep := false
	for i, c := range set {
		bp, made := c.GetInclineBp(), unit.InstantMs(c.ValidUntilMs-2000)
		second := int(made.Sub(h.gun) / unit.Second)
		course, _ := h.c.GradientBp(max(0, geo.DistanceMm(h.c.Track().Line[0], h.where(max(0, second)))))
		if c.StreamId != h.stream || bp < 0 || bp > 450 || second < 0 || second > 24 || bp > course+25 && bp > 0 {
			t.Errorf("setting %d: %v, made in second %d, where the course has %d bp", i, c, second, course)
		}
		steep = steep || bp == 450
	}
	if !steep {
		t.Errorf("the hill never came: %v", set)
	}
	h.pedal(25, 28)
	h.within(5*time.Second, "the answers are shown", func() bool {
		s := h.shown
		return s != nil && s.Result == "refused" && s.Applied >= 12 && s.Refused >= 1
	})
	h.do(&livev1.Command{Command: &livev1.Command_Pause{Pause: &livev1.Pause{DeviceTimeMs: int64(h.node.Now())}}})
	h.mu.Lock()
	before := len(h.set)
	h.mu.Unlock()
	h.pedal(int(h.node.Now().Sub(h.gun)/unit.Second)+1, int(h.node.Now().Sub(h.gun)/unit.Second)+6)
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.set) - before; n > 1 { // one may have been under way
		t.Errorf("%d settings in a pause", n)
	}
}

// within waits for a condition under mu.
func (h *home) within(d time.Duration, what string, holds func() bool) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); ; <-tick.C {
		h.mu.Lock()
		ok := holds()
		h.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("never: %s (shown %v)", what, h.shown)
		}
	}
}
