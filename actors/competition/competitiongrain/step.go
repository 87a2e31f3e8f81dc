package competitiongrain

import (
	"errors"
	"slices"

	"paceline/actors/competition"
	"paceline/actors/competition/competitioncodec"
	"paceline/actors/machine"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	competitionv1 "paceline/api/gen/paceline/competition/v1"
	"paceline/domain/fault"
	"paceline/domain/rank"
	"paceline/domain/step"
	"paceline/domain/unit"
	"paceline/persistence"
)

type raceMachine = machine.Machine[competition.State, competition.Command, competition.Event]

// pulse is the one tick of the shell; what is due is looked up then.
const pulse = "competition/pulse"

// maxReplies bounds the answers that wait for the epoch.
const maxReplies = 4096

// fewEntries are so few that a snapshot costs no more than the events between two.
const fewEntries = 250

// Tags of the shell's own I/O.
const (
	tagLoadBoard uint64 = 1
	tagPutBoard  uint64 = 2
)

// What the shell itself refuses.
var (
	ErrMessage = fault.New(fault.Invalid, "competition.message", "A competition does not understand this message.")
	ErrTopic   = fault.New(fault.NotFound, "competition.topic", "A competition has no such topic.")
)

// Shell is one activation of one race. It is a step object and not safe for concurrent use.
type Shell struct {
	cfg       Config
	m         *raceMachine
	shown     *competition.State // committed events only; nil before recovery
	opened    bool               // our Opened is committed
	liveSince uint64             // version of the event since which the board is more than the journal
	decidedAt unit.InstantMs     // of the command whose events are being applied
	replies   []step.Reply       // wait for the epoch
	echoes    []*line            // whose echo waits for the journal
	draining  bool
	suspected bool // that another activation has overtaken this one

	board board

	// Next time of what is repeated, wall clock; 0: not wanted.
	bindAt, askAt, settleAt, settleLimitAt, checkpointAt unit.InstantMs
	provisionalSince                                     unit.InstantMs // wall; 0: there is no provisional result
	asking                                               int            // lines that have not reported to this epoch
	armedAt                                              unit.InstantMs
	boardDirty                                           bool               // since the last checkpoint
	draft                                                *competition.Draft // of the result that is being published in parts
	loads                                                int
}

// New makes an activation; it begins with machine.StartMsg.
func New(cfg Config) *Shell {
	sh := &Shell{cfg: cfg, board: board{ranks: rank.New(rank.Competition)}}
	sh.m = machine.New(sh.spec(), machine.Hooks[competition.Event]{
		Ready: sh.ready, Committed: sh.committed, Due: sh.due, Busy: sh.busy,
	}, machine.Config{Grain: cfg.Grain, Activation: cfg.Activation, Member: cfg.Member, Random: cfg.Random, NewID: cfg.NewID,
		SnapshotEvery: cfg.SnapshotEvery})
	return sh
}

func (sh *Shell) spec() *machine.Spec[competition.State, competition.Command, competition.Event] {
	return &machine.Spec[competition.State, competition.Command, competition.Event]{
		New: competition.New,
		Decide: func(s *competition.State, c competition.Command) ([]competition.Event, error) {
			sh.decidedAt = c.CommandMeta().At
			return competition.Decide(s, c)
		},
		Apply: (*competition.State).Apply,
		React: func(s *competition.State, e competition.Event) []machine.Effect {
			var all []machine.Effect
			for _, f := range competition.React(s, e) {
				all = append(all, announced{f, sh.decidedAt})
			}
			return all
		},
		Answer: func(e competition.Event, v uint64) any { return answer(competition.AnswerTo(e, v)) },
		AnswerUnchanged: func(s *competition.State, c competition.Command, v uint64) any {
			return answer(competition.Unchanged(s, c, v))
		},
		Encode: competitioncodec.Encode,
		Decode: competitioncodec.Decode,

		// A snapshot costs as much as there are entries, so a large race takes one after as many events.
		SnapshotAfter: func(s *competition.State) uint64 {
			if n := len(s.Entries()); n > fewEntries {
				return 2 * uint64(n)
			}
			return 0
		},
		EncodeState: competitioncodec.EncodeState,
		DecodeState: competitioncodec.DecodeState,
		Timers: func(s *competition.State) []machine.Timer {
			var all []machine.Timer
			for _, t := range competition.Timers(s) {
				all = append(all, machine.Timer(t))
			}
			return all
		},
		Open:   (*competition.State).Awake,
		Fenced: func() competition.Event { return competition.Fenced{} },
		Opened: func(member string) competition.Event { return competition.Opened{Member: member} },
		OpenedBy: func(e competition.Event) (string, bool) {
			o, ok := e.(competition.Opened)
			return o.Member, ok
		},
		NeedsEpoch:     (*competition.State).NeedsEpoch,
		CommandsExpire: true,
	}
}

