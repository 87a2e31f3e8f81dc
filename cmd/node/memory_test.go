package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	devicev1 "paceline/api/gen/paceline/device/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	liveclient "paceline/api/live"
	"paceline/api/telemetry"
	"paceline/domain/sample"
	"paceline/domain/unit"
	"paceline/gateway/session"
	"paceline/gateway/wire"
	"paceline/internal/testkit"
	"paceline/persistence"
	"paceline/persistence/faulty"
	"paceline/simulations/swarm"
)

// TestMemoryWhileTheStoreIsAway: clients that obey nobody send as much as they can to a node whose store answers nothing.
// What the node holds for them stays within what its settings say.
func TestMemoryWhileTheStoreIsAway(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		const cacheMB, memtableMB = 8, 1
		data := filepath.Join(t.TempDir(), "data")
		var rows *faulty.Rows
		s := serveOver(t, func(r persistence.Rows) persistence.Rows {
			rows = faulty.Over(r)
			return rows
		}, append([]string{"--data-dir", data, "--store-cache-mb", fmt.Sprint(cacheMB), "--store-memtable-mb", fmt.Sprint(memtableMB)}, floodFlags...)...)
		floodsAway(t, s, data, (cacheMB+4*memtableMB+copiesHeld*floodHeldMB)<<20, func() { rows.Set(faulty.Weather{Hangs: true}) }, func() { rows.Set(faulty.Weather{}) })
	})
	t.Run("cql", func(t *testing.T) {
		if os.Getenv(longOutage) == "" {
			t.Skip("takes more than a minute: runs in make test-all, or with " + longOutage + "=15s")
		}
		p := newCQLPlace(t)
		p.migrate()
		proxy := testkit.NewCQLProxy(t, testkit.CQLHosts(t)[0])
		p.flags = []string{"--cql-hosts", proxy.Addr(), "--cql-keyspace", p.keyspace}
		data := filepath.Join(t.TempDir(), "data")
		s := p.serve(data, floodFlags...)
		floodsAway(t, s, data, copiesHeld*floodHeldMB<<20, proxy.Freeze, proxy.Thaw)
	})
}

const floodClients, floodUnackedMB, floodHeldMB = 24, 1, 1

var floodFlags = []string{"--store-held-mb", fmt.Sprint(floodHeldMB), "--clock-rate", "100", "--unacked-mb", fmt.Sprint(floodUnackedMB), "--log-level", "error"}

// floodsAway lets them come while the store is away. storeBytes is what the store itself may hold.
func floodsAway(t *testing.T, s serving, data string, storeBytes uint64, begin, end func()) {
	t.Helper()
	node, err := swarm.Connect(t.Context(), s.url, func(subject string) (string, error) {
		code, token, errs := paceline(t, "token", subject, "--data-dir", data)
		if code != 0 {
			return "", fmt.Errorf("token: %s", errs)
		}
		return strings.TrimSpace(token), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	frames := bigFrames(t, node.Now())
	var opened sync.WaitGroup
	var floods []*flood
	for i := range floodClients { // all before the first one sends: it leaves no room for anything else
		floods = append(floods, newFlood(t, node, i))
	}
	for _, f := range floods {
		opened.Add(1)
		all.Go(func() { f.run(ctx, frames, opened.Done) })
	}
	opened.Wait()
	before := heap()
	begin()
	limit := storedAwayBytes(floodUnackedMB, floodClients, storeBytes)
	var most, mostUnder, full uint64
	began := time.Now()
	for time.Since(began) < outage(t) || full == 0 && time.Since(began) < 3*outage(t) {
		m := get(t, s.url+"/metrics")
		mostUnder, full = max(mostUnder, gauge(t, m, "paceline_ws_under_bytes")), gauge(t, m, "paceline_ws_no_room_total")
		if now := heap(); now > before {
			most = max(most, now-before)
		}
	}
	t.Logf("%d clients: %d KiB of frames under way (bound %d), %d frames without room, %d KiB more memory (bound %d)", floodClients, mostUnder>>10, floodUnackedMB<<10, full, most>>10, limit>>10)
	if mostUnder > floodUnackedMB<<20 {
		t.Errorf("%d bytes of frames are under way, want at most %d", mostUnder, floodUnackedMB<<20)
	}
	if full == 0 {
		t.Error("the bound was not reached: the test shows nothing")
	}
	if most > limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", most, limit)
	}
	end()
	if !soon(time.Minute, func() bool { return gauge(t, get(t, s.url+"/metrics"), "paceline_store_behind_seconds") == 0 }) {
		t.Error("the node does not get well")
	}
}

// storedAwayBytes is what a node may hold for so many connections while its store is away, as docs/bounds.md says it.
func storedAwayBytes(unackedMB, connections int, storeBytes uint64) uint64 {
	return uint64(unackedMB<<20)*perWireByte + uint64(connections)*perConnection() + storeBytes
}

// copiesHeld of --store-held-mb: three kinds of operations, each with what it carries and what the driver makes of it.
const copiesHeld = 3 * 2

// perWireByte is how much a byte of telemetry can become: a number of one byte is eight in the decoded message and eight in
// the columns that wait for the store.
const perWireByte = 1 + 8 + 8

// perConnection is what a connection may hold beside its frames under way: one frame being read, the requests that are no
// frames (each has a message of at most a frame's size, in practice some hundred bytes), and answers that wait to be written.
func perConnection() uint64 {
	cfg := session.Default()
	return wire.MaxFrameBytes*perWireByte + uint64(cfg.MaxRequests+cfg.MaxCommands)*4<<10 + 256<<10
}

// heap is what is held. What is allocated while the collector marks counts as held until the next time, on a busy machine tens
// of megabytes of what clients and node have long let go of; the least of a few collections does not have it.
func heap() uint64 {
	least := ^uint64(0)
	for range 3 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		least = min(least, m.HeapAlloc)
	}
	return least
}

