package placement

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"paceline/domain/id"
)

// viewsKept bounds the views before the last changes: a rolling restart of a few nodes within HandOver.
const viewsKept = 8

// inquiry is one grain that members are asked for that may still have it.
//
// Members that ask each other cannot wait for each other for ever: of two members the same one has the greater claim to a
// grain in every view, and a member waits for others on behalf of one with a greater claim than its own only. A chain of
// those who wait so goes to smaller claims, and ends; who is asked by a smaller claim answers for himself. Besides, no
// request is waited for longer than HandOverWithin, and who is no member is not asked.
type inquiry struct {
	grain  id.Grain
	below  uint64   // those with a smaller claim than this are asked
	asked  []string // members
	left   int      // of those, who have not answered
	askers []asker
	done   []func() // of owners that asked this member, and wait for those it waits for
}

// changed remembers who owned what until now.
func (a *activator) changed(m membersChanged) {
	if m.before == nil || len(m.before.All()) == 0 {
		// This member has just begun: until now the others had what is its own from here on.
		m.before = m.now.without(a.p.system.ID)
	}
	a.view = m.now
	a.former = append([]*Members{m.before}, a.former...)
	if len(a.former) > viewsKept {
		a.former = a.former[:viewsKept]
	}
	for _, one := range m.now.All() {
		if _, was := m.before.ByID(one.ID); !was && one.ID != a.p.system.ID {
			a.came[one.ID] = m.at
		}
	}
	for member := range a.empty {
		if _, still := m.now.ByID(member); !still {
			delete(a.empty, member)
		}
	}
	for member := range a.waitAll {
		if _, still := m.now.ByID(member); !still {
			delete(a.waitAll, member)
		}
	}
	a.since = m.at
	a.askAll()
	// Who has let go before may have been the owner again since; and who was given a grain may not be its owner now.
	clear(a.free)
	clear(a.given)
}

// mayTake reports whether nobody else has the grain, as far as members can know; asked: others are being asked, and
// will have answered soon. The activator itself does not wait.
func (a *activator) mayTake(g id.Grain, identity string) (may, asked bool) {
	if until, given := a.given[identity]; given && time.Now().Before(until) {
		// It was let go because another member believes itself the owner; who of the two is right, the topology says
		// within that time.
		return false, false
	}
	self, ok := a.p.Members().ByID(a.p.system.ID)
	if !ok {
		return false, false
	}
	asked = a.inquire(g, identity, claim(g.Affinity(), self)) != nil
	return !asked, asked
}

// inquire asks the members of a smaller claim than below that may have the grain; nil: there are none, or they have let go.
func (a *activator) inquire(g id.Grain, identity string, below uint64) *inquiry {
	q := a.asking[identity]
	if _, free := a.free[identity]; q == nil && free || a.p.former == nil {
		return nil
	}
	if q == nil {
		q = &inquiry{grain: g}
	}
	q.below = max(q.below, below)
	a.askMore(identity, q)
	if q.left == 0 {
		return nil
	}
	a.asking[identity] = q
	return q
}

// askMore asks those who were not asked yet.
func (a *activator) askMore(identity string, q *inquiry) {
	system, self := a.p.system, a.p.activator
	for _, member := range a.formerOwners(q.grain, q.below) {
		if slices.Contains(q.asked, member) {
			continue
		}
		q.asked = append(q.asked, member)
		q.left++
		a.p.former.Release(member, q.grain, a.p.cfg.HandOverWithin, func(ok bool) {
			if ok {
				a.p.counts.HandedOver.Add(1)
			} else {
				a.p.counts.NotHandedOver.Add(1)
			}
			system.Root.Send(self, handedOver{identity})
		})
	}
}

// askAll asks each other member whether it has let go of all that is not its own. One that has never has anything of this
// member's again, as long as both are members: of whatever this one owns, or may ask for, it has the smaller claim.
func (a *activator) askAll() {
	system, self := a.p.system, a.p.activator
	if a.p.former == nil || a.view == nil || a.draining || !a.leaving.IsZero() {
		return
	}
	for _, one := range a.view.All() {
		if _, asked := a.empty[one.ID]; asked || one.ID == system.ID {
			continue
		}
		a.empty[one.ID] = false
		a.p.former.ReleaseAll(one.ID, a.p.cfg.HandOver, func(ok bool) { system.Root.Send(self, letGo{one.ID, ok}) })
	}
}