// Step takes one message and says what is to be done.
func (sh *Shell) Step(now step.Now, msg any, from step.Return) []step.Out {
	outs := sh.handle(now, msg, from)
	outs = append(outs, sh.drive(now)...)
	outs = sh.hold(outs)
	if sh.m.Ready() && sh.m.Version() == 0 && slices.ContainsFunc(outs, notFound) {
		outs = append(outs, sh.rest(now)...) // anybody may ask for any id: what nobody created takes no memory
	}
	return outs
}

func notFound(o step.Out) bool {
	r, ok := o.(step.Reply)
	return ok && errors.Is(r.Err, competition.ErrNotFound)
}

func (sh *Shell) handle(now step.Now, msg any, from step.Return) []step.Out {
	switch msg := msg.(type) {
	case machine.StartMsg:
		return sh.m.Start(now)
	case step.Sweep:
		sh.draining = sh.draining || msg.Drain
		return sh.rest(now)
	case persistence.Done:
		if outs, ok := sh.m.Step(now, msg); ok {
			return outs
		}
		return sh.done(now, msg)
	case step.Tick:
		if outs, ok := sh.m.Step(now, msg); ok {
			return outs
		}
		if msg.Key == pulse {
			sh.armedAt = 0
		}
		return nil
	case *clusterv1.Wake:
		outs := sh.m.Woken(now, persistence.Wakeup{Grain: sh.cfg.Grain, Due: unit.InstantMs(msg.GetDueMs()), Reason: msg.GetReason(), Activation: msg.GetActivation()})
		return append(outs, ack(from)...)
	case *clusterv1.Interest:
		return sh.interested(now, msg, from)
	case *competitionv1.Command:
		return sh.command(now, msg, from)
	case *competitionv1.Report:
		return append(sh.report(now, msg), ack(from)...)
	case *competitionv1.SettleAnswer:
		return append(sh.answered(now, msg), ack(from)...)
	case *competitionv1.Get:
		return sh.m.Query(now, from, func(s *competition.State, v uint64) (any, error) {
			return sh.stateMessage(s, v, now, msg)
		})
	}
	if from == nil {
		return nil
	}
	return []step.Out{step.Reply{To: from, Err: ErrMessage}}
}

// ack answers a message that has no answer of its own, if anybody waits.
func ack(from step.Return) []step.Out {
	if from == nil {
		return nil
	}
	return []step.Out{step.Reply{To: from, Msg: &clusterv1.Ack{}}}
}

// open reports whether the activation may speak: its epoch is committed, or it needs none.
func (sh *Shell) open() bool {
	if !sh.m.Ready() || sh.shown == nil {
		return false
	}
	_, ok := sh.epoch()
	return ok
}

// hold keeps answers back until the epoch is open: another activation may be the one that decides.
func (sh *Shell) hold(outs []step.Out) []step.Out {
	switch {
	case sh.m.Stopped():
		for i := range sh.replies {
			outs = append(outs, step.Reply{To: sh.replies[i].To, Err: machine.ErrStopped})
		}
		sh.replies = nil
		return outs
	case !sh.m.Ready():
		return outs
	case sh.open():
		for _, r := range sh.replies {
			outs = append(outs, r)
		}
		sh.replies = nil
		return outs
	}
	kept := outs[:0]
	for _, o := range outs {
		if r, ok := o.(step.Reply); ok && len(sh.replies) < maxReplies {
			sh.replies = append(sh.replies, r)
			continue
		} else if ok {
			o = step.Reply{To: r.To, Err: machine.ErrBusy}
		}
		kept = append(kept, o)
	}
	return kept
}