func gauge(t *testing.T, metrics, name string) uint64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		t.Fatalf("no %s", name)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(v)
}

// bigFrames are as large as frames may be: many channels, as many samples as a frame may have.
func bigFrames(t *testing.T, from unit.InstantMs) [][]byte {
	t.Helper()
	var frames [][]byte
	for i := range 64 {
		b := &sample.Batch{FirstSeq: uint64(i*sample.MaxBatch) + 1}
		for k := range sample.MaxBatch {
			b.AtMs = append(b.AtMs, from.Add(unit.DurationMs(1000*(i*sample.MaxBatch+k))))
		}
		for _, ch := range floodChannels {
			b.Columns[ch].Grow(sample.MaxBatch)
			for k := range sample.MaxBatch {
				b.Columns[ch].Set(k, int64(100+k%100))
			}
		}
		m := &livev1.Telemetry{}
		telemetry.FromBatch(m, "flood", b)
		bytes, err := proto.Marshal(&livev1.ClientMessage{Message: &livev1.ClientMessage_Telemetry{Telemetry: m}})
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, bytes)
	}
	return frames
}

var floodChannels = []sample.Channel{sample.HeartRateBpm, sample.PowerW, sample.SpeedMmS, sample.DistanceMm}

// flood is a client that sends without listening.
type flood struct {
	node                   *swarm.Node
	token, device, workout string
	opened                 bool
}

func newFlood(t *testing.T, node *swarm.Node, i int) *flood {
	t.Helper()
	name := fmt.Sprintf("flood-%d", i)
	user := must[managev1.RegisterUserResponse](t)(node.Users.RegisterUser(t.Context(), connect.NewRequest(&managev1.RegisterUserRequest{
		Profile: &userv1.Profile{Handle: name, Name: name}}))).UserId
	device := must[managev1.RegisterDeviceResponse](t)(node.Devices.RegisterDevice(t.Context(), connect.NewRequest(&managev1.RegisterDeviceRequest{
		Device: &devicev1.Registered{Owner: user, Name: name}}))).DeviceId
	token, err := node.Token("athlete:" + user)
	if err != nil {
		t.Fatal(err)
	}
	return &flood{node: node, token: token, device: device, workout: node.NewID()}
}

// run comes back whenever it is thrown out.
func (f *flood) run(ctx context.Context, frames [][]byte, opened func()) {
	for ctx.Err() == nil {
		f.once(ctx, frames, func() {
			if !f.opened {
				f.opened = true
				opened()
			}
		})
	}
}

func (f *flood) once(ctx context.Context, frames [][]byte, opened func()) {
	c, _, err := websocket.Dial(ctx, f.node.Live(), &websocket.DialOptions{Subprotocols: []string{liveclient.Proto}})
	if err != nil {
		return
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(1 << 20)
	say := func(m *livev1.ClientMessage) {
		if b, err := proto.Marshal(m); err == nil {
			_ = c.Write(ctx, websocket.MessageBinary, b)
		}
	}
	say(&livev1.ClientMessage{Message: &livev1.ClientMessage_Hello{Hello: &livev1.Hello{Token: f.token}}})
	say(&livev1.ClientMessage{Message: &livev1.ClientMessage_Command{Command: &livev1.Command{CommandId: f.node.NewID(), WorkoutId: f.workout,
		Command: &livev1.Command_StartWorkout{StartWorkout: &livev1.StartWorkout{Sport: "run", Zone: "Etc/UTC", DeviceTimeMs: int64(f.node.Now())}}}}})
	open := &livev1.OpenStream{DeviceId: f.device, StreamId: "flood", WorkoutId: f.workout, Clock: livev1.ClockKind_CLOCK_KIND_GNSS, DeviceTimeMs: int64(f.node.Now())}
	for _, ch := range floodChannels {
		open.Channels = append(open.Channels, &livev1.ChannelSpec{Channel: livev1.Channel(ch), Trust: livev1.Trust_TRUST_MEASURED})
	}
	heard, ready := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(heard)
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				return
			}
			var m livev1.ServerMessage
			if proto.Unmarshal(b, &m) != nil {
				return
			}
			switch {
			case m.GetCommandResult() != nil:
				say(&livev1.ClientMessage{Message: &livev1.ClientMessage_OpenStream{OpenStream: open}})
			case m.GetStreamOpened() != nil:
				opened()
				select {
				case ready <- struct{}{}:
				default:
				}
			}
		}
	}()
	select {
	case <-ready:
	case <-heard:
	case <-ctx.Done():
	case <-time.After(2 * time.Second): // also a stream that is not open can be flooded
	}
	for i := 0; ; i++ {
		select {
		case <-heard:
			return
		default:
		}
		if c.Write(ctx, websocket.MessageBinary, frames[i%len(frames)]) != nil {
			return
		}
	}
}

// soon waits for a condition.
func soon(within time.Duration, holds func() bool) bool {
	deadline := time.After(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}
