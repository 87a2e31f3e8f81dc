package cluster

import (
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

// Release implements placement.Handover. A lost request is one that was not answered in time.
func (h handover) Release(member string, g id.Grain, within time.Duration, done func(ok bool)) {
	a, err := call.Pack(g, &clusterv1.Release{})
	if err != nil {
		done(false)
		return
	}
	var once sync.Once
	say := func(ok bool) { once.Do(func() { done(ok) }) }
	forget := h.l.Ask(member, a, func(m proto.Message, err error) {
		_, released := m.(*clusterv1.Released)
		say(err == nil && released)
	})
	time.AfterFunc(within, func() {
		forget()
		say(false)
	})
}
