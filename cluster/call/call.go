package call

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
)

// Config of a Caller. All times are wall time.
type Config struct {
	// AttemptTimeout is how long the first attempt may take before the place is looked up again. Shorter finds a lost
	// message sooner and doubles more messages on a slow node.
	AttemptTimeout time.Duration
	// LongestAttempt bounds the next ones: each silence doubles the time. Whoever is slow must not be asked for more the
	// slower it gets (ADR 0024).
	LongestAttempt time.Duration
	// BackoffMin and BackoffMax bound the random pause between two attempts.
	BackoffMin, BackoffMax time.Duration
	// DefaultDeadline is for an Ask whose context has none.
	DefaultDeadline time.Duration
	// MaxOutstanding bounds the requests under way; beyond it ErrBusy.
	MaxOutstanding int
	// MaxPlaces bounds the remembered places of grains.
	MaxPlaces int
}

// Default is right for a node on a local network.
func Default() Config {
	return Config{
		AttemptTimeout:  400 * time.Millisecond,
		LongestAttempt:  1600 * time.Millisecond,
		BackoffMin:      25 * time.Millisecond,
		BackoffMax:      200 * time.Millisecond,
		DefaultDeadline: 3 * time.Second,
		MaxOutstanding:  64 << 10,
		MaxPlaces:       256 << 10,
	}
}

// attempt is how long an attempt after so many silences may take.
func (c Config) attempt(silent int) time.Duration {
	d := c.AttemptTimeout
	for ; silent > 0 && d < c.LongestAttempt; silent-- {
		d = min(2*d, c.LongestAttempt)
	}
	return d
}

// pause is the one before another attempt.
func (c Config) pause() time.Duration {
	return c.BackoffMin + time.Duration(rand.Int64N(max(1, int64(c.BackoffMax-c.BackoffMin))))
}

// Router knows who owns a grain.
type Router interface {
	// Owner is the member that owns the grain, and whether that is this one; not ok: nobody does.
	Owner(g id.Grain) (member string, here, ok bool)
	// Onward is the member that has a grain of this one, because it has fenced it here a moment ago.
	Onward(g id.Grain) (member string, ok bool)
	// Activator is the actor of this member that activates grains.
	Activator() *actor.PID
}

// Caller sends messages to grains. It is safe for concurrent use.
type Caller struct {
	system *actor.ActorSystem
	route  Router
	remote Remote
	cfg    Config
	log    *slog.Logger
	places *places // of grains of this member

	outstanding atomic.Int64
	counts      Counts
}

// Counts are what a Caller has seen.
type Counts struct {
	Requests, Tells, Retries, Timeouts, Moved, DeadLetters, Busy, Lost atomic.Int64
	Onward                                                             atomic.Int64 // attempts at the member that has fenced a grain here
}

// New makes a Caller.
func New(system *actor.ActorSystem, route Router, cfg Config, log *slog.Logger) *Caller {
	return &Caller{system: system, route: route, remote: nobody{}, cfg: cfg, log: log, places: newPlaces(cfg.MaxPlaces)}
}

// Over says how other members are reached; before the first message.
func (c *Caller) Over(r Remote) { c.remote = r }

// Counts of this Caller.
func (c *Caller) Counts() *Counts { return &c.counts }

// Outstanding is how many requests are under way.
func (c *Caller) Outstanding() int { return int(c.outstanding.Load()) }

// MembersChanged forgets all places.
func (c *Caller) MembersChanged() { c.places.clear() }

type traceKey struct{}

// WithTrace makes Ask carry a trace.
func WithTrace(ctx context.Context, trace string) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// Trace is what WithTrace has said, or nothing.
func Trace(ctx context.Context) string {
	trace, _ := ctx.Value(traceKey{}).(string)
	return trace
}

// TraceOf is the trace that a message brings along in its Call, or nothing: a frame of telemetry has none.
func TraceOf(msg any) string {
	if m, ok := msg.(interface{ GetCall() *clusterv1.Call }); ok {
		return m.GetCall().GetTrace()
	}
	return ""
}

// Header names of a request.
const (
	HeaderTrace    = "trace"    // whoever carries a grain names it where something goes wrong
	HeaderDeadline = "deadline" // wall clock, ms since 1970: work that is older is not begun
)

