package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/api/live"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/simulations/swarm/athlete"
)

// Span is indices of samples, half open.
type Span struct{ From, To int }

// Device is one athlete's device in a race: it starts the workout, opens its stream, joins, sends each sample when
// the node's clock passes it, sends again what is not acknowledged, and says when the workout is over.
type Device struct {
	// What it is; set before Run.
	Node        *Node
	Name        string // the athlete's
	User        string
	Device      string // "<user>/<id>"
	Workout     string
	Stream      string
	Sport       string
	Competition string
	Channels    map[sample.Channel]sample.Trust
	Samples     *sample.Batch    // by the device's clock; FirstSeq 1
	Offline     []Span           // without network: kept, and sent later
	Clock       livev1.ClockKind // what sets the device's clock; unspecified: satellites
	Ahead       unit.DurationMs  // of the device's clock before the node's; the samples' times are the device's
	Every       time.Duration    // least time between two frames
	MaxBackOff  time.Duration
	LapEvery    time.Duration // marks a lap, by the wall, while it sends; 0: none
	Log         *slog.Logger
	Trainer     *athlete.Trainer // that the athlete rides on, and that the node may set; nil: none
	// DieAcked, if it is set, is closed when everything is acknowledged; then the device is gone for good, without
	// having said that the workout is over.
	DieAcked chan struct{}

	client   atomic.Pointer[live.Client]
	entered  chan struct{}
	enterErr error
	offline  atomic.Bool
	sent     atomic.Uint64
	acked    atomic.Uint64
	entry    atomic.Uint32
	connects atomic.Int32
	dead     atomic.Bool

	mu      sync.Mutex
	flying  []flight // handed over and not acknowledged, in order
	refused map[uint64]sample.Refusal
	acks    func(time.Duration)
}

// flight is when the samples through seq were due.
type flight struct {
	seq uint64
	due time.Time
}

// errDied is the end of a device that was told to die.
var errDied = errors.New("the device has died")

// Prepare makes a device ready to Run. acks, which may be nil, takes the time from due to acknowledged.
func (d *Device) Prepare(acks func(time.Duration)) {
	d.entered = make(chan struct{})
	d.refused = map[uint64]sample.Refusal{}
	d.acks = acks
	if d.Every == 0 {
		d.Every = 50 * time.Millisecond
	}
	if d.MaxBackOff == 0 {
		d.MaxBackOff = 5 * time.Second
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
}

// Entered waits until the device has joined the race.
func (d *Device) Entered(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.entered:
		return d.enterErr
	}
}

// Entry is the number in the race.
func (d *Device) Entry() uint32 { return d.entry.Load() }

// Sent is through which seq samples were handed to the client.
func (d *Device) Sent() uint64 { return d.sent.Load() }

// Acked is through which seq the node has acknowledged.
func (d *Device) Acked() uint64 { return d.acked.Load() }

// Connects is how often the device has been welcomed.
func (d *Device) Connects() int { return int(d.connects.Load()) }

// Held is how often the node has asked the device to keep its data for a while.
func (d *Device) Held() int {
	if c := d.client.Load(); c != nil {
		return c.Held()
	}
	return 0
}

// Die ends the device for good, as an empty battery would: nothing more is sent, not even a goodbye.
func (d *Device) Die() { d.dead.Store(true) }

// Dead reports a device that was told to die.
func (d *Device) Dead() bool { return d.dead.Load() }

// NoNetwork reports that the recording has no network just now.
func (d *Device) NoNetwork() bool { return d.offline.Load() }

// Drop ends the present connection as a failing network would; the device comes back.
func (d *Device) Drop() {
	if c := d.client.Load(); c != nil {
		c.Drop()
	}
}

// Refused is the samples that the node said do not count.
func (d *Device) Refused() map[uint64]sample.Refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[uint64]sample.Refusal, len(d.refused))
	for k, v := range d.refused {
		out[k] = v
	}
	return out
}

