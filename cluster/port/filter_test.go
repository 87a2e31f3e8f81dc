package port

import (
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

var parcels = Allowed{Type: "paceline.cluster.v1.Parcel", Target: "link", Address: func() string { return "127.0.0.1:1" }}

// good is a batch of one message that passes.
func good() *remote.MessageBatch {
	return &remote.MessageBatch{
		TypeNames: []string{parcels.Type},
		Targets:   []*actor.PID{{Address: "127.0.0.1:1", Id: "link"}},
		Envelopes: []*remote.MessageEnvelope{{MessageData: []byte{1}}},
	}
}

func TestTheFilterDrops(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(b *remote.MessageBatch)
		count func(c *Counts) *atomic.Int64
	}{
		"a type that nobody has":    {func(b *remote.MessageBatch) { b.TypeNames[0] = "no.such.Type" }, func(c *Counts) *atomic.Int64 { return &c.UnknownType }},
		"the runtime's own message": {func(b *remote.MessageBatch) { b.TypeNames[0] = "actor.Stop" }, func(c *Counts) *atomic.Int64 { return &c.UnknownType }},
		"a type index beyond":       {func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = 1 }, func(c *Counts) *atomic.Int64 { return &c.BadIndex }},
		"a type index below":        {func(b *remote.MessageBatch) { b.Envelopes[0].TypeId = -1 }, func(c *Counts) *atomic.Int64 { return &c.BadIndex }},
		"a target index beyond":     {func(b *remote.MessageBatch) { b.Envelopes[0].Target = 7 }, func(c *Counts) *atomic.Int64 { return &c.BadIndex }},
		"another actor":             {func(b *remote.MessageBatch) { b.Targets[0].Id = "placement" }, func(c *Counts) *atomic.Int64 { return &c.BadTarget }},
		"another node":              {func(b *remote.MessageBatch) { b.Targets[0].Address = "127.0.0.1:2" }, func(c *Counts) *atomic.Int64 { return &c.BadTarget }},
		"no node":                   {func(b *remote.MessageBatch) { b.Targets[0].Address = "" }, func(c *Counts) *atomic.Int64 { return &c.BadTarget }},
		"a future of somebody's":    {func(b *remote.MessageBatch) { b.Envelopes[0].TargetRequestId = 3 }, func(c *Counts) *atomic.Int64 { return &c.BadTarget }},
		"another serializer":        {func(b *remote.MessageBatch) { b.Envelopes[0].SerializerId = 1 }, func(c *Counts) *atomic.Int64 { return &c.BadSerial }},
		"a sender beyond":           {func(b *remote.MessageBatch) { b.Envelopes[0].Sender = 9 }, func(c *Counts) *atomic.Int64 { return &c.Unanswerable }},
		"a nil envelope":            {func(b *remote.MessageBatch) { b.Envelopes[0] = nil }, func(c *Counts) *atomic.Int64 { return &c.BadIndex }},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFilter(parcels, quiet())
			b := good()
			tc.spoil(b)
			b.Envelopes = append(b.Envelopes, &remote.MessageEnvelope{}) // with it travels a message that may be good
			wanted := 0
			if b.TypeNames[0] == parcels.Type && b.Targets[0].Id == parcels.Target && b.Targets[0].Address == parcels.Address() {
				wanted = 1
			}
			if err := f.look(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}); err != nil {
				t.Fatal(err)
			}
			if len(b.Envelopes) != wanted || tc.count(f.Counts()).Load() == 0 {
				t.Fatalf("%d kept, want %d; counted %d", len(b.Envelopes), wanted, tc.count(f.Counts()).Load())
			}
		})
	}
}

func TestTheFilterPasses(t *testing.T) {
	f := NewFilter(parcels, quiet())
	b := good()
	if err := f.look(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}); err != nil || len(b.Envelopes) != 1 {
		t.Fatalf("%v, %d kept", err, len(b.Envelopes))
	}
}

func TestTheFilterClosesWhatIsNoConversation(t *testing.T) {
	f := NewFilter(parcels, quiet())
	for name, m := range map[string]*remote.RemoteMessage{
		"nothing": {},
		"a client's connection": {MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
			ConnectionType: &remote.ConnectRequest_ClientConnection{}}}},
		"a response": {MessageType: &remote.RemoteMessage_ConnectResponse{}},
	} {
		if err := f.look(m); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFilter: what passes can be indexed, whatever the bytes.
func FuzzFilter(f *testing.F) {
	seed, err := proto.Marshal(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: good()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &remote.RemoteMessage{}
		if proto.Unmarshal(b, m) != nil || NewFilter(parcels, quiet()).look(m) != nil {
			return
		}
		for _, e := range m.GetMessageBatch().GetEnvelopes() {
			batch := m.GetMessageBatch()
			if batch.TypeNames[e.TypeId] != parcels.Type || batch.Targets[e.Target].Id != parcels.Target || e.Sender != 0 {
				t.Fatalf("passed: %v", e)
			}
		}
	})
}
