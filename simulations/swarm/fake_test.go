package swarm

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	managev1 "paceline/api/gen/paceline/manage/v1"
	"paceline/api/telemetry"
	"paceline/domain/sample"
	"paceline/domain/unit"
)

// fakeNode speaks as much of the live protocol as a device and a viewer need, and forgets nothing.
type fakeNode struct {
	managev1.UnimplementedNodeServiceHandler
	began time.Time

	mu       sync.Mutex
	through  map[string]uint64
	stored   map[string]*sample.Batch
	commands []string
	hellos   int
	refuse   uint64                  // this seq does not count
	board    []*livev1.ServerMessage // what a subscriber is sent
}

const fakeRate = 50 // node seconds in one of the wall

func startFake(t *testing.T) (*fakeNode, *Node) {
	t.Helper()
	f := &fakeNode{began: time.Now(), through: map[string]uint64{}, stored: map[string]*sample.Batch{}}
	mux := http.NewServeMux()
	mux.Handle(managev1.NewNodeServiceHandler(f))
	mux.HandleFunc("/live", f.live)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	n, err := Connect(t.Context(), s.URL, func(subject string) (string, error) { return subject, nil })
	if err != nil {
		t.Fatal(err)
	}
	return f, n
}

func (f *fakeNode) now() unit.InstantMs {
	return gun.Add(unit.DurationMs(time.Since(f.began).Milliseconds() * fakeRate))
}

func (f *fakeNode) GetClock(context.Context, *connect.Request[managev1.GetClockRequest]) (*connect.Response[managev1.GetClockResponse], error) {
	return connect.NewResponse(&managev1.GetClockResponse{NowMs: int64(f.now()), Rate: fakeRate}), nil
}

func (f *fakeNode) live(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"paceline.v1.proto"}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		_, b, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		m := &livev1.ClientMessage{}
		if proto.Unmarshal(b, m) != nil {
			return
		}
		for _, answer := range f.answer(m) {
			b, _ := proto.Marshal(answer)
			if ws.Write(r.Context(), websocket.MessageBinary, b) != nil {
				return
			}
		}
	}
}

func (f *fakeNode) answer(m *livev1.ClientMessage) []*livev1.ServerMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := func(m *livev1.ServerMessage) []*livev1.ServerMessage { return []*livev1.ServerMessage{m} }
	switch m := m.Message.(type) {
	case *livev1.ClientMessage_Hello:
		f.hellos++
		return one(&livev1.ServerMessage{Message: &livev1.ServerMessage_Welcome{Welcome: &livev1.Welcome{ServerTimeMs: int64(f.now()),
			ClientTimeMs: m.Hello.ClockMs, Limits: &livev1.Limits{UnackedWindowFrames: 4}}}})
	case *livev1.ClientMessage_Ping:
		return one(&livev1.ServerMessage{Message: &livev1.ServerMessage_Pong{Pong: &livev1.Pong{T0Ms: m.Ping.T0Ms, T1Ms: int64(f.now()), T2Ms: int64(f.now())}}})
	case *livev1.ClientMessage_Command:
		kind := map[bool]string{true: "start"}[m.Command.GetStartWorkout() != nil]
		if m.Command.GetJoin() != nil {
			kind = "join"
		} else if m.Command.GetFinishWorkout() != nil {
			kind = "finish"
		} else if m.Command.GetLap() != nil {
			kind = "lap"
		}
		f.commands = append(f.commands, kind)
		return one(&livev1.ServerMessage{Message: &livev1.ServerMessage_CommandResult{CommandResult: &livev1.CommandResult{
			CommandId: m.Command.CommandId, Stream: kind, Version: uint64(len(f.commands)), Entry: 7}}})
	case *livev1.ClientMessage_OpenStream:
		id := m.OpenStream.StreamId
		return one(&livev1.ServerMessage{Message: &livev1.ServerMessage_StreamOpened{StreamOpened: &livev1.StreamOpened{StreamId: id, ThroughSeq: f.through[id]}}})
	case *livev1.ClientMessage_Telemetry:
		return one(f.store(m.Telemetry))
	case *livev1.ClientMessage_CloseStream:
		id := m.CloseStream.StreamId
		return one(&livev1.ServerMessage{Message: &livev1.ServerMessage_Ack{Ack: &livev1.Ack{StreamId: id, ThroughSeq: f.through[id]}}})
	case *livev1.ClientMessage_Subscribe:
		return f.board
	}
	return nil
}

