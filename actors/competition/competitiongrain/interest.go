package competitiongrain

import (
	"slices"
	"strings"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/step"
	"paceline/domain/unit"
)

// The topics of a race that its grain serves.
const (
	topicBoard = "board"
	topicFeed  = "feed"
)

// maxNodes bounds who may be interested; a cluster has fewer members.
const maxNodes = 1024

// interest is one node that wants a topic.
type interest struct {
	node  string
	until unit.InstantMs // wall
	fresh bool           // it needs a snapshot
	sent  uint64         // version of the last update sent to it
	then  uint64         // what had been sent when it last renewed
}

func (sh *Shell) topic(name string) string { return "competition/" + sh.cfg.Grain.ID + "/" + name }

// interested takes or renews a node's interest. It is state: the same again changes nothing. Version 0, or one below
// what was sent before the renewal before, asks for a snapshot.
func (sh *Shell) interested(now step.Now, msg *clusterv1.Interest, from step.Return) []step.Out {
	name, ok := strings.CutPrefix(msg.GetTopic(), "competition/"+sh.cfg.Grain.ID+"/")
	list := &sh.board.interests
	switch {
	case ok && name == topicBoard:
	case ok && name == topicFeed:
		list = &sh.board.feeds
	default:
		if from == nil {
			return nil
		}
		return []step.Out{step.Reply{To: from, Err: ErrTopic.With("%q", msg.GetTopic())}}
	}
	i, known := slices.BinarySearchFunc(*list, msg.GetNode(), func(in *interest, node string) int { return strings.Compare(in.node, node) })
	switch {
	case msg.GetStop():
		if known {
			*list = slices.Delete(*list, i, i+1)
		}
		return ack(from)
	case !known && (len(*list) >= maxNodes || msg.GetNode() == ""):
		return ack(from)
	case !known:
		*list = slices.Insert(*list, i, &interest{node: msg.GetNode(), fresh: true})
	}
	in := (*list)[i]
	in.until = now.Wall.Add(sh.cfg.InterestFor)
	if name == topicFeed {
		return ack(from)
	}
	epoch, open := uint64(0), sh.open()
	if open {
		epoch, _ = sh.epoch()
	}
	if open && msg.GetEpoch() != epoch || msg.GetVersion() < in.then || msg.GetVersion() == 0 && sh.opened && !sh.journalled() {
		in.fresh = true
	}
	in.then = in.sent
	if in.fresh {
		sh.board.at = max(now.Wall, sh.board.last.Add(sh.cfg.BoardTick))
	}
	return ack(from)
}

// forgetInterests drops nodes that have not renewed.
func (sh *Shell) forgetInterests(now step.Now) {
	gone := func(in *interest) bool { return in.until < now.Wall }
	sh.board.interests = slices.DeleteFunc(sh.board.interests, gone)
	sh.board.feeds = slices.DeleteFunc(sh.board.feeds, gone)
}

// freshen makes the next update of every node a snapshot: the epoch is a new one.
func (b *board) freshen() {
	b.changed, b.freshRecovering = true, true
	for _, in := range b.interests {
		in.fresh = true
	}
}