// drive does what state and clock ask for, whatever message came.
func (sh *Shell) drive(now step.Now) []step.Out {
	if !sh.m.Ready() || sh.shown == nil {
		return nil
	}
	outs := sh.proceed(now)
	if sh.open() {
		outs = append(outs, sh.flushEchoes()...)
		outs = append(outs, sh.bind(now)...)
		outs = append(outs, sh.ask(now)...)
		outs = append(outs, sh.settle(now)...)
		outs = append(outs, sh.tickBoard(now)...)
		outs = append(outs, sh.checkpoint(now)...)
	}
	if sh.draining {
		outs = append(outs, sh.rest(now)...)
	}
	return append(outs, sh.arm(now)...)
}

// proceed lets the rules go on as far as they can. Each round journals something, so there is an end.
func (sh *Shell) proceed(now step.Now) []step.Out {
	var outs []step.Out
	for sh.m.Ready() {
		s := sh.m.State()
		if s.Publishing != nil && s.Publishing.Last > sh.m.Committed() {
			return outs // one part after the other: whatever comes meanwhile is heard between them
		}
		c := competition.Proceed{Meta: sh.meta(now), FinalAllowed: sh.finalAllowed(now), PartBytes: sh.cfg.PartBytes}
		before := sh.m.Version()
		if !competition.Due(s, c) {
			sh.draft = nil
			break
		}
		sh.draft = competition.DraftFor(s, c, sh.draft)
		c.Draft = sh.draft
		outs = append(outs, sh.m.Submit(now, c, nil)...)
		if sh.m.Version() == before {
			break // too busy just now; tried again with the next message or timer
		}
	}
	return outs
}

// meta is that of the grain's own commands.
func (sh *Shell) meta(now step.Now) step.Meta {
	return step.Meta{At: now.Node, By: "grain:" + sh.cfg.Grain.String()}
}

// finalAllowed: streams have been closed, or the grace over, for longer than activations overlap.
func (sh *Shell) finalAllowed(now step.Now) bool {
	return sh.provisionalSince != 0 && (now.Wall >= sh.provisionalSince.Add(sh.cfg.SettleDelay) || step.RuleSettleDelay.Off())
}

// arm asks for the next pulse.
func (sh *Shell) arm(now step.Now) []step.Out {
	var next unit.InstantMs
	soonest := func(at unit.InstantMs) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	if sh.open() {
		soonest(sh.bindAt)
		soonest(sh.askAt)
		soonest(sh.settleAt)
		soonest(sh.settleLimitAt)
		soonest(sh.checkpointAt)
		soonest(sh.board.at)
	}
	if sh.provisionalSince != 0 && !sh.finalAllowed(now) {
		soonest(sh.provisionalSince.Add(sh.cfg.SettleDelay))
	}
	if next == 0 || next == sh.armedAt {
		return nil
	}
	sh.armedAt = next
	return []step.Out{step.After{Key: pulse, At: next}}
}

// rest lets the activation go if nothing is outstanding.
func (sh *Shell) rest(now step.Now) []step.Out {
	if !sh.m.Ready() {
		return nil
	}
	outs, _ := sh.m.Rest(now)
	return outs
}

// busy: the race is on, or somebody looks. A drained node does not wait for that: another one goes on.
func (sh *Shell) busy() bool {
	if len(sh.replies) > 0 || len(sh.echoes) > 0 {
		return true
	}
	if sh.draining || sh.shown == nil {
		return false
	}
	if sh.shown.Publishing != nil {
		return true
	}
	p := sh.shown.Phase
	return p >= competition.PhaseCountdown && p <= competition.PhaseSettling || sh.shown.Settle.Open ||
		p == competition.PhaseProvisional && sh.shown.Definition.AutoOfficialAfter >= 0 || len(sh.board.interests) > 0
}

func (sh *Shell) done(now step.Now, d persistence.Done) []step.Out {
	switch d.Tag {
	case tagLoadBoard:
		return sh.boardLoaded(now, d)
	case tagPutBoard:
		if d.Err != nil {
			sh.boardDirty = true // a cache; the next checkpoint tries again
		}
	}
	return nil
}
