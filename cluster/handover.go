package cluster

import (
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/cluster/link"
	"paceline/domain/id"
)

// handover asks a grain's former owner to let go of it, over the link.
type handover struct{ l *link.Link }

// askAgain is how long an answer may take before the same is asked again.
const askAgain = 300 * time.Millisecond

// Release implements placement.Handover. A lost request is one that was not answered in time. It is asked again until then: a
// member that has not yet heard of this one drops what comes from it, and a beginner asks within milliseconds.
func (h handover) Release(member string, g id.Grain, within time.Duration, done func(ok bool)) {
	a, err := call.Pack(g, &clusterv1.Release{})
	if err != nil {
		done(false)
		return
	}
	r := &releasing{l: h.l, member: member, what: a, until: time.Now().Add(within), done: done}
	r.ask()
}

// ReleaseAll implements placement.Handover: the release of no grain is answered when nothing foreign is left. A member of
// a build that does not know that refuses at once.
func (h handover) ReleaseAll(member string, within time.Duration, done func(ok bool)) {
	a := &clusterv1.Ask{Type: string((&clusterv1.Release{}).ProtoReflect().Descriptor().FullName())}
	r := &releasing{l: h.l, member: member, what: a, until: time.Now().Add(within), done: done}
	r.ask()
}

// releasing is what another member is asked to let go of.
type releasing struct {
	l      *link.Link
	member string
	what   *clusterv1.Ask
	until  time.Time

	mu      sync.Mutex
	done    func(ok bool) // nil: it was told
	forgets []func()
}

func (r *releasing) ask() {
	a := &clusterv1.Ask{Grain: r.what.GetGrain(), Type: r.what.GetType(), Message: r.what.GetMessage()}
	forget := r.l.Ask(r.member, a, func(m proto.Message, err error) {
		if errors.Is(err, call.ErrBusy) {
			return // there was no room on the way: it is asked again
		}
		_, released := m.(*clusterv1.Released)
		r.end(err == nil && released)
	})
	r.mu.Lock()
	over := r.done == nil
	if !over {
		r.forgets = append(r.forgets, forget)
	}
	r.mu.Unlock()
	left := time.Until(r.until)
	switch {
	case over:
		forget()
	case left <= askAgain:
		time.AfterFunc(left, func() { r.end(false) })
	default:
		time.AfterFunc(askAgain, r.again)
	}
}

func (r *releasing) again() {
	r.mu.Lock()
	over := r.done == nil
	r.mu.Unlock()
	if !over {
		r.ask()
	}
}

func (r *releasing) end(ok bool) {
	r.mu.Lock()
	done, forgets := r.done, r.forgets
	r.done, r.forgets = nil, nil
	r.mu.Unlock()
	for _, forget := range forgets {
		forget()
	}
	if done != nil {
		done(ok)
	}
}
