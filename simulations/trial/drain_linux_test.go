package trial

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "paceline/api/gen/paceline/device/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
	"paceline/simulations/swarm/athlete"
)

// drainGrains is how many grains the node that leaves has: a third of them people, devices and workouts each.
const drainGrains = "PACELINE_DRAIN_GRAINS"

// leavesWithin is what a node without clients may take: its --drain-within, and to end.
const leavesWithin = 10*time.Second + 3*time.Second

// TestAFullNodeLeaves: one of three nodes has thousands of active grains, each in the middle of something: streams are open,
// workouts under way and not checkpointed. Asked to leave it ends within its deadline, with no grain left, and all of them
// answer on the other two.
func TestAFullNodeLeaves(t *testing.T) {
	grains := 600
	if text := os.Getenv(drainGrains); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		grains = n
	}
	f := costFleet(t, 3)
	full := f.nodes[1]
	node, err := swarm.Connect(t.Context(), f.nodes[0].URL(), f.Token, f.nodes[2].URL())
	if err != nil {
		t.Fatal(err)
	}
	r := &Round{Fleet: f, outcome: &Outcome{}}
	r.watch.Devices = make([]*swarm.Device, (grains+2)/3)
	began := time.Now()
	if err := swarm.EachOf(len(r.watch.Devices), 32, func(i int) (err error) {
		r.watch.Devices[i], err = startOn(t.Context(), f, node, full, i)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	active, err := full.counter("paceline_grains_active")
	if err != nil || active < uint64(grains) {
		t.Fatalf("%d grains are active on %s, want %d: %v", active, full.name, grains, err)
	}
	t.Logf("%d grains are active on %s after %v", active, full.name, time.Since(began).Round(time.Second))

	r.began = time.Now()
	if err := full.Leave(t.Context()); err != nil { // not zero if its grains had not ended in time
		t.Fatal(err)
	}
	left := time.Since(r.began)
	if left > leavesWithin {
		t.Errorf("%s left after %v, want %v", full.name, left, leavesWithin)
	}
	if n := full.count("did not end in time"); n != 0 {
		t.Errorf("%d grains had to be ended", n)
	}
	if err := r.answer(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if err := swarm.EachOf(len(r.watch.Devices), atOnce, func(i int) error {
		return until(t.Context(), backWithin, func() error {
			_, err := node.Users.GetUser(t.Context(), connect.NewRequest(&managev1.GetUserRequest{UserId: r.watch.Devices[i].User}))
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("it left after %v; %d devices and workouts answer on the others %v after it was asked, the people %v", left.Round(10*time.Millisecond),
		2*len(r.watch.Devices), r.outcome.Grains.Round(10*time.Millisecond), time.Since(r.began).Round(10*time.Millisecond))
}

// startOn is an athlete whose grains live on a node, in the middle of a workout.
func startOn(ctx context.Context, f *Fleet, node *swarm.Node, on *Process, i int) (*swarm.Device, error) {
	user := ""
	for n := 0; user == ""; n++ {
		if name := fmt.Sprintf("runner-%d-%d", i, n); f.nodes[swarm.OwnerOf(id.Of(id.User, name), addresses(f.nodes))] == on {
			user = name
		}
	}
	if _, err := node.Users.RegisterUser(ctx, connect.NewRequest(&managev1.RegisterUserRequest{CommandId: node.NewID(), UserId: user,
		Profile: &userv1.Profile{Handle: user, Name: user}})); err != nil {
		return nil, err
	}
	reg, err := node.Devices.RegisterDevice(ctx, connect.NewRequest(&managev1.RegisterDeviceRequest{CommandId: node.NewID(),
		Device: &devicev1.Registered{Owner: user, Name: "watch", Model: "swarm"}}))
	if err != nil {
		return nil, err
	}
	d := &swarm.Device{Node: node.Spread(i), Name: user, User: user, Device: reg.Msg.DeviceId, Workout: node.NewID(), Stream: node.NewID(),
		Sport: string(geo.Run), Channels: athlete.Channels(geo.Run), Samples: jog(node.Now().Add(-30*unit.Second), 20), DieAcked: make(chan struct{})}
	d.Prepare(nil)
	return d, d.Run(ctx)
}