// Run is the device's whole race. A device that has died returns nil.
func (d *Device) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := live.New(live.Config{URL: d.Node.Live(), Also: d.Node.AlsoLive(), Name: "paceline-swarm", Clock: d.now, BackOffMax: d.MaxBackOff, Log: d.Log,
		Token: func(context.Context) (string, error) { return d.Node.Token("athlete:" + d.User) },
		HTTP:  &http.Client{Transport: &http.Transport{DialContext: d.dial, DisableKeepAlives: true}}})
	d.client.Store(c)
	ran := make(chan error, 1)
	go func() {
		ran <- c.Run(ctx)
		cancel()
	}()
	err := d.race(ctx, c)
	cancel()
	end := <-ran
	switch {
	case errors.Is(err, errDied):
		return nil
	case err != nil && end != nil && !errors.Is(end, context.Canceled):
		return fmt.Errorf("swarm: %s: %w", d.Name, end)
	case err != nil:
		return fmt.Errorf("swarm: %s: %w", d.Name, err)
	}
	return nil
}

// dial fails while there is no network.
func (d *Device) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.offline.Load() {
		return nil, errors.New("no network")
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (d *Device) race(ctx context.Context, c *live.Client) error {
	s, err := d.enter(ctx, c)
	d.enterErr = err
	close(d.entered)
	if err != nil {
		return err
	}
	laps := d.laps(ctx, c)
	if err := d.sendAll(ctx, c, s); err != nil {
		return err
	}
	if err := laps(); err != nil {
		return err
	}
	if err := d.allAcked(ctx, c, s); err != nil {
		return err
	}
	if d.DieAcked != nil {
		d.dead.Store(true)
		close(d.DieAcked)
		return errDied
	}
	last := s.LastSeq()
	at := d.Samples.AtMs[d.Samples.Len()-1]
	if err := s.Close(ctx); err != nil {
		return err
	}
	_, err = d.do(ctx, c, &livev1.Command{WorkoutId: d.Workout, Command: &livev1.Command_FinishWorkout{FinishWorkout: &livev1.FinishWorkout{
		DeviceTimeMs: int64(at), Streams: []*livev1.StreamEnd{{StreamId: d.Stream, LastSeq: last}}}}})
	if err != nil {
		return fmt.Errorf("finish the workout: %w", err)
	}
	return nil
}

// do gives a command and keeps what it was answered. A device gives one after the other.
func (d *Device) do(ctx context.Context, c *live.Client, cmd *livev1.Command) (*livev1.CommandResult, error) {
	r, err := c.Do(ctx, cmd)
	if err == nil {
		d.Node.answered.Add(Answer{Client: d.Device, Stream: r.Stream, Command: r.CommandId, Version: r.Version})
	}
	return r, err
}

// laps marks laps until the returned function is called, which waits for the answer to the last one.
func (d *Device) laps(ctx context.Context, c *live.Client) (enough func() error) {
	if d.LapEvery <= 0 {
		return func() error { return nil }
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(d.LapEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			case <-stop:
				ended <- nil
				return
			case <-tick.C:
			}
			if _, err := d.do(ctx, c, &livev1.Command{WorkoutId: d.Workout, Command: &livev1.Command_Lap{Lap: &livev1.Lap{DeviceTimeMs: int64(d.now())}}}); err != nil {
				ended <- fmt.Errorf("mark a lap: %w", err)
				return
			}
		}
	}()
	return func() error {
		close(stop)
		return <-ended
	}
}

