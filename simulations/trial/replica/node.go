package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"paceline/actors/machine"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/cql"
)

// NodeVariable makes a process the trial's node: "host:port,host:port keyspace acked,acked,… rule,rule".
const NodeVariable = "PACELINE_TRIAL_REPLICA"

// order says what a node shall do; it goes through the environment.
type order struct {
	hosts    []string
	keyspace string
	acked    []uint64    // of each client: it goes on behind it, with the command that may have been under way
	off      []step.Rule // rules that are switched off, to see the trial fail
	early    bool        // acknowledges before it writes, to see the trial fail
}

func (o order) String() string {
	acked := make([]string, len(o.acked))
	for i, n := range o.acked {
		acked[i] = strconv.FormatUint(n, 10)
	}
	off := []string{}
	for _, r := range o.off {
		off = append(off, strconv.Itoa(int(r)))
	}
	if o.early {
		off = append(off, "early")
	}
	return strings.Join([]string{strings.Join(o.hosts, ","), o.keyspace, strings.Join(acked, ","), strings.Join(off, ",")}, " ")
}

func parseOrder(s string) (o order, err error) {
	f := strings.Split(s, " ")
	if len(f) != 4 {
		return o, fmt.Errorf("replica: order %q", s)
	}
	o.hosts, o.keyspace = strings.Split(f[0], ","), f[1]
	for _, a := range strings.Split(f[2], ",") {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return o, fmt.Errorf("replica: order: %w", err)
		}
		o.acked = append(o.acked, n)
	}
	for _, r := range strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' }) {
		if r == "early" {
			o.early = true
			continue
		}
		n, err := strconv.ParseUint(r, 10, 8)
		if err != nil {
			return o, fmt.Errorf("replica: order: %w", err)
		}
		o.off = append(o.off, step.Rule(n))
	}
	return o, nil
}

// RunNode is the process that is killed: it writes until it is, or until in ends. What it says on out is the ledger. off
// switches a rule off, which only tests can.
func RunNode(words string, in io.Reader, out io.Writer, off func(step.Rule)) error {
	o, err := parseOrder(words)
	if err != nil {
		return err
	}
	for _, r := range o.off {
		off(r)
	}
	rows, err := open(o)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(0)
	}()
	n := &node{out: out, failed: make(chan error, 1), early: o.early}
	n.store = watch(persistence.Over(rows), n.say)
	n.runtime = &machine.Runtime{
		Store: n.store, Events: published{}, Lanes: machine.NewLanes(machine.DefaultLanes()), Now: now,
		Send: func(id.Grain, any) {}, ToNode: func(string, any) {},
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	hosts := make([]*host, grains)
	for g := range hosts {
		hosts[g] = &host{node: n, name: grainName(g), run: rand.Uint64()}
		hosts[g].wake = sync.NewCond(&hosts[g].mu)
		go hosts[g].serve()
	}
	for c := range clients {
		go n.client(hosts[grainOf(c)], c, o.acked[c]+1)
	}
	for s := range streams {
		go n.stream(s)
	}
	return <-n.failed
}