// Ask sends a request and waits for its answer, until ctx ends. A fault that a grain answers is the error.
func (c *Caller) Ask(ctx context.Context, to id.Grain, msg proto.Message) (proto.Message, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(c.cfg.DefaultDeadline)
	}
	type answer struct {
		msg proto.Message
		err error
	}
	answers := make(chan answer, 1)
	p := c.start(to, msg, deadline, cmp.Or(TraceOf(msg), Trace(ctx)), func(m proto.Message, err error) { answers <- answer{m, err} })
	select {
	case a := <-answers:
		return a.msg, a.err
	case <-ctx.Done():
		if p != nil {
			p.giveUp(ofContext(ctx.Err()))
		}
		a := <-answers
		return a.msg, a.err
	}
}

// Start sends a request; done gets its answer, or a fault at the deadline. done runs on the goroutine that brought
// the answer (perhaps this one, before Start returns), so it may only hand it on.
func (c *Caller) Start(to id.Grain, msg proto.Message, deadline time.Time, done func(proto.Message, error)) {
	c.start(to, msg, deadline, TraceOf(msg), done)
}

func (c *Caller) start(to id.Grain, msg proto.Message, deadline time.Time, trace string, done func(proto.Message, error)) *pending {
	p := c.admit(to, msg, deadline, trace, done)
	if p == nil {
		return nil
	}
	p.register()
	p.attempt()
	return p
}

// admit makes a request if there is room for one more.
func (c *Caller) admit(to id.Grain, msg proto.Message, deadline time.Time, trace string, done func(proto.Message, error)) *pending {
	if c.outstanding.Add(1) > int64(c.cfg.MaxOutstanding) {
		c.outstanding.Add(-1)
		c.counts.Busy.Add(1)
		done(nil, ErrBusy)
		return nil
	}
	c.counts.Requests.Add(1)
	p := &pending{c: c, to: to, msg: msg, deadline: deadline, latest: deadline, trace: trace, done: done}
	p.header = map[string]string{HeaderDeadline: strconv.FormatInt(deadline.UnixMilli(), 10)}
	if trace != "" {
		p.header[HeaderTrace] = trace
	}
	return p
}

// Tell sends a one-way message. It may be lost, doubled or late.
func (c *Caller) Tell(to id.Grain, msg proto.Message) { c.tell(to, msg, false, false) }

func (c *Caller) tell(to id.Grain, msg proto.Message, here, forwarded bool) {
	c.counts.Tells.Add(1)
	if pid := c.places.get(to); pid != nil {
		if c.alive(pid) {
			c.system.Root.Send(pid, msg)
			return
		}
		c.places.drop(to, pid)
	}
	if c.outstanding.Add(1) > int64(c.cfg.MaxOutstanding) {
		c.outstanding.Add(-1)
		c.counts.Busy.Add(1)
		c.counts.Lost.Add(1)
		return
	}
	deadline := time.Now().Add(c.cfg.DefaultDeadline)
	p := &pending{c: c, to: to, msg: msg, oneWay: true, here: here, forwarded: forwarded, deadline: deadline, latest: deadline}
	p.register()
	p.attempt()
}

// Forward sends a one-way message on that came to an activation which has ended.
func (c *Caller) Forward(to id.Grain, msg proto.Message, ended *actor.PID) {
	c.counts.Moved.Add(1)
	c.places.drop(to, ended)
	c.Tell(to, msg)
}

// Forget forgets where a grain was: that activation has ended. A PID that was sent to keeps its whole process alive.
func (c *Caller) Forget(g id.Grain, ended *actor.PID) { c.places.drop(g, ended) }

// Reply answers whoever asked; nobody waits if to is nil. It is what shells' Reply becomes.
func (c *Caller) Reply(to step.Return, msg any, err error) {
	pid, ok := to.(*actor.PID)
	if !ok || pid == nil {
		return
	}
	if err != nil {
		c.system.Root.Send(pid, Reason(err))
		return
	}
	m, ok := msg.(proto.Message)
	if !ok {
		c.log.Error("an answer is not a protobuf message", "type", typeName(msg))
		c.system.Root.Send(pid, Reason(ErrNotAMessage))
		return
	}
	c.system.Root.Send(pid, m)
}

// alive reports whether a process of this member is still there.
func (c *Caller) alive(pid *actor.PID) bool {
	_, ok := c.system.ProcessRegistry.GetLocal(pid.Id)
	return ok
}

// activation asks this member's activator for the grain.
func (c *Caller) activation(to id.Grain) *pcluster.ActivationRequest {
	return &pcluster.ActivationRequest{ClusterIdentity: &pcluster.ClusterIdentity{Identity: to.Identity(), Kind: string(to.Kind)}}
}