func (f *fakeNode) store(t *livev1.Telemetry) *livev1.ServerMessage {
	var b sample.Batch
	if err := telemetry.ToBatch(&b, t); err != nil {
		panic(err)
	}
	id := t.StreamId
	ack := &livev1.Ack{StreamId: id, ThroughSeq: f.through[id]}
	if f.stored[id] == nil {
		f.stored[id] = &sample.Batch{}
	}
	if b.FirstSeq <= f.through[id]+1 && b.LastSeq() > f.through[id] {
		fresh := b.Slice(int(f.through[id]+1-b.FirstSeq), b.Len())
		f.stored[id].Append(&fresh)
		f.through[id] = b.LastSeq()
		ack.ThroughSeq = b.LastSeq()
		if f.refuse >= fresh.FirstSeq && f.refuse <= fresh.LastSeq() {
			ack.Refused = append(ack.Refused, &livev1.RefusedSample{Seq: f.refuse, Reason: "out_of_range"})
		}
	}
	return &livev1.ServerMessage{Message: &livev1.ServerMessage_Ack{Ack: ack}}
}

func fakeDevice(n *Node, samples int) *Device {
	mm := make([]int64, samples)
	for i := range mm {
		mm[i] = int64(i) * 4000
	}
	return &Device{Node: n, Name: "A", User: "u", Device: "u/d", Workout: "w", Stream: "s", Sport: "run", Competition: "c",
		Channels: map[sample.Channel]sample.Trust{sample.DistanceMm: sample.Measured}, Every: 5 * time.Millisecond,
		MaxBackOff: 100 * time.Millisecond, Samples: counted(gun.Add(2*unit.Second), mm...)}
}

// A device sends every sample once its time has come, over holes in the network and drops of the connection, then says
// that the workout is over; what the node has is what it sent.
func TestDeviceSendsEverything(t *testing.T) {
	f, n := startFake(t)
	f.refuse = 10
	d := fakeDevice(n, 60)
	d.Offline = []Span{{20, 40}}
	acks := 0
	d.Prepare(func(time.Duration) { acks++ })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		if d.Entered(ctx) == nil {
			d.Drop()
		}
	}()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if d.Acked() != 60 || d.Sent() != 60 || d.Entry() != 7 || acks == 0 {
		t.Errorf("acked %d, sent %d, entry %d, %d acks measured", d.Acked(), d.Sent(), d.Entry(), acks)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got, want := Digest(f.stored["s"], 60, nil), Digest(d.Samples, 60, nil); got != want {
		t.Error("what the node has is not what the device sent")
	}
	if len(d.Refused()) != 1 || d.Refused()[10] != sample.OutOfRange {
		t.Errorf("refused %v", d.Refused())
	}
	if f.hellos < 2 {
		t.Errorf("%d connections: the network was never away", f.hellos)
	}
	if len(f.commands) != 3 || f.commands[0] != "start" || f.commands[1] != "join" || f.commands[2] != "finish" {
		t.Errorf("commands %v", f.commands)
	}
}

