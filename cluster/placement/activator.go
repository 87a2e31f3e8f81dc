package placement

import (
	"cmp"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"paceline/domain/id"
	"paceline/domain/step"
)

// What the activator hears beside activation requests.
type (
	membersChanged struct {
		before, now *Members
		at          time.Time
	}
	sweepNow struct{}
	drain    struct{ done chan struct{} }
	// released: the activation has ended (it may linger); its grain may be activated anew.
	released struct {
		identity string
		pid      *actor.PID
	}
	// overdue: a grain that must end has not.
	overdue struct {
		identity string
		pid      *actor.PID
	}
	// release: another member is the owner now, and asks.
	release struct {
		asker    string
		grain    id.Grain
		identity string
		done     func()
	}
	// releaseAll: a member asks whether all that is its own now was let go of.
	releaseAll struct {
		asker string
		done  func()
	}
	// letGo: a member has let go of all that is not its own, or was not heard.
	letGo struct {
		member string
		ok     bool
	}
	// handedOver: a former owner has let go, or was not heard.
	handedOver struct{ identity string }
	abandon    struct{}
	count      struct{ answer chan<- map[id.Kind]int }
	activeHere struct {
		identity string
		answer   chan<- bool
	}
)

// activator owns the table of this member's activations. It is an actor so that nobody else touches the table; it
// does nothing that waits.
type activator struct {
	p        *Placement
	props    *actor.Props           // of all activations
	coming   *activation            // whose actor is being spawned: props ask for it
	grains   map[string]*activation // by identity
	draining bool                   // activates nothing any more
	leaving  time.Time              // since when it drains; zero: it does not
	inUse    []*activation          // of those that must end because it does: used since then, so they end when the others have
	last     []*activation          // the same: of kinds that end last
	drained  []chan struct{}
	ticker   *time.Timer
	toEnd    []*activation // must end, and are not asked yet
	wanted   []*activation // the same, before those: another member waits for them
	endings  int           // asked, and not released

	former  []*Members           // the members before each of the last changes, newest first
	view    *Members             // the newest that was heard of here
	since   time.Time            // when it became so
	empty   map[string]bool      // members of which it is asked whether they have let go of all that is not theirs: they have
	waitAll map[string]func()    // members that ask this one so
	came    map[string]time.Time // members that have come since this one began: when
	asking  map[string]*inquiry  // by identity: former owners were asked, and have not all answered
	free    map[string]time.Time // identities whose former owners have let go: remembered until
	given   map[string]time.Time // identities that another member was given: not activated here until
	wait    map[string][]func()  // who waits for the end of an activation
}

func newActivator(p *Placement) *activator {
	a := &activator{
		p: p, grains: make(map[string]*activation), came: make(map[string]time.Time), asking: make(map[string]*inquiry),
		empty: make(map[string]bool), waitAll: make(map[string]func()), free: make(map[string]time.Time), given: make(map[string]time.Time), wait: make(map[string][]func()),
	}
	// Asked once for each spawn, within it: nothing is ever restarted. A queue without a ring holds nothing when it is empty.
	a.props = actor.PropsFromProducer(func() actor.Actor { return a.coming }, actor.WithMailbox(actor.UnboundedLockfree()))
	return a
}

// Receive implements actor.Actor.
func (a *activator) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		a.sweepLater(ctx)
	case *actor.Stopping:
		a.ticker.Stop()
	case *pcluster.ActivationRequest:
		if ctx.Sender() != nil {
			a.requested(ctx, asker{ctx.Sender(), m})
		}
	case released:
		a.released(ctx, m)
	case overdue:
		if g := a.grains[m.identity]; g != nil && g.self.Id == m.pid.Id {
			a.p.counts.Forced.Add(1)
			a.p.log.Warn("a grain did not end in time", "grain", g.grain.String())
			a.released(ctx, released(m))
			ctx.Stop(m.pid)
		}
	case membersChanged:
		a.changed(m)
		a.releaseForeign(ctx)
		a.tellAll()
	case release:
		a.release(ctx, m)
	case releaseAll:
		a.waitAll[m.asker] = m.done // a later question of the same member takes the place of the one before
		a.tellAll()
	case letGo:
		a.letGo(m)
	case handedOver:
		a.handedOver(ctx, m.identity)
	case abandon:
		a.abandon(ctx)
	case count:
		n := make(map[id.Kind]int)
		for _, g := range a.grains {
			n[g.grain.Kind]++
		}
		m.answer <- n
	case activeHere:
		g := a.grains[m.identity]
		m.answer <- g != nil && !g.ending
	case sweepNow:
		a.sweep(ctx)
		a.forget(time.Now())
		a.askAll()
		a.sweepLater(ctx)
	case drain:
		a.drain(ctx, m.done)
	}
}

