package placement

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"paceline/domain/id"
)

// viewsKept bounds the views before the last changes: a rolling restart of a few nodes within HandOver.
const viewsKept = 8

// changed remembers who owned what until now.
func (a *activator) changed(m membersChanged) {
	if m.before == nil || len(m.before.All()) == 0 {
		// This member has just begun: until now the others had what is its own from here on.
		m.before = a.p.Members().without(a.p.system.ID)
	}
	a.former = append([]past{{m.before, m.at.Add(a.p.cfg.HandOver)}}, a.former...)
	if len(a.former) > viewsKept {
		a.former = a.former[:viewsKept]
	}
	// Who has let go before may have been the owner again since; and who was given a grain may not be its owner now.
	clear(a.free)
	clear(a.given)
}

// mayTake reports whether nobody else has the grain, as far as members can know; asked: a former owner is being asked, and
// will have answered soon. The activator itself does not wait.
func (a *activator) mayTake(g id.Grain, identity string) (may, asked bool) {
	now := time.Now()
	if until, given := a.given[identity]; given && now.Before(until) {
		// It was let go because another member believes itself the owner; who of the two is right, the topology says
		// within that time.
		return false, false
	}
	if until, asked := a.asked[identity]; asked {
		return !now.Before(until), now.Before(until)
	}
	if _, free := a.free[identity]; free || a.p.former == nil {
		return true, false
	}
	owner, ok := a.formerOwner(g, now)
	if !ok {
		return true, false
	}
	a.asked[identity] = now.Add(a.p.cfg.HandOverWithin)
	system, self := a.p.system, a.p.activator
	a.p.former.Release(owner, g, a.p.cfg.HandOverWithin, func(ok bool) {
		if ok {
			a.p.counts.HandedOver.Add(1)
		} else {
			a.p.counts.NotHandedOver.Add(1)
		}
		system.Root.Send(self, handedOver{identity})
	})
	return false, true
}

// formerOwner is another member that owned the grain a moment ago and is still a member.
func (a *activator) formerOwner(g id.Grain, now time.Time) (member string, ok bool) {
	current := a.p.Members()
	for _, v := range a.former {
		if now.After(v.until) {
			break // those behind it are older
		}
		owner, owned := v.members.Owner(g.Affinity())
		if !owned || owner.ID == a.p.system.ID {
			continue
		}
		if _, still := current.ByID(owner.ID); still {
			return owner.ID, true
		}
	}
	return "", false
}

// release lets go of a grain because another member is its owner now.
func (a *activator) release(ctx actor.Context, m release) {
	a.given[m.identity] = time.Now().Add(a.p.cfg.HandOverWithin)
	g := a.grains[m.identity]
	if g == nil {
		m.done()
		return
	}
	a.wait[m.identity] = append(a.wait[m.identity], m.done)
	if !g.ending {
		a.end(ctx, g)
	}
}

// abandon drops all activations.
func (a *activator) abandon(ctx actor.Context) {
	a.draining = true
	for identity, g := range a.grains {
		a.p.forward.Forget(g.grain, g.self)
		ctx.Stop(g.self)
		delete(a.grains, identity)
		for _, done := range a.wait[identity] {
			done()
		}
	}
	clear(a.wait)
	a.toEnd, a.endings = nil, 0
	a.p.counts.Active.Store(0)
	a.finishDrain()
}

// forget drops what is remembered no longer.
func (a *activator) forget(now time.Time) {
	a.p.pauses.forget(now)
	for _, remembered := range []map[string]time.Time{a.asked, a.free, a.given} {
		for identity, until := range remembered {
			if now.After(until) {
				delete(remembered, identity)
			}
		}
	}
}