// open waits for the servers as whoever starts nodes does: by trying again.
func open(o order) (*cql.Rows, error) {
	cfg := cql.Default()
	cfg.Hosts, cfg.Keyspace = o.hosts, o.keyspace
	ctx, cancel := context.WithTimeout(context.Background(), awaitMost)
	defer cancel()
	for {
		rows, err := cql.Open(ctx, cfg)
		if err == nil {
			return rows, nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return nil, fmt.Errorf("replica: the node does not reach the servers: %w", err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func now() step.Now {
	t := unit.InstantMs(time.Now().UnixMilli())
	return step.Now{Wall: t, Node: t, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
}

// published is an event stream that has always synced: the trial is about the store.
type published struct{}

func (published) Publish(_ context.Context, _ id.Grain, r []persistence.Record) (uint64, error) {
	return r[len(r)-1].Version, nil
}

type node struct {
	runtime *machine.Runtime
	store   persistence.Store
	early   bool
	failed  chan error

	mu  sync.Mutex
	out io.Writer
}

// say writes one line at once: what was said is heard, also if the process is killed right after.
func (n *node) say(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, format+"\n", args...)
}

func (n *node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// thinks is the pause of a client or device: the trial is about writes under way when something dies, of which there
// are some at any time, and not about how many a machine can take.
const thinks = 100 * time.Millisecond

// client sends its commands one after the other and repeats each, with the same id, until it is answered.
func (n *node) client(h *host, c int, from uint64) {
	for number := from; ; number++ {
		if n.early {
			n.say("acked %d %d 0", c, number)
		}
		for {
			cmd := note{Meta: step.Meta{At: now().Node, By: "trial", CommandID: command(c, number)}, client: c, n: number}
			answer := make(chan reply, 1)
			h.post(letter{msg: cmd, from: answer})
			r := <-answer
			if r.err == nil {
				n.say("acked %d %d %d", c, number, r.version)
				pause(context.Background(), thinks)
				break
			}
			if !fault.Of(r.err).Retry {
				n.fail(fmt.Errorf("client %d: command %d: %w", c, number, r.err))
				return
			}
			pause(context.Background(), 50*time.Millisecond)
		}
	}
}

// stream goes on where the rows end, and repeats a write without outcome, same bytes, before any other.
func (n *node) stream(s int) {
	ctx := context.Background()
	var end persistence.SeriesEnd
	for {
		var err error
		if end, err = n.store.RecoverSeries(ctx, streamKey(s), 0, nil); err == nil {
			break
		}
		pause(ctx, 50*time.Millisecond)
	}
	for next := end.Through + 1; ; {
		b := block(s, next, blockLength(next))
		if n.early {
			n.say("samples %d %d", s, b.LastSeq())
		}
		for {
			_, err := n.store.PutBlock(ctx, streamKey(s), b)
			if err == nil {
				break
			}
			if errors.Is(err, persistence.ErrUnknown) {
				n.say("outcome again")
			}
			pause(ctx, 50*time.Millisecond)
		}
		n.say("samples %d %d", s, b.LastSeq())
		next = b.LastSeq() + 1
		pause(ctx, thinks)
	}
}

type reply struct {
	version uint64
	err     error
}

// letter is a message in a mailbox; of an activation that is over it is thrown away.
type letter struct {
	activation int // 0: for whichever there is
	msg        any
	from       step.Return
}

// host is one grain's mailbox, and the activations that follow each other in it.
type host struct {
	node *node
	name id.Grain
	run  uint64 // of this process, so that its append ids are nobody else's

	mu   sync.Mutex
	wake *sync.Cond
	box  []letter

	activation int
	carrier    *machine.Carrier
	ended      bool
}

func (h *host) post(l letter) {
	h.mu.Lock()
	h.box = append(h.box, l)
	h.mu.Unlock()
	h.wake.Signal()
}

func (h *host) serve() {
	for h.activate(); ; {
		h.mu.Lock()
		for len(h.box) == 0 {
			h.wake.Wait()
		}
		l := h.box[0]
		h.box = h.box[1:]
		h.mu.Unlock()
		if l.activation != 0 && l.activation != h.activation {
			continue
		}
		h.carrier.Handle(l.msg, l.from)
		if h.ended {
			h.node.say("outcome moved")
			h.activate()
		}
	}
}

func (h *host) activate() {
	h.activation++
	h.ended = false
	name, ids := fmt.Sprintf("%x-%d", h.run, h.activation), 0
	rules := spec()
	m := machine.New(&rules, machine.Hooks[event]{}, machine.Config{
		Grain: h.name, Activation: name, Member: name, Random: rand.Uint64, SnapshotEvery: 200,
		NewID: func(step.Now) string { ids++; return fmt.Sprintf("%s-%d", name, ids) },
	})
	activation := h.activation
	h.carrier = &machine.Carrier{
		Runtime: h.node.runtime, Grain: h.name, Stepper: shell{m},
		Post: func(msg any) { h.post(letter{activation: activation, msg: msg}) },
		Respond: func(to step.Return, msg any, err error) {
			v, _ := msg.(uint64)
			to.(chan reply) <- reply{v, err}
		},
		Stop: func(step.Stop) { h.ended = true },
	}
	h.carrier.Handle(machine.StartMsg{}, nil)
}

type shell struct {
	m *machine.Machine[tally, machine.Command, event]
}

func (s shell) Step(now step.Now, msg any, from step.Return) []step.Out {
	switch msg := msg.(type) {
	case machine.StartMsg:
		return s.m.Start(now)
	case note:
		return s.m.Submit(now, msg, from)
	}
	outs, _ := s.m.Step(now, msg)
	return outs
}