var failed = &pcluster.ActivationResponse{Failed: true}

// asker waits for an activation's place.
type asker struct {
	who     *actor.PID
	request *pcluster.ActivationRequest
}

// maxAskers bounds those who wait until a grain is handed over; more try again after their pause.
const maxAskers = 64

// requested answers a request, at once or when the grain's former owners have let go of it: by then whoever asked may have
// tried again, which does no harm.
func (a *activator) requested(ctx actor.Context, one asker) {
	r := a.activate(ctx, one.request)
	if r == nil {
		if q := a.asking[one.request.GetClusterIdentity().GetIdentity()]; len(q.askers) < maxAskers {
			q.askers = append(q.askers, one)
			return
		}
		r = failed
	}
	ctx.Send(one.who, r)
}

// activate is the answer to a request; nil: not before the former owners have answered.
func (a *activator) activate(ctx actor.Context, r *pcluster.ActivationRequest) *pcluster.ActivationResponse {
	identity := r.GetClusterIdentity().GetIdentity()
	if found := a.grains[identity]; found != nil {
		if found.ending {
			return failed // the caller tries again after a pause
		}
		return &pcluster.ActivationResponse{Pid: found.self}
	}
	name := identity + ctx.ActorSystem().ProcessRegistry.NextId()
	identity = name[:len(identity)] // what is kept of both is kept once
	g, err := id.ParseIdentity(identity)
	if err != nil || a.draining || !a.leaving.IsZero() && !a.p.kinds[g.Kind].Last || !a.owns(g) {
		return failed
	}
	if may, asked := a.mayTake(g, identity); !may {
		if asked {
			return nil
		}
		return failed
	}
	if _, paused := a.p.pauses.of(g, time.Now()); paused {
		return failed // another member has it; whoever asks again is sent on to it
	}
	if _, ok := a.p.kinds[g.Kind]; !ok {
		a.p.log.Warn("a grain of an unknown kind was asked for", "grain", g.String())
		return failed
	}
	act := newActivation(a.p, g, identity)
	// Not a child: the activator keeps no list that must be searched, and its end would not be theirs.
	a.coming = act
	pid, err := ctx.ActorSystem().Root.SpawnNamed(a.props, name)
	a.coming = nil
	if err != nil {
		a.p.log.Error("a grain could not be activated", "grain", g.String(), "err", err)
		return failed
	}
	act.self = pid
	a.grains[identity] = act
	if !a.leaving.IsZero() {
		act.late, act.waits = true, true
		a.last = append(a.last, act)
	}
	a.p.counts.Activated.Add(1)
	a.p.counts.Active.Store(int64(len(a.grains)))
	return &pcluster.ActivationResponse{Pid: pid}
}

func (a *activator) owns(g id.Grain) bool {
	_, here, ok := a.p.Owner(g)
	return ok && here
}

func (a *activator) released(ctx actor.Context, m released) {
	g := a.grains[m.identity]
	if g == nil || g.self.Id != m.pid.Id {
		return
	}
	delete(a.grains, m.identity)
	if g.ending {
		a.endings--
	}
	for _, done := range a.wait[m.identity] {
		done()
	}
	delete(a.wait, m.identity)
	a.p.counts.Released.Add(1)
	a.p.counts.Active.Store(int64(len(a.grains)))
	a.endMore(ctx)
	a.tellAll()
	a.finishDrain()
}

func (a *activator) releaseForeign(ctx actor.Context) {
	for _, g := range a.grains {
		if !a.owns(g.grain) {
			a.endSoon(g)
		}
	}
	a.endMore(ctx)
}

