package machine

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
	"paceline/persistence/memory"
)

// counter is the smallest slice there is: it adds, refuses odd totals over a limit, and counts its openings.
type counter struct {
	total   int64
	fenced  int
	opened  int
	timerAt unit.InstantMs
	open    bool
}

type add struct {
	step.Meta
	by int64
}
type alarm struct {
	step.Meta
	at unit.InstantMs
}
type keepOpen struct {
	step.Meta
	open bool
}

type counterEvent struct {
	kind uint32 // 1 added, 2 fenced, 3 opened, 4 alarm set, 5 open, 6 closed
	n    int64
}

var errOdd = fault.New(fault.Conflict, "counter.odd", "Odd numbers are not taken.")

func counterSpec() Spec[counter, Command, counterEvent] {
	return Spec[counter, Command, counterEvent]{
		New: func() *counter { return &counter{} },
		Decide: func(_ *counter, c Command) ([]counterEvent, error) {
			switch c := c.(type) {
			case alarm:
				return []counterEvent{{4, int64(c.at)}}, nil
			case keepOpen:
				if c.open {
					return []counterEvent{{5, 0}}, nil
				}
				return []counterEvent{{6, 0}}, nil
			case add:
				if c.by%2 != 0 {
					return nil, errOdd
				}
				if c.by == 0 {
					return nil, nil
				}
				return []counterEvent{{1, c.by}}, nil
			}
			return nil, fault.New(fault.Invalid, "counter.unknown", "Unknown command.")
		},
		Apply: func(s *counter, e counterEvent) {
			switch e.kind {
			case 1:
				s.total += e.n
			case 2:
				s.fenced++
			case 3:
				s.opened++
			case 4:
				s.timerAt = unit.InstantMs(e.n)
			case 5, 6:
				s.open = e.kind == 5
			}
		},
		Answer:          func(e counterEvent, v uint64) any { return fmt.Sprintf("v%d +%d", v, e.n) },
		AnswerUnchanged: func(s *counter, _ Command, v uint64) any { return fmt.Sprintf("v%d =%d", v, s.total) },
		Encode: func(e counterEvent) (uint32, uint32, []byte, error) {
			return e.kind, 1, binary.AppendVarint(nil, e.n), nil
		},
		Decode: func(kind, _ uint32, p []byte) (counterEvent, error) {
			n, _ := binary.Varint(p)
			return counterEvent{kind, n}, nil
		},
		EncodeState: func(s *counter) ([]byte, error) {
			if s.open {
				return nil, errors.New("not while open")
			}
			return binary.AppendVarint(binary.AppendVarint(nil, s.total), int64(s.timerAt)), nil
		},
		DecodeState: func(b []byte) (*counter, error) {
			t, n := binary.Varint(b)
			at, _ := binary.Varint(b[n:])
			return &counter{total: t, timerAt: unit.InstantMs(at)}, nil
		},
		Timers: func(s *counter) []Timer {
			if s.timerAt == 0 {
				return nil
			}
			return []Timer{{"alarm", s.timerAt}}
		},
		Open:   func(s *counter) bool { return s.open },
		Fenced: func() counterEvent { return counterEvent{2, 0} },
	}
}

// bench is a store, a stream and a clock for activations of one counter.
type bench struct {
	t       testing.TB
	rows    *memory.Rows
	store   persistence.Store
	wall    unit.InstantMs
	synced  uint64 // through which the event stream says it has synced
	holdPub bool
	grain   id.Grain
	n       int
	rand    *rand.Rand
}

func newBench(t testing.TB) *bench {
	rows := memory.New()
	return &bench{t: t, rows: rows, store: persistence.Over(rows), wall: 1_700_000_000_000,
		grain: id.Of(id.User, "u1"), rand: rand.New(rand.NewPCG(1, 2))}
}

func (b *bench) Publish(_ context.Context, _ id.Grain, r []persistence.Record) (uint64, error) {
	if !b.holdPub {
		b.synced = max(b.synced, r[len(r)-1].Version)
	}
	return b.synced, nil
}

