package call

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
)

// Remote carries messages to grains that live on other members (cluster/link).
type Remote interface {
	// Ask sends a request for a grain of that member. done gets the answer, or why there is none: at most once, on
	// any goroutine, perhaps before Ask returns. forget says that nobody waits any longer.
	Ask(member string, a *clusterv1.Ask, done func(proto.Message, error)) (forget func())
	// Tell sends a one-way message; false: there is no room for it.
	Tell(member string, a *clusterv1.Ask) bool
}

// nobody is the Remote of a member that has no others.
type nobody struct{}

func (nobody) Ask(_ string, _ *clusterv1.Ask, done func(proto.Message, error)) func() {
	done(nil, ErrNoMember)
	return func() {}
}
func (nobody) Tell(string, *clusterv1.Ask) bool { return false }

// ErrUnknownMessage: the other member is older or newer and does not know this message.
var ErrUnknownMessage = fault.New(fault.Internal, "cluster.unknown_message", "The nodes do not understand each other.")

// Pack puts a message into an Ask. The rest of the Ask is the sender's.
func Pack(to id.Grain, msg proto.Message) (*clusterv1.Ask, error) {
	bytes, err := proto.Marshal(msg)
	if err != nil {
		return nil, ErrNotAMessage.With("%v", err)
	}
	return &clusterv1.Ask{Grain: to.Identity(), Type: string(msg.ProtoReflect().Descriptor().FullName()), Message: bytes}, nil
}

// Unpack is the message of that type. A type that this version does not know is a fault, never a panic.
func Unpack(name string, bytes []byte) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, ErrUnknownMessage.With("%.100s", name)
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(bytes, m); err != nil {
		return nil, ErrUnknownMessage.With("%.100s: %v", name, err)
	}
	return m, nil
}

// Origin is what another member says of a message that it sent.
type Origin struct {
	Within    time.Time // bounds this attempt
	Deadline  time.Time // work that would begin later is not begun
	Trace     string
	Forwarded bool // it has been passed on before: not again
}

// Here sends on a request that another member sent: to a grain of this member, else the answer is ErrMoved. What is
// meant for a grain that was fenced here goes on to the member that has it, once.
func (c *Caller) Here(to id.Grain, msg proto.Message, o Origin, done func(proto.Message, error)) {
	if _, here, ok := c.route.Owner(to); !ok || !here {
		done(nil, ErrMoved)
		return
	}
	p := c.admit(to, msg, o.Deadline, o.Trace, done)
	if p == nil {
		return
	}
	p.here, p.forwarded = true, o.Forwarded
	p.deadline = o.Within
	p.register()
	p.attempt()
}

// TellHere hands a one-way message that another member sent to a grain of this member. It may be lost.
func (c *Caller) TellHere(to id.Grain, msg proto.Message, forwarded bool) {
	if _, here, ok := c.route.Owner(to); !ok || !here {
		c.counts.Moved.Add(1)
		c.counts.Lost.Add(1)
		return
	}
	c.tell(to, msg, true, forwarded)
}
