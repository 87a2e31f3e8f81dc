package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	liveclient "paceline/api/live"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm"
)

// backlog is people whose devices have old data, many streams of it, that nobody waits for: once put it comes all at once.
type backlog struct {
	node    *swarm.Node
	people  int
	each    int // streams
	clients []*liveclient.Client
	specs   []*livev1.OpenStream
	streams []*liveclient.Stream
}

func newBacklog(t *testing.T, node *swarm.Node, people, each int) *backlog {
	t.Helper()
	b := &backlog{node: node, people: people, each: each}
	for i := range people {
		name := fmt.Sprintf("late-%d", i)
		user := must[managev1.RegisterUserResponse](t)(node.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
			Profile: &userv1.Profile{Handle: name, Name: name}}))).UserId
		device := must[managev1.RegisterDeviceResponse](t)(node.Devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
			Device: &devicev1.Registered{Owner: user, Name: name}}))).DeviceId
		b.clients = append(b.clients, liveclient.New(liveclient.Config{URL: node.Live(), Name: "paceline-late", Clock: node.Now, Frame: sample.MaxBatch,
			Token: func(context.Context) (string, error) { return node.Token("athlete:" + user) }}))
		workout := node.NewID()
		for range each {
			b.specs = append(b.specs, &livev1.OpenStream{DeviceId: device, StreamId: node.NewID(), WorkoutId: workout, PersonId: user, Clock: livev1.ClockKind_CLOCK_KIND_GNSS,
				Channels: []*livev1.ChannelSpec{{Channel: livev1.Channel(sample.HeartRateBpm), Trust: livev1.Trust_TRUST_MEASURED}}})
		}
	}
	return b
}

// open connects everybody and opens all streams, before the weather.
func (b *backlog) open(t *testing.T, said *output) {
	t.Helper()
	for i, c := range b.clients {
		go func() { _ = c.Run(t.Context()) }()
		mine := b.specs[i*b.each : (i+1)*b.each]
		if _, err := c.Do(t.Context(), &livev1.Command{WorkoutId: mine[0].WorkoutId, Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{
			Sport: "run", Zone: "Etc/UTC", DeviceTimeMs: int64(b.node.Now())}}}); err != nil {
			t.Fatal(err)
		}
		for _, spec := range mine {
			s := c.Stream(spec, nil)
			b.streams = append(b.streams, s)
			one := heartRates(b.node.Now(), 1)
			if err := s.Put(one); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, s := range b.streams {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		err := s.Wait(ctx, 1)
		cancel()
		if err != nil {
			t.Fatalf("stream %d of old data of %d does not open: %v: %d of them have; throttled %d times; the node said: %s", i, len(b.streams), err, b.begun(), b.clients[i/b.each].Held(), said)
		}
	}
}

// begun is how many streams have something that is stored.
func (b *backlog) begun() (n int) {
	for _, s := range b.streams {
		if s.Acked() > 0 {
			n++
		}
	}
	return n
}

// oldSamples of a stream are one frame of old data: 31 more follow it, so that the client calls it old.
const oldSamples = sample.MaxBatch + 31

// put hands over everything.
func (b *backlog) put(t *testing.T, now unit.InstantMs) {
	t.Helper()
	for _, s := range b.streams {
		if err := s.Put(heartRates(now.Add(unit.Second), oldSamples)); err != nil {
			t.Error(err)
		}
	}
}

// waiting is how many streams have old data that is not stored.
func (b *backlog) waiting() (n int) {
	for _, s := range b.streams {
		if s.Acked() < 1+sample.MaxBatch {
			n++
		}
	}
	return n
}

func heartRates(from unit.InstantMs, n int) *sample.Batch {
	b := &sample.Batch{}
	b.Columns[sample.HeartRateBpm].Grow(n)
	for i := range n {
		b.AtMs = append(b.AtMs, from.Add(unit.DurationMs(i)*100))
		b.Columns[sample.HeartRateBpm].Set(i, 120)
	}
	return b
}