func (b *bench) now() step.Now {
	return step.Now{Wall: b.wall, Node: b.wall, WallOfNode: func(t unit.InstantMs) unit.InstantMs { return t }}
}

// life is one activation and what it asked for.
type life struct {
	b       *bench
	m       *Machine[counter, Command, counterEvent]
	ops     []persistence.Do // not yet performed
	replies map[string]step.Reply
	timers  map[string]unit.InstantMs
	stopped string
	stop    step.Stop
	due     []string
}

func (b *bench) live(spec Spec[counter, Command, counterEvent]) *life {
	b.n++
	l := &life{b: b, replies: map[string]step.Reply{}, timers: map[string]unit.InstantMs{}}
	name := fmt.Sprintf("act%d", b.n)
	ids := 0
	l.m = New(&spec, Hooks[counterEvent]{
		Due: func(_ step.Now, reason string) []step.Out { l.due = append(l.due, reason); return nil },
	}, Config{Grain: b.grain, Activation: name, Member: "m", Random: b.rand.Uint64,
		NewID: func(step.Now) string { ids++; return fmt.Sprintf("%s-%d", name, ids) }})
	l.take(l.m.Start(b.now()))
	return l
}

func (l *life) take(outs []step.Out) {
	for _, o := range outs {
		switch o := o.(type) {
		case persistence.Do:
			l.ops = append(l.ops, o)
		case step.Reply:
			l.replies[o.To.(string)] = o
		case step.After:
			l.timers[o.Key] = o.At
		case step.Stop:
			l.stopped, l.stop = o.Why, o
		}
	}
}

// find takes the first waiting operation of type T away.
func find[T persistence.Op](l *life) (persistence.Do, bool) {
	for i, d := range l.ops {
		if _, ok := d.Op.(T); ok {
			l.ops = slices.Delete(l.ops, i, i+1)
			return d, true
		}
	}
	return persistence.Do{}, false
}

func want[T persistence.Op](l *life) persistence.Do {
	l.b.t.Helper()
	d, ok := find[T](l)
	if !ok {
		l.b.t.Fatalf("no %T is waiting; waiting: %v", *new(T), l.ops)
	}
	return d
}

// perform runs the operation and brings its outcome back.
func (l *life) perform(d persistence.Do) {
	r, err := d.Op.Run(context.Background(), l.b.store, l.b)
	l.outcome(d, r, err)
}

func (l *life) outcome(d persistence.Do, r any, err error) {
	outs, _ := l.m.Step(l.b.now(), persistence.Done{Tag: d.Tag, Result: r, Err: err})
	l.take(outs)
}

// settle performs everything that is asked for, until nothing is.
func (l *life) settle() {
	for len(l.ops) > 0 {
		d := l.ops[0]
		l.ops = l.ops[1:]
		l.perform(d)
	}
}

// pass moves the clock and fires what became due.
func (l *life) pass(d unit.DurationMs) {
	l.b.wall = l.b.wall.Add(d)
	keys := []string{}
	for k, at := range l.timers {
		if at <= l.b.wall {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y string) int { return cmp.Compare(l.timers[x], l.timers[y]) })
	for _, k := range keys {
		delete(l.timers, k)
		outs, _ := l.m.Step(l.b.now(), step.Tick{Key: k})
		l.take(outs)
	}
}

func (l *life) submit(who string, c Command) { l.take(l.m.Submit(l.b.now(), c, who)) }

func (b *bench) journal() []persistence.Record {
	r, _, err := b.store.ReadJournal(context.Background(), b.grain, 0, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// total replays the journal.
func (b *bench) total() (sum int64) {
	for _, r := range b.journal() {
		n, _ := binary.Varint(r.Payload)
		if r.Kind == 1 {
			sum += n
		}
	}
	return sum
}

func (b *bench) rowsDue() []persistence.Wakeup {
	var all []persistence.Wakeup
	for shard := range persistence.WakeupShards {
		for minute := int64(b.wall)/60000 - 20; minute < int64(b.wall)/60000+20; minute++ {
			w, err := b.store.ReadWakeups(context.Background(), shard, minute)
			if err != nil {
				b.t.Fatal(err)
			}
			all = append(all, w...)
		}
	}
	return all
}