// letGo: who was not heard is asked again by and by, as long as it is a member.
func (a *activator) letGo(m letGo) {
	if _, asked := a.empty[m.member]; !asked {
		return
	}
	if a.empty[m.member] = m.ok; !m.ok {
		delete(a.empty, m.member)
	}
}

// tellAll answers those who ask whether all is let go of that is not this member's, once that is so in a view with them.
func (a *activator) tellAll() {
	if len(a.waitAll) == 0 || a.view != a.p.Members() || a.endings > 0 || len(a.toEnd)+len(a.inUse)+len(a.last)+len(a.wanted) > 0 {
		return
	}
	for member, done := range a.waitAll {
		if _, there := a.view.ByID(member); there {
			delete(a.waitAll, member)
			done()
		}
	}
}

// formerOwners are the other members of a smaller claim that owned the grain before, each once, are members still, and
// have not let go of everything.
func (a *activator) formerOwners(g id.Grain, below uint64) []string {
	var owners []string
	now, current, self := time.Now(), a.p.Members(), a.p.system.ID
	may := func(owner Member, owned bool) {
		now, still := current.ByID(owner.ID)
		if owned && still && owner.ID != self && claim(g.Affinity(), now) < below && !a.nothing(g, now) && !slices.Contains(owners, owner.ID) {
			owners = append(owners, owner.ID)
		}
	}
	for _, v := range a.former {
		// One that has let go of everything may not have got everything yet: then it is the one before that is asked.
		may(v.ownerBut(g.Affinity(), func(m Member) bool { return a.nothing(g, m) }))
	}
	// Who has come since this member began may have been there before: it was seen later.
	if len(a.came) > 0 {
		if beside, ok := current.without(self).Owner(g.Affinity()); ok && now.Before(a.came[beside.ID].Add(a.p.cfg.HandOver)) {
			may(beside, true)
		}
	}
	return owners
}

// nothing reports, once the members have been the same for a while, that one has let go of all in which this one has the greater claim.
func (a *activator) nothing(g id.Grain, m Member) bool {
	self, ok := a.p.Members().ByID(a.p.system.ID)
	return ok && time.Since(a.since) >= a.p.cfg.HandOver && a.empty[m.ID] && claim(g.Affinity(), m) < claim(g.Affinity(), self)
}

// handedOver: one of those who were asked has answered, or was not heard.
func (a *activator) handedOver(ctx actor.Context, identity string) {
	q := a.asking[identity]
	if q == nil {
		return
	}
	if q.left--; q.left > 0 {
		return
	}
	if a.askMore(identity, q); q.left > 0 { // the members have changed meanwhile
		return
	}
	delete(a.asking, identity)
	a.free[identity] = time.Now().Add(a.p.cfg.HandOver)
	for _, done := range q.done {
		done()
	}
	for _, one := range q.askers {
		a.requested(ctx, one)
	}
}

// release lets go of a grain because another member is its owner now. What is not active here is not let go of before
// those have whom this member would wait for: it may have been the owner for a moment, and the one before it writes yet.
func (a *activator) release(ctx actor.Context, m release) {
	a.given[m.identity] = time.Now().Add(a.p.cfg.HandOverWithin)
	if g := a.grains[m.identity]; g != nil {
		a.wait[m.identity] = append(a.wait[m.identity], m.done)
		if !g.ending && !g.wanted {
			g.wanted = true
			a.wanted = append(a.wanted, g)
			a.endMore(ctx)
		}
		return
	}
	asker, known := a.p.Members().ByID(m.asker)
	self, member := a.p.Members().ByID(a.p.system.ID)
	if known && member {
		below := claim(m.grain.Affinity(), asker)
		if below > claim(m.grain.Affinity(), self) {
			if q := a.inquire(m.grain, m.identity, below); q != nil {
				q.done = append(q.done, m.done)
				return
			}
		}
	}
	m.done()
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
	a.toEnd, a.inUse, a.last, a.wanted, a.endings = nil, nil, nil, nil, 0
	a.p.counts.Active.Store(0)
	a.finishDrain()
}

// forget drops what is remembered no longer.
func (a *activator) forget(now time.Time) {
	a.p.pauses.forget(now)
	for member, at := range a.came {
		if now.After(at.Add(a.p.cfg.HandOver)) {
			delete(a.came, member)
		}
	}
	for _, remembered := range []map[string]time.Time{a.free, a.given} {
		for identity, until := range remembered {
			if now.After(until) {
				delete(remembered, identity)
			}
		}
	}
}
