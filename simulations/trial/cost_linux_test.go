package trial

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"paceline/domain/geo"
	"paceline/domain/id"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/internal/testkit"
	"paceline/simulations/swarm"
	"paceline/simulations/swarm/athlete"
)

// What many nodes cost: processor time of node processes, by the kernel, in ratios of one run. One operation is all of it
// (-benchtime 1x). It fails on what is lost, never on time.

const (
	costDevices = 1000
	costRounds  = 3
	// costLead is for all devices to open their streams, settled for the opening to be over, costSeconds are measured.
	costLead, settled, costSeconds = 12 * unit.Second, 3 * unit.Second, 20
)

// BenchmarkFrameAcross: a frame of one sample to the grain of a device on the node that has the socket (near), and on the
// other one (far), with 1,000 devices at 1 Hz; both nodes counted, acknowledged by the store. Bar: far at most 2 × near.
func BenchmarkFrameAcross(b *testing.B) {
	f := costFleet(b, 2)
	node, err := swarm.Connect(b.Context(), f.nodes[0].URL(), f.Token, f.nodes[1].URL())
	if err != nil {
		b.Fatal(err)
	}
	devices := make([]swarm.Device, costDevices)
	if err := swarm.EachOf(len(devices), 32, func(i int) error {
		user, device, err := node.Enrol(b.Context(), i+1)
		devices[i] = swarm.Device{Name: fmt.Sprint("athlete ", i+1), User: user, Device: device, Sport: string(geo.Run), Channels: athlete.Channels(geo.Run)}
		return err
	}); err != nil {
		b.Fatal(err)
	}
	var near, far, ratios []float64
	for round := range costRounds {
		var cost [2]float64
		for turn := range 2 {
			away := (round + turn) % 2
			cost[away] = f.frames(b, node, devices, away)
		}
		near, far, ratios = append(near, cost[0]), append(far, cost[1]), append(ratios, cost[1]/cost[0])
		b.Logf("near %.0f µs, far %.0f µs a frame: %.2f ×", cost[0], cost[1], cost[1]/cost[0])
	}
	b.ReportMetric(middle(near), "near-cpu-µs/frame")
	b.ReportMetric(middle(far), "far-cpu-µs/frame")
	b.ReportMetric(middle(ratios), "×-of-near")
}

// frames lets each device stream a workout from the node that its grain lives on (away 0) or the other one (1), and says what
// a frame costs the two nodes, in microseconds.
func (f *Fleet) frames(b *testing.B, node *swarm.Node, devices []swarm.Device, away int) float64 {
	begin := node.Now().Add(costLead)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var running []*swarm.Device
	var all sync.WaitGroup
	errs := make([]error, len(devices))
	for i := range devices {
		d := &swarm.Device{Name: devices[i].Name, User: devices[i].User, Device: devices[i].Device, Sport: devices[i].Sport, Channels: devices[i].Channels,
			Node:    node.Spread(swarm.OwnerOf(id.Of(id.Device, devices[i].Device), addresses(f.nodes)) + away),
			Workout: node.NewID(), Stream: node.NewID(), Samples: jog(begin.Add(unit.DurationMs(1000*i/len(devices))), costSeconds+10)}
		d.Prepare(nil)
		running = append(running, d)
		all.Go(func() { errs[i] = d.Run(ctx) })
		if i%20 == 0 {
			pass(20 * time.Millisecond) // they do not come all at once
		}
	}
	acked := func() (n uint64) {
		for _, d := range running {
			n += d.Acked()
		}
		return n
	}
	pass(node.Until(begin.Add(settled)))
	n, spent := acked(), f.spent(b)
	pass(costSeconds * time.Second)
	n, spent = acked()-n, f.spent(b)-spent
	all.Wait()
	for i, err := range errs {
		if err != nil {
			b.Error(err)
		} else if got := running[i].Acked(); got != uint64(running[i].Samples.Len()) {
			b.Errorf("%s: %d of %d samples are acknowledged", running[i].Name, got, running[i].Samples.Len())
		}
	}
	if n < uint64(len(devices))*costSeconds*9/10 {
		b.Logf("only %d frames in %d s: the machine is full", n, costSeconds)
	}
	return float64(spent.Microseconds()) / float64(max(n, 1))
}

// jog is a sample a second.
func jog(from unit.InstantMs, seconds int) *sample.Batch {
	s := &sample.Batch{FirstSeq: 1}
	for _, c := range []sample.Channel{sample.DistanceMm, sample.SpeedMmS, sample.HeartRateBpm} {
		s.Columns[c].Grow(seconds)
	}
	for i := range seconds {
		s.AtMs = append(s.AtMs, from.Add(unit.DurationMs(i)*unit.Second))
		s.Columns[sample.DistanceMm].Set(i, int64(i)*3000)
		s.Columns[sample.SpeedMmS].Set(i, 3000)
		s.Columns[sample.HeartRateBpm].Set(i, 140+int64(i%10))
	}
	return s
}

