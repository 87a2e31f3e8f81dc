package devicegrain

import (
	"cmp"

	"paceline/actors/device"
	"paceline/actors/device/devicecodec"
	"paceline/actors/machine"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// Config of one activation.
type Config struct {
	Grain      id.Grain
	Activation string
	Member     string
	Random     func() uint64
	NewID      func(step.Now) string

	*Numbers // shared by all that are the same; nil: those of Default

	SnapshotEvery uint64 // events; 0: the machine's own
}

// Numbers of an activation. Those that are zero get those of Default.
type Numbers struct {
	QueueBytes  int             // of frames waiting in all lanes; more: more memory, fewer refusals
	AttachEvery unit.DurationMs // wall: how often a training is told of a stream until it answers
	OpenWait    unit.DurationMs // wall: how long an open waits for its training
	RestAfter   unit.DurationMs // wall: how long nobody may have asked before the activation goes
	RetryFirst  unit.DurationMs // wall: before I/O without an outcome is repeated, doubled each time
	RetryMost   unit.DurationMs // wall: and at most this
}

// Default is what suits a node.
func Default() Numbers {
	return Numbers{
		QueueBytes: 256 << 10, AttachEvery: 500, OpenWait: 10 * unit.Second, RestAfter: 2 * unit.Minute,
		RetryFirst: 50, RetryMost: 2 * unit.Second,
	}
}

var defaults = Default()

// complete is the same without zeros.
func (n *Numbers) complete() *Numbers {
	if n == nil {
		return &defaults
	}
	return &Numbers{
		QueueBytes: cmp.Or(n.QueueBytes, defaults.QueueBytes), AttachEvery: cmp.Or(n.AttachEvery, defaults.AttachEvery),
		OpenWait: cmp.Or(n.OpenWait, defaults.OpenWait), RestAfter: cmp.Or(n.RestAfter, defaults.RestAfter),
		RetryFirst: cmp.Or(n.RetryFirst, defaults.RetryFirst), RetryMost: cmp.Or(n.RetryMost, defaults.RetryMost),
	}
}

// What the shell refuses.
var (
	ErrNotOpen    = &fault.Fault{Kind: fault.Conflict, Code: "stream.not_open", Retry: true, Message: "This stream is not open here; open it again."}
	ErrGap        = fault.New(fault.Conflict, "stream.gap", "Samples before these are missing.")
	ErrConflict   = fault.New(fault.Conflict, "stream.conflict", "A seq came again with other values; the first ones count.")
	ErrReplaced   = fault.New(fault.Conflict, "stream.replaced", "Another connection has opened the stream.")
	ErrOverloaded = fault.Later("device.overloaded", "Too much is waiting to be stored; send again shortly.")
	ErrNoTraining = fault.Later("training.no_answer", "The workout does not answer yet; try again.")
	ErrErased     = fault.New(fault.Denied, "device.erased", "The person's data has been erased.")
	ErrMessage    = fault.New(fault.Invalid, "device.message", "A device does not understand this message.")
)

type grainMachine = machine.Machine[device.State, device.Command, device.Event]

// rules are the same for all activations.
var rules = machine.Spec[device.State, device.Command, device.Event]{
	New:    device.New,
	Decide: device.Decide,
	Apply:  func(s *device.State, e device.Event) { s.Apply(e) },
	React: func(s *device.State, e device.Event) (out []machine.Effect) {
		for _, f := range device.React(s, e) {
			out = append(out, f)
		}
		return out
	},
	Answer: func(e device.Event, v uint64) any { return device.AnswerTo(e, v) },
	AnswerUnchanged: func(s *device.State, c device.Command, v uint64) any {
		return device.AnswerUnchanged(s, c, v)
	},
	Encode:         devicecodec.Encode,
	Decode:         devicecodec.Decode,
	EncodeState:    devicecodec.EncodeState,
	DecodeState:    devicecodec.DecodeState,
	Fenced:         func() device.Event { return device.Fenced{} },
	CommandsExpire: true,
}

// Shell is one activation of one device. Only Step may be called, never by two at once.
type Shell struct {
	n       *Numbers
	machine *grainMachine
	// Maps are made when something is in them: a device that is only registered has none.
	lanes   map[string]*lane
	facts   uint64            // committed facts_version
	closes  map[string]uint64 // committed ends of streams
	waiting int               // bytes of frames in all lanes
	arrived uint64            // counts frames, so that a look knows which came before it

	tags     uint64
	used     unit.InstantMs // wall, last message that was not a sweep
	draining bool
	dead     bool

	*underWay // nil at rest without streams, between two messages
}

// underWay is what a device without streams holds only as long as it does something: most devices of a node are only
// registered.
type underWay struct {
	early   []func(now step.Now) // came while the journal was being read
	io      map[uint64]outcome   // by tag
	repeats map[string]func(now step.Now)
	asked   []*question // not yet answered by the machine
	outs    []step.Out
}

var _ machine.Stepper = (*Shell)(nil)

// New makes an activation. Its first message is machine.StartMsg.
func New(cfg Config) *Shell {
	s := &Shell{n: cfg.Numbers.complete()}
	s.machine = machine.New(&rules, machine.Hooks[device.Event]{
		Ready:     s.ready,
		Committed: s.committed,
		Busy:      s.busy,
	}, machine.Config{Grain: cfg.Grain, Activation: cfg.Activation, Member: cfg.Member, Random: cfg.Random, NewID: cfg.NewID,
		SnapshotEvery: cfg.SnapshotEvery})
	return s
}

func (s *Shell) ready(step.Now) []step.Out {
	s.facts = s.machine.State().FactsVersion
	for name, f := range s.machine.State().Streams {
		if f.Closed {
			machine.Set(&s.closes, name, f.ClosedAt)
		}
	}
	return nil
}

// committed does what must follow an event, now that it cannot be lost.
func (s *Shell) committed(now step.Now, e device.Event, version uint64, effects []machine.Effect) []step.Out {
	if device.IsFact(e) {
		s.facts = version
	}
	if c, ok := e.(device.StreamClosed); ok {
		machine.Set(&s.closes, c.Stream, c.LastSeq)
	}
	for _, f := range effects {
		switch f := f.(type) {
		case device.TellTraining:
			s.tell(f.Stream, nil)
		case device.DropRows:
			s.dropRows(now, f.Stream)
		}
	}
	return nil
}

func (s *Shell) busy() bool {
	for _, l := range s.lanes {
		if !l.idle() {
			return true
		}
	}
	return len(s.io) > 0 || len(s.repeats) > 0 || len(s.early) > 0
}

// stream is what the journal says about a stream; nil: it was never opened. It may hold what is not committed.
func (s *Shell) stream(name string) *device.StreamFacts { return s.machine.State().Streams[name] }

func (s *Shell) out(o ...step.Out) { s.outs = append(s.outs, o...) }

func (s *Shell) reply(to step.Return, msg any, err error) {
	if to != nil {
		s.out(step.Reply{To: to, Msg: msg, Err: err})
	}
}

// seriesKey names the stream's samples; they are sealed with the key of the person whose workout it is.
func (s *Shell) seriesKey(f *device.StreamFacts) persistence.SeriesKey {
	return persistence.SeriesKey{Device: s.machine.Grain().ID, Stream: f.Stream, Subject: f.Opening.Person}
}