// A device marks laps while it sends, all before it says that the workout is over, and what it was answered is kept.
func TestWhatADeviceWasAnswered(t *testing.T) {
	f, n := startFake(t)
	d := fakeDevice(n, 60)
	d.LapEvery = 20 * time.Millisecond
	d.Prepare(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answered := n.Answered()
	if len(answered) < 5 || len(answered) != len(f.commands) {
		t.Fatalf("answered %v of %v, want some laps", answered, f.commands)
	}
	for i, a := range answered {
		want := "lap"
		switch i {
		case 0:
			want = "start"
		case 1:
			want = "join"
		case len(answered) - 1:
			want = "finish"
		}
		if a.Stream != want || a.Version != uint64(i)+1 || a.Client != d.Device || a.Command == "" {
			t.Errorf("answer %d is %+v, want one to %s with its version", i, a, want)
		}
	}
	if all := n.Spread(1).Answered(); len(all) != len(answered) {
		t.Errorf("the same node by another address has %d answers", len(all))
	}
}

// The answers of the management API are kept under the grain that gave them.
func TestWhatAnOperatorWasAnswered(t *testing.T) {
	var a Answers
	a.managed(&managev1.RegisterUserRequest{CommandId: "1"}, &managev1.RegisterUserResponse{UserId: "u", Version: 1})
	a.managed(&managev1.RegisterDeviceRequest{CommandId: "2"}, &managev1.RegisterDeviceResponse{DeviceId: "u/d", Version: 2})
	a.managed(&managev1.CreateCompetitionRequest{CommandId: "3"}, &managev1.CreateCompetitionResponse{CompetitionId: "c", Version: 3})
	a.managed(&managev1.CommandRequest{CompetitionId: "c", Command: &competitionv1.Command{Call: &clusterv1.Call{CommandId: "4"}}},
		&managev1.CommandResponse{Done: &competitionv1.CommandDone{Version: 4}})
	a.managed(&managev1.GetClockRequest{}, &managev1.GetClockResponse{})
	want := []Answer{{Stream: "user/u", Command: "1", Version: 1}, {Stream: "device/u/d", Command: "2", Version: 2},
		{Stream: "competition/c", Command: "3", Version: 3}, {Stream: "competition/c", Command: "4", Version: 4}}
	if got := a.All(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A device that dies when everything is acknowledged does not say that the workout is over.
func TestDeviceDies(t *testing.T) {
	f, n := startFake(t)
	d := fakeDevice(n, 20)
	d.DieAcked = make(chan struct{})
	d.Prepare(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.DieAcked:
	default:
		t.Error("it has not said that it dies")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Acked() != 20 || len(f.commands) != 2 {
		t.Errorf("acked %d, commands %v", d.Acked(), f.commands)
	}
}

func snapshotOf(epoch, version uint64, rows ...*livev1.BoardRow) *livev1.ServerMessage {
	return &livev1.ServerMessage{Message: &livev1.ServerMessage_Snapshot{Snapshot: &livev1.Snapshot{Topic: "b", Epoch: epoch, Version: version,
		Content: &livev1.Snapshot_Board{Board: &livev1.Board{Rows: rows}}}}}
}

func deltaOf(epoch, base, version uint64, removed uint32, rows ...*livev1.BoardRow) *livev1.ServerMessage {
	return &livev1.ServerMessage{Message: &livev1.ServerMessage_Delta{Delta: &livev1.Delta{Topic: "b", Epoch: epoch, Base: base, Version: version,
		Content: &livev1.Delta_Board{Board: &livev1.Board{Rows: rows, Removed: []uint32{removed}}}}}}
}

// A viewer's board is what snapshot and deltas make of it, and a new viewer's snapshot shows whether it is right.
func TestViewerConverges(t *testing.T) {
	f, n := startFake(t)
	f.board = []*livev1.ServerMessage{
		snapshotOf(1, 5, &livev1.BoardRow{Entry: 1, Place: 1}, &livev1.BoardRow{Entry: 2, Place: 2}, &livev1.BoardRow{Entry: 3, Place: 3}),
		deltaOf(1, 5, 7, 3, &livev1.BoardRow{Entry: 2, Place: 1}, &livev1.BoardRow{Entry: 1, Place: 2}),
	}
	v := &Viewer{Node: n, Topic: "b"}
	both := make(chan struct{})
	frames := 0
	v.onFrame = func(time.Time, *livev1.Board) {
		if frames++; frames == 2 {
			close(both)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	defer func() { cancel(); <-done }()
	select {
	case <-both:
	case <-time.After(10 * time.Second):
		t.Fatal("two frames did not come")
	}
	b := v.Now()
	if len(b.Rows) != 2 || b.Rows[0].Entry != 2 || b.Rows[1].Entry != 1 || b.Version != 7 {
		t.Fatalf("%+v", b)
	}
	f.mu.Lock()
	f.board = []*livev1.ServerMessage{snapshotOf(1, 7, &livev1.BoardRow{Entry: 2, Place: 1}, &livev1.BoardRow{Entry: 1, Place: 2})}
	f.mu.Unlock()
	if d := Converge(ctx, v, 5*time.Second); d != "" {
		t.Errorf("differs: %s", d)
	}
	f.mu.Lock()
	f.board = []*livev1.ServerMessage{snapshotOf(1, 7, &livev1.BoardRow{Entry: 2, Place: 1}, &livev1.BoardRow{Entry: 1, Place: 3})}
	f.mu.Unlock()
	if d := Converge(ctx, v, 300*time.Millisecond); d == "" {
		t.Error("another board is taken for the same")
	}
}

// A viewer that is sent back, or a delta that follows nothing, is found, whatever the client lets through.
func TestViewerNoticesGoingBack(t *testing.T) {
	v := &Viewer{}
	take := func(epoch, version uint64) { v.moved(epoch, version) }
	take(1, 5)
	take(1, 5)
	take(2, 1)
	if c := CheckViewers([]*Viewer{{frames: 1}, v}); c.OK { // it has no frame yet
		t.Error("a viewer that has seen nothing is taken")
	}
	v.frames = 3
	if c := CheckViewers([]*Viewer{v}); !c.OK {
		t.Error(c.Detail)
	}
	take(1, 9)
	if c := CheckViewers([]*Viewer{v}); c.OK {
		t.Error("a viewer has gone back and nobody noticed")
	}
}
