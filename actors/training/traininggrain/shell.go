package traininggrain

import (
	"paceline/actors/machine"
	"paceline/actors/training"
	"paceline/actors/training/trainingcodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	livev1 "paceline/api/gen/paceline/live/v1"
	"paceline/domain/basis"
	"paceline/domain/course"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

type grainMachine = machine.Machine[training.State, training.Command, training.Event]

// ErrMessage is the answer to a message that a workout does not understand.
var ErrMessage = fault.New(fault.Invalid, "training.message", "A workout does not understand this message.")

// hint is what was heard of a stream: it decides only whether to read.
type hint struct {
	last     uint64 // seqs through here are said to be stored
	facts    uint64 // facts_version said to hold
	closed   bool
	closedAt uint64
	told     unit.InstantMs // wall: when its device was last told of the race
	control  bool           // its equipment wants to be set
	answered *livev1.ControlState
}

// Shell is one activation of one workout. Only Step may be called, never by two at once.
type Shell struct {
	n       *Numbers
	compile training.Compile
	machine *grainMachine

	// Reading and folding.
	fold        *training.Fold  // the newest whole one; nil before the first reading has ended
	result      training.Result // of fold
	unseen      bool            // result is not observed yet
	reading     *reading        // under way
	devices     map[string]*deviceFacts
	hints       map[training.StreamKey]*hint
	why         string // it was folded anew
	lookAsked   bool   // look once, whatever the hints say
	lastLook    bool   // the one at the end of the grace has been asked for
	settle      *settle
	recordAsked bool
	sure        map[training.StreamKey]bool // StreamAttached is committed: only then may the device be told
	stored      *storing                    // a recording on its way

	// Reporting.
	echoed    string // what the newest echo says is journalled
	sent      []sentReport
	reportAt  unit.InstantMs // wall, of the last one
	reportNow bool
	reported  basis.Basis
	upTo      basis.Basis                 // that the competition holds
	epoch     uint64                      // of the competition's last request
	recorded  map[training.StreamKey]bool // the floor is journalled by its device
	toldAt    unit.InstantMs              // wall, of the last Recorded
	tellings  int
	nodes     map[string]*watcher // who wants the workout's topic
	shownAt   unit.InstantMs
	signed    signature
	steeredAt unit.InstantMs // of the position that equipment was last set by

	checkpointAt unit.InstantMs
	checkpointed basis.Basis

	armed    unit.InstantMs
	early    []func(step.Now)
	timed    []func(step.Now) // commands that wait for the devices' clocks
	io       map[uint64]func(step.Now, persistence.Done)
	tags     uint64
	asked    map[*question]bool
	used     unit.InstantMs // wall, of the last message that was not a sweep
	heard    unit.InstantMs // wall, when there last was something unread
	begun    unit.InstantMs // node clock, of the activation
	quiet    int            // how often the open row was moved away
	draining bool
	dead     bool
	outs     []step.Out
}

var _ machine.Stepper = (*Shell)(nil)

// New makes an activation. Its first message is machine.StartMsg.
func New(cfg Config) *Shell {
	s := &Shell{n: &defaults, compile: cfg.Compile}
	if n := cfg.Numbers; n != (Numbers{}) {
		s.n = &n
	}
	if s.compile == nil {
		s.compile = course.New
	}
	s.machine = machine.New(s.spec(), machine.Hooks[training.Event]{
		Ready: s.ready, Committed: s.committed, Due: s.due, Busy: s.busy,
	}, machine.Config{Grain: cfg.Grain, Activation: cfg.Activation, Member: cfg.Member, Random: cfg.Random, NewID: cfg.NewID,
		SnapshotEvery: cfg.SnapshotEvery})
	return s
}

func (s *Shell) spec() *machine.Spec[training.State, training.Command, training.Event] {
	ack := func(v uint64) *clusterv1.Ack { return &clusterv1.Ack{Stream: s.machine.Grain().String(), Version: v} }
	return &machine.Spec[training.State, training.Command, training.Event]{
		New:    func() *training.State { return training.NewWith(s.compile) },
		Decide: training.Decide,
		Apply:  func(st *training.State, e training.Event) { st.Apply(e) },
		React: func(st *training.State, e training.Event) (out []machine.Effect) {
			for _, f := range training.React(st, e) {
				out = append(out, f)
			}
			return out
		},
		Answer:          func(e training.Event, v uint64) any { return ack(training.Answer(e, v).Version) },
		AnswerUnchanged: func(_ *training.State, _ training.Command, v uint64) any { return ack(v) },
		Encode:          trainingcodec.Encode,
		Decode:          trainingcodec.Decode,
		EncodeState:     trainingcodec.EncodeState,
		DecodeState: func(b []byte) (*training.State, error) {
			return trainingcodec.DecodeState(b, s.compile)
		},
		Open: s.open,
		Timers: func(st *training.State) []machine.Timer {
			if at, ok := st.GraceEnds(); ok {
				return []machine.Timer{{Reason: "grace", At: at}}
			}
			return nil
		},
		Fenced: func() training.Event { return training.Fenced{} },
	}
}

// open reports that the workout must be woken until this is over: it is not finished, its report is not echoed, or
// a device has not journalled the floor.
func (s *Shell) open(st *training.State) bool {
	switch {
	case st.Phase == training.PhaseLive || st.Phase == training.PhaseFinishing:
		return true
	case st.Bound != nil && s.news():
		return true
	case st.Phase == training.PhaseOver && (s.fold == nil || s.unrecorded()):
		return true
	}
	return !s.allRecorded()
}

func (s *Shell) busy() bool {
	return s.reading != nil || len(s.timed) > 0 || s.stored != nil || s.settle != nil && !s.settle.answered || len(s.asked) > 0 || s.unseen || s.news() || !s.allRecorded() ||
		s.fold != nil && s.machine.State().Phase == training.PhaseOver && s.unrecorded()
}

func (s *Shell) ready(now step.Now) []step.Out {
	s.begun, s.heard = now.Node, now.Wall
	for _, st := range s.machine.State().Streams {
		machine.Set(&s.sure, st.Key, true)
	}
	return nil
}

// committed does what must follow an event, now that it cannot be lost.
func (s *Shell) committed(now step.Now, e training.Event, _ uint64, effects []machine.Effect) []step.Out {
	if a, ok := e.(training.StreamAttached); ok {
		machine.Set(&s.sure, a.Stream.Key, true)
	}
	for _, f := range effects {
		switch f.(type) {
		case training.TellDevices:
			s.reportNow = true
			for _, st := range s.machine.State().Streams {
				s.tellDevice(now, st.Key)
			}
		case training.TellRecorded:
			clear(s.recorded)
			s.toldAt = 0
		}
	}
	return nil
}

// due: a timer's instant is reached, or a wake-up fired. Look, and move the row away if there is nothing to do.
func (s *Shell) due(now step.Now, reason string) []step.Out {
	if reason == "grace" {
		return nil // pump concludes
	}
	s.lookAsked = true
	s.finishIdle(now)
	if reason == "open" && s.fold != nil && s.open(s.machine.State()) && now.Wall.Sub(s.heard) >= s.n.QuietAfter {
		s.take(now, s.machine.Postpone(now, now.Wall.Add(away[min(s.quiet, len(away)-1)])))
		s.quiet++
	}
	return nil
}

// somethingNew moves the open row back.
func (s *Shell) somethingNew(now step.Now) {
	s.heard = now.Wall
	if s.quiet > 0 {
		s.quiet = 0
		s.take(now, s.machine.Postpone(now, now.Wall.Add(s.n.RowSoon)))
	}
}

// finishIdle ends a workout that nobody uses any more.
func (s *Shell) finishIdle(now step.Now) {
	st := s.machine.State()
	if st.Phase != training.PhaseLive || s.fold == nil || s.reading != nil {
		return
	}
	last := max(s.result.At, s.lastUse(now))
	if now.Node.Sub(last) < s.n.IdleAfter || st.InOpenRace(now.Node, last) {
		return
	}
	s.submit(now, training.Finish{Meta: s.meta(now), By: training.BySystem, Reason: "idle", EventTime: now.Node}, nil)
}

// lastUse is when somebody last did something with the workout, samples aside. A device's clock may be hours off; a
// workout's id is minted with ours.
func (s *Shell) lastUse(now step.Now) unit.InstantMs {
	st := s.machine.State()
	last := unit.InstantMs(0)
	used := func(at unit.InstantMs) { last = max(last, min(at, now.Node)) }
	used(st.Started.DeviceTime)
	if minted, ok := id.MintedAt(s.machine.Grain().Local()); ok {
		used(minted)
	}
	if n := len(st.Laps); n > 0 {
		used(st.Laps[n-1].At)
	}
	if n := len(st.Breaks); n > 0 {
		used(st.Breaks[n-1].From)
		used(st.Breaks[n-1].To)
	}
	if last == 0 {
		return s.begun
	}
	return last
}

func (s *Shell) meta(now step.Now) step.Meta {
	return step.Meta{At: now.Node, By: "grain:" + s.machine.Grain().String()}
}

func (s *Shell) competition() id.Grain {
	return id.Of(id.Competition, s.machine.State().Bound.Competition)
}

func deviceGrain(device string) id.Grain { return id.Grain{Kind: id.Device, ID: device} }
