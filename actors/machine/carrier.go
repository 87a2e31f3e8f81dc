package machine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/persistence"
)

// Stepper is a step object: a shell, in the hands of a Carrier or of simulations/world.
type Stepper interface {
	Step(now step.Now, msg any, from step.Return) []step.Out
}

// StartMsg is the first message of every activation.
type StartMsg struct{}

// SweepMsg asks an idle activation to rest.
type SweepMsg = step.Sweep

// Runtime is what a node gives to the carriers of its grains. All functions may be called from any goroutine.
type Runtime struct {
	Store  persistence.Store
	Events persistence.EventStream
	Lanes  *Lanes
	Now    func() step.Now
	Send   func(to id.Grain, msg any)
	ToNode func(node string, msg any)
	Log    *slog.Logger
}

// Carrier runs one Stepper: it performs its Outs and brings the outcomes back through Post. Handle must only be
// called from the grain's own mailbox; nothing else touches the Stepper.
type Carrier struct {
	Runtime *Runtime
	Grain   id.Grain
	Stepper Stepper
	Post    func(msg any)                               // to the grain's own mailbox, from any goroutine
	Respond func(to step.Return, msg any, err error)    // answers a request
	Stop    func(s step.Stop)                           // ends the activation, after the current message
	Observe func(now step.Now, msg any, out []step.Out) // for tests; nil: nobody looks

	timers  map[string]*timer
	stopped bool
}

type timer struct {
	t   *time.Timer
	gen uint64
}

// fired is a timer's way into the mailbox: an old generation is not the timer any more.
type fired struct {
	key string
	gen uint64
}

// Handle carries one message that belongs to no trace.
func (c *Carrier) Handle(msg any, from step.Return) { c.HandleOf("", msg, from) }

// HandleOf carries one message of a trace. No panic crosses a grain: the activation is thrown away instead, and the next
// one recovers from the journal.
func (c *Carrier) HandleOf(trace string, msg any, from step.Return) {
	if c.stopped {
		if from != nil {
			c.Respond(from, nil, ErrStopped)
		}
		return
	}
	defer func() {
		if r := recover(); r != nil {
			c.Runtime.Log.Error("grain panicked", "grain", c.Grain.String(), "trace", trace, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			if from != nil {
				c.Respond(from, nil, ErrStopped)
			}
			c.end(step.Stop{Why: "panic"})
		}
	}()
	if f, ok := msg.(fired); ok {
		t := c.timers[f.key]
		if t == nil || t.gen != f.gen {
			return
		}
		delete(c.timers, f.key)
		msg = step.Tick{Key: f.key}
	}
	now := c.Runtime.Now()
	outs := c.Stepper.Step(now, msg, from)
	if c.Observe != nil {
		c.Observe(now, msg, outs)
	}
	for _, o := range outs {
		c.perform(now, o)
	}
}

func (c *Carrier) perform(now step.Now, o step.Out) {
	switch o := o.(type) {
	case persistence.Do:
		c.do(o)
	case step.Send:
		c.Runtime.Send(o.To, o.Msg)
	case step.ToNode:
		c.Runtime.ToNode(o.Node, o.Msg)
	case step.Reply:
		if o.To != nil {
			c.Respond(o.To, o.Msg, o.Err)
		}
	case step.After:
		c.after(now, o)
	case step.Stop:
		c.end(o)
	default:
		panic(fmt.Sprintf("machine: %s asks for %T, which no carrier knows", c.Grain, o))
	}
}

func (c *Carrier) do(d persistence.Do) {
	rt, post := c.Runtime, c.Post
	ok := rt.Lanes.Go(Job{Old: d.Old, Durable: durable(d.Op), Bytes: bytesOf(d.Op), Do: func(ctx context.Context) error {
		result, err := d.Op.Run(ctx, rt.Store, rt.Events)
		if incurable(err) {
			rt.Log.Error("an operation failed", "grain", c.Grain.String(), "op", fmt.Sprintf("%T", d.Op), "traces", tracesOf(d.Op), "err", err)
		}
		post(persistence.Done{Tag: d.Tag, Result: result, Err: err})
		return err
	}})
	if !ok {
		post(persistence.Done{Tag: d.Tag, Err: fmt.Errorf("store lanes are full: %w", persistence.ErrUnavailable)})
	}
}

// durable reports an operation whose success means that a driver has synced.
func durable(op persistence.Op) bool {
	switch op.(type) {
	case persistence.AppendOp, persistence.PutBlockOp, persistence.PutWakeupOp, persistence.DeleteWakeupOp,
		persistence.PutRecordingOp, persistence.DeleteThroughOp:
		return true
	}
	return false
}

// bytesOf is what an operation carries to the store.
func bytesOf(op persistence.Op) (n int) {
	switch o := op.(type) {
	case persistence.AppendOp:
		return persistence.PayloadBytes(o.Append.Records)
	case persistence.PublishOp:
		return persistence.PayloadBytes(o.Records)
	case persistence.PutSnapshotOp:
		return len(o.Snapshot.Bytes)
	case persistence.PutBlockOp:
		return o.Batch.Bytes()
	case persistence.PutRecordingOp:
		for _, s := range o.Recording.Streams {
			for i := range s.Batches {
				n += s.Batches[i].Bytes()
			}
		}
	}
	return n
}

// loggedTraces is how many traces one line of the log names.
const loggedTraces = 8

// tracesOf are the first traces of what an operation carries: what many have asked is appended together.
func tracesOf(op persistence.Op) (traces []string) {
	var records []persistence.Record
	switch o := op.(type) {
	case persistence.AppendOp:
		records = o.Append.Records
	case persistence.PublishOp:
		records = o.Records
	}
	for _, r := range records {
		if t := r.Meta.Trace; t != "" && len(traces) < loggedTraces && !slices.Contains(traces, t) {
			traces = append(traces, t)
		}
	}
	return traces
}

// incurable errors are those that a repeat does not mend; nobody but a person can.
func incurable(err error) bool {
	return err != nil && !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrUnknown) && !errors.Is(err, persistence.ErrErased)
}

func (c *Carrier) after(now step.Now, a step.After) {
	if c.timers == nil {
		c.timers = map[string]*timer{}
	}
	t := c.timers[a.Key]
	if t == nil {
		t = &timer{}
		c.timers[a.Key] = t
	} else {
		t.t.Stop()
	}
	t.gen = nextGen()
	f, post := fired{a.Key, t.gen}, c.Post
	t.t = time.AfterFunc(time.Duration(max(a.At-now.Wall, 0))*time.Millisecond, func() { post(f) })
}

func (c *Carrier) end(s step.Stop) {
	if c.stopped {
		return
	}
	c.stopped = true
	c.Close()
	c.Stop(s)
}

// Close stops the timers; call it when the activation ends for a reason of the runtime's.
func (c *Carrier) Close() {
	for _, t := range c.timers {
		t.t.Stop()
	}
	c.timers = nil
}

var gen struct {
	sync.Mutex
	n uint64
}

// nextGen numbers timers over all activations, so that a late one of an activation before is never taken for
// one of this.
func nextGen() uint64 {
	gen.Lock()
	defer gen.Unlock()
	gen.n++
	return gen.n
}