// BenchmarkThreeNodes: the same races and viewers on three nodes, and on one, each on the same store, whose own time is not
// counted. Bar: three together at most 1.6 × one.
func BenchmarkThreeNodes(b *testing.B) {
	var one, three, ratios []float64
	for round := range costRounds {
		var cost [2]float64
		for turn := range 2 {
			which := (round + turn) % 2
			cost[which] = race(b, 1+2*which)
		}
		one, three, ratios = append(one, cost[0]), append(three, cost[1]), append(ratios, cost[1]/cost[0])
		b.Logf("one %.0f µs, three %.0f µs a sample: %.2f ×", cost[0], cost[1], cost[1]/cost[0])
	}
	b.ReportMetric(middle(one), "one-cpu-µs/sample")
	b.ReportMetric(middle(three), "three-cpu-µs/sample")
	b.ReportMetric(middle(ratios), "×-of-one")
}

// race holds races with 1,000 devices and 100 viewers on so many nodes, and says what a sample costs them, in microseconds.
func race(b *testing.B, nodes int) (cost float64) {
	f := costFleet(b, nodes)
	defer func() { _ = f.Close() }()
	node, err := swarm.Connect(b.Context(), f.nodes[0].URL(), f.Token, urls(f.nodes[1:])...)
	if err != nil {
		b.Fatal(err)
	}
	s := swarm.DefaultScenario()
	s.Name, s.Devices, s.Viewers, s.Seconds, s.RampMs = "cost", costDevices, 100, costSeconds+15, 8000
	var once sync.Once
	s.Under = func(ctx context.Context, r swarm.Running) error {
		once.Do(func() { // the races are all under way at the same time
			pass(r.Node.Until(r.Gun.Add(settled)))
			spent := f.spent(b)
			pass(costSeconds * time.Second)
			cost = float64((f.spent(b) - spent).Microseconds()) / (costDevices * costSeconds)
		})
		return nil
	}
	report, err := swarm.Run(b.Context(), node, s, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range report.Checks {
		if !c.OK {
			b.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	b.Logf("%d nodes: %.0f µs a sample, acknowledgements %+v", nodes, cost, report.Ack)
	return cost
}

func costFleet(b testing.TB, nodes int) *Fleet {
	b.Helper()
	hosts := testkit.CQLHosts(b)
	keyspace := "cost_" + strings.ToLower(rand.Text()[:12])
	b.Cleanup(func() { drop(b, hosts, keyspace) })
	f, err := NewFleet(b.Context(), Wanted{Binary: build(b), Folder: b.TempDir(), Nodes: nodes, Hosts: hosts, Keyspace: keyspace})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	if err := f.Start(b.Context(), f.nodes...); err != nil {
		b.Fatal(err)
	}
	if nodes > 1 {
		if err := f.Agree(b.Context(), f.nodes...); err != nil {
			b.Fatal(err)
		}
	}
	return f
}

// spent is the processor time of all nodes' processes.
func (f *Fleet) spent(b *testing.B) (all time.Duration) {
	for _, p := range f.nodes {
		all += spentBy(b, p.cmd.Process.Pid)
	}
	return all
}

// spentBy is the processor time of a process so far.
func spentBy(b *testing.B, pid int) (all time.Duration) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Error(err)
		return 0
	}
	// Behind the name, which may hold anything, utime and stime are the 12th and 13th word, in hundredths of a second.
	words := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, w := range words[11:13] {
		ticks, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			b.Error(err)
		}
		all += time.Duration(ticks) * 10 * time.Millisecond
	}
	return all
}

// pass is time that is measured, not a condition that is waited for.
func pass(d time.Duration) { <-time.NewTimer(d).C }

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkTenThousandGrains: 5,000 devices have streamed a workout over three nodes, so there are as many trainings, with
// checkpoints. One node is killed, and all 10,000 are asked by another until each has answered. Bar: 5 s.
func BenchmarkTenThousandGrains(b *testing.B) {
	const devices = 5000
	f := costFleet(b, 3)
	node, err := swarm.Connect(b.Context(), f.nodes[0].URL(), f.Token, urls(f.nodes[1:])...)
	if err != nil {
		b.Fatal(err)
	}
	r := &Round{Fleet: f, outcome: &Outcome{}}
	r.watch.Devices = make([]*swarm.Device, devices)
	lost := 0
	began := time.Now()
	var mu sync.Mutex
	if err := swarm.EachOf(devices, 48, func(i int) error {
		user, device, err := node.Enrol(b.Context(), i+1)
		if err != nil {
			return err
		}
		d := &swarm.Device{Node: node.Spread(i), Name: fmt.Sprint("athlete ", i+1), User: user, Device: device, Workout: node.NewID(), Stream: node.NewID(),
			Sport: string(geo.Run), Channels: athlete.Channels(geo.Run), Samples: jog(node.Now().Add(-30*unit.Second), 20)}
		d.Prepare(nil)
		mu.Lock()
		r.watch.Devices[i] = d
		if swarm.OwnerOf(id.Of(id.Device, device), addresses(f.nodes)) == 2 {
			lost += 2
		}
		mu.Unlock()
		return d.Run(b.Context())
	}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d workouts in %v", devices, time.Since(began).Round(time.Second))
	r.began = time.Now()
	f.nodes[2].Kill()
	if err := r.answer(b.Context(), f.nodes[2]); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d of %d grains lived on the killed node: all answer after %v", lost, 2*devices, r.outcome.Grains.Round(time.Millisecond))
	b.ReportMetric(r.outcome.Grains.Seconds(), "s-to-10,000")
	b.ReportMetric(float64(lost), "grains-lost")
}
