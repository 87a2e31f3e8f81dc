//go:build !race

package cluster

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/link"
	"paceline/cluster/port"
)

// tape is a proxy on loopback that keeps what goes through it towards a place.
type tape struct {
	listener net.Listener
	to       atomic.Pointer[string]

	mu            sync.Mutex
	conversations []*[]byte // what those who came said, one a connection
}

func newTape(t *testing.T) *tape {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tape{listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(c)
		}
	}()
	return p
}

func (p *tape) address() string { return p.listener.Addr().String() }

func (p *tape) carry(c net.Conn) {
	defer c.Close()
	to := p.to.Load()
	if to == nil {
		return
	}
	there, err := net.Dial("tcp", *to)
	if err != nil {
		return
	}
	defer there.Close()
	go func() {
		defer c.Close()
		_, _ = io.Copy(c, there)
	}()
	said := new([]byte)
	p.mu.Lock()
	p.conversations = append(p.conversations, said)
	p.mu.Unlock()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		p.mu.Lock()
		*said = append(*said, b[:n]...)
		p.mu.Unlock()
		if _, sent := there.Write(b[:n]); err != nil || sent != nil {
			return
		}
	}
}

// said is what went through so far.
func (p *tape) said() (all [][]byte, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conversations {
		all = append(all, append([]byte(nil), *c...))
		bytes += len(*c)
	}
	return all, bytes
}

// TestAReplayedCapture: what members have really said to each other, on both ports, said again by somebody else, whole
// and cut off, many times: it opens nothing, and nobody notices.
func TestAReplayedCapture(t *testing.T) {
	nodes, gossips := newTape(t), newTape(t)
	b := fortified(t, func(i int, c *Config) {
		if i == 0 { // others reach the first one's port through the tape
			c.Port = freePort(t)
			c.Advertise = nodes.address()
			to := fmt.Sprintf("127.0.0.1:%d", c.Port)
			nodes.to.Store(&to)
			return
		}
		to := c.Many.Gossip.Seeds[0]
		gossips.to.Store(&to)
		c.Many.Gossip.Seeds = []string{gossips.address()}
	})
	calls, n := nodes.said()
	if n < 5000 {
		t.Fatalf("%d bytes were recorded between members, want a conversation", n)
	}
	joins, n := gossips.said()
	if n < 200 {
		t.Fatalf("%d bytes of gossip were recorded, want a join", n)
	}
	taken, strangers := b.all[0].Link().Counts().Taken.Load(), b.all[0].Filter().Counts().Strangers.Load()
	passed := b.all[0].Filter().Counts().Passed.Load()
	direct := *nodes.to.Load()
	crowdOf(4, func(r *rand.Rand) {
		for i := range 50 {
			c := calls[i%len(calls)]
			utter(direct, c)
			utter(direct, c[:r.IntN(len(c))])
		}
	})
	b.withstood("a replay of 400 conversations at the members' port")
	if n := b.all[0].Filter().Counts().Strangers.Load() - strangers; n < 200 {
		t.Errorf("%d were told apart from members, want 400", n)
	}
	// What passed meanwhile is what the other member has sent itself.
	c := b.all[0].Filter().Counts()
	if passed, taken := c.Passed.Load()-passed, b.all[0].Link().Counts().Taken.Load()-taken; passed != taken {
		t.Errorf("%d messages passed, %d were parcels of a member", passed, taken)
	}

	views := b.all[0].Placement().Members()
	crowdOf(4, func(r *rand.Rand) {
		for i := range 50 {
			j := joins[i%len(joins)]
			utter(b.gossip(0), j)
			utter(b.gossip(0), j[:1+r.IntN(len(j)-1)])
		}
	})
	b.withstood("a replay of 400 joins at the gossip's port")
	if now := b.all[0].Placement().Members(); now != views {
		t.Errorf("members were told anew: %v, before %v", now.All(), views.All())
	}
}

// freePort is one that nobody listens on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// thief is a connection of somebody who has got hold of a certificate.
func (b *besieged) thief() (client remote.RemotingClient, ctx context.Context, gone func()) {
	b.t.Helper()
	conn, err := grpc.NewClient(b.all[0].Address(), grpc.WithTransportCredentials(credentials.NewTLS(b.cert.Client())))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	return remote.NewRemotingClient(conn), ctx, func() { cancel(); conn.Close() }
}

