package usergrain

import (
	"cmp"

	"paceline/actors/machine"
	"paceline/actors/user"
	"paceline/actors/user/usercodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	userv1 "paceline/api/gen/paceline/user/v1"
	"paceline/domain/fault"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

// Config of one activation. Numbers that are zero get those of Default.
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
	RestAfter   unit.DurationMs // wall: how long nobody may have asked before the activation goes
	InterestFor unit.DurationMs // wall: an interest not renewed is forgotten
}

// Default is what suits a node.
func Default() Numbers { return Numbers{RestAfter: 2 * unit.Minute, InterestFor: 15 * unit.Second} }

var defaults = Default()

// complete is the same without zeros.
func (n *Numbers) complete() *Numbers {
	if n == nil {
		return &defaults
	}
	return &Numbers{RestAfter: cmp.Or(n.RestAfter, defaults.RestAfter), InterestFor: cmp.Or(n.InterestFor, defaults.InterestFor)}
}

// ErrMessage answers what a user's grain does not know.
var ErrMessage = fault.New(fault.Invalid, "user.message", "A user does not understand this message.")

// rules are the same for all activations.
var rules = machine.Spec[user.State, user.Command, user.Event]{
	New:             user.New,
	Decide:          user.Decide,
	Apply:           func(s *user.State, e user.Event) { s.Apply(e) },
	Answer:          func(e user.Event, v uint64) any { return user.AnswerTo(e, v) },
	AnswerUnchanged: func(s *user.State, c user.Command, v uint64) any { return user.AnswerUnchanged(s, c, v) },
	Encode:          usercodec.Encode,
	Decode:          usercodec.Decode,
	EncodeState:     usercodec.EncodeState,
	DecodeState:     usercodec.DecodeState,
	Fenced:          func() user.Event { return user.Fenced{} },
	CommandsExpire:  true,
}

// Shell is one activation of one user. Only Step may be called, never by two at once.
type Shell struct {
	n        *Numbers
	machine  *machine.Machine[user.State, user.Command, user.Event]
	used     unit.InstantMs // wall, last message that was not a sweep
	shown    uint64         // version of the newest committed entry of the inbox
	watchers []watcher      // by node
	draining bool
}

var _ machine.Stepper = (*Shell)(nil)

// New makes an activation. Its first message is machine.StartMsg.
func New(cfg Config) *Shell {
	s := &Shell{n: cfg.Numbers.complete()}
	s.machine = machine.New(&rules, machine.Hooks[user.Event]{Ready: s.ready, Committed: s.committed}, machine.Config{Grain: cfg.Grain,
		Activation: cfg.Activation, Member: cfg.Member, Random: cfg.Random, NewID: cfg.NewID, SnapshotEvery: cfg.SnapshotEvery})
	return s
}

func ack(g id.Grain, a user.Answer) *clusterv1.Ack {
	return &clusterv1.Ack{Stream: g.String(), Version: a.Version}
}

// Step takes one message and says what is to be done.
func (s *Shell) Step(now step.Now, msg any, from step.Return) []step.Out {
	outs := s.message(now, msg, from)
	if s.draining && s.machine.Ready() {
		rest, _ := s.machine.Rest(now)
		outs = append(outs, rest...)
	}
	s.acknowledge(outs)
	return outs
}

// acknowledge says which user's the versions in answers are.
func (s *Shell) acknowledge(outs []step.Out) {
	for i, o := range outs {
		if r, ok := o.(step.Reply); ok {
			if a, ok := r.Msg.(user.Answer); ok {
				r.Msg = ack(s.machine.Grain(), a)
				outs[i] = r
			}
		}
	}
}

func (s *Shell) message(now step.Now, msg any, from step.Return) []step.Out {
	if outs, ours := s.machine.Step(now, msg); ours {
		return outs
	}
	switch m := msg.(type) {
	case machine.StartMsg:
		s.used = now.Wall
		return s.machine.Start(now)
	case step.Sweep:
		return s.sweep(now, m)
	case *clusterv1.Wake:
		return s.machine.Woken(now, persistence.Wakeup{Grain: s.machine.Grain(), Due: unit.InstantMs(m.DueMs),
			Reason: m.Reason, Activation: m.Activation})
	case *userv1.Register:
		return s.submit(now, user.Register{Meta: meta(now, m.Call), User: s.machine.Grain().ID,
			Profile: usercodec.ProfileFromProto(m.Profile)}, from)
	case *userv1.ChangeProfile:
		return s.submit(now, user.ChangeProfile{Meta: meta(now, m.Call), User: s.machine.Grain().ID,
			Profile: usercodec.ProfileFromProto(m.Profile)}, from)
	case *userv1.React:
		return s.submit(now, user.Cheer{Meta: meta(now, m.Call), User: s.machine.Grain().ID, Competition: m.CompetitionId,
			Entry: m.Entry, Reaction: m.Reaction}, from)
	case *clusterv1.Interest:
		return s.interested(now, m, from)
	case *userv1.Get:
		s.used = now.Wall
		return s.machine.Query(now, from, s.get)
	}
	if from == nil {
		return nil // a one-way message, or an outcome that nobody waits for any more
	}
	return []step.Out{step.Reply{To: from, Err: ErrMessage.With("%T", msg)}}
}

func meta(now step.Now, c *clusterv1.Call) step.Meta {
	return step.Meta{At: now.Node, By: c.GetBy(), CommandID: c.GetCommandId(), Trace: c.GetTrace()}
}

func (s *Shell) submit(now step.Now, c user.Command, from step.Return) []step.Out {
	s.used = now.Wall
	return s.machine.Submit(now, c, from)
}

func (s *Shell) get(st *user.State, version uint64) (any, error) {
	if !st.Registered {
		return nil, user.ErrNotRegistered
	}
	return &userv1.State{UserId: s.machine.Grain().ID, Profile: usercodec.ProfileToProto(st.Profile), Version: version}, nil
}

func (s *Shell) sweep(now step.Now, m step.Sweep) []step.Out {
	s.draining = s.draining || m.Drain
	if s.draining || now.Wall.Sub(s.used) < s.n.RestAfter || !s.machine.Ready() {
		return nil // draining: Step looks behind every message
	}
	outs, _ := s.machine.Rest(now)
	return outs
}
