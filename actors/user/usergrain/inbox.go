package usergrain

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"paceline/actors/machine"
	"paceline/actors/user"
	"paceline/actors/user/usercodec"
	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/fault"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// watcher is a node that wants the inbox: the person has a connection there.
type watcher struct {
	node  string
	until unit.InstantMs // wall
}

// maxWatchers bounds how many nodes are told.
const maxWatchers = 64

// ErrTopic answers an interest in what a user does not have.
var ErrTopic = fault.New(fault.NotFound, "user.topic", "A user has no such topic.")

func (s *Shell) topic() string { return "inbox/" + s.machine.Grain().ID }

// ready begins with what the journal says.
func (s *Shell) ready(step.Now) []step.Out {
	s.shown = s.machine.State().Inbox
	return nil
}

// committed tells the interested nodes of a new entry. Who does not hear of it reads the journal's view.
func (s *Shell) committed(now step.Now, e user.Event, version uint64, _ []machine.Effect) []step.Out {
	event := usercodec.EventOf(e, version)
	if event == nil {
		return nil
	}
	base := s.shown
	s.shown = version
	s.watchers = slices.DeleteFunc(s.watchers, func(w watcher) bool { return w.until < now.Wall })
	content, err := proto.Marshal(event)
	if err != nil {
		return nil // a message of numbers and checked texts; the journal's view has it
	}
	var outs []step.Out
	for _, w := range s.watchers {
		outs = append(outs, step.ToNode{Node: w.node, Msg: &clusterv1.TopicUpdate{Topic: s.topic(), Epoch: 1, Version: version, Base: base, Content: content}})
	}
	return outs
}

// interested takes or renews a node's interest. It is state: the same again changes nothing.
func (s *Shell) interested(now step.Now, m *clusterv1.Interest, from step.Return) []step.Out {
	if m.GetTopic() != s.topic() {
		if from == nil {
			return nil
		}
		return []step.Out{step.Reply{To: from, Err: ErrTopic.With("%q", m.GetTopic())}}
	}
	i, known := slices.BinarySearchFunc(s.watchers, m.GetNode(), func(w watcher, node string) int { return strings.Compare(w.node, node) })
	switch {
	case m.GetStop():
		if known {
			s.watchers = slices.Delete(s.watchers, i, i+1)
		}
	case known:
		s.used, s.watchers[i].until = now.Wall, now.Wall.Add(s.n.InterestFor)
	case m.GetNode() != "" && len(s.watchers) < maxWatchers:
		s.used = now.Wall
		s.watchers = slices.Insert(s.watchers, i, watcher{m.GetNode(), now.Wall.Add(s.n.InterestFor)})
	}
	if from == nil {
		return nil
	}
	return []step.Out{step.Reply{To: from, Msg: &clusterv1.Ack{}}}
}