// batch is one message of a type for a target.
func batch(address, kind, target string, message proto.Message) *remote.RemoteMessage {
	data, _ := proto.Marshal(message)
	return inBatch(&remote.MessageBatch{TypeNames: []string{kind}, Targets: []*actor.PID{{Address: address, Id: target}},
		Envelopes: []*remote.MessageEnvelope{{MessageData: data}}})
}

func inBatch(m *remote.MessageBatch) *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: m}}
}

// somewhere is a place that nobody should be made to connect to, and whether somebody was.
func somewhere(t *testing.T) (came *atomic.Bool, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	came = new(atomic.Bool)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came.Store(true)
			c.Close()
		}
	}()
	return came, l.Addr().String()
}

const parcel = "paceline.cluster.v1.Parcel"

// TestAStolenCertificate: gRPC by hand from somebody whose certificate is good. Each of these ends a process, or a node's
// grains, without the filter; with it each is dropped and counted, and the conversation goes on or is closed.
func TestAStolenCertificate(t *testing.T) {
	b := fortified(t, nil)
	counts := b.all[0].Filter().Counts()
	activator := &actor.PID{Id: "activator"}
	self := b.all[0].Address()
	relayed, elsewhere := somewhere(t)
	for name, tc := range map[string]struct {
		say     *remote.RemoteMessage
		counter *atomic.Int64
		closes  bool
	}{
		"a type that nobody has":     {batch(self, "no.such.Type", link.Name, &clusterv1.Parcel{}), &counts.UnknownType, false},
		"stop the activator":         {batch(self, "actor.Stop", activator.Id, &actor.Stop{}), &counts.UnknownType, false},
		"stop the link":              {batch(self, "actor.Stop", link.Name, &actor.Stop{}), &counts.UnknownType, false},
		"poison the activator":       {batch(self, "actor.PoisonPill", activator.Id, &actor.PoisonPill{}), &counts.UnknownType, false},
		"watch the activator":        {batch(self, "actor.Watch", activator.Id, &actor.Watch{Watcher: activator}), &counts.UnknownType, false},
		"somebody has died":          {batch(self, "actor.Terminated", activator.Id, &actor.Terminated{Who: activator}), &counts.UnknownType, false},
		"the runtime's own gossip":   {batch(self, "cluster.GossipRequest", "gossip", &clusterv1.Parcel{}), &counts.UnknownType, false},
		"spawn anything":             {batch(self, "remote.ActorPidRequest", activator.Id, &remote.ActorPidRequest{Name: "x", Kind: "user"}), &counts.UnknownType, false},
		"a parcel for the activator": {batch(self, parcel, activator.Id, &clusterv1.Parcel{}), &counts.BadTarget, false},
		"a parcel for another node":  {batch(elsewhere, parcel, link.Name, &clusterv1.Parcel{}), &counts.BadTarget, false},
		"a parcel for nobody":        {batch(self, parcel, "", &clusterv1.Parcel{}), &counts.BadTarget, false},
		"a type beyond":              {inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}}, Envelopes: []*remote.MessageEnvelope{{TypeId: 9}}}), &counts.BadIndex, false},
		"a type below":               {inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}}, Envelopes: []*remote.MessageEnvelope{{TypeId: -1}}}), &counts.BadIndex, false},
		"a target beyond":            {inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Envelopes: []*remote.MessageEnvelope{{}}}), &counts.BadIndex, false},
		"a sender beyond": {inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}},
			Envelopes: []*remote.MessageEnvelope{{Sender: 77}}}), &counts.Unanswerable, false},
		"another serializer": {inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}},
			Envelopes: []*remote.MessageEnvelope{{SerializerId: 5}}}), &counts.BadSerial, false},
		"a client's connection": {&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
			ConnectionType: &remote.ConnectRequest_ClientConnection{ClientConnection: &remote.ClientConnection{}}}}}, &counts.BadConnect, true},
		"a connection of no kind": {&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{}}}, &counts.BadConnect, true},
		"nothing":                 {&remote.RemoteMessage{}, &counts.BadConnect, true},
		"a farewell":              {&remote.RemoteMessage{MessageType: &remote.RemoteMessage_DisconnectRequest{DisconnectRequest: &remote.DisconnectRequest{}}}, &counts.BadConnect, true},
	} {
		before := tc.counter.Load()
		client, ctx, gone := b.thief()
		stream, err := client.Receive(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := stream.Send(tc.say); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tc.closes {
			if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v, want the conversation closed", name, err)
			}
		}
		eventually(t, name+" is counted", func() bool { return tc.counter.Load() > before })
		b.answers("after " + name)
		gone()
	}
	client, ctx, gone := b.thief()
	before := counts.BadCall.Load()
	_, err := client.ListProcesses(ctx, &remote.ListProcessesRequest{})
	_, too := client.GetProcessDiagnostics(ctx, &remote.GetProcessDiagnosticsRequest{})
	if status.Code(err) != codes.Unimplemented || status.Code(too) != codes.Unimplemented || counts.BadCall.Load() != before+2 {
		t.Errorf("ListProcesses: %v, GetProcessDiagnostics: %v, counted %d; want both refused and counted", err, too, counts.BadCall.Load()-before)
	}
	if n := counts.Panics.Load(); n != 0 {
		t.Errorf("the runtime panicked %d times", n)
	}
	gone()
	if relayed.Load() {
		t.Error("the node has sent on what was for somebody else")
	}
	b.withstood("gRPC by hand")
}