// endSoon has a grain end when it is its turn; until then it serves.
func (a *activator) endSoon(g *activation) {
	if !g.ending && !g.waits {
		g.waits = true
		a.toEnd = append(a.toEnd, g)
	}
}

// endMore asks those whose turn it is. All at once would want more of the store than its queue takes: what is refused
// there is tried again after pauses, and a full node would not be done within its deadline.
func (a *activator) endMore(ctx actor.Context) {
	for a.endings < a.p.cfg.EndAtOnce && len(a.wanted) > 0 {
		g := a.wanted[0]
		if a.wanted = a.wanted[1:]; len(a.wanted) == 0 {
			a.wanted = nil
		}
		if a.grains[g.identity] == g && !g.ending {
			a.end(ctx, g)
		}
	}
	for a.endings < a.p.cfg.EndAtOnce && len(a.toEnd) > 0 {
		g := a.toEnd[0]
		if a.toEnd = a.toEnd[1:]; len(a.toEnd) == 0 {
			a.toEnd = nil // its array would keep every one of them in memory
		}
		g.waits = false
		if a.grains[g.identity] != g || g.ending || a.leaving.IsZero() && !a.draining && a.owns(g.grain) {
			continue
		}
		if !g.late && g.usedAt.Load() >= a.leaving.UnixNano() && !a.leaving.IsZero() {
			g.late, g.waits = true, true
			a.inUse = append(a.inUse, g)
			continue
		}
		a.end(ctx, g)
	}
	// A leaving member's grains are nowhere from their end until it has left. What is in use has its turn when nothing else
	// waits, and what ends last begins when nothing else is left.
	if len(a.toEnd) == 0 && len(a.inUse) > 0 {
		a.toEnd, a.inUse = a.inUse, nil
		a.endMore(ctx)
	} else if len(a.toEnd) == 0 && a.endings == 0 && !a.leaving.IsZero() && !a.draining {
		a.draining = true
		a.toEnd, a.last = a.last, nil
		a.endMore(ctx)
	}
}

// end asks a grain to end; it is not waited for longer than ReleaseWithin.
func (a *activator) end(ctx actor.Context, g *activation) {
	g.ending = true
	a.endings++
	ctx.Send(g.self, step.Sweep{Drain: true})
	system, self, late := ctx.ActorSystem(), ctx.Self(), overdue{identity: g.identity, pid: g.self}
	time.AfterFunc(a.p.cfg.ReleaseWithin, func() { system.Root.Send(self, late) })
}

func (a *activator) drain(ctx actor.Context, done chan struct{}) {
	a.drained = append(a.drained, done)
	if a.leaving.IsZero() {
		a.leaving = time.Now()
		for _, g := range a.grains {
			if a.p.kinds[g.grain.Kind].Last && !g.ending && !g.waits {
				g.late, g.waits = true, true
				a.last = append(a.last, g)
				continue
			}
			a.endSoon(g)
		}
		slices.SortFunc(a.last, func(g, h *activation) int { return cmp.Compare(g.usedAt.Load(), h.usedAt.Load()) })
	}
	a.endMore(ctx)
	a.finishDrain()
}

func (a *activator) finishDrain() {
	if a.leaving.IsZero() && !a.draining || len(a.grains) > 0 {
		return
	}
	a.draining = true
	for _, done := range a.drained {
		close(done)
	}
	a.drained = nil
}

// sweep asks what nobody has used for IdleAfter whether it may end.
func (a *activator) sweep(ctx actor.Context) {
	idleSince := time.Now().Add(-a.p.cfg.IdleAfter).UnixNano()
	for _, g := range a.grains {
		if !g.ending && g.usedAt.Load() < idleSince {
			ctx.Send(g.self, step.Sweep{})
		}
	}
}

func (a *activator) sweepLater(ctx actor.Context) {
	system, self := ctx.ActorSystem(), ctx.Self()
	a.ticker = time.AfterFunc(a.p.cfg.SweepEvery, func() {
		if !system.IsStopped() {
			system.Root.Send(self, sweepNow{})
		}
	})
}
