package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/cluster/call"
	"paceline/cluster/gossip"
	"paceline/cluster/level"
	"paceline/cluster/split"
	"paceline/domain/fault"
)

// Known is what this member knows of a run of a node, itself included, without asking it.
type Known struct {
	gossip.Member
	Seen    bool          // by gossip, now
	Among   bool          // of those that share the grains, in this member's view
	Serves  bool          // as its row says
	CutOff  bool          // it has stepped down, as its row says
	RowAge  time.Duration // since its row was renewed; negative: it has none
	Follows uint32        // the feature level by which it writes, as its row says
	Unready string        // code of why clients are better sent elsewhere, as its row says
}

// Report is what is known of everybody, by id, and since when the members are what they are (zero: there are none yet).
func (c *Cluster) Report() ([]Known, time.Time) { return c.provider.report() }

// Turned is when the membership was last looked at: it is, several times a second, as long as this process works. A lone
// member has nothing to look at.
func (c *Cluster) Turned() time.Time { return c.provider.turnedAt() }

// AnswerStatus says who answers other members that ask what this node does. It must not wait: it is called on the
// link's goroutine.
func (c *Cluster) AnswerStatus(f func(ask *clusterv1.NodeStatusAsk, done func(proto.Message, error))) {
	c.link.Status(f)
}

// Why a member has not said what it does.
var (
	ErrLevel    = fault.New(fault.Conflict, "level.needed", "Members are asked what they do from feature level 2 on.")
	ErrSilent   = fault.Later("cluster.silent", "The member does not answer.")
	ErrNoAnswer = fault.New(fault.Internal, "cluster.no_answer", "The member answers something else.")
)

// AskStatus asks another member what it does. It is a message that a release before level.NodeStatus does not know.
func (c *Cluster) AskStatus(ctx context.Context, member string, ask *clusterv1.NodeStatusAsk) (*clusterv1.NodeStatus, error) {
	if !c.cfg.Level.Allows(level.NodeStatus) {
		return nil, ErrLevel
	}
	bytes, err := proto.Marshal(ask)
	if err != nil {
		return nil, err
	}
	type answer struct {
		msg proto.Message
		err error
	}
	heard := make(chan answer, 1)
	forget := c.link.Ask(member, &clusterv1.Ask{Type: string(ask.ProtoReflect().Descriptor().FullName()), Message: bytes},
		func(m proto.Message, err error) { heard <- answer{m, err} })
	select {
	case a := <-heard:
		if a.err != nil {
			return nil, a.err
		}
		if f, refused := a.msg.(*clusterv1.Fault); refused {
			return nil, call.Fault(f)
		}
		s, ok := a.msg.(*clusterv1.NodeStatus)
		if !ok {
			return nil, ErrNoAnswer.With("%T", a.msg)
		}
		return s, nil
	case <-ctx.Done():
		forget()
		return nil, ErrSilent
	}
}

// report implements provider.
func (l *lone) report() ([]Known, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return []Known{{Member: l.self, Seen: true, Among: true, Serves: true, RowAge: -1}}, l.since
}

// report implements provider.
func (m *members) report() ([]Known, time.Time) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make(map[string]*clusterv1.NodeRow, len(m.lastRows))
	for _, r := range m.lastRows {
		rows[r.GetId()] = r
	}
	var all []Known
	for id, one := range m.known {
		k := Known{Member: one.Member, Seen: one.seen, Among: slices.Contains(m.serving, id), RowAge: -1}
		if r := rows[id]; r != nil {
			k.Serves, k.CutOff, k.Follows, k.Unready = r.GetServes(), r.GetDown(), r.GetFollows(), r.GetUnready()
			k.RowAge = now.Sub(m.moved[id])
		}
		if id == m.self.ID { // what it knows of itself is newer than its row
			k.Serves, k.CutOff = len(m.serving) > 0 && m.verdict.Kind != split.StepDown, m.verdict.Kind == split.StepDown
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Known) int { return strings.Compare(a.ID, b.ID) })
	return all, m.changed
}

// turnedAt implements provider.
func (l *lone) turnedAt() time.Time { return time.Now() }

// turnedAt implements provider.
func (m *members) turnedAt() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.turned
}