// TestAFloodOfFrames from somebody whose certificate is good: batches by the thousand of what is dropped, parcels of
// somebody who is no member, parcels that cannot be read, one message larger than any.
func TestAFloodOfFrames(t *testing.T) {
	b := fortified(t, nil)
	counts, self := b.all[0].Filter().Counts(), b.all[0].Address()
	full := &remote.MessageBatch{TypeNames: []string{"no.such.Type", parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}}}
	stranger, _ := proto.Marshal(&clusterv1.Parcel{From: "nobody", To: b.all[0].Member(), Number: 1,
		Items: []*clusterv1.Item{{What: &clusterv1.Item_Resync{Resync: string(make([]byte, 4096))}}}})
	for i := range 256 {
		full.Envelopes = append(full.Envelopes, &remote.MessageEnvelope{TypeId: int32(i % 2), MessageData: stranger})
	}
	flood := func(m *remote.RemoteMessage, times int) {
		crowdOf(4, func(*rand.Rand) {
			client, ctx, gone := b.thief()
			defer gone()
			stream, err := client.Receive(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			for range times / 4 {
				if stream.Send(m) != nil {
					return
				}
			}
			_ = stream.CloseSend()
			for {
				if _, err := stream.Recv(); err != nil {
					return
				}
			}
		})
	}
	flood(inBatch(full), 200) // 200 MiB
	if n := counts.UnknownType.Load(); n < 20_000 {
		t.Errorf("%d messages of no type counted, want 25,600", n)
	}
	eventually(t, "parcels of a stranger are counted", func() bool { return b.all[0].Link().Counts().Strangers.Load() >= 20_000 })
	b.withstood("200 batches of 256 messages")

	garbage := inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}},
		Envelopes: []*remote.MessageEnvelope{{MessageData: []byte{0xff, 0xff, 0xff, 0xff}}}})
	for range 50 {
		flood(garbage, 4)
	}
	b.withstood("200 conversations that begin with a parcel that cannot be read")

	huge := inBatch(&remote.MessageBatch{TypeNames: []string{parcel}, Targets: []*actor.PID{{Address: self, Id: link.Name}},
		Envelopes: []*remote.MessageEnvelope{{MessageData: make([]byte, maxMessage+1)}}})
	client, ctx, gone := b.thief()
	defer gone()
	stream, err := client.Receive(ctx, grpc.MaxCallSendMsgSize(2*maxMessage))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(huge)
	if _, err := stream.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message above the limit: %v, want it refused", err)
	}
	gone()
	b.withstood("a message above the limit")
}

// TestStrangersAtTheMembersPort: no certificate of the cluster, no conversation.
func TestStrangersAtTheMembersPort(t *testing.T) {
	b := fortified(t, nil)
	before := b.all[0].Filter().Counts().Strangers.Load()
	conn, err := grpc.NewClient(b.all[0].Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := remote.NewRemotingClient(conn).ListProcesses(ctx, &remote.ListProcessesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v, want no connection", err)
	}
	if b.all[0].Filter().Counts().Strangers.Load() == before {
		t.Error("it was not counted")
	}
	folder := t.TempDir()
	if err := port.Develop(folder, []string{"x"}, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	other, err := port.Load(port.Files{Cert: filepath.Join(folder, "x.pem"), Key: filepath.Join(folder, "x.key"), CA: filepath.Join(folder, "ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	trusting := other.Client()
	trusting.VerifyConnection = nil // takes any server
	conn, err = grpc.NewClient(b.all[0].Address(), grpc.WithTransportCredentials(credentials.NewTLS(trusting)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := remote.NewRemotingClient(conn).ListProcesses(ctx, &remote.ListProcessesRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("with another authority's: %v, want no connection", err)
	}
	conn.Close()
	b.withstood("strangers")
}
