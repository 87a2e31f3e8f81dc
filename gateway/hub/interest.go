package hub

import (
	"maps"
	"slices"
	"strings"

	clusterv1 "paceline/api/gen/paceline/cluster/v1"
	"paceline/domain/id"
	"paceline/domain/step"
	"paceline/gateway/wire"
)

// interest tells the competition's grain that this node wants its board, and what it has of it. It is state, not
// an event: said again every few seconds, forgotten by the grain if it is not.
func (h *Hub) interest(r *race, stop bool) step.Send {
	return step.Send{To: grainOf(r.id), Msg: &clusterv1.Interest{
		Topic: wire.Topic{Kind: wire.Board, ID: r.id}.String(), Node: h.cfg.Node,
		Epoch: r.board.epoch, Version: r.board.version, Stop: stop,
	}}
}

func (w *workoutTopic) interest(node string, stop bool) step.Send {
	g := id.Grain{Kind: id.Training, ID: w.training}
	i := &clusterv1.Interest{Topic: wire.Topic{Kind: wire.Workout, ID: g.Local()}.String(), Node: node, Stop: stop}
	if w.frame != nil {
		i.Epoch, i.Version = w.frame.Epoch, w.frame.Version
	}
	return step.Send{To: g, Msg: i}
}

// interest in a feed saves the poll: items come as they happen.
func (f *feedTopic) interest(node string, stop bool) step.Send {
	to, topic := grainOf(f.topic.ID), f.topic.String()
	if f.topic.Kind == wire.Inbox {
		to, topic = id.Of(id.User, f.topic.ID), inboxPrefix+f.topic.ID
	}
	return step.Send{To: to, Msg: &clusterv1.Interest{Topic: topic, Node: node, Epoch: feedEpoch, Version: f.version, Stop: stop}}
}

// renew says all interests again and forgets the replicas that nobody wants.
func (h *Hub) renew(now step.Now) []step.Out {
	var outs []step.Out
	for competition, r := range h.races {
		if r.subscribers+r.followers == 0 {
			outs = append(outs, h.interest(r, true))
			h.mu.Lock()
			delete(h.races, competition)
			h.mu.Unlock()
			continue
		}
		outs = append(outs, h.interest(r, false))
	}
	for _, w := range h.workouts {
		outs = append(outs, w.interest(h.cfg.Node, false))
	}
	for _, f := range h.feeds {
		outs = append(outs, f.interest(h.cfg.Node, false))
	}
	if len(h.races)+len(h.workouts)+len(h.feeds) == 0 {
		return outs
	}
	return append(outs, h.arm(now)...)
}

// askAgain asks for a snapshot because an update was lost, but not for each update that follows the lost one. It says
// that this node has nothing: an interest in what came before the lost one looks like one that was under way when that
// was sent, and would be believed only when it comes again.
func (h *Hub) askAgain(now step.Now, r *race) []step.Out {
	if r.askedAt != 0 && now.Wall.Sub(r.askedAt) < h.cfg.ResyncAfter {
		return nil
	}
	r.askedAt = now.Wall
	i := h.interest(r, false)
	if m, ok := i.Msg.(*clusterv1.Interest); ok {
		m.Epoch, m.Version = 0, 0
	}
	return []step.Out{i}
}

func (h *Hub) onResync(now step.Now, m Resync) []step.Out {
	if m.Topic == "" {
		return h.resyncAll(now)
	}
	t, err := parseUpdated(m.Topic)
	if err != nil {
		return nil
	}
	if r := h.races[t.ID]; t.Kind == wire.Board && r != nil {
		return h.askAgain(now, r)
	}
	if f := h.feeds[t]; f != nil {
		return f.read()
	}
	if w := h.workouts[t.ID]; t.Kind == wire.Workout && w != nil {
		return []step.Out{w.interest(h.cfg.Node, false)}
	}
	return nil
}

// resyncAll is for parcels of another node that never came: nobody knows of which topics.
func (h *Hub) resyncAll(now step.Now) []step.Out {
	var outs []step.Out
	for _, id := range slices.Sorted(maps.Keys(h.races)) {
		outs = append(outs, h.askAgain(now, h.races[id])...)
	}
	for _, id := range slices.Sorted(maps.Keys(h.workouts)) {
		outs = append(outs, h.workouts[id].interest(h.cfg.Node, false))
	}
	for _, f := range h.sortedFeeds() {
		outs = append(outs, f.read()...)
	}
	return outs
}

// sayAgain tells the grains at once what this node wants: they may live on another node now, where nobody knows of it.
func (h *Hub) sayAgain() []step.Out {
	var outs []step.Out
	for _, id := range slices.Sorted(maps.Keys(h.races)) {
		outs = append(outs, h.interest(h.races[id], false))
	}
	for _, id := range slices.Sorted(maps.Keys(h.workouts)) {
		outs = append(outs, h.workouts[id].interest(h.cfg.Node, false))
	}
	for _, f := range h.sortedFeeds() {
		outs = append(outs, f.interest(h.cfg.Node, false))
	}
	return outs
}

func (h *Hub) sortedFeeds() []*feedTopic {
	return slices.SortedFunc(maps.Values(h.feeds), func(a, b *feedTopic) int {
		return strings.Compare(a.topic.String(), b.topic.String())
	})
}
