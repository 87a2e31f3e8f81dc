package port

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Allowed is what may come in: messages of this type for this actor.
type Allowed struct {
	Type   string // full name
	Target string // local name of the actor
	// Address of this node, as others name it: a message for another one would be sent on to it, wherever that is.
	Address func() string
}

// Counts are what a Filter has dropped, by reason.
type Counts struct {
	Passed       atomic.Int64 // messages
	UnknownType  atomic.Int64 // another type than the one
	BadIndex     atomic.Int64 // an index outside of its table
	BadTarget    atomic.Int64 // another actor than the one
	BadSerial    atomic.Int64 // another serializer than protobuf
	BadConnect   atomic.Int64 // a connection of a kind that does not exist
	BadCall      atomic.Int64 // another RPC than the stream of messages
	Panics       atomic.Int64 // of the runtime, in spite of all that
	Unanswerable atomic.Int64 // a sender, where nobody may ask
	Strangers    atomic.Int64 // connections that did not show a certificate of the cluster's
	Crowded      atomic.Int64 // connections hung up on, because there were too many
}

// Dropped is how much of what came in went no further.
func (c *Counts) Dropped() (n int64) {
	for _, one := range []*atomic.Int64{&c.UnknownType, &c.BadIndex, &c.BadTarget, &c.BadSerial, &c.BadConnect, &c.BadCall, &c.Panics, &c.Unanswerable} {
		n += one.Load()
	}
	return n
}

// Filter looks at everything that comes in on the port.
type Filter struct {
	allowed Allowed
	log     *slog.Logger
	counts  Counts
}

// NewFilter makes a Filter.
func NewFilter(allowed Allowed, log *slog.Logger) *Filter { return &Filter{allowed: allowed, log: log} }

// Counts of this Filter.
func (f *Filter) Counts() *Counts { return &f.counts }

// unary refuses the runtime's unary calls: they panic, and nobody needs them.
func (f *Filter) unary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	f.counts.BadCall.Add(1)
	return nil, status.Error(codes.Unimplemented, "members only exchange messages")
}

func (f *Filter) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			f.counts.Panics.Add(1)
			f.log.Error("the runtime panicked on what a peer sent; its connection is closed", "panic", r, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "this could not be read")
		}
	}()
	return next(srv, filtered{s, f})
}

// filtered hands only what is allowed to the runtime.
type filtered struct {
	grpc.ServerStream
	f *Filter
}

// RecvMsg implements grpc.ServerStream.
func (s filtered) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	msg, ok := m.(*remote.RemoteMessage)
	if !ok {
		s.f.counts.BadCall.Add(1)
		return status.Errorf(codes.InvalidArgument, "want messages, not %T", m)
	}
	return s.f.look(msg)
}

// look drops what is not allowed; an error closes the connection.
func (f *Filter) look(msg *remote.RemoteMessage) error {
	switch what := msg.GetMessageType().(type) {
	case *remote.RemoteMessage_MessageBatch:
		f.batch(what.MessageBatch)
		return nil
	case *remote.RemoteMessage_ConnectRequest:
		if what.ConnectRequest.GetServerConnection() == nil {
			f.counts.BadConnect.Add(1)
			return status.Error(codes.InvalidArgument, "want a member's connection")
		}
		return nil
	default:
		f.counts.BadConnect.Add(1)
		return status.Error(codes.InvalidArgument, "want a batch of messages")
	}
}

func (f *Filter) batch(b *remote.MessageBatch) {
	if b == nil {
		return
	}
	kept := b.Envelopes[:0]
	for _, e := range b.Envelopes {
		if drop := f.verdict(b, e); drop != nil {
			if drop.Add(1) == 1 {
				f.log.Warn("a message from a peer is dropped; more such are counted only", "type", at(b.TypeNames, e.GetTypeId()))
			}
			continue
		}
		f.counts.Passed.Add(1)
		kept = append(kept, e)
	}
	b.Envelopes = kept
}

// verdict is the counter of why a message is dropped; nil: it passes.
func (f *Filter) verdict(b *remote.MessageBatch, e *remote.MessageEnvelope) *atomic.Int64 {
	if e == nil || out(e.GetTypeId(), len(b.TypeNames)) || out(e.GetTarget(), len(b.Targets)) {
		return &f.counts.BadIndex
	}
	target := b.Targets[e.GetTarget()]
	switch {
	case b.TypeNames[e.GetTypeId()] != f.allowed.Type:
		return &f.counts.UnknownType
	case target.GetId() != f.allowed.Target || target.GetAddress() != f.allowed.Address() || e.GetTargetRequestId() != 0:
		return &f.counts.BadTarget
	case e.GetSerializerId() != 0:
		return &f.counts.BadSerial
	case e.GetSender() != 0 || e.GetSenderRequestId() != 0 || e.GetMessageHeader() != nil:
		return &f.counts.Unanswerable
	}
	return nil
}

func out(index int32, length int) bool { return index < 0 || int(index) >= length }

func at(names []string, index int32) string {
	if out(index, len(names)) {
		return fmt.Sprint("index ", index)
	}
	return fmt.Sprintf("%.80s", names[index])
}

// connectWithin is how long a connection may take to be there; the runtime tries again after two seconds, so it is
// better to wait a moment for a member that is just starting.
const connectWithin = 1500 * time.Millisecond

// Connect waits for a member that is just starting, and not for ever for one that is gone.
func Connect(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(connectWithin, cancel)
	s, err := next(ctx, desc, cc, method, append(opts, grpc.WaitForReady(true))...)
	if err != nil || !late.Stop() {
		cancel()
		if err == nil {
			err = status.Error(codes.DeadlineExceeded, "no connection in time")
		}
		return nil, err
	}
	context.AfterFunc(s.Context(), cancel)
	return s, nil
}
