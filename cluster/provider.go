package cluster

import (
	"context"
	"sync"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"paceline/cluster/gossip"
	"paceline/cluster/level"
)

// lone is the membership of one: it knows itself, and nobody joins.
type lone struct {
	kinds []string
	once  sync.Once
	ended chan struct{}
	ready chan struct{}

	mu    sync.Mutex
	since time.Time
	self  gossip.Member
}

var _ pcluster.ClusterProvider = (*lone)(nil)

// StartMember implements cluster.ClusterProvider. The topology is told from a goroutine of its own, because
// Proto.Actor publishes it synchronously under its lock; it has been told when StartMember returns.
func (l *lone) StartMember(c *pcluster.Cluster) error {
	host, port, err := c.ActorSystem.GetHostPort()
	if err != nil {
		return err
	}
	self := &pcluster.Member{
		Id:    c.ActorSystem.ID, // of this run: a blocked id stays blocked for ever
		Host:  host,
		Port:  int32(port),
		Kinds: append(c.GetClusterKinds(), l.kinds...),
	}
	told := make(chan struct{})
	l.ended = make(chan struct{})
	go func() {
		defer close(l.ended)
		c.MemberList.UpdateClusterTopology(pcluster.Members{self})
		l.mu.Lock()
		l.since = time.Now()
		l.self = gossip.Member{ID: self.Id, Address: c.ActorSystem.Address(), StartedMs: l.since.UnixMilli(), Level: level.This.Reads}
		l.mu.Unlock()
		close(told)
		close(l.ready)
	}()
	<-told
	return nil
}

// StartClient implements cluster.ClusterProvider: every process is a member (a client's shutdown panics).
func (l *lone) StartClient(c *pcluster.Cluster) error { return l.StartMember(c) }

func (l *lone) serve(kinds []string)        { l.kinds, l.ready = kinds, make(chan struct{}) }
func (l *lone) others() []gossip.Member     { return nil }
func (l *lone) serves() <-chan struct{}     { return l.ready }
func (l *lone) leave(context.Context) error { return l.Shutdown(true) }

// Shutdown implements cluster.ClusterProvider.
func (l *lone) Shutdown(bool) error {
	l.once.Do(func() {
		if l.ended != nil {
			<-l.ended
		}
	})
	return nil
}