func (d *Device) enter(ctx context.Context, c *live.Client) (*live.Stream, error) {
	if _, err := d.do(ctx, c, &livev1.Command{WorkoutId: d.Workout, Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{
		Sport: d.Sport, Zone: "Etc/UTC", DeviceTimeMs: int64(d.now())}}}); err != nil {
		return nil, fmt.Errorf("start the workout: %w", err)
	}
	open := &livev1.OpenStream{DeviceId: d.Device, StreamId: d.Stream, WorkoutId: d.Workout, PersonId: d.User,
		Clock: cmp.Or(d.Clock, livev1.ClockKind_CLOCK_KIND_GNSS), Sport: d.Sport, Control: d.offer()}
	for ch := sample.Channel(1); ch < sample.Channels; ch++ {
		if trust, ok := d.Channels[ch]; ok {
			open.Channels = append(open.Channels, &livev1.ChannelSpec{Channel: livev1.Channel(ch), Trust: livev1.Trust(trust)})
		}
	}
	s := c.Stream(open, d.onAck)
	if d.Trainer != nil {
		s.OnControl(d.onControl)
	}
	if d.Competition == "" {
		return s, nil
	}
	r, err := d.do(ctx, c, &livev1.Command{WorkoutId: d.Workout, Command: &livev1.Command_Join{Join: &livev1.Join{
		CompetitionId: d.Competition, PrimaryStreamId: d.Stream}}})
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	d.entry.Store(r.Entry)
	return s, nil
}

// sendAll hands every sample to the client when its time has come.
func (d *Device) sendAll(ctx context.Context, c *live.Client, s *live.Stream) error {
	b := d.Samples
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for from := 0; from < b.Len(); {
		timer.Reset(max(d.Every, d.until(b.AtMs[from])))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if d.dead.Load() {
			return errDied
		}
		d.look(c, s)
		now := d.now()
		to := from
		for to < b.Len() && to-from < sample.MaxBatch && b.AtMs[to] <= now {
			to++
		}
		d.network(c, to)
		if to == from {
			continue
		}
		part := b.Slice(from, to)
		if err := s.Put(&part); errors.Is(err, live.ErrBufferFull) {
			continue
		} else if err != nil {
			return err
		}
		d.handed(uint64(to), b, to-1)
		from = to
	}
	d.offline.Store(false)
	return nil
}

func (d *Device) handed(seq uint64, b *sample.Batch, i int) {
	d.sent.Store(seq)
	if d.offline.Load() {
		return // how long a device has no network is no latency
	}
	due := time.Now().Add(min(0, d.until(b.AtMs[i])))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flying = append(d.flying, flight{seq, due})
}

// network switches the network off and on by the recording.
func (d *Device) network(c *live.Client, next int) {
	off := slices.ContainsFunc(d.Offline, func(s Span) bool { return next >= s.From && next < s.To })
	if off && !d.offline.Swap(true) {
		c.Drop()
	}
	if !off {
		d.offline.Store(false)
	}
}

// look notes what the client knows.
func (d *Device) look(c *live.Client, s *live.Stream) {
	d.acked.Store(s.Acked())
	d.connects.Store(int32(c.Connects()))
}

func (d *Device) allAcked(ctx context.Context, c *live.Client, s *live.Stream) error {
	tick := time.NewTicker(d.Every)
	defer tick.Stop()
	for {
		d.look(c, s)
		if d.dead.Load() {
			return errDied
		}
		if s.Acked() >= s.LastSeq() {
			return nil
		}
		short, cancel := context.WithTimeout(ctx, d.Every)
		err := s.Wait(short, s.LastSeq())
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

var refusals = func() map[string]sample.Refusal {
	m := map[string]sample.Refusal{}
	for r := sample.OutOfRange; r.String() != "unknown"; r++ {
		m[r.String()] = r
	}
	return m
}()

// onAck runs in the client's read loop and must not call the client.
func (d *Device) onAck(a *livev1.Ack) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range a.Refused {
		d.refused[r.Seq] = refusals[r.Reason]
	}
	for len(d.flying) > 0 && d.flying[0].seq <= a.ThroughSeq {
		if d.acks != nil {
			d.acks(now.Sub(d.flying[0].due))
		}
		d.flying = d.flying[1:]
	}
	d.acked.Store(max(d.acked.Load(), a.ThroughSeq))
}
